//! The thread that makes durable what the writer has put into the log.
//!
//! The writer hands over each transaction once it stands in the log's file, and goes on with the next one: while one
//! is synced, the next is written. A sync is for all that was handed over before it began; nobody is answered before it has
//! succeeded. (Two syncs at the same time were tried: each takes longer by half, and the transactions get smaller.)
//!
//! **A failed sync** leaves unknown what the disk has of all that was handed over and not durable yet, and a later sync
//! that succeeds says nothing of it: the kernel reports a loss once, and then calls the pages clean. So all of it is
//! refused, and nothing more is taken until the writer has copied the whole log into the file and had that synced
//! ([`Syncer::doubt`], [`Syncer::certain`]).

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::mem;
use std::path::Path;
#[cfg(feature = "testing")]
use std::path::PathBuf;
use std::sync::Arc;
#[cfg(feature = "testing")]
use std::sync::OnceLock;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::connection::Shared;
use super::schema::Opening;
use super::writer::{Outcome, Task};
use crate::change::Publisher;
use crate::{Change, StoreError};

/// How long what nobody waits for may stay unsynced: several commits of a busy disk.
const LINGER: Duration = Duration::from_millis(2);

/// A transaction that is in the log and not durable yet.
pub(super) struct Written {
    /// The newest commit with it.
    pub(super) version: u64,
    /// Who is told when it is durable.
    pub(super) answers: Vec<(Task, Outcome)>,
    pub(super) changes: Vec<Change>,
    /// Whether somebody waits.
    pub(super) hasty: bool,
}

/// The thread as the writer sees it.
pub(super) struct Syncer {
    inner: Arc<Inner>,
    thread: Option<JoinHandle<()>>,
}

struct Inner {
    state: Mutex<State>,
    /// There is something to sync, or nothing ever again.
    work: Condvar,
    /// The thread has taken what waited.
    taken: Condvar,
    shared: Arc<Shared>,
    publisher: Publisher,
}

#[derive(Default)]
struct State {
    /// What is not durable, as it was written.
    written: VecDeque<Written>,
    /// Whether somebody waits for what the thread has not taken yet.
    hasty: bool,
    /// When the oldest came that the thread has not taken yet.
    since: Option<Instant>,
    /// Why the log cannot be relied on; and what was changed by what was refused for it.
    doubt: Option<StoreError>,
    doubted: Vec<Change>,
    stop: bool,
}

impl Syncer {
    /// `database` is the file whose log is synced; the log exists.
    pub(super) fn start(
        database: &Path,
        shared: Arc<Shared>,
        publisher: Publisher,
    ) -> Result<Self, StoreError> {
        let inner = Arc::new(Inner {
            state: Mutex::default(),
            work: Condvar::new(),
            taken: Condvar::new(),
            shared,
            publisher,
        });
        let log = Log::open(&Opening::log_of(database))?;
        let theirs = Arc::clone(&inner);
        let thread = thread::Builder::new()
            .name("store-sync".into())
            .spawn(move || theirs.run(&log))
            .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            inner,
            thread: Some(thread),
        })
    }

    /// Waits until the thread has taken all that was written in haste: what comes meanwhile shares the next transaction.
    pub(super) fn wait_for_room(&self) {
        let mut state = self.inner.state.lock();
        while state.hasty {
            self.inner.taken.wait(&mut state);
        }
    }

    /// Takes over what was written.
    pub(super) fn push(&self, written: Written) {
        let mut state = self.inner.state.lock();
        if let Some(doubt) = state.doubt.clone() {
            state.doubted.extend(written.changes);
            drop(state);
            return refuse(written.answers, &doubt);
        }
        if written.changes.is_empty() && state.written.is_empty() {
            // Nothing, or leases, which end with this process.
            drop(state);
            return answer(written.answers);
        }
        state.hasty |= written.hasty;
        state.since.get_or_insert_with(Instant::now);
        state.written.push_back(written);
        drop(state);
        self.inner.work.notify_one();
    }

    /// Why the log cannot be relied on, if so.
    pub(super) fn doubt(&self) -> Option<StoreError> {
        self.inner.state.lock().doubt.clone()
    }

    /// All that is in the log up to this commit is durable by other means.
    pub(super) fn certain(&self, version: u64) {
        let mut state = self.inner.state.lock();
        state.doubt = None;
        let changes = mem::take(&mut state.doubted);
        self.inner.tell(version, &changes);
    }
}

