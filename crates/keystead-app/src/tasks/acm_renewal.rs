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
