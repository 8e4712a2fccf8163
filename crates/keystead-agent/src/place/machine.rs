//! What a placement does next: a function of where it is, what was seen and the time.
//!
//! A version goes look, write, test, reload, prove, keep. What fails after the first byte was written is taken back the same way,
//! and is tried again later. Nothing but what was proven is kept, and nothing is proven that was not looked at first.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

/// Something to do; the outcome comes back as [`Seen`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, until then or until something changes.
    Rest { until: Timestamp },
    /// Read what is wanted, check it, and compare it with what is on the disk.
    Look,
    /// Write what is wanted.
    Write,
    /// Write what was there before.
    PutBack,
    /// Let the configuration be tested by the program that has it.
    Test,
    /// Have it load what is on the disk.
    Reload,
    /// See what it serves; it has to be what is on the disk.
    Prove,
    /// Make what was proven the last good one.
    Keep,
}

/// What became of a step, or came from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// The agent begins; what is on the disk.
    Started(Disk),
    /// What is wanted changed.
    Told,
    /// The rest is over.
    Rested,
    /// The look is over.
    Looked(Look),
    /// The step is done.
    Done,
    /// It failed, and why.
    Failed(String),
    /// It failed before it changed anything.
    Refused(String),
}

/// What is on the disk when the agent begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disk {
    /// What was kept, or nothing ever was.
    AsKept,
    /// What was being placed when the agent ended, all of it.
    AsBegun,
    /// Something else.
    Other,
}

/// What a look found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// What is wanted is what was kept, and on the disk.
    Unchanged,
    /// It is on the disk, but was not proven.
    Unproven(Old),
    /// It has to be written.
    New(Old),
    /// There is nothing that could be placed, and why; whether the disk has what was kept.
    Nothing { why: String, intact: bool },
}

/// Whether there is something to go back to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Old {
    /// A whole set that differs from what is wanted.
    Whole,
    /// None: what passed its checks is better than nothing.
    None,
}

/// Where a placement is.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    at: At,
    /// Tries that failed since the last that did not.
    failures: u32,
    /// When it looked, within the last minute.
    looks: VecDeque<Timestamp>,
    /// The last second of what is in use.
    ends: Option<Timestamp>,
    /// Why the last try failed.
    trouble: Option<String>,
    /// Why this one does.
    failing: Option<String>,
    /// Spreads the retries of many agents: a factor, around 1.
    spread: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Beginning,
    Resting {
        until: Timestamp,
    },
    Looking,
    Forward(Step, Old),
    /// What is served is looked at again, though nothing changed.
    Again,
    /// `loaded`: the program may have loaded what is taken back; `first`: the agent has just begun.
    Back {
        step: Step,
        loaded: bool,
        first: bool,
    },
}

impl Machine {
    pub(super) fn new(spread: f64) -> Self {
        Self {
            at: At::Beginning,
            failures: 0,
            looks: VecDeque::new(),
            ends: None,
            trouble: None,
            failing: None,
            spread,
        }
    }

    /// What is in use now ends then: retries come before that.
    pub(super) fn ends(&mut self, at: Option<Timestamp>) {
        self.ends = at;
    }

    /// Why the last try failed, if it did.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// The next step, after this.
    pub(super) fn next(&mut self, seen: Seen, now: Timestamp) -> Step {
        match (self.at, seen) {
            (At::Beginning, Seen::Started(Disk::AsBegun)) => self.forward(Step::Test, Old::Whole),
            (At::Beginning, Seen::Started(Disk::Other)) => self.back(Step::PutBack, true, true),
            (At::Beginning, _) => self.look(now),
            (At::Resting { until }, Seen::Rested) if now < until => self.rest(until),
            (At::Resting { .. }, _) => self.look(now),
            (At::Looking, Seen::Looked(found)) => self.looked(found, now),
            (At::Looking | At::Forward(..), Seen::Refused(why))
            | (At::Looking, Seen::Failed(why)) => self.give_up(why, now),
            (At::Looking, _) => self.look(now),
            (At::Again, Seen::Failed(_) | Seen::Refused(_)) => self.forward(Step::Test, Old::None),
            (At::Again, _) => self.succeed(now),
            (At::Forward(step, old), Seen::Failed(why)) => self.stumble(step, old, why, now),
            (At::Forward(step, old), _) => match step {
                Step::Write => self.forward(Step::Test, old),
                Step::Test => self.forward(Step::Reload, old),
                Step::Reload => self.forward(Step::Prove, old),
                Step::Prove => self.forward(Step::Keep, old),
                _ => self.succeed(now),
            },
            (
                At::Back {
                    step,
                    loaded,
                    first,
                },
                seen,
            ) => {
                if let Seen::Failed(why) | Seen::Refused(why) = seen {
                    return self.stay_down(step, why, first, now);
                }
                match step {
                    Step::PutBack if loaded => self.back(Step::Test, loaded, first),
                    Step::Test => self.back(Step::Reload, loaded, first),
                    Step::PutBack | Step::Reload => self.back(Step::Prove, loaded, first),
                    _ if first => self.look(now),
                    _ => self.give_up(String::new(), now),
                }
            }
        }
    }

