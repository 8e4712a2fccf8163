//! Whether a connection is in use, so that idle ones can be closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// The requests under way on one connection, and how many there have been.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    under_way: AtomicUsize,
    begun: AtomicU64,
}

/// One request under way; counts until it is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Activity>);

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> Busy {
        self.under_way.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Busy(self.clone())
    }

    /// How many requests there have been, or `None` while one is under way. The same number twice
    /// means that nothing happened in between.
    pub(crate) fn idle_since(&self) -> Option<u64> {
        let idle = self.under_way.load(Ordering::Relaxed) == 0;
        idle.then(|| self.begun.load(Ordering::Relaxed))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
