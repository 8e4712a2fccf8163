//! What is counted of a token.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, counter, gauge, histogram};

/// What one token is counted with.
pub(super) struct Meters {
    connected: Gauge,
    calls: Counter,
    failures: Counter,
    seconds: Histogram,
    called: AtomicU64,
    failed: AtomicU64,
}

impl Meters {
    pub(super) fn new(token: &str) -> Self {
        let token = || token.to_owned();
        let meters = Self {
            connected: gauge!("keystead_token_connected", "token" => token()),
            calls: counter!("keystead_token_calls_total", "token" => token(), "outcome" => "done"),
            failures: counter!("keystead_token_calls_total", "token" => token(), "outcome" => "failed"),
            seconds: histogram!("keystead_token_call_seconds", "token" => token()),
            called: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        };
        meters.connected.set(0);
        meters
    }

    /// Whether the token is connected now.
    pub(super) fn connected(&self, is: bool) {
        self.connected.set(if is { 1.0 } else { 0.0 });
    }

    /// A call has come back from the module.
    pub(super) fn called(&self, took: Duration, done: bool) {
        self.seconds.record(took);
        self.called.fetch_add(1, Ordering::Relaxed);
        if done {
            self.calls.increment(1);
        } else {
            self.failures.increment(1);
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many calls came back, and how many of them had failed.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.called.load(Ordering::Relaxed),
            self.failed.load(Ordering::Relaxed),
        )
    }
}