    fn looked(&mut self, found: Look, now: Timestamp) -> Step {
        match found {
            Look::Unchanged => {
                self.at = At::Again;
                Step::Prove
            }
            Look::Unproven(old) => self.forward(Step::Test, old),
            Look::New(old) => self.forward(Step::Write, old),
            Look::Nothing { why, intact: true } => self.give_up(why, now),
            Look::Nothing { why, intact: false } => {
                self.failing = Some(why);
                self.back(Step::PutBack, true, false)
            }
        }
    }

    /// Goes back, where there is something to go back to and the step can have changed anything.
    fn stumble(&mut self, step: Step, old: Old, why: String, now: Timestamp) -> Step {
        if old == Old::None || step == Step::Keep {
            return self.give_up(why, now);
        }
        self.failing = Some(why);
        let loaded = matches!(step, Step::Reload | Step::Prove);
        self.back(Step::PutBack, loaded, false)
    }

    /// Going back failed: what is served then is still looked at, and told.
    fn stay_down(&mut self, step: Step, why: String, first: bool, now: Timestamp) -> Step {
        let why = format!("what was there before could not be put back: {why}");
        self.failing = Some(match self.failing.take() {
            Some(before) => format!("{before}; {why}"),
            None => why,
        });
        match step {
            Step::Test | Step::Reload => self.back(Step::Prove, true, first),
            _ if first => self.look(now),
            _ => self.give_up(String::new(), now),
        }
    }

    fn forward(&mut self, step: Step, old: Old) -> Step {
        self.at = At::Forward(step, old);
        step
    }

    fn back(&mut self, step: Step, loaded: bool, first: bool) -> Step {
        self.at = At::Back {
            step,
            loaded,
            first,
        };
        step
    }

    fn rest(&mut self, until: Timestamp) -> Step {
        self.at = At::Resting { until };
        Step::Rest { until }
    }

    /// Looks, unless it did so too often of late.
    fn look(&mut self, now: Timestamp) -> Step {
        while self
            .looks
            .front()
            .is_some_and(|at| later(*at, MINUTE) <= now)
        {
            self.looks.pop_front();
        }
        // A clock that was set back does not keep anything waiting.
        self.looks.retain(|at| *at <= now);
        if self.looks.len() >= MOST_LOOKS
            && let Some(oldest) = self.looks.front()
        {
            let until = later(*oldest, MINUTE);
            return self.rest(until);
        }
        self.looks.push_back(now);
        self.failing = None;
        self.at = At::Looking;
        Step::Look
    }

    fn succeed(&mut self, now: Timestamp) -> Step {
        self.failures = 0;
        self.trouble = None;
        self.rest(later(now, LOOK_AGAIN.mul_f64(self.spread)))
    }

    fn give_up(&mut self, why: String, now: Timestamp) -> Step {
        self.trouble = Some(self.failing.take().unwrap_or(why));
        let until = later(now, self.pause(now));
        self.failures = self.failures.saturating_add(1);
        self.rest(until)
    }

    /// A second, doubling up to an hour, and never more than an eighth of the time that is left.
    fn pause(&self, now: Timestamp) -> SignedDuration {
        let doubled = SignedDuration::from_secs(1_i64 << self.failures.min(12));
        let wanted = doubled.min(LONGEST).mul_f64(self.spread);
        let Some(ends) = self.ends else {
            return wanted;
        };
        let left = ends.duration_since(now);
        wanted.min((left / 8).max(SHORTEST))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// What changes more often is looked at this often a minute: a pause doubles as many times within that.
const MOST_LOOKS: usize = 6;
const MINUTE: SignedDuration = SignedDuration::from_secs(60);

/// A push that was lost is made up for, and a port that has gone back to an old certificate is noticed.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_hours(1);

/// The longest pause.
const LONGEST: SignedDuration = SignedDuration::from_hours(1);

/// The shortest that the end of a certificate makes it.
const SHORTEST: SignedDuration = SignedDuration::from_secs(10);

#[cfg(test)]
mod tests;
