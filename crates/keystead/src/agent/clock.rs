//! The agent's clock, which tests can move.

use keystead_agent::Clock;

/// How far the clock is moved.
#[derive(clap::Args)]
pub(super) struct Moved {
    #[cfg(feature = "testing")]
    /// Move the clock.
    #[arg(long, value_name = "SECONDS", default_value_t = 0, hide = true)]
    clock_offset: i64,
}

impl Moved {
    pub(super) fn clock(&self) -> Clock {
        #[cfg(feature = "testing")]
        return Clock {
            offset: jiff::SignedDuration::from_secs(self.clock_offset),
        };
        #[cfg(not(feature = "testing"))]
        Clock::default()
    }
}
