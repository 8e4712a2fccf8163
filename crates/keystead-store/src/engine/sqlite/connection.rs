//! Connections to the file, and what its errors mean.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};

use crate::StoreError;

/// How long a connection waits for a lock. Only the log's recovery and restart take locks that
/// exclude others, for milliseconds; ten seconds is a disk that hangs.
pub(super) const BUSY: Duration = Duration::from_secs(10);

/// Page cache of the writer, in KiB: the inner pages of the trees of a million records take 3 MiB,
/// and the kernel caches what does not fit.
const WRITER_CACHE_KIB: i64 = 2048;
/// Page cache of each reader, in KiB: a few hundred pages, enough for the upper levels of the trees.
const READER_CACHE_KIB: i64 = 1024;
/// Prepared statements kept by a connection: more than there are in this crate.
const STATEMENTS: usize = 32;

/// What the threads of one engine share.
#[derive(Debug)]
pub(super) struct Shared {
    /// The newest commit that is durable, and all before it.
    version: AtomicU64,
    removed: AtomicU64,
    closed: AtomicBool,
}

impl Shared {
    pub(super) fn new(version: u64) -> Self {
        Self {
            version: AtomicU64::new(version),
            removed: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    pub(super) fn set_version(&self, version: u64) {
        self.version.store(version, Ordering::Release);
    }

    /// The newest commit, durable or not, after which something may be missing that was there before.
    pub(super) fn removed(&self) -> u64 {
        self.removed.load(Ordering::SeqCst)
    }

    pub(super) fn set_removed(&self, version: u64) {
        self.removed.store(version, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::Release);
    }

    pub(super) fn check_open(&self) -> Result<(), StoreError> {
        if self.closed.load(Ordering::Acquire) {
            return Err(StoreError::Closed);
        }
        Ok(())
    }
}

/// A connection that can write; the file exists already, and is as it was until something is written.
pub(super) fn writer(path: &Path) -> rusqlite::Result<Connection> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE, WRITER_CACHE_KIB)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    // Deleted content is overwritten with zeros, for the sake of deleted keys. The log has it until [`super::checkpoint`]
    // empties that.
    connection.pragma_update(None, "secure_delete", true)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn reader(path: &Path) -> rusqlite::Result<Connection> {
    open(path, OpenFlags::SQLITE_OPEN_READ_ONLY, READER_CACHE_KIB)
}

fn open(path: &Path, mode: OpenFlags, cache_kib: i64) -> rusqlite::Result<Connection> {
    // Each connection is used by one thread at a time, by Rust's own rules.
    let connection = Connection::open_with_flags(path, mode | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Negative: KiB instead of pages.
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // Damage is told where it is read, not where its consequences show.
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// What an error of SQLite means.
pub(crate) fn failure(error: rusqlite::Error) -> StoreError {
    match &error {
        rusqlite::Error::SqliteFailure(code, _) => match (code.code, code.extended_code) {
            // The shared-memory index could not grow: only ever for want of room.
            (ErrorCode::DiskFull, _) | (_, ffi::SQLITE_IOERR_SHMSIZE) => StoreError::Full,
            (ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase, _) => {
                StoreError::Corrupt(error.to_string())
            }
            _ => StoreError::Unavailable(format!("{error} ({})", code.extended_code)),
        },
        // A value of another type than the schema says, or text that is not UTF-8.
        rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..) => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

impl StoreError {
    /// Says where damage was found.
    pub(super) fn at(self, collection: &str, key: &str) -> Self {
        match self {
            Self::Corrupt(reason) => Self::Corrupt(format!("at {collection} {key}: {reason}")),
            other => other,
        }
    }
}
