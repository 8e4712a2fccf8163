//! Roll-overs of trust go on.

use futures::FutureExt as _;

use super::Task;
use crate::trust;

pub(super) const ROLL_OVERS: Task = Task {
    queue: trust::QUEUE,
    step: |app, lease| trust::reconcile(app, lease).boxed(),
    quiet: false,
};
