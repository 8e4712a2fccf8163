//! The thread that writes: gathers what waits, one transaction and one fsync for all of it.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use keystead_crypto::seal::Sealer;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::checkpoint::Checkpointer;
use super::connection::{Shared, failure};
use super::schema::Opened;
use super::{apply, due};
use crate::batch::{Haste, MAX_BATCH, Step};
use crate::change::Publisher;
use crate::engine::{Take, Taken};
use crate::{Change, StoreError};

/// Batches that share one transaction at most: at a few tens of microseconds each, the first one
/// waits for the last for milliseconds.
const MAX_GROUP: usize = 256;

/// How long a batch that can wait does: several commits of a busy disk, and no delay that anybody sees.
const LINGER: Duration = Duration::from_millis(2);

/// Bytes of batches that may wait for the writer; who comes later waits for room. Some seconds of
/// what a disk takes.
const WAITING_BYTES: usize = 64 << 20;
/// What the smallest batch counts: with it, at most 4096 batches wait.
const SMALLEST: usize = 16 << 10;
const _: () = assert!(MAX_BATCH <= WAITING_BYTES);

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What waits for the writer.
enum Task {
    Commit {
        steps: Vec<Step>,
        haste: Haste,
        answer: Answer<u64>,
        /// Its share of the bytes that may wait.
        _room: OwnedSemaphorePermit,
    },
    Take {
        take: Take,
        answer: Answer<Vec<Taken>>,
    },
    Scrub {
        answer: Answer<bool>,
    },
    Stop {
        answer: oneshot::Sender<()>,
    },
}

/// What ends a group.
enum End {
    Scrub(Answer<bool>),
    Stop(oneshot::Sender<()>),
}

/// What became of one task within a transaction that went through.
enum Outcome {
    Committed(u64),
    Taken(Vec<Taken>),
    Refused(StoreError),
}

/// The writer as its callers see it.
pub(super) struct Writer {
    tasks: Option<Sender<Task>>,
    room: Arc<Semaphore>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(
        opened: Opened,
        sealer: Arc<Sealer>,
        publisher: Publisher,
        shared: Arc<Shared>,
    ) -> Result<Self, StoreError> {
        let (tasks, waiting) = mpsc::channel();
        let thread = WriterThread {
            checkpointer: Checkpointer::start(&opened.path)?,
            connection: opened.connection,
            version: opened.version,
            sealer,
            publisher,
            shared,
        };
        let thread = thread::Builder::new()
            .name("store-writer".into())
            .spawn(move || thread.run(&waiting))
            .map_err(|error| StoreError::Unavailable(format!("no thread: {error}")))?;
        Ok(Self {
            tasks: Some(tasks),
            room: Arc::new(Semaphore::new(WAITING_BYTES)),
            thread: Some(thread),
        })
    }

    pub(super) async fn commit(&self, steps: Vec<Step>, haste: Haste) -> Result<u64, StoreError> {
        let size: usize = steps.iter().map(Step::size).sum();
        let size = u32::try_from(size.max(SMALLEST))
            .map_err(|_| StoreError::Invalid(format!("a batch of {size} bytes is too large")))?;
        let room = Arc::clone(&self.room)
            .acquire_many_owned(size)
            .await
            .map_err(|_| StoreError::Closed)?;
        let (answer, answered) = oneshot::channel();
        self.send(Task::Commit {
            steps,
            haste,
            answer,
            _room: room,
        })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    pub(super) async fn take_due(&self, take: Take) -> Result<Vec<Taken>, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Task::Take { take, answer })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Empties the log, behind what was sent before.
    pub(super) async fn scrub(&self) -> Result<bool, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.send(Task::Scrub { answer })?;
        answered.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Finishes what was sent before, and ends.
    pub(super) async fn stop(&self) {
        let (answer, answered) = oneshot::channel();
        if self.send(Task::Stop { answer }).is_ok() {
            // An error only says that it has ended already.
            let _ = answered.await;
        }
    }

    fn send(&self, task: Task) -> Result<(), StoreError> {
        self.tasks
            .as_ref()
            .and_then(|tasks| tasks.send(task).ok())
            .ok_or(StoreError::Closed)
    }
}

impl Drop for Writer {
    /// Waits until what was sent is durable: milliseconds.
    fn drop(&mut self) {
        self.tasks = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the store's writer ended by a panic");
        }
    }
}

/// What shares the next transaction: what waits already, and where none of it is in haste, what comes within
/// [`LINGER`]. Also who asked for what is done between transactions.
fn gather(first: Task, waiting: &Receiver<Task>) -> (Vec<Task>, Option<End>) {
    let started = Instant::now();
    let mut group = Vec::new();
    let mut patient = true;
    let mut task = first;
    loop {
        match task {
            Task::Scrub { answer } => return (group, Some(End::Scrub(answer))),
            Task::Stop { answer } => return (group, Some(End::Stop(answer))),
            Task::Commit {
                haste: Haste::Soon, ..
            } => {}
            Task::Commit { .. } | Task::Take { .. } => patient = false,
        }
        group.push(task);
        if group.len() == MAX_GROUP {
            return (group, None);
        }
        let patience = match patient {
            true => LINGER.saturating_sub(started.elapsed()),
            false => Duration::ZERO,
        };
        task = match waiting.recv_timeout(patience) {
            Ok(next) => next,
            Err(_) => return (group, None),
        };
    }
}

