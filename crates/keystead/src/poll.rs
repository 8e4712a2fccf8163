//! Waiting for a condition, with a deadline.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Failure;

/// Asks until there is an answer, and fails at `deadline` with what was waited for.
pub(crate) async fn until<T, A>(what: &str, deadline: Duration, mut ask: A) -> Result<T, Failure>
where
    A: AsyncFnMut() -> Result<Option<T>, Failure>,
{
    let end = Instant::now() + deadline;
    loop {
        if let Some(answer) = ask().await? {
            return Ok(answer);
        }
        if Instant::now() >= end {
            return Err(Failure(format!("waited {deadline:?} in vain for {what}")));
        }
        sleep(PAUSE).await;
    }
}

/// Short beside what is waited for: processes that start in tenths of a second.
const PAUSE: Duration = Duration::from_millis(10);
