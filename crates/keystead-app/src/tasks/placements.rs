//! Agents that fall silent, placements that are late or near their end, join tokens that are over.

use futures::FutureExt as _;

use super::Task;
use crate::placements;

pub(super) const AGENTS: Task = Task {
    queue: placements::AGENT_QUEUE,
    step: |app, lease| placements::look_at_agent(app, lease).boxed(),
    quiet: false,
};

pub(super) const PLACEMENTS: Task = Task {
    queue: placements::PLACEMENT_QUEUE,
    step: |app, lease| placements::look_at_placement(app, lease).boxed(),
    quiet: false,
};

/// Nothing waits for a token to be forgotten.
pub(super) const TOKENS: Task = Task {
    queue: placements::TOKEN_QUEUE,
    step: |app, lease| placements::forget_token(app, lease).boxed(),
    quiet: true,
};
