//! Time from outside, so that a test can see a renewal that is 60 days away.

use jiff::{SignedDuration, Timestamp};

/// Where the server's time comes from.
pub trait Env: Send + Sync + 'static {
    /// The present instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock, moved by a fixed offset (zero but in tests).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEnv {
    /// Added to the machine's clock.
    pub offset: SignedDuration,
}

impl Env for SystemEnv {
    #[expect(clippy::disallowed_methods, reason = "this is where time comes from")]
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        // An offset that leaves the calendar's range is a mistake of the test that set it; time
        // then stands at the machine's clock rather than ending the server.
        now.checked_add(self.offset).unwrap_or(now)
    }
}
