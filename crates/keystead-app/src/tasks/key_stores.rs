//! Custom key stores are connected and disconnected.

use futures::FutureExt as _;

use super::Task;
use crate::kms;

/// Whoever asks for it waits for the outcome.
pub(super) const KEY_STORES: Task = Task {
    queue: kms::KEY_STORE_QUEUE,
    step: |app, lease| kms::settle_key_store(app, lease).boxed(),
    quiet: false,
};
