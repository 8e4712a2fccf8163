//! The change feed: what was changed, in the order of the commits.
//!
//! The feed tells *that* a record changed, never to what: a consumer reads it. A consumer that falls
//! behind is told so and reads everything again; nothing is ever left out in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use tokio::sync::broadcast;

use crate::{Collection, Version};

/// Commits that a consumer may be behind before it is told to read again: a second of a busy
/// store (`benches/store.rs`), at some 100 bytes each.
pub(crate) const FEED_DEPTH: usize = 8192;

/// One record that a commit put or deleted, or one item of a queue that it put, moved or took out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The commit.
    pub version: Version,
    /// The collection of the record; `due:` and the queue's name for a queued item.
    pub collection: String,
    /// The record's key, or the item's id.
    pub key: String,
}

/// What a [`ChangeFeed`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeedEvent {
    /// This changed.
    Change(Change),
    /// The consumer was too slow: this many commits were left out. Read again what you follow.
    Lagged(u64),
}

/// Tells of commits, once they can be read: the feed, and who only counts.
#[derive(Debug)]
pub(crate) struct Publisher {
    feed: broadcast::Sender<Commit>,
    counters: Arc<Counters>,
}

/// Who counts the changes of which collections.
pub(crate) type Counters = RwLock<Vec<(&'static [Collection], Arc<AtomicU64>)>>;

impl Publisher {
    pub(crate) fn new() -> Self {
        Self {
            feed: broadcast::Sender::new(FEED_DEPTH),
            counters: Arc::default(),
        }
    }

    /// What follows it: they end with it.
    pub(crate) fn followers(&self) -> (broadcast::WeakSender<Commit>, Arc<Counters>) {
        (self.feed.downgrade(), Arc::clone(&self.counters))
    }

    /// Tells of the changes of some commits.
    pub(crate) fn publish(&self, changes: &[Change]) {
        for (collections, count) in self.counters.read().iter() {
            let counted =
                |change: &Change| collections.iter().any(|one| change.collection == one.0);
            if changes.iter().any(counted) {
                count.fetch_add(1, Ordering::Release);
            }
        }
        if self.feed.receiver_count() == 0 {
            return;
        }
        for commit in changes.chunk_by(|one, next| one.version == next.version) {
            // An error only says that nobody follows any more.
            let _ = self.feed.send(commit.into());
        }
    }
}

/// Grows whenever a record of some collections may have changed, before the commit that changed it is
/// answered: what was read while it stood still is what is stored. See [`crate::Store::count_changes`].
#[derive(Clone, Debug)]
pub struct ChangeCount(pub(crate) Arc<AtomicU64>);

impl ChangeCount {
    /// Where it stands now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// Changes from the moment of [`crate::Store::watch`] on, in the order of the commits. A change is
/// told after it can be read.
#[derive(Debug)]
pub struct ChangeFeed {
    receiver: broadcast::Receiver<Commit>,
    /// The commit being told, and how much of it was.
    current: Option<(Commit, usize)>,
}

/// The changes of one commit.
pub(crate) type Commit = Arc<[Change]>;

impl ChangeFeed {
    pub(crate) fn new(receiver: broadcast::Receiver<Commit>) -> Self {
        Self {
            receiver,
            current: None,
        }
    }

    /// Waits for the next event; `None` once the store is closed. Dropping the future loses
    /// nothing.
    pub async fn next(&mut self) -> Option<FeedEvent> {
        loop {
            if let Some((commit, told)) = &mut self.current {
                if let Some(change) = commit.get(*told) {
                    *told += 1;
                    return Some(FeedEvent::Change(change.clone()));
                }
                self.current = None;
            }
            match self.receiver.recv().await {
                Ok(commit) => self.current = Some((commit, 0)),
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    return Some(FeedEvent::Lagged(missed));
                }
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}