impl Drop for Syncer {
    /// Waits until what was written is durable, or cannot be.
    fn drop(&mut self) {
        self.inner.state.lock().stop = true;
        self.inner.work.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that syncs the store's log ended by a panic");
        }
    }
}

impl Inner {
    fn run(&self, log: &Log) {
        while let Some(synced) = self.take() {
            match log.sync() {
                Ok(()) => {
                    for written in self.settle(synced) {
                        answer(written.answers);
                    }
                }
                Err(error) => self.fail(&error),
            }
        }
    }

    /// Waits for something to sync: how many are durable when that is done. `None` at the end.
    fn take(&self) -> Option<usize> {
        let mut state = self.state.lock();
        loop {
            let waited = state.since.map(|since| since.elapsed());
            match waited {
                Some(waited) if state.hasty || state.stop || waited >= LINGER => {
                    state.hasty = false;
                    state.since = None;
                    self.taken.notify_one();
                    return Some(state.written.len());
                }
                Some(waited) => {
                    let left = LINGER.saturating_sub(waited);
                    self.work.wait_for(&mut state, left);
                }
                None if state.stop => return None,
                None => self.work.wait(&mut state),
            }
        }
    }

    /// So many are durable: makes them visible as the newest and tells who follows. Who waits is told by the caller.
    fn settle(&self, synced: usize) -> VecDeque<Written> {
        let mut state = self.state.lock();
        let synced = synced.min(state.written.len());
        let later = state.written.split_off(synced);
        let done = mem::replace(&mut state.written, later);
        for written in &done {
            self.tell(written.version, &written.changes);
        }
        done
    }

    fn tell(&self, version: u64, changes: &[Change]) {
        self.shared.set_version(version);
        self.publisher.publish(changes);
    }

    fn fail(&self, error: &io::Error) {
        tracing::error!(%error, "the store's log could not be synced");
        let refusal = match error.kind() {
            io::ErrorKind::StorageFull => StoreError::Full,
            _ => StoreError::Unavailable(format!("the disk could not be synced: {error}")),
        };
        let mut state = self.state.lock();
        state.doubt = Some(refusal.clone());
        state.hasty = false;
        state.since = None;
        let refused = mem::take(&mut state.written);
        self.taken.notify_one();
        for written in refused {
            state.doubted.extend(written.changes);
            refuse(written.answers, &refusal);
        }
    }
}

/// The log's file.
struct Log {
    file: File,
    #[cfg(feature = "testing")]
    path: PathBuf,
}

impl Log {
    fn open(path: &Path) -> Result<Self, StoreError> {
        let file = File::open(path).map_err(|error| {
            StoreError::Unavailable(format!("{} cannot be opened: {error}", path.display()))
        })?;
        Ok(Self {
            file,
            #[cfg(feature = "testing")]
            path: path.into(),
        })
    }

    fn sync(&self) -> io::Result<()> {
        #[cfg(feature = "testing")]
        if let Some(sync) = SYNC.get() {
            return sync(&self.path);
        }
        self.file.sync_data()
    }
}

/// What syncs the log instead of the disk, where a test has a disk of its own.
#[cfg(feature = "testing")]
pub(crate) static SYNC: OnceLock<fn(&Path) -> io::Result<()>> = OnceLock::new();

fn answer(answers: Vec<(Task, Outcome)>) {
    for (task, outcome) in answers {
        task.answer(outcome);
    }
}

fn refuse(answers: Vec<(Task, Outcome)>, error: &StoreError) {
    for (task, _) in answers {
        task.answer(Outcome::Refused(error.clone()));
    }
}
