//! The facade: what everybody else sees of the store.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keystead_crypto::seal::{RootKey, Sealer};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use zeroize::Zeroizing;

use crate::batch::{Haste, LeaseToken};
use crate::change::{ChangeCount, Commit, Counters};
use crate::dir::DataDir;
use crate::engine::{Direction, Engine, Row, Take, Taken};
use crate::queue::{self, MAX_TAKE};
use crate::record::{self, Versioned};
use crate::{Batch, ChangeFeed, Lease, OpenError, StoreError, StoreOptions};

/// Most records of one page: a listing of AWS has at most 1000 (ACM `MaxItems`, ACM-PCA
/// `MaxResults`), and one more tells whether there is a next page.
pub const MAX_PAGE: usize = 1001;

/// Records of a page that are unsealed and decoded where they are asked for, at some ten
/// microseconds each; longer pages would hold up others on an async executor.
const INLINE_ROWS: usize = 16;

/// The name of a set of records, as `service.kind`: lower-case letters, digits, '.' and '-'.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Collection(pub &'static str);

/// The commit that wrote a record. Versions only grow, over the whole store, and never repeat.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Version(pub u64);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// Its key.
    pub key: String,
    /// The commit that wrote it: what [`crate::Expect::Version`] wants to hear.
    pub version: Version,
    /// The record.
    pub value: T,
}

/// The store. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// Fields are dropped in this order: the engine writes everything back, then the directory is given
/// free.
pub(crate) struct Inner {
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) sealer: Arc<Sealer>,
    pub(crate) root_key: RootKey,
    /// The writer's; once it ended, so did the feed.
    pub(crate) feed: broadcast::WeakSender<Commit>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) accept_rollback: bool,
    pub(crate) rolled_back: Option<(Version, Version)>,
    #[cfg(feature = "testing")]
    pub(crate) faults: crate::faults::Faults,
    /// Held, not read.
    pub(crate) _dir: DataDir,
}

impl Store {
    /// Opens the store, or makes it where there is none. How long that takes does not depend on how
    /// much is stored.
    ///
    /// # Errors
    /// [`OpenError`]; nothing on the disk was changed then.
    pub async fn open(options: StoreOptions) -> Result<Self, OpenError> {
        crate::open::open(options).await.map(|inner| Self {
            inner: Arc::new(inner),
        })
    }

    /// The record with this key.
    ///
    /// # Errors
    /// [`StoreError::Altered`], [`StoreError::Decode`], [`StoreError::Corrupt`],
    /// [`StoreError::Unavailable`].
    pub async fn get<T: Versioned>(
        &self,
        collection: Collection,
        key: &str,
    ) -> Result<Option<Stored<T>>, StoreError> {
        let row = self.inner.engine.get(collection.0, key).await?;
        row.map(|row| self.open_row(collection.0, row)).transpose()
    }

    /// The records whose keys have this prefix, in the order of the keys (by bytes), at most `limit`
    /// (and at most [`MAX_PAGE`]). `after` is the last key of the page before.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn scan<T: Versioned>(
        &self,
        collection: Collection,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<T>>, StoreError> {
        self.scan_to(Direction::Forward, collection, prefix, after, limit)
            .await
    }

    /// As [`Store::scan`], from the last key down.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn scan_back<T: Versioned>(
        &self,
        collection: Collection,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<T>>, StoreError> {
        self.scan_to(Direction::Back, collection, prefix, after, limit)
            .await
    }

