//! Numbers, chains and writes events, in the hands of whoever has one to record.
//!
//! A line takes microseconds to write, less than waking a thread for it would. So a caller that finds
//! nobody writing writes its event itself. Who comes meanwhile leaves its event in a queue, which the
//! writing caller empties, a group in one write, before it goes. Where that could take long (the queue
//! does not end, or too much waits for the disk) a thread of the blocking pool goes on instead, so
//! that no caller is held up by others.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

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

/// Bytes of events that may wait in the queue: several of the largest, or 30,000 usual ones. That many
/// wait only where the disk hangs, and then more are refused.
const WAITING_BYTES: usize = 32 << 20;
const _: () = assert!(MAX_EVENT <= WAITING_BYTES);

/// Bytes that are written together at most, so that the first one does not wait for the last.
const MAX_GROUP: usize = 1 << 20;

/// Groups that a caller writes for others, before a thread takes over: a fraction of a millisecond.
const MAX_GROUPS: usize = 8;

type Answer = oneshot::Sender<Result<(), JournalError>>;

/// What waits in the queue.
enum Task {
    Append { event: Vec<u8>, answer: Answer },
    Sync(oneshot::Sender<Result<Head, JournalError>>),
    Stop(oneshot::Sender<()>),
}

/// The end of the journal. Clones are the same.
#[derive(Clone)]
pub(super) struct Appender {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    /// Locked by whoever has set [`Queue::writing`]; `None` once it has ended.
    writer: Mutex<Option<Writer>>,
    head: Mutex<Head>,
}

struct Queue {
    tasks: Vec<Task>,
    /// Bytes of the events in `tasks`.
    bytes: usize,
    /// Whether somebody is writing, and will empty the queue.
    writing: bool,
}

impl Appender {
    pub(super) fn start(
        options: JournalOptions,
        recovered: Recovered,
        store: Store,
        syncer: Syncer,
    ) -> Self {
        let mut writer = Writer {
            head: recovered.head,
            current: None,
            uncut: false,
            options,
            store,
            syncer,
        };
        if let Some((path, file, length)) = recovered.last {
            writer.use_file(path, file, length);
        }
        Self {
            shared: Arc::new(Shared {
                queue: Mutex::new(Queue {
                    tasks: Vec::new(),
                    bytes: 0,
                    writing: false,
                }),
                head: Mutex::new(writer.head),
                writer: Mutex::new(Some(writer)),
            }),
        }
    }

    /// Records an event.
    pub(super) async fn append(&self, event: Vec<u8>) -> Result<(), JournalError> {
        let length = event.len();
        if length > MAX_EVENT {
            return Err(JournalError::Invalid(format!(
                "an audit event of {length} bytes is too long: at most {MAX_EVENT}"
            )));
        }
        if !event.starts_with(b"{") || !event.ends_with(b"}") || event.contains(&b'\n') {
            return Err(JournalError::Invalid(
                "an audit event must be a JSON object on one line".into(),
            ));
        }
        let (answer, answered) = oneshot::channel();
        self.hand_over(Task::Append { event, answer })?;
        answered.await.unwrap_or(Err(JournalError::Closed))
    }

    /// Asks to be told when everything recorded before is on the disk.
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
        *self.shared.head.lock()
    }

    /// Queues a task and, where nobody else is at it, empties the queue.
    fn hand_over(&self, task: Task) -> Result<(), JournalError> {
        {
            let mut queue = self.shared.queue.lock();
            if let Task::Append { event, .. } = &task {
                if queue.bytes + event.len() > WAITING_BYTES {
                    return Err(JournalError::Unavailable(format!(
                        "events of {} bytes wait for the disk already",
                        queue.bytes
                    )));
                }
                queue.bytes += event.len();
            }
            queue.tasks.push(task);
            if std::mem::replace(&mut queue.writing, true) {
                return Ok(());
            }
        }
        for _ in 0..MAX_GROUPS {
            if self.shared.may_wait() {
                break;
            }
            if self.shared.write_group() {
                return Ok(());
            }
        }
        let shared = Arc::clone(&self.shared);
        // Ends when the queue is empty.
        drop(tokio::task::spawn_blocking(
            move || while !shared.write_group() {},
        ));
        Ok(())
    }
}

impl Shared {
    /// Whether writing would wait for the disk, because too much is not synced.
    fn may_wait(&self) -> bool {
        let writer = self.writer.lock();
        writer
            .as_ref()
            .is_some_and(|writer| writer.syncer.is_full())
    }

    /// Writes what is queued; for whoever has set [`Queue::writing`]. Answers whether there was nothing,
    /// and so somebody else may write from now on.
    fn write_group(&self) -> bool {
        let tasks = {
            let mut queue = self.queue.lock();
            queue.bytes = 0;
            if queue.tasks.is_empty() {
                queue.writing = false;
                return true;
            }
            std::mem::take(&mut queue.tasks)
        };
        let mut place = self.writer.lock();
        let mut stop = None;
        if let Some(writer) = place.as_mut() {
            stop = writer.serve(tasks);
            *self.head.lock() = writer.head;
        }
        if let Some(answer) = stop {
            // Waits until what was written is on the disk.
            *place = None;
            // Whoever waited for it may be gone.
            let _ = answer.send(());
        }
        false
    }
}

/// The file's end, and how it goes on.
struct Writer {
    options: JournalOptions,
    store: Store,
    syncer: Syncer,
    head: Head,
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

impl Writer {
    /// Does these in their order. Answers who wants to hear of the end; what was asked behind that is
    /// dropped.
    fn serve(&mut self, tasks: Vec<Task>) -> Option<oneshot::Sender<()>> {
        let store = self.store.version();
        let (mut lines, mut head) = (Vec::new(), self.head);
        let mut answers = Vec::new();
        for task in tasks {
            match task {
                Task::Append { event, answer } => {
                    lines.reserve(event.len() + line::MOST_AROUND);
                    head = line::write(&mut lines, &head, store, &event);
                    answers.push(answer);
                    if lines.len() >= MAX_GROUP {
                        self.record(
                            std::mem::take(&mut lines),
                            head,
                            std::mem::take(&mut answers),
                        );
                        head = self.head;
                    }
                }
                Task::Sync(answer) => {
                    self.record(
                        std::mem::take(&mut lines),
                        head,
                        std::mem::take(&mut answers),
                    );
                    head = self.head;
                    self.syncer.wait_for(vec![Waiter::Head(answer)]);
                }
                Task::Stop(answer) => {
                    self.record(lines, head, answers);
                    return Some(answer);
                }
            }
        }
        self.record(lines, head, answers);
        None
    }

    /// Writes a group of lines, after which the journal stands at `head`, and answers.
    fn record(&mut self, lines: Vec<u8>, head: Head, answers: Vec<Answer>) {
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
