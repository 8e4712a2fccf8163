//! Whose turn it is: what waits for the writer, in the order in which it is served.
//!
//! Who is in haste goes first, together with all others in haste that wait. What can wait is applied when nobody in
//! haste is there, together with what comes within [`PATIENCE`]; it goes with those in haste once it has waited for
//! [`LINGER`], and before a flush, which waits for all that was sent before it.

use std::mem;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::writer::{Answer, Task};
use crate::batch::Haste;

/// Batches that share one transaction at most: at a few tens of microseconds each, the first one
/// waits for the last for milliseconds.
const MAX_GROUP: usize = 256;

/// How long a batch that can wait does at most: several commits of a busy disk, and no delay that anybody sees.
const LINGER: Duration = Duration::from_millis(2);

/// How long a batch that can wait does for others to share its transaction: a few times what one of them takes.
const PATIENCE: Duration = Duration::from_micros(100);

/// What is done behind the tasks of a turn.
pub(super) enum End {
    Scrub(Answer<bool>),
    Stop(oneshot::Sender<()>),
}

/// What the thread does next.
pub(super) enum Turn {
    /// Commits these, durably, and with them all that was applied before.
    Commit(Vec<Task>),
    /// Applies these, and leaves the sync to whoever is next.
    Apply(Vec<Task>),
    /// Nothing is left to do, and nothing comes any more.
    Over,
}

/// What waits for its turn in the thread itself.
#[derive(Default)]
pub(super) struct Patient {
    /// Not applied yet, as they came.
    tasks: Vec<Task>,
    /// When the oldest came that is not durable yet, applied or not.
    since: Option<Instant>,
}

impl Patient {
    fn push(&mut self, task: Task) {
        self.since.get_or_insert_with(Instant::now);
        self.tasks.push(task);
    }

    /// How long the oldest may still wait, if there is one.
    fn patience(&self) -> Option<Duration> {
        self.since
            .map(|since| LINGER.saturating_sub(since.elapsed()))
    }

    /// What is next, and who asked for what is done behind it.
    pub(super) fn next(&mut self, waiting: &Receiver<Task>) -> (Turn, Option<End>) {
        let mut group = Vec::new();
        let mut all = false;
        let mut wait = self.first_wait();
        loop {
            let task = match wait {
                Some(wait) => waiting.recv_timeout(wait),
                None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match task {
                Ok(Task::Scrub { answer }) => {
                    return (self.all_with(group), Some(End::Scrub(answer)));
                }
                Ok(Task::Stop { answer }) => {
                    return (self.all_with(group), Some(End::Stop(answer)));
                }
                Ok(
                    task @ Task::Commit {
                        haste: Haste::Soon, ..
                    },
                ) => self.push(task),
                Ok(task) => {
                    all |= task.is_flush();
                    group.push(task);
                }
                Err(RecvTimeoutError::Timeout) => return (self.turn(group, all), None),
                Err(RecvTimeoutError::Disconnected) if group.is_empty() && self.since.is_none() => {
                    return (Turn::Over, None);
                }
                Err(RecvTimeoutError::Disconnected) => return (self.all_with(group), None),
            }
            if group.len() + self.tasks.len() >= MAX_GROUP {
                return (self.all_with(group), None);
            }
            // Who is in haste waits for nobody.
            wait = Some(match group.is_empty() {
                true => PATIENCE.min(self.patience().unwrap_or_default()),
                false => Duration::ZERO,
            });
        }
    }

    /// Everything that is applied is durable.
    pub(super) fn settled(&mut self) {
        if self.tasks.is_empty() {
            self.since = None;
        }
    }

    /// How long nothing may happen; for ever, unless something applied has to be made durable.
    fn first_wait(&self) -> Option<Duration> {
        match self.tasks.is_empty() {
            true => self.patience(),
            false => Some(PATIENCE.min(self.patience().unwrap_or_default())),
        }
    }

    fn turn(&mut self, group: Vec<Task>, all: bool) -> Turn {
        let overdue = self.patience() == Some(Duration::ZERO);
        if group.is_empty() && !overdue {
            return Turn::Apply(mem::take(&mut self.tasks));
        }
        match all || overdue {
            true => self.all_with(group),
            false => Turn::Commit(group),
        }
    }

    /// Those that can wait first, as they came first.
    fn all_with(&mut self, group: Vec<Task>) -> Turn {
        let mut tasks = mem::take(&mut self.tasks);
        tasks.extend(group);
        Turn::Commit(tasks)
    }
}
