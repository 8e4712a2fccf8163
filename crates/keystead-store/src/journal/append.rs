//! The thread that numbers, chains and writes.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::disk::Disk;
use super::line::{self, Head};
use super::segment::Segment;
use super::sync::{Chunk, Syncer, Waiter};
use super::{JournalError, JournalOptions, MAX_EVENT, Recovered};
use crate::{Store, dir};

/// Size at which a file ends: some 50,000 events, small enough to copy away and to search.
pub(super) const SEGMENT_BYTES: u64 = 64 << 20;

/// Room set aside on the disk behind the last event, so that a disk that fills up still takes the
/// audit of what the operator does about it: some 3,000 events.
const RESERVE: u64 = 4 << 20;

/// Bytes of events that may wait for the thread: several of the largest, or 30,000 usual ones; who
/// comes later waits for room, up to its deadline.
const WAITING_BYTES: usize = 32 << 20;
/// What the smallest event counts.
const SMALLEST: usize = 256;
const _: () = assert!(MAX_EVENT <= WAITING_BYTES);

/// Bytes that are written together at most, so that the first one does not wait for the last.
const MAX_GROUP: usize = 1 << 20;

/// What waits for the thread.
enum Task {
    Append {
        event: Vec<u8>,
        answer: oneshot::Sender<Result<(), JournalError>>,
        /// Its share of the bytes that may wait.
        _room: OwnedSemaphorePermit,
    },
    Sync(oneshot::Sender<Result<Head, JournalError>>),
    Stop(oneshot::Sender<()>),
}

/// The thread as its callers see it.
pub(super) struct Appender {
    tasks: Option<Sender<Task>>,
    room: Arc<Semaphore>,
    head: Arc<Mutex<Head>>,
    thread: Option<JoinHandle<()>>,
}

impl Appender {
    pub(super) fn start(
        options: JournalOptions,
        recovered: Recovered,
        store: Store,
        syncer: Syncer,
    ) -> Result<Self, JournalError> {
        let (tasks, waiting) = mpsc::channel();
        let shown = Arc::new(Mutex::new(recovered.head));
        let mut thread = AppendThread {
            head: recovered.head,
            shown: Arc::clone(&shown),
            current: None,
            uncut: false,
            options,
            store,
            syncer,
        };
        if let Some((path, file, length)) = recovered.last {
            thread.use_file(path, file, length);
        }
        let thread = thread::Builder::new()
            .name("journal-append".into())
            .spawn(move || thread.run(&waiting))
            .map_err(|error| JournalError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            tasks: Some(tasks),
            room: Arc::new(Semaphore::new(WAITING_BYTES)),
            head: shown,
            thread: Some(thread),
        })
    }

    /// Hands an event over; the answer comes when it is recorded.
    pub(super) async fn send(
        &self,
        event: Vec<u8>,
        answer: oneshot::Sender<Result<(), JournalError>>,
    ) -> Result<(), JournalError> {
        let length = event.len();
        let share = u32::try_from(length.max(SMALLEST)).ok();
        let (Some(share), true) = (share, length <= MAX_EVENT) else {
            return Err(JournalError::Invalid(format!(
                "an audit event of {length} bytes is too long: at most {MAX_EVENT}"
            )));
        };
        if !event.starts_with(b"{") || !event.ends_with(b"}") || event.contains(&b'\n') {
            return Err(JournalError::Invalid(
                "an audit event must be a JSON object on one line".into(),
            ));
        }
        let room = Arc::clone(&self.room)
            .acquire_many_owned(share)
            .await
            .map_err(|_| JournalError::Closed)?;
        self.hand_over(Task::Append {
            event,
            answer,
            _room: room,
        })
    }

    /// Asks to be told when everything handed over before is on the disk.
    pub(super) fn sync(
        &self,
        answer: oneshot::Sender<Result<Head, JournalError>>,
    ) -> Result<(), JournalError> {
        self.hand_over(Task::Sync(answer))
    }

    /// Finishes what was handed over before, and ends.
    pub(super) async fn stop(&self) {
        let (answer, answered) = oneshot::channel();
        if self.hand_over(Task::Stop(answer)).is_ok() {
            // An error only says that it has ended already.
            let _ = answered.await;
        }
    }

    pub(super) fn head(&self) -> Head {
        *self.head.lock()
    }

    fn hand_over(&self, task: Task) -> Result<(), JournalError> {
        self.tasks
            .as_ref()
            .and_then(|tasks| tasks.send(task).ok())
            .ok_or(JournalError::Closed)
    }
}

impl Drop for Appender {
    /// Waits until what was handed over is on the disk.
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the audit journal's thread ended by a panic");
        }
    }
}

/// The thread's own state.
struct AppendThread {
    options: JournalOptions,
    store: Store,
    syncer: Syncer,
    head: Head,
    /// What callers see of `head`.
    shown: Arc<Mutex<Head>>,
    current: Option<Current>,
    /// Whether a write failed halfway, so that bytes may lie behind the end.
    uncut: bool,
}

/// The file that is written.
struct Current {
    path: PathBuf,
    disk: Arc<Disk>,
    length: u64,
    /// Up to where there is room for sure.
    reserved: u64,
}

