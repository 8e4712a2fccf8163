//! Changes that are made on what was read, and made again where somebody else was quicker.

use std::future::Future;

use keystead_core::{ErrorKind, Result};

/// Does it again, from its reads on, where somebody else changed a record in between, `attempts` times at most; at last
/// answers [`ErrorKind::ConcurrentModification`].
pub(crate) async fn retrying<T, F>(attempts: usize, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let mut outcome = attempt().await;
    for _ in 1..attempts {
        match outcome {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {
                outcome = attempt().await;
            }
            other => return other,
        }
    }
    outcome
}
