//! What ACM does by itself: issues what was requested, renews, ends what is over.

use futures::FutureExt as _;

use super::Task;
use crate::acm::{self, internal};

/// The certificates.
pub(super) const CERTIFICATES: Task = Task {
    queue: internal::QUEUE,
    step: |app, lease| internal::reconcile(app, lease).boxed(),
    quiet: false,
};

/// What a CA signed, issued anew.
pub(super) const REISSUES: Task = Task {
    queue: acm::REISSUE_QUEUE,
    step: |app, lease| acm::reissue_part(app, lease).boxed(),
    quiet: false,
};

/// Notices of what nears its end.
pub(super) const EXPIRY: Task = Task {
    queue: acm::EXPIRY_QUEUE,
    step: |app, lease| acm::announce(app, lease).boxed(),
    quiet: false,
};

/// The index of what was stored before there was one.
pub(super) const INDEX: Task = Task {
    queue: acm::INDEX_QUEUE,
    step: |app, lease| acm::index_part(app, lease).boxed(),
    quiet: false,
};
