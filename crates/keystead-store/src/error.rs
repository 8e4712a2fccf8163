//! What can go wrong, by meaning.

use std::fmt;
use std::path::PathBuf;

use keystead_core::{Error, ErrorKind};

use crate::Version;

/// Why the store refused or failed. The text never contains a value, only names and keys.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A precondition of the batch does not hold: somebody else changed the record. Nothing of the
    /// batch was stored; read again and decide again.
    Conflict {
        /// The collection of the record.
        collection: String,
        /// The record's key.
        key: String,
    },
    /// The lease ended: another worker has the item, or it was rescheduled or cancelled. Nothing of
    /// the batch was stored.
    LeaseLost {
        /// The queue.
        queue: String,
        /// The item's id.
        id: String,
    },
    /// A bound of the store is passed or a name is not acceptable; nothing was stored.
    Invalid(String),
    /// The disk is full. Nothing of the batch was stored; reads go on, and so do writes as soon as
    /// there is room.
    Full,
    /// A value does not open: it was altered, moved, swapped or torn on the disk.
    Altered {
        /// The collection of the record; `due:` and the queue's name for a queued item.
        collection: String,
        /// The record's key.
        key: String,
    },
    /// A value opened but is not a record of the expected kind.
    Decode {
        /// The collection of the record; `due:` and the queue's name for a queued item.
        collection: String,
        /// The record's key.
        key: String,
        /// What was found and what was expected.
        reason: String,
    },
    /// The store's file is damaged: what was found.
    Corrupt(String),
    /// The disk or the engine failed: what it said. Whether a commit that ends so was stored is not
    /// known until the store answers again.
    Unavailable(String),
    /// The store was closed.
    Closed,
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { collection, key } => {
                write!(f, "{collection} {key} was changed by somebody else in between")
            }
            Self::LeaseLost { queue, id } => {
                write!(f, "the lease on {id} of queue {queue} has ended")
            }
            Self::Invalid(reason) => f.write_str(reason),
            Self::Full => f.write_str(
                "the disk that holds the store is full: nothing was stored; make room and try again",
            ),
            Self::Altered { collection, key } => write!(
                f,
                "the stored value of {collection} {key} does not open: it was altered, moved or \
                 damaged on the disk; restore it from a backup"
            ),
            Self::Decode { collection, key, reason } => {
                write!(f, "the stored value of {collection} {key} cannot be read: {reason}")
            }
            Self::Corrupt(reason) => write!(
                f,
                "the store is damaged ({reason}): stop, keep a copy of the data directory, and \
                 restore a backup"
            ),
            Self::Unavailable(reason) => write!(f, "the store cannot be reached: {reason}"),
            Self::Closed => f.write_str("the store is closed"),
        }
    }
}

impl std::error::Error for StoreError {}

/// The meaning where a use case knows no better one.
impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        let kind = match error {
            StoreError::Conflict { .. } | StoreError::LeaseLost { .. } => {
                ErrorKind::ConcurrentModification
            }
            StoreError::Full | StoreError::Unavailable(_) | StoreError::Closed => {
                ErrorKind::Unavailable
            }
            StoreError::Invalid(_)
            | StoreError::Altered { .. }
            | StoreError::Decode { .. }
            | StoreError::Corrupt(_) => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

/// Why a store was not opened. Nothing on the disk was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenError {
    /// The data directory or a file in it cannot be used: which, and why.
    Directory(String),
    /// Another server has this data directory.
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The process that holds it, where its lock file tells.
        pid: Option<u32>,
    },
    /// There is a store, but its root key file is gone. A new one could not open anything, so none
    /// is made.
    RootKeyMissing {
        /// The data directory.
        dir: PathBuf,
        /// Where the root key was expected.
        path: PathBuf,
    },
    /// The root key is unsafe, damaged, or that of another store: what was found.
    RootKey(String),
    /// The store's file is damaged: what was found.
    Corrupt(String),
    /// The file is not a store of this program, or of a newer version of it.
    Format(String),
    /// The store is older than the audit journal beside it.
    RolledBack {
        /// The store's version.
        store: Version,
        /// The version that the journal saw.
        journal: Version,
    },
    /// The disk or the engine failed: what it said.
    Unavailable(String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(reason) | Self::RootKey(reason) | Self::Format(reason) => {
                f.write_str(reason)
            }
            Self::Locked { dir, pid } => {
                write!(f, "the data directory {} is in use", dir.display())?;
                if let Some(pid) = pid {
                    write!(f, " by process {pid}")?;
                }
                f.write_str(": stop that server first, or give this one another directory")
            }
            Self::RootKeyMissing { dir, path } => write!(
                f,
                "there is a store in {} but no root key at {}: put the root key file back; without \
                 it nothing in the store can be read, and a new one is not made",
                dir.display(),
                path.display()
            ),
            Self::Corrupt(reason) => write!(
                f,
                "the store is damaged ({reason}): keep a copy of the data directory, then restore a \
                 backup"
            ),
            Self::RolledBack { store, journal } => write!(
                f,
                "the store is at version {store}, but the audit journal beside it has seen version \
                 {journal}: it was replaced by an older copy, and what was stored since is gone; if \
                 that is meant (a restored backup), accept the rollback explicitly"
            ),
            Self::Unavailable(reason) => write!(f, "the store cannot be opened: {reason}"),
        }
    }
}

impl std::error::Error for OpenError {}
