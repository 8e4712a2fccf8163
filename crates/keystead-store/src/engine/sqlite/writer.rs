//! The thread that writes: gathers what waits, and writes it into the log in one transaction.
//!
//! What is written is not durable yet, and nobody is told of it: see [`super::syncer`], which has it next. What nobody
//! waits for ([`Haste::Soon`]) makes nobody wait: it is written while nothing in haste waits (see [`super::turns`]), and
//! nothing is synced for its sake alone, unless it has waited for a while. Who reads what is not durable has it synced
//! first ([`super::Sqlite::settled`]).

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use keystead_crypto::seal::Sealer;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::checkpoint::Checkpointer;
use super::connection::{Shared, failure};
use super::schema::Opened;
use super::syncer::{Syncer, Written};
use super::turns::{End, Patient, Turn};
use super::{apply, due};
use crate::batch::{Haste, MAX_BATCH, Step};
use crate::change::Publisher;
use crate::engine::{Take, Taken};
use crate::{Change, StoreError};

/// Bytes of batches that may wait for the writer; who comes later waits for room. Some seconds of
/// what a disk takes.
const WAITING_BYTES: usize = 64 << 20;
/// What the smallest batch counts: with it, at most 4096 batches wait.
const SMALLEST: usize = 16 << 10;
const _: () = assert!(MAX_BATCH <= WAITING_BYTES);

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// What waits for the writer.
pub(super) enum Task {
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

/// What became of one task within a transaction that went through.
pub(super) enum Outcome {
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
        // From now on a thread of its own syncs the log, and who copies it into the file syncs that.
        let quick = opened
            .connection
            .pragma_update(None, "synchronous", "normal");
        quick.map_err(failure)?;
        let thread = WriterThread {
            checkpointer: Checkpointer::start(&opened.path)?,
            connection: opened.connection,
            version: opened.version,
            sealer,
            syncer: Syncer::start(&opened.path, Arc::clone(&shared), publisher)?,
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

/// The thread's own state.
struct WriterThread {
    connection: Connection,
    sealer: Arc<Sealer>,
    shared: Arc<Shared>,
    syncer: Syncer,
    checkpointer: Checkpointer,
    /// The newest commit.
    version: u64,
}

impl WriterThread {
    fn run(mut self, waiting: &Receiver<Task>) {
        let mut patient = Patient::default();
        let mut stop = None;
        while stop.is_none() {
            self.syncer.wait_for_room();
            let (turn, end) = patient.next(waiting);
            match turn {
                Turn::Write(group, haste) => self.write(group, haste),
                Turn::Over => break,
            }
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
        self.end();
        if let Some(answer) = stop {
            // Whoever waited for it may be gone.
            let _ = answer.send(());
        }
    }

    /// All that was written is durable, and everything is closed.
    fn end(self) {
        let Self {
            connection,
            syncer,
            mut checkpointer,
            ..
        } = self;
        drop(syncer);
        checkpointer.finish(&connection);
    }

    /// Writes the group in one transaction, or each task in its own if the engine fails.
    fn write(&mut self, group: Vec<Task>, haste: Haste) {
        if let Err(error) = self.clear_doubt() {
            tracing::error!(%error, "the log could not be copied after a sync failed, so nothing more is written");
            return refuse(group, &error);
        }
        match self.transact(&group) {
            Ok((outcomes, changes)) => self.syncer.push(Written {
                version: self.version,
                answers: group.into_iter().zip(outcomes).collect(),
                changes,
                hasty: haste == Haste::Now,
            }),
            Err(error) if group.len() > 1 => {
                tracing::debug!(%error, batches = group.len(), "a group of batches failed, each is tried alone");
                for task in group {
                    self.write(vec![task], haste);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a batch could not be stored");
                refuse(group, &error);
            }
        }
    }

    /// Makes sure of what was written before a sync failed.
    fn clear_doubt(&mut self) -> Result<(), StoreError> {
        let Some(doubt) = self.syncer.doubt() else {
            return Ok(());
        };
        if !self.checkpointer.empty(&self.connection)? {
            return Err(doubt);
        }
        self.syncer.certain(self.version);
        Ok(())
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
                if group.iter().any(Task::removes) {
                    self.shared.set_removed(version);
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

    fn execute(&self, sql: &str) -> Result<(), StoreError> {
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute([]))
            .map(drop)
            .map_err(failure)
    }
}

fn refuse(group: Vec<Task>, error: &StoreError) {
    for task in group {
        task.answer(Outcome::Refused(error.clone()));
    }
}

impl Task {
    /// Whether it changes nothing: it waits for what was sent before.
    pub(super) fn is_flush(&self) -> bool {
        matches!(self, Self::Commit { steps, .. } if steps.is_empty())
    }

    fn removes(&self) -> bool {
        let removes = |step: &Step| matches!(step, Step::Delete { .. });
        matches!(self, Self::Commit { steps, .. } if steps.iter().any(removes))
    }

    /// Whoever asked may be gone; the outcome stands all the same.
    pub(super) fn answer(self, outcome: Outcome) {
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
