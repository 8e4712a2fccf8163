//! The thread that writes: gathers what waits, one transaction and one sync for all of it.
//!
//! What nobody waits for ([`Haste::Soon`]) makes nobody wait: it is written into the log in a transaction of its own
//! while nothing in haste waits (see [`super::turns`]), and is not synced. The next sync is for it too, as the log is durable up to the place
//! where it was synced; soon one is made for its sake. Until then it is answered to nobody, and who reads it
//! has it synced first ([`super::Sqlite::settled`]).
//!
//! **A failed sync** takes back the transaction that it was for, but not those before it that were not synced; what the
//! disk has of these is not known, and a later sync that succeeds says nothing of them. So before anything else is
//! written, all of the log is copied into the file, and that synced.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use keystead_crypto::seal::Sealer;
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::checkpoint::Checkpointer;
use super::connection::{self, Shared, failure};
use super::schema::Opened;
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
            applied: Applied::default(),
            synchronous: true,
            doubtful: false,
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
    publisher: Publisher,
    shared: Arc<Shared>,
    checkpointer: Checkpointer,
    /// The newest commit.
    version: u64,
    /// What was applied and not synced.
    applied: Applied,
    /// Whether the connection syncs what it commits.
    synchronous: bool,
    /// Whether a sync failed that was for what is applied, too.
    doubtful: bool,
}

/// What was applied and is not durable yet.
#[derive(Default)]
struct Applied {
    answers: Vec<(Task, Outcome)>,
    changes: Vec<Change>,
}

impl WriterThread {
    fn run(mut self, waiting: &Receiver<Task>) {
        let mut patient = Patient::default();
        let mut stop = None;
        while stop.is_none() {
            let (turn, end) = patient.next(waiting);
            match turn {
                Turn::Commit(group) => {
                    self.commit(group);
                    patient.settled();
                }
                Turn::Apply(group) => self.apply(group),
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
        self.checkpointer.finish(&self.connection);
        drop(self);
        if let Some(answer) = stop {
            // Whoever waited for it may be gone.
            let _ = answer.send(());
        }
    }

    /// Commits the group in one durable transaction, or each task in its own if the engine fails, and answers it and
    /// what was applied before.
    fn commit(&mut self, group: Vec<Task>) {
        if let Err(error) = self.clear_doubt() {
            tracing::error!(%error, "the log could not be copied after a sync failed, so nothing more is written");
            return refuse(group, &error);
        }
        match self.transact(&group, true) {
            Ok((outcomes, changes)) => {
                self.applied.changes.extend(changes);
                self.applied.answers.extend(group.into_iter().zip(outcomes));
                self.settle();
            }
            Err(error) => {
                self.doubt(&error);
                self.commit_alone(group, error);
            }
        }
    }

    /// Applies the group without a sync.
    fn apply(&mut self, group: Vec<Task>) {
        if self.doubtful {
            return self.commit(group);
        }
        match self.transact(&group, false) {
            Ok((outcomes, changes)) => {
                self.applied.changes.extend(changes);
                self.applied.answers.extend(group.into_iter().zip(outcomes));
            }
            Err(error) => self.commit_alone(group, error),
        }
    }

    /// What is done with a group that failed.
    fn commit_alone(&mut self, group: Vec<Task>, error: StoreError) {
        if group.len() > 1 {
            tracing::debug!(%error, batches = group.len(), "a group of batches failed, each is tried alone");
            for task in group {
                self.commit(vec![task]);
            }
        } else {
            tracing::error!(%error, "a batch could not be stored");
            refuse(group, &error);
        }
    }

    /// What was applied before a commit failed may be lost with it. Whoever waits for it is told.
    fn doubt(&mut self, error: &StoreError) {
        for (task, _) in mem::take(&mut self.applied.answers) {
            self.doubtful = true;
            task.answer(Outcome::Refused(StoreError::Unavailable(format!(
                "the sync that was for it too failed: {error}"
            ))));
        }
    }

    /// Makes sure of what was applied before a sync failed.
    fn clear_doubt(&mut self) -> Result<(), StoreError> {
        if self.doubtful {
            if !self.checkpointer.empty(&self.connection)? {
                return Err(StoreError::Unavailable(
                    "the disk failed, and what it holds cannot be made sure of just now".into(),
                ));
            }
            self.doubtful = false;
            self.settle();
        }
        Ok(())
    }

    /// All that was applied is durable: makes it visible as the newest, tells who follows, and who waits.
    fn settle(&mut self) {
        let Applied { answers, changes } = mem::take(&mut self.applied);
        self.shared.set_version(self.version);
        self.publisher.publish(&changes);
        for (task, outcome) in answers {
            task.answer(outcome);
        }
    }

    fn transact(
        &mut self,
        group: &[Task],
        synchronous: bool,
    ) -> Result<(Vec<Outcome>, Vec<Change>), StoreError> {
        self.synchronize(synchronous)?;
        self.execute("BEGIN IMMEDIATE")?;
        let mut changes = Vec::new();
        let done = self
            .run_all(group, &mut changes)
            .and_then(|(outcomes, version)| {
                let unchanged = version == self.version;
                let version = match unchanged && synchronous && !self.applied.answers.is_empty() {
                    // What changes nothing is not synced, and this one has to make an earlier one durable.
                    true => version + 1,
                    false => version,
                };
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

    /// Whether commits are synced from now on.
    fn synchronize(&mut self, synchronous: bool) -> Result<(), StoreError> {
        if self.synchronous != synchronous {
            connection::synchronize(&self.connection, synchronous).map_err(failure)?;
            self.synchronous = synchronous;
        }
        Ok(())
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