/// The thread's own state.
struct WriterThread {
    connection: Connection,
    sealer: Arc<Sealer>,
    publisher: Publisher,
    shared: Arc<Shared>,
    checkpointer: Checkpointer,
    /// The newest durable commit.
    version: u64,
}

impl WriterThread {
    fn run(mut self, waiting: &Receiver<Task>) {
        let mut stop = None;
        while stop.is_none()
            && let Ok(first) = waiting.recv()
        {
            let (group, end) = gather(first, waiting);
            self.serve(group);
            self.checkpointer.after_commit(&self.connection);
            match end {
                Some(End::Scrub(answer)) => {
                    // Whoever waited for it may be gone.
                    let _ = answer.send(self.checkpointer.empty(&self.connection));
                }
                Some(End::Stop(answer)) => stop = Some(answer),
                None => {}
            }
        }
        self.checkpointer.finish(&self.connection);
        drop(self);
        if let Some(answer) = stop {
            // Whoever waited for it may be gone.
            let _ = answer.send(());
        }
    }

    /// Runs the group in one transaction, or each task in its own if the engine fails.
    fn serve(&mut self, group: Vec<Task>) {
        match self.transact(&group) {
            Ok((outcomes, changes)) => {
                self.publish(&changes);
                for (task, outcome) in group.into_iter().zip(outcomes) {
                    task.answer(outcome);
                }
            }
            Err(error) if group.len() > 1 => {
                tracing::debug!(%error, batches = group.len(), "a group of batches failed, each is tried alone");
                for task in group {
                    self.serve(vec![task]);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a batch could not be stored");
                for task in group {
                    task.answer(Outcome::Refused(error.clone()));
                }
            }
        }
    }

    fn transact(&mut self, group: &[Task]) -> Result<(Vec<Outcome>, Vec<Change>), StoreError> {
        self.execute("BEGIN IMMEDIATE")?;
        let mut changes = Vec::new();
        let done = self
            .run_all(group, &mut changes)
            .and_then(|(outcomes, version)| {
                if version != self.version {
                    apply::note_version(&self.connection, version)?;
                }
                self.execute("COMMIT")?;
                Ok((outcomes, version))
            });
        match done {
            Ok((outcomes, version)) => {
                self.version = version;
                Ok((outcomes, changes))
            }
            Err(error) => {
                // After some failures SQLite has rolled back already.
                if !self.connection.is_autocommit()
                    && let Err(rollback) = self.execute("ROLLBACK")
                {
                    tracing::error!(error = %rollback, "a failed transaction was not rolled back");
                }
                Err(error)
            }
        }
    }

    /// Every task of the group, and the version after them.
    fn run_all(
        &self,
        group: &[Task],
        changes: &mut Vec<Change>,
    ) -> Result<(Vec<Outcome>, u64), StoreError> {
        let mut version = self.version;
        let mut outcomes = Vec::with_capacity(group.len());
        for task in group {
            outcomes.push(match task {
                Task::Commit { steps, .. } => match apply::check(&self.connection, steps) {
                    Ok(()) => {
                        let before = changes.len();
                        let next = version + 1;
                        apply::apply(&self.connection, &self.sealer, steps, next, changes)?;
                        if changes.len() > before {
                            version = next;
                        }
                        Outcome::Committed(version)
                    }
                    Err(refusal @ (StoreError::Conflict { .. } | StoreError::LeaseLost { .. })) => {
                        Outcome::Refused(refusal)
                    }
                    Err(failure) => return Err(failure),
                },
                Task::Take { take, .. } => Outcome::Taken(due::take(&self.connection, *take)?),
                Task::Scrub { .. } | Task::Stop { .. } => Outcome::Committed(version),
            });
        }
        Ok((outcomes, version))
    }

    /// Makes the commits visible as the newest, and tells who follows.
    fn publish(&self, changes: &[Change]) {
        self.shared.set_version(self.version);
        self.publisher.publish(changes);
    }

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(failure)
    }
}

impl Task {
    /// Whoever asked may be gone; the outcome stands all the same.
    fn answer(self, outcome: Outcome) {
        match (self, outcome) {
            (Self::Commit { answer, .. }, Outcome::Committed(version)) => {
                let _ = answer.send(Ok(version));
            }
            (Self::Commit { answer, .. }, Outcome::Refused(error)) => {
                let _ = answer.send(Err(error));
            }
            (Self::Take { answer, .. }, Outcome::Taken(items)) => {
                let _ = answer.send(Ok(items));
            }
            (Self::Take { answer, .. }, Outcome::Refused(error)) => {
                let _ = answer.send(Err(error));
            }
            // They end a group, and are in none.
            (Self::Scrub { .. } | Self::Stop { .. }, _) => {}
            (Self::Commit { .. }, Outcome::Taken(_))
            | (Self::Take { .. }, Outcome::Committed(_)) => {}
        }
    }
}
