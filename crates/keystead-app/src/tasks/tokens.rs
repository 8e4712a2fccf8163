//! Idempotency tokens whose time is over are forgotten.

use futures::FutureExt as _;

use super::Task;
use crate::token;

/// Nothing waits for a token to be forgotten: it is passed over from the instant it ends.
pub(super) const TOKENS: Task = Task {
    queue: token::QUEUE,
    step: |app, lease| token::forget(&app.store, lease, app.env.now()).boxed(),
    quiet: true,
};
