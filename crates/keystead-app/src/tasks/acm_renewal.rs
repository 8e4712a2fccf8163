//! What ACM does by itself: issues what was requested, renews, ends what is over.

use futures::FutureExt as _;

use super::Task;
use crate::acm::internal;

/// The certificates.
pub(super) const CERTIFICATES: Task = Task {
    queue: internal::QUEUE,
    step: |app, lease| internal::reconcile(app, lease).boxed(),
    quiet: false,
};

/// The idempotency tokens of requests, whose hour is over.
pub(super) const TOKENS: Task = Task {
    queue: internal::TOKEN_QUEUE,
    step: |app, lease| internal::forget_token(app, lease).boxed(),
    quiet: false,
};
