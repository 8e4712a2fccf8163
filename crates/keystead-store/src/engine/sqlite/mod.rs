//! The embedded engine: SQLite with a write-ahead log.
//!
//! **Writing.** One thread writes. It takes every batch that waits and runs them in one transaction; another one syncs the
//! log, and while it does, the next transaction is written and batches gather for the one after it. So a lone
//! commit costs little more than one sync, and many at once share it; see [`writer`] and [`syncer`]. Within the transaction each
//! batch is checked first (preconditions, leases) and applied after: a refused batch has written
//! nothing, so none needs a savepoint of its own. When the engine fails in the middle (a full disk)
//! the whole transaction is rolled back and each batch tried alone, so that a large one does not
//! take small ones down with it.
//!
//! **Versions** are numbers of commits, given by the writer; the values are sealed there, because
//! the version is bound into the sealing. Each transaction notes the newest.
//!
//! **Reading.** Readers have connections of their own and see the last commit; they never wait for the writer, nor it for
//! them, except that a record which is not durable yet is made so before it is handed out. A point read takes a few microseconds, less than handing it
//! to another thread would, so it runs where it is asked for, even on an async executor; with a
//! cold page it waits for one disk read. What reads many rows runs on the blocking pool.
//!
//! **The log** is written back into the file by a thread of its own; see [`checkpoint`].

mod apart;
mod apply;
mod checkpoint;
mod connection;
mod due;
mod readers;
mod schema;
mod snapshot;
pub(crate) mod syncer;
mod turns;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use keystead_crypto::seal::Sealer;

use self::connection::Shared;
use self::readers::Readers;
use self::writer::Writer;
use super::{Direction, Engine, Row, Take, Taken};
use crate::StoreError;
use crate::batch::{Haste, Step};
use crate::change::Publisher;

pub(crate) use self::schema::{Opened, Opening};

/// The embedded engine. Fields are dropped in this order: the writer writes everything back last.
pub(crate) struct Sqlite {
    path: PathBuf,
    shared: Arc<Shared>,
    readers: Readers,
    writer: Writer,
}

impl Sqlite {
    /// Starts serving an opened store.
    pub(crate) fn start(
        opened: Opened,
        sealer: Arc<Sealer>,
        publisher: Publisher,
    ) -> Result<Self, StoreError> {
        let shared = Arc::new(Shared::new(opened.version));
        let readers = Readers::open(&opened.path)?;
        let path = opened.path.clone();
        let writer = Writer::start(opened, sealer, publisher, Arc::clone(&shared))?;
        Ok(Self {
            path,
            shared,
            readers,
            writer,
        })
    }

    /// Returns when these rows are durable, as nearly all are that are read, and the absence of others is. Where the disk
    /// fails they are read all the same: what can be read does not depend on a disk that takes no writes.
    async fn settled(&self, rows: &[Row]) {
        let newest = rows.iter().map(|row| row.version).max().unwrap_or(0);
        if newest.max(self.shared.removed()) > self.shared.version()
            && let Err(error) = self.writer.commit(Vec::new(), Haste::Now).await
        {
            tracing::error!(%error, "a record is read that may not be durable");
        }
    }
}

#[async_trait]
impl Engine for Sqlite {
    fn version(&self) -> u64 {
        self.shared.version()
    }

    async fn get(&self, collection: &'static str, key: &str) -> Result<Option<Row>, StoreError> {
        self.shared.check_open()?;
        let row = self
            .readers
            .point(|connection| readers::get(connection, collection, key))
            .map_err(|error| error.at(collection, key))?;
        self.settled(row.as_slice()).await;
        Ok(row)
    }

    async fn scan(
        &self,
        collection: &'static str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
        direction: Direction,
    ) -> Result<Vec<Row>, StoreError> {
        self.shared.check_open()?;
        let scan = match direction {
            Direction::Forward => readers::scan,
            Direction::Back => readers::scan_back,
        };
        let rows = if limit <= readers::INLINE_ROWS {
            self.readers
                .point(|connection| scan(connection, collection, prefix, after, limit))
        } else {
            let (prefix, after) = (prefix.to_owned(), after.map(str::to_owned));
            self.readers
                .many(move |connection| {
                    scan(connection, collection, &prefix, after.as_deref(), limit)
                })
                .await
        };
        let rows = rows.map_err(|error| error.at(collection, prefix))?;
        self.settled(&rows).await;
        Ok(rows)
    }

    async fn commit(&self, steps: Vec<Step>, haste: Haste) -> Result<u64, StoreError> {
        self.writer.commit(steps, haste).await
    }

    async fn take_due(&self, take: Take) -> Result<Vec<Taken>, StoreError> {
        // Nothing due is the usual answer, and needs no writer.
        match self.next_due(take.queue).await? {
            Some(due) if due <= take.now => self.writer.take_due(take).await,
            _ => Ok(Vec::new()),
        }
    }

    async fn queued(&self, queue: &'static str, id: &str) -> Result<Option<Row>, StoreError> {
        self.shared.check_open()?;
        let row = self
            .readers
            .point(|connection| due::get(connection, queue, id))?;
        self.settled(row.as_slice()).await;
        Ok(row)
    }

    async fn next_due(&self, queue: &'static str) -> Result<Option<i64>, StoreError> {
        self.shared.check_open()?;
        self.readers
            .point(|connection| due::next(connection, queue))
    }

    async fn scrub(&self) -> Result<bool, StoreError> {
        self.shared.check_open()?;
        self.writer.scrub().await
    }

    async fn snapshot(&self, to: &Path) -> Result<(), StoreError> {
        self.shared.check_open()?;
        let (from, to) = (self.path.clone(), to.to_owned());
        tokio::task::spawn_blocking(move || snapshot::write(&from, &to))
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())))
    }

    async fn close(&self) {
        self.shared.close();
        self.writer.stop().await;
    }
}
