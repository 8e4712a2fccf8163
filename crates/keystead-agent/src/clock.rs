//! What time it is: the machine's clock, moved by a fixed offset (zero but in tests).

use jiff::{SignedDuration, Timestamp};

/// Where the agent's time comes from.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// Added to the machine's clock.
    pub offset: SignedDuration,
}

impl Clock {
    /// The present instant.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the agent's time comes from"
    )]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        now.checked_add(self.offset).unwrap_or(now)
    }
}