type Answers = Vec<oneshot::Sender<Result<(), JournalError>>>;

impl AppendThread {
    fn run(mut self, waiting: &Receiver<Task>) {
        let mut stop = None;
        while stop.is_none()
            && let Ok(first) = waiting.recv()
        {
            let store = self.store.version();
            let (mut lines, mut head) = (Vec::new(), self.head);
            let mut answers = Answers::new();
            let mut synced = Vec::new();
            for task in std::iter::once(first).chain(waiting.try_iter()) {
                match task {
                    Task::Append { event, answer, .. } => {
                        head = line::write(&mut lines, &head, store, &event);
                        answers.push(answer);
                    }
                    Task::Sync(answer) => synced.push(Waiter::Head(answer)),
                    Task::Stop(answer) => {
                        stop = Some(answer);
                        break;
                    }
                }
                if lines.len() >= MAX_GROUP {
                    break;
                }
            }
            self.record(lines, head, answers);
            self.syncer.wait_for(synced);
        }
        drop(self);
        if let Some(answer) = stop {
            // Whoever waited for it may be gone.
            let _ = answer.send(());
        }
    }

    /// Writes a group of lines, after which the journal stands at `head`, and answers.
    fn record(&mut self, lines: Vec<u8>, head: Head, answers: Answers) {
        if answers.is_empty() {
            return;
        }
        match self.write(lines, head) {
            Ok(()) if self.options.sync => {
                self.syncer
                    .wait_for(answers.into_iter().map(Waiter::Append).collect());
            }
            outcome => {
                for answer in answers {
                    // Whoever asked may be gone; the event stands all the same.
                    let _ = answer.send(outcome.clone());
                }
            }
        }
    }

    fn write(&mut self, lines: Vec<u8>, head: Head) -> Result<(), JournalError> {
        self.syncer.check()?;
        self.cut()?;
        let length = lines.len() as u64;
        let current = self.file_for(length)?;
        if let Err(error) = current.disk.write_at(&lines, current.length) {
            let failure = JournalError::io("write", &current.path, &error);
            tracing::error!(%error, "the audit journal cannot be written");
            self.uncut = true;
            // Now, so that the file ends with a whole line; or else before the next write.
            let _ = self.cut();
            return Err(failure);
        }
        let chunk = Chunk {
            disk: Arc::clone(&current.disk),
            offset: current.length,
            bytes: lines,
            head,
        };
        current.length += length;
        current.reserve();
        self.head = head;
        *self.shown.lock() = head;
        self.syncer.push(chunk);
        Ok(())
    }

    /// Removes what a failed write left behind the end.
    fn cut(&mut self) -> Result<(), JournalError> {
        if let (true, Some(current)) = (self.uncut, &mut self.current) {
            current
                .disk
                .set_len(current.length)
                .map_err(|error| JournalError::io("cut", &current.path, &error))?;
            current.reserved = current.length;
        }
        self.uncut = false;
        Ok(())
    }

    /// The file that takes the next lines; a new one where there is none or it is full.
    fn file_for(&mut self, length: u64) -> Result<&mut Current, JournalError> {
        let full = self.current.as_ref().is_none_or(|current| {
            current.length > 0 && current.length + length > self.options.segment_bytes
        });
        if full {
            self.begin_file()?;
        }
        self.current
            .as_mut()
            .ok_or_else(|| JournalError::Unavailable("there is no file to write".into()))
    }

    /// Ends the file and begins the next. The old one is on the disk before the new one is there,
    /// so that only the last file can be torn.
    fn begin_file(&mut self) -> Result<(), JournalError> {
        if let Some(old) = &self.current {
            old.disk
                .set_len(old.length)
                .and_then(|()| old.disk.sync())
                .map_err(|error| JournalError::io("finish", &old.path, &error))?;
        }
        let next = Segment::new(&self.options.dir, self.head.sequence.saturating_add(1));
        let file = dir::create_file(&next.path)
            .and_then(|file| dir::sync(&self.options.dir).map(|()| file))
            .map_err(|error| JournalError::io("make", &next.path, &error))?;
        self.use_file(next.path, file, 0);
        Ok(())
    }

    fn use_file(&mut self, path: PathBuf, file: File, length: u64) {
        #[cfg(not(test))]
        let disk = Disk::new(file);
        #[cfg(test)]
        let disk = Disk::new(file, Arc::clone(&self.options.faults));
        let mut current = Current {
            path,
            disk: Arc::new(disk),
            length,
            reserved: length,
        };
        current.reserve();
        self.current = Some(current);
    }
}

impl Current {
    /// Sets room aside when half of it is used. A disk that has none, or a file system that cannot,
    /// is found out by the write.
    fn reserve(&mut self) {
        if self.length + RESERVE / 2 <= self.reserved {
            return;
        }
        match self.disk.reserve(self.length, RESERVE) {
            Ok(()) => self.reserved = self.length + RESERVE,
            Err(error) => {
                tracing::warn!(%error, "no room could be set aside for the audit journal");
                // Not again for every event.
                self.reserved = self.length + RESERVE;
            }
        }
    }
}
