//! Whose turn it is: what waits for the writer, in the order in which it is served.
//!
//! Who is in haste goes first, together with all others in haste that wait. What can wait is written when nobody in
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

/// How long a batch that can wait does for its turn at most: several commits of a busy disk, and no delay that anybody sees.
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
    /// Writes these; [`Haste::Now`] where somebody waits for one of them.
    Write(Vec<Task>, Haste),
    /// Nothing is left to do, and nothing comes any more.
    Over,
}

/// What waits for its turn in the thread itself.
#[derive(Default)]
pub(super) struct Patient {
    /// As they came.
    tasks: Vec<Task>,
    /// When the oldest came.
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
                Err(RecvTimeoutError::Disconnected)
                    if group.is_empty() && self.tasks.is_empty() =>
                {
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

    /// How long nothing may happen; for ever, unless something waits here.
    fn first_wait(&self) -> Option<Duration> {
        self.patience().map(|left| PATIENCE.min(left))
    }

    fn turn(&mut self, group: Vec<Task>, all: bool) -> Turn {
        if group.is_empty() {
            return Turn::Write(self.take(), Haste::Soon);
        }
        let overdue = self.patience() == Some(Duration::ZERO);
        match all || overdue {
            true => self.all_with(group),
            false => Turn::Write(group, Haste::Now),
        }
    }

    /// Those that can wait first, as they came first.
    fn all_with(&mut self, group: Vec<Task>) -> Turn {
        let mut tasks = self.take();
        tasks.extend(group);
        Turn::Write(tasks, Haste::Now)
    }

    fn take(&mut self) -> Vec<Task> {
        self.since = None;
        mem::take(&mut self.tasks)
    }
}
