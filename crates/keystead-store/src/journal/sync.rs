//! The thread that makes what was written durable.
//!
//! Written bytes are kept until they are synced. When a sync fails, the kernel may have dropped them
//! (it reports such a loss once and then calls the pages clean), so they are written again before
//! the next try; until one succeeds, no event is taken.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::oneshot;

use super::JournalError;
use super::disk::Disk;
use super::line::Head;
use super::pin::{PIN_EVERY, Pinner};

/// How long written events gather before they are synced. At a tenth of a millisecond a sync, the
/// disk spends a few percent of its time on it.
const GATHER: Duration = Duration::from_millis(3);

/// Bytes that may be written and not synced; then no more are written. Two of the largest events.
const MAX_UNSYNCED: usize = 8 << 20;

/// How long after a failed sync it is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// Bytes that were written and are not synced.
pub(super) struct Chunk {
    pub(super) disk: Arc<Disk>,
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
    /// Where the journal stands with them.
    pub(super) head: Head,
}

/// Who waits for what was written so far to be synced.
pub(super) enum Waiter {
    Append(oneshot::Sender<Result<(), JournalError>>),
    Head(oneshot::Sender<Result<Head, JournalError>>),
}

impl Waiter {
    /// Whoever waited may be gone.
    fn tell(self, outcome: Result<Head, JournalError>) {
        match self {
            Self::Append(answer) => {
                let _ = answer.send(outcome.map(drop));
            }
            Self::Head(answer) => {
                let _ = answer.send(outcome);
            }
        }
    }
}

/// The thread as the writer sees it.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    /// There is something to do.
    work: Condvar,
    /// There is room for more unsynced bytes, or trouble.
    room: Condvar,
}

struct State {
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks` and in the hands of the thread.
    unsynced: usize,
    waiters: Vec<Waiter>,
    /// Why the last sync failed, until one succeeds.
    trouble: Option<JournalError>,
    stop: bool,
}

impl Syncer {
    pub(super) fn start(pinner: Pinner) -> Result<Self, JournalError> {
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                chunks: VecDeque::new(),
                unsynced: 0,
                waiters: Vec::new(),
                trouble: None,
                stop: false,
            }),
            work: Condvar::new(),
            room: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("journal-sync".into())
            .spawn(move || theirs.run(pinner))
            .map_err(|error| JournalError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// Whether [`Syncer::check`] would wait.
    pub(super) fn is_full(&self) -> bool {
        let state = self.shared.state.lock();
        state.trouble.is_none() && state.unsynced >= MAX_UNSYNCED
    }

    /// Waits for room; the failure, while there is one.
    pub(super) fn check(&self) -> Result<(), JournalError> {
        let mut state = self.shared.state.lock();
        while state.trouble.is_none() && state.unsynced >= MAX_UNSYNCED {
            self.shared.room.wait(&mut state);
        }
        state.trouble.clone().map_or(Ok(()), Err)
    }

    /// What was just written.
    pub(super) fn push(&self, chunk: Chunk) {
        let mut state = self.shared.state.lock();
        state.unsynced += chunk.bytes.len();
        state.chunks.push_back(chunk);
        if state.chunks.len() == 1 {
            self.shared.work.notify_one();
        }
    }

    /// Tells these when everything pushed so far is synced.
    pub(super) fn wait_for(&self, waiters: Vec<Waiter>) {
        if waiters.is_empty() {
            return;
        }
        self.shared.state.lock().waiters.extend(waiters);
        self.shared.work.notify_one();
    }
}

impl Drop for Syncer {
    /// Waits until what was pushed is synced, or cannot be.
    fn drop(&mut self) {
        self.shared.state.lock().stop = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit journal's syncing thread ended by a panic");
        }
    }
}

impl Shared {
    fn run(&self, mut pinner: Pinner) {
        let mut synced = None;
        let mut state = self.state.lock();
        loop {
            self.wait_for_work(&mut state, &mut pinner, synced);
            let waiters = std::mem::take(&mut state.waiters);
            let mut chunks = std::mem::take(&mut state.chunks);
            if chunks.is_empty() && waiters.is_empty() {
                break;
            }
            let unsynced: usize = chunks.iter().map(|chunk| chunk.bytes.len()).sum();
            let outcome = MutexGuard::unlocked(&mut state, || sync(&chunks));
            match outcome {
                Ok(()) => {
                    synced = chunks.back().map(|chunk| chunk.head).or(synced);
                    state.unsynced = state.unsynced.saturating_sub(unsynced);
                    state.trouble = None;
                    self.room.notify_all();
                    for waiter in waiters {
                        waiter.tell(Ok(synced.unwrap_or(Head::NONE)));
                    }
                    if let Some(head) = synced {
                        pinner.synced(head);
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "the audit journal cannot be synced");
                    let error = JournalError::Unavailable(format!("cannot sync: {error}"));
                    state.trouble = Some(error.clone());
                    self.room.notify_all();
                    for waiter in waiters {
                        waiter.tell(Err(error.clone()));
                    }
                    if state.stop {
                        break;
                    }
                    MutexGuard::unlocked(&mut state, || write_again(&chunks));
                    chunks.append(&mut state.chunks);
                    state.chunks = chunks;
                    // Only an end cuts this short.
                    self.work.wait_for(&mut state, RETRY);
                }
            }
        }
    }

    /// Waits until there is something to sync, and then a little for its neighbours, unless somebody
    /// waits. Returns with nothing to do only at the end.
    fn wait_for_work(
        &self,
        state: &mut MutexGuard<'_, State>,
        pinner: &mut Pinner,
        synced: Option<Head>,
    ) {
        while state.chunks.is_empty() && state.waiters.is_empty() && !state.stop {
            match synced {
                Some(head) if pinner.owes(head) => {
                    if self.work.wait_for(state, PIN_EVERY).timed_out() {
                        pinner.synced(head);
                    }
                }
                _ => self.work.wait(state),
            }
        }
        if state.waiters.is_empty() && !state.stop {
            self.work.wait_for(state, GATHER);
        }
    }
}

/// Syncs each file of these once; there are two just after one was full.
fn sync(chunks: &VecDeque<Chunk>) -> io::Result<()> {
    let mut last: Option<&Arc<Disk>> = None;
    for chunk in chunks {
        if last.is_none_or(|last| !Arc::ptr_eq(last, &chunk.disk)) {
            chunk.disk.sync()?;
            last = Some(&chunk.disk);
        }
    }
    Ok(())
}

/// A failure here shows in the next sync, or is as good as one.
fn write_again(chunks: &VecDeque<Chunk>) {
    for chunk in chunks {
        if let Err(error) = chunk.disk.write_at(&chunk.bytes, chunk.offset) {
            tracing::error!(%error, "the audit journal cannot be written again");
        }
    }
}
