//! Commits that fail because a test wants it: what is built on the store is tested with its Nth commit failing.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crate::batch::{Haste, Step};
use crate::engine::sqlite::syncer;
use crate::{Store, StoreError, Version};

/// How a commit fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing is stored, as on a full disk.
    Refused,
    /// It is stored, but whoever waits for it never hears so, as in a crash right behind it.
    Unheard,
}

/// Which commit fails.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Commits until then, itself included; 0 for none.
    left: AtomicUsize,
    unheard: AtomicBool,
}

impl Faults {
    /// How the commit that begins now fails, if it is the one.
    pub(crate) fn next(&self) -> Option<Failure> {
        let count = |left: usize| left.checked_sub(1);
        let left = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
        (left == Ok(1)).then(|| match self.unheard.load(Ordering::SeqCst) {
            true => Failure::Unheard,
            false => Failure::Refused,
        })
    }
}

/// Has the log of every store of this process synced by this, instead of by the disk; once and for all.
pub fn sync_log_by(sync: fn(&Path) -> io::Result<()>) {
    // Whoever was first has the same disk.
    let _ = syncer::SYNC.set(sync);
}

impl Store {
    /// Lets the Nth commit from now on fail: 1 is the next, 0 none.
    pub fn fail_commit(&self, nth: usize, failure: Failure) {
        let unheard = failure == Failure::Unheard;
        let faults = &self.inner.faults;
        faults.unheard.store(unheard, Ordering::SeqCst);
        faults.left.store(nth, Ordering::SeqCst);
    }

    /// Whether the commit that was to fail is still to come.
    pub fn is_to_fail(&self) -> bool {
        self.inner.faults.left.load(Ordering::SeqCst) > 0
    }

    pub(crate) async fn fail(
        &self,
        steps: Vec<Step>,
        haste: Haste,
        failure: Failure,
    ) -> Result<Version, StoreError> {
        if failure == Failure::Unheard {
            self.inner.engine.commit(steps, haste).await?;
            return Err(StoreError::Unavailable("its answer was lost".into()));
        }
        Err(StoreError::Full)
    }
}