    async fn scan_to<T: Versioned>(
        &self,
        direction: Direction,
        collection: Collection,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<T>>, StoreError> {
        let rows = self
            .inner
            .engine
            .scan(collection.0, prefix, after, limit.min(MAX_PAGE), direction)
            .await?;
        let open = move |store: &Self| -> Result<Vec<_>, StoreError> {
            rows.into_iter()
                .map(|row| store.open_row(collection.0, row))
                .collect()
        };
        if limit <= INLINE_ROWS {
            return open(self);
        }
        let store = self.clone();
        tokio::task::spawn_blocking(move || open(&store))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    /// Stores the batch, all of it or nothing; when this returns `Ok` it is on the disk and can be
    /// read. The version is that of every record it wrote. Dropping the future does not take the
    /// batch back.
    ///
    /// # Errors
    /// [`StoreError::Conflict`], [`StoreError::LeaseLost`], [`StoreError::Invalid`],
    /// [`StoreError::Full`]: nothing was stored. [`StoreError::Unavailable`]: not known.
    pub async fn commit(&self, batch: Batch) -> Result<Version, StoreError> {
        self.commit_with(batch, Haste::Now).await
    }

    /// As [`Store::commit`], in more or less haste.
    ///
    /// # Errors
    /// As [`Store::commit`].
    pub async fn commit_with(&self, batch: Batch, haste: Haste) -> Result<Version, StoreError> {
        let steps = batch.into_steps()?;
        #[cfg(feature = "testing")]
        if let Some(failure) = self.inner.faults.next() {
            return self.fail(steps, haste, failure).await;
        }
        self.inner.engine.commit(steps, haste).await.map(Version)
    }

    /// The newest commit that can be read.
    pub fn version(&self) -> Version {
        Version(self.inner.engine.version())
    }

    /// Follows what changes from now on, by whichever server.
    pub fn watch(&self) -> ChangeFeed {
        // Of a closed store: a feed that has ended.
        let feed = self.inner.feed.upgrade();
        ChangeFeed::new(
            feed.unwrap_or_else(|| broadcast::Sender::new(1))
                .subscribe(),
        )
    }

    /// Counts the changes of these collections from now on, by whichever server: for who keeps what it
    /// read, and has to know whether it still holds.
    pub fn count_changes(&self, of: &'static [Collection]) -> ChangeCount {
        let count = Arc::new(AtomicU64::new(0));
        self.inner.counters.write().push((of, Arc::clone(&count)));
        ChangeCount(count)
    }

    /// Takes items that are due, the earliest first, for `lease` long. An item whose lease ended is
    /// due again.
    ///
    /// # Errors
    /// As [`Store::get`] and [`Store::commit`].
    pub async fn take_due(
        &self,
        queue: &'static str,
        now: Timestamp,
        lease: Duration,
        limit: usize,
    ) -> Result<Vec<Lease>, StoreError> {
        let expires_at = SignedDuration::try_from(lease)
            .ok()
            .and_then(|lease| now.checked_add(lease).ok())
            .ok_or_else(|| StoreError::Invalid("the lease is longer than time".into()))?;
        let take = Take {
            queue,
            now: now.as_microsecond(),
            expires: expires_at.as_microsecond(),
            limit: limit.min(MAX_TAKE),
        };
        let taken = self.inner.engine.take_due(take).await?;
        let mut leases = Vec::with_capacity(taken.len());
        let mut unreadable = None;
        for item in taken {
            match self.open_item(queue, item, expires_at) {
                Ok(lease) => leases.push(lease),
                Err(error) => {
                    tracing::error!(%error, "a queued item is left out");
                    unreadable = Some(error);
                }
            }
        }
        // One damaged item must not stop the others' work.
        match unreadable {
            Some(error) if leases.is_empty() => Err(error),
            _ => Ok(leases),
        }
    }

    /// What waits in the queue under this id, whether or not it is due or somebody has a lease on it.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn queued<T: Versioned>(
        &self,
        queue: &'static str,
        id: &str,
    ) -> Result<Option<Stored<T>>, StoreError> {
        let row = self.inner.engine.queued(queue, id).await?;
        row.map(|row| self.open_row(&queue::place(queue), row))
            .transpose()
    }

    /// When the next item of the queue can be taken: sleep until then, or until the feed tells of a
    /// change in `due:` and the queue's name.
    ///
    /// # Errors
    /// As [`Store::get`].
    pub async fn next_due(&self, queue: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let due = self.inner.engine.next_due(queue).await?;
        due.map(timestamp).transpose()
    }

    /// Overwrites in the store's files what was deleted or replaced before, so that it can be found there no more. What
    /// the disk itself keeps behind them is not in our hands.
    ///
    /// Answers `false` where somebody still reads an older state, a copy for instance: to be tried again later.
    ///
    /// # Errors
    /// [`StoreError::Closed`], [`StoreError::Unavailable`].
    pub async fn scrub(&self) -> Result<bool, StoreError> {
        self.inner.engine.scrub().await
    }

    /// Writes a consistent copy of the store into a new file (mode 0600) while everything goes on.
    /// It is sealed like the store and opens only with its root key.
    ///
    /// # Errors
    /// [`StoreError::Full`], [`StoreError::Unavailable`]; no file is left then.
    pub async fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        self.inner.engine.snapshot(to).await
    }

    /// The root key, from which other parts derive keys of their own.
    pub fn root_key(&self) -> &RootKey {
        &self.inner.root_key
    }

    /// Whether the operator accepts a store or a journal that is older than the other.
    pub(crate) fn accepts_rollback(&self) -> bool {
        self.inner.accept_rollback
    }

    /// The version that the store was rolled back to, and the one that its journal had seen.
    pub(crate) fn rolled_back(&self) -> Option<(Version, Version)> {
        self.inner.rolled_back
    }

    /// Ends it: what was committed before is finished, everything later fails with
    /// [`StoreError::Closed`]. Dropping the last clone does the same.
    pub async fn close(&self) {
        self.inner.engine.close().await;
    }

    fn open_row<T: Versioned>(&self, place: &str, row: Row) -> Result<Stored<T>, StoreError> {
        let plain = self.unseal(place, &row.key, row.version, &row.sealed)?;
        let value = record::decode(&plain).map_err(|error| StoreError::Decode {
            collection: place.into(),
            key: row.key.clone(),
            reason: error.to_string(),
        })?;
        Ok(Stored {
            key: row.key,
            version: Version(row.version),
            value,
        })
    }

    fn open_item(
        &self,
        queue: &'static str,
        item: Taken,
        expires_at: Timestamp,
    ) -> Result<Lease, StoreError> {
        let payload = self.unseal(&queue::place(queue), &item.id, item.version, &item.sealed)?;
        Ok(Lease {
            due_at: timestamp(item.due)?,
            token: LeaseToken {
                queue,
                id: item.id,
                version: item.version,
                attempt: item.attempt,
            },
            payload,
            expires_at,
        })
    }

    fn unseal(
        &self,
        place: &str,
        key: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        self.inner
            .sealer
            .open(place, key, version, sealed)
            .map_err(|_| StoreError::Altered {
                collection: place.into(),
                key: key.into(),
            })
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("version", &self.version())
            .finish_non_exhaustive()
    }
}

fn timestamp(microseconds: i64) -> Result<Timestamp, StoreError> {
    Timestamp::from_microsecond(microseconds)
        .map_err(|_| StoreError::Corrupt(format!("{microseconds} is not a time")))
}
