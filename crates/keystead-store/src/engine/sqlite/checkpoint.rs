//! Writing the log back into the file.
//!
//! Commits append to the log; a thread with a connection of its own copies the log's pages into the
//! file as soon as there are [`SOFT`] of them, beside the commits. SQLite begins the log anew only
//! when all of it was copied, which never happens while commits go on without a pause: from [`HARD`] pages on the
//! thread copies without a pause, too, and as soon as only [`LITTLE`] is left the writer copies that itself,
//! while all commits wait, and the log begins anew.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, ErrorCode};

use super::connection::{self, failure};
use crate::StoreError;

/// Pages of 4 KiB in the log from which on it is copied: 4 MiB, SQLite's own default.
const SOFT: i32 = 1000;
/// Pages from which on the log is to begin anew: 32 MiB, less than a second of recovery after a crash.
const HARD: i32 = 8000;
/// Pages from which on it does, however much there is to copy.
const AT_LAST: i32 = 2 * HARD;
/// Pages that the writer copies at most before that: a mebibyte, which takes milliseconds with its sync.
const LITTLE: i32 = 256;

/// How long commits may wait for who is in the way of emptying the log: many times what a read takes.
const BRIEFLY: Duration = Duration::from_millis(20);

pub(super) struct Checkpointer {
    nudge: Option<SyncSender<()>>,
    /// Whether the thread copies, or is about to.
    copies: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    /// Pages in the log when the thread was last nudged.
    nudged_at: i32,
}

impl Checkpointer {
    pub(super) fn start(path: &Path) -> Result<Self, StoreError> {
        let connection = connection::writer(path).map_err(failure)?;
        // One nudge at a time: see `copies`.
        let (nudge, nudges) = mpsc::sync_channel(1);
        let copies = Arc::new(AtomicBool::new(false));
        let theirs = Arc::clone(&copies);
        let thread = thread::Builder::new()
            .name("store-checkpoint".into())
            .spawn(move || {
                while nudges.recv().is_ok() {
                    copy(&connection, CheckpointMode::PASSIVE);
                    theirs.store(false, Ordering::Release);
                }
            })
            .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            nudge: Some(nudge),
            copies,
            thread: Some(thread),
            nudged_at: 0,
        })
    }

    /// Called by the writer between two transactions.
    pub(super) fn after_commit(&mut self, writer: &Connection) {
        // One copies at a time.
        if self.copies.load(Ordering::Acquire) {
            return;
        }
        let Some((pages, copied)) = copy(writer, CheckpointMode::NOOP) else {
            return;
        };
        if pages < self.nudged_at {
            self.nudged_at = 0;
        }
        if pages >= AT_LAST || pages >= HARD && pages - copied <= LITTLE {
            copy(writer, CheckpointMode::PASSIVE);
            self.nudged_at = 0;
        } else if pages >= HARD || pages - self.nudged_at >= SOFT {
            self.nudge();
            self.nudged_at = pages;
        }
    }

    fn nudge(&self) {
        self.copies.store(true, Ordering::Release);
        let sent = self.nudge.as_ref().map(|nudge| nudge.try_send(()));
        if !matches!(sent, Some(Ok(()))) {
            self.copies.store(false, Ordering::Release);
        }
    }

    /// Copies all of the log and empties it; `false` where a reader of an older state, or the thread, is in the way.
    pub(super) fn empty(&mut self, writer: &Connection) -> Result<bool, StoreError> {
        // The writer does not wait for them.
        writer.busy_timeout(BRIEFLY).map_err(failure)?;
        let done = writer.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE);
        writer.busy_timeout(connection::BUSY).map_err(failure)?;
        match done {
            Ok(_) => {
                self.nudged_at = 0;
                Ok(true)
            }
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => Ok(false),
            Err(error) => Err(failure(error)),
        }
    }

    /// The last one, when nothing is written any more: the log is empty after it.
    pub(super) fn finish(&mut self, writer: &Connection) {
        self.nudge = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's checkpoint thread ended by a panic");
        }
        copy(writer, CheckpointMode::TRUNCATE);
    }
}

/// Copies; pages in the log and pages of it that are copied. A failure is told and harms nothing:
/// the log keeps what is not copied.
fn copy(connection: &Connection, mode: CheckpointMode) -> Option<(i32, i32)> {
    match connection.wal_checkpoint_v2(None::<&str>, mode) {
        Ok(pages) => Some(pages),
        Err(error) => {
            tracing::warn!(%error, "the store's log could not be copied into its file yet");
            None
        }
    }
}
