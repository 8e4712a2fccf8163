//! Who waits for which records: one follower of the store's change feed wakes those whose records changed, and nobody else.
//!
//! A waiting call is an entry for each record that it watches, and a bell; it is told which of what it asked for to look at
//! again. That a bell rang says only that something may have changed: who was woken reads, and goes back to sleep if it is
//! nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Change, ChangeFeed, Collection, FeedEvent};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use crate::App;

/// Everybody who waits.
#[derive(Debug, Default)]
pub struct Changes {
    /// By collection and key.
    watched: Mutex<HashMap<&'static str, Watched>>,
    /// By number, for what concerns all.
    bells: Mutex<HashMap<u64, Arc<Bell>>>,
    next: AtomicU64,
    entries: AtomicUsize,
    closed: AtomicBool,
}

/// Who watches, by key.
type Watched = HashMap<Arc<str>, Vec<Entry>>;

/// One record that somebody watches.
#[derive(Debug)]
struct Entry {
    waiter: u64,
    slot: u32,
    bell: Arc<Bell>,
}

/// What wakes one call.
#[derive(Debug, Default)]
struct Bell {
    notify: Notify,
    touched: Mutex<Touched>,
}

#[derive(Debug, Default)]
struct Touched {
    slots: BTreeSet<u32>,
    all: bool,
}

/// A call that waits; it watches until this is dropped.
#[derive(Debug)]
pub(super) struct Waiting<'a> {
    changes: &'a Changes,
    number: u64,
    bell: Arc<Bell>,
    keys: Vec<(&'static str, Arc<str>)>,
}

/// What a waiting call has to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// What it gave these numbers.
    Slots(BTreeSet<u32>),
    /// Everything: the feed was too quick for its follower.
    All,
    /// The server ends: the answer is due now.
    Closed,
}

impl Changes {
    /// Begins to wait: what changes from now on is told.
    pub(super) fn wait(&self) -> Waiting<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let bell = Arc::new(Bell::default());
        self.bells.lock().insert(number, Arc::clone(&bell));
        metrics::gauge!("keystead_waiting_calls").increment(1.0);
        Waiting {
            changes: self,
            number,
            bell,
            keys: Vec::new(),
        }
    }

    /// Answers everybody who waits, and whoever comes later at once: the server ends.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Release);
        self.ring_all();
    }

    fn touched(&self, change: &Change) {
        let watched = self.watched.lock();
        let of = watched.get(change.collection.as_str());
        let entries = of.and_then(|of| of.get(change.key.as_str()));
        for entry in entries.into_iter().flatten() {
            entry.bell.touched.lock().slots.insert(entry.slot);
            entry.bell.notify.notify_one();
        }
    }

    fn ring_all(&self) {
        for bell in self.bells.lock().values() {
            bell.touched.lock().all = true;
            bell.notify.notify_one();
        }
    }
}

impl Waiting<'_> {
    /// Watches a record for what has this number.
    ///
    /// Refuses with [`ErrorKind::LimitExceeded`].
    pub(super) fn watch(&mut self, collection: Collection, key: String, slot: u32) -> Result<()> {
        if self.changes.entries.fetch_add(1, Ordering::Relaxed) >= MOST_WATCHED {
            self.changes.entries.fetch_sub(1, Ordering::Relaxed);
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                "So many calls wait for changes that this one can't; ask again without waiting (WaitSeconds 0), or later.",
            ));
        }
        let mut watched = self.changes.watched.lock();
        let of = watched.entry(collection.0).or_default();
        let key = match of.get_key_value(key.as_str()) {
            Some((known, _)) => Arc::clone(known),
            None => Arc::from(key),
        };
        of.entry(Arc::clone(&key)).or_default().push(Entry {
            waiter: self.number,
            slot,
            bell: Arc::clone(&self.bell),
        });
        self.keys.push((collection.0, key));
        Ok(())
    }

    /// Waits until something is to be looked at again.
    pub(super) async fn again(&self) -> Again {
        loop {
            if self.changes.closed.load(Ordering::Acquire) {
                return Again::Closed;
            }
            let touched = std::mem::take(&mut *self.bell.touched.lock());
            match touched {
                Touched { all: true, .. } => return Again::All,
                Touched { slots, .. } if !slots.is_empty() => return Again::Slots(slots),
                _ => self.bell.notify.notified().await,
            }
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.changes.bells.lock().remove(&self.number);
        let mut watched = self.changes.watched.lock();
        for (collection, key) in &self.keys {
            let Some(of) = watched.get_mut(collection) else {
                continue;
            };
            if let Some(entries) = of.get_mut(key) {
                entries.retain(|entry| entry.waiter != self.number);
                if entries.is_empty() {
                    of.remove(key);
                }
            }
        }
        let gone = self.keys.len();
        self.changes.entries.fetch_sub(gone, Ordering::Relaxed);
        metrics::gauge!("keystead_waiting_calls").decrement(1.0);
    }
}

/// Follows the store for those who wait, until it is told to stop.
pub(crate) async fn follow(app: Arc<App>, mut feed: ChangeFeed, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        tokio::select! {
            event = feed.next() => match event {
                Some(FeedEvent::Change(change)) => app.changes.touched(&change),
                Some(FeedEvent::Lagged(_)) => app.changes.ring_all(),
                None => break,
            },
            stopped = stop.changed() => if stopped.is_err() { break },
        }
    }
    app.changes.close();
}

/// Ten thousand agents with a hundred records each, at some hundred bytes: a hundred megabytes at the very most.
const MOST_WATCHED: usize = 1_000_000;

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use keystead_store::Version;

    use super::*;

    const LAMPS: Collection = Collection("test.lamp");

    fn change(key: &str) -> Change {
        Change {
            version: Version(1),
            collection: LAMPS.0.into(),
            key: key.into(),
        }
    }

    #[test]
    fn only_who_watches_a_record_is_woken() {
        let changes = Changes::default();
        let mut one = changes.wait();
        one.watch(LAMPS, "desk".into(), 0).unwrap();
        one.watch(LAMPS, "floor".into(), 7).unwrap();
        let mut other = changes.wait();
        other.watch(LAMPS, "desk".into(), 3).unwrap();
        changes.touched(&change("floor"));
        assert_eq!(one.again().now_or_never(), Some(Again::Slots([7].into())));
        assert_eq!(one.again().now_or_never(), None, "it was told");
        assert_eq!(other.again().now_or_never(), None);
        changes.touched(&change("desk"));
        assert_eq!(one.again().now_or_never(), Some(Again::Slots([0].into())));
        assert_eq!(other.again().now_or_never(), Some(Again::Slots([3].into())));
        changes.ring_all();
        assert_eq!(other.again().now_or_never(), Some(Again::All));
        drop((one, other));
        assert!(changes.watched.lock()[LAMPS.0].is_empty());
        assert!(changes.bells.lock().is_empty());
        assert_eq!(changes.entries.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn nobody_waits_for_a_server_that_ends() {
        let changes = Changes::default();
        let before = changes.wait();
        changes.close();
        assert_eq!(before.again().now_or_never(), Some(Again::Closed));
        assert_eq!(changes.wait().again().now_or_never(), Some(Again::Closed));
    }
}
