//! What an engine does: ordered keys, versioned sealed values, atomic batches, a queue.
//!
//! The trait asks for nothing that SQLite, PostgreSQL and their like cannot do alike:
//!
//! - keys are compared as bytes of their UTF-8 (`COLLATE "C"` where an engine has collations);
//! - a commit gets the next number of one sequence, its version, and the engine seals the values
//!   with it before it writes them; versions become visible in their order;
//! - all preconditions of a batch are checked, then its steps are applied, in one transaction that
//!   is durable before the answer;
//! - changes are published after they can be read.

use std::path::Path;

use async_trait::async_trait;
use keystead_crypto::seal::Sealer;

use crate::StoreError;
use crate::batch::{Haste, Step};

pub(crate) mod sqlite;

/// A stored value, still sealed.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) key: String,
    pub(crate) version: u64,
    pub(crate) sealed: Vec<u8>,
}

/// Which way a scan goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Forward,
    Back,
}

/// An item of a queue that was taken, its payload still sealed. Times are microseconds of Unix time.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) attempt: u32,
    pub(crate) due: i64,
    pub(crate) sealed: Vec<u8>,
}

/// What to take from a queue. Times are microseconds of Unix time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Take {
    pub(crate) queue: &'static str,
    pub(crate) now: i64,
    pub(crate) expires: i64,
    pub(crate) limit: usize,
}

/// One place that remembers. Lives behind [`crate::Store`], which opens what it returns.
#[async_trait]
pub(crate) trait Engine: Send + Sync {
    /// The newest commit that can be read.
    fn version(&self) -> u64;

    async fn get(&self, collection: &'static str, key: &str) -> Result<Option<Row>, StoreError>;

    /// At most `limit` rows with the prefix, behind the key `after`, in the order of the keys or
    /// against it.
    async fn scan(
        &self,
        collection: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, StoreError>;

    /// All steps or none; the commit's version. A batch that changes nothing has the version that
    /// was there.
    async fn commit(&self, steps: Vec<Step>, haste: Haste) -> Result<u64, StoreError>;

    /// Takes what is due, the earliest first.
    async fn take_due(&self, take: Take) -> Result<Vec<Taken>, StoreError>;

    /// The item of the queue with this id, whether or not it is due or leased.
    async fn queued(&self, queue: &'static str, id: &str) -> Result<Option<Row>, StoreError>;

    /// When the next item can be taken, in microseconds of Unix time: now or in the past if one can.
    async fn next_due(&self, queue: &'static str) -> Result<Option<i64>, StoreError>;

    /// Overwrites in its files what was deleted or replaced before; `false` where it cannot be done just now.
    async fn scrub(&self) -> Result<bool, StoreError>;

    /// A consistent copy in a new file.
    async fn snapshot(&self, to: &Path) -> Result<(), StoreError>;

    /// Ends what runs and writes back what is cached; everything after it fails.
    async fn close(&self);
}

/// Seals a value for its place and the version of its commit.
pub(crate) fn seal(
    sealer: &Sealer,
    place: &str,
    key: &str,
    version: u64,
    plain: &[u8],
) -> Result<Vec<u8>, StoreError> {
    sealer
        .seal(place, key, version, plain)
        .map_err(|error| StoreError::Unavailable(error.to_string()))
}
