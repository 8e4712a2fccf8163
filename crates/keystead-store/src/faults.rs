//! Commits that fail because a test wants it: what is built on the store is tested with its Nth commit failing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is stored, as on a full disk.
    Refused,
    /// It is stored, but whoever waits for it never hears so, as in a crash right behind it.
    Unheard,
}

/// Which commit fails next.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Commits until then, itself included; 0 for none.
    left: AtomicUsize,
    unheard: AtomicBool,
}

impl Faults {
    pub(crate) fn set(&self, nth: usize, failure: Failure) {
        let unheard = failure == Failure::Unheard;
        self.unheard.store(unheard, Ordering::SeqCst);
        self.left.store(nth, Ordering::SeqCst);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.left.load(Ordering::SeqCst) > 0
    }

    /// How the commit that begins now fails, if it is the one.
    pub(crate) fn next(&self) -> Option<Failure> {
        if self.left.load(Ordering::Relaxed) == 0 || self.left.fetch_sub(1, Ordering::SeqCst) != 1 {
            return None;
        }
        Some(match self.unheard.load(Ordering::SeqCst) {
            true => Failure::Unheard,
            false => Failure::Refused,
        })
    }
}
