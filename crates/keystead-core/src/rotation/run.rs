//! A rotation under way, as it is stored: everything that a start after a crash needs to know.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A rotation under way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// The version that becomes the current one: the `ClientRequestToken`.
    pub version: String,
    /// How far it is.
    pub phase: Phase,
    /// When it began.
    pub begun_at: Timestamp,
    /// Not to be gone on with before.
    pub retry_at: Timestamp,
    /// How often it failed in a row.
    pub tries: u32,
    /// How many candidates the server has rejected.
    pub rejected: u32,
    /// Since when a change of the candidate may be under way: stored before it is sent, as after a crash nobody knows.
    pub sent_at: Option<Timestamp>,
    /// When a change of the candidate was last sent whose answer is not known.
    pub unsure_at: Option<Timestamp>,
    /// Why it waits.
    pub failure: Option<Failure>,
    /// When it was reported that it can't go on by itself.
    pub alarmed_at: Option<Timestamp>,
}

/// How far a rotation is. The last step, Finish, is no phase: it is the commit that moves the labels and ends the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The server is asked whether a rotation could succeed, and nothing is changed (`RotateImmediately` is false).
    Check,
    /// There is no candidate yet.
    Create,
    /// The candidate is stored as AWSPENDING; the server may or may not have it.
    Set,
    /// The server has said that it has it.
    Test,
}

/// Why a rotation waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The server can't be reached.
    Unreachable,
    /// It is not known what became of the change.
    Unknown,
    /// No credential that is known logs in.
    LockedOut,
    /// The server says that whoever logged in may not change the password.
    NotPermitted,
    /// The server takes no candidate.
    Rejected,
    /// What was changed does not log in.
    NotInEffect,
    /// The secret's value, or the administrator's, is not what the rotator needs.
    Unusable,
    /// The store, or the key of the secret, can't be used.
    Own,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "the server can't be reached",
            Self::Unknown => "it is not known whether the server has changed the password",
            Self::LockedOut => "neither AWSCURRENT nor AWSPENDING nor AWSPREVIOUS logs in",
            Self::NotPermitted => "the server does not let the password be changed",
            Self::Rejected => "the server takes none of the new passwords",
            Self::NotInEffect => "the new password does not log in, though the server has taken it",
            Self::Unusable => "the secret's value is not what its rotator needs",
            Self::Own => "the secret can't be read or written",
        })
    }
}

impl Run {
    /// A rotation that begins.
    pub fn begun(version: String, now: Timestamp) -> Self {
        Self {
            version,
            phase: Phase::Create,
            begun_at: now,
            retry_at: now,
            tries: 0,
            rejected: 0,
            sent_at: None,
            unsure_at: None,
            failure: None,
            alarmed_at: None,
        }
    }

    /// A check of the rotation that begins.
    pub fn check(version: String, now: Timestamp) -> Self {
        Self {
            phase: Phase::Check,
            ..Self::begun(version, now)
        }
    }

    /// Goes on with what was stored: whoever sent a change then has not lived to hear the answer.
    pub fn resume(&mut self) {
        self.unsure_at = self.sent_at.take().or(self.unsure_at);
    }

    /// Records that there is a new candidate, and that it may be sent.
    pub fn created(&mut self, now: Timestamp) {
        self.enter(Phase::Set);
        self.sent_at = Some(now);
        self.unsure_at = None;
    }

    /// Records, before it is, that a change is sent.
    pub fn sending(&mut self, now: Timestamp) {
        self.sent_at = Some(now);
    }

    /// Notes that the change that was sent last has its answer.
    pub fn answered(&mut self) {
        self.sent_at = None;
    }

    /// Records that it is this far.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.tries = 0;
        self.failure = None;
    }

    /// Records that it can't go on for now. Answers whether that is to be reported: when it has lasted for
    /// [`ALARM_AFTER`] tries, and then once a day.
    pub fn failed(&mut self, failure: Failure, now: Timestamp, random: u64) -> bool {
        self.resume();
        if failure == Failure::NotInEffect {
            self.phase = Phase::Set;
        }
        self.tries = self.tries.saturating_add(1);
        self.failure = Some(failure);
        self.retry_at = after(now, wait(self.tries, random));
        let again = self
            .alarmed_at
            .is_none_or(|last| now.duration_since(last) >= ALARM_EVERY);
        let alarm = again && self.tries >= ALARM_AFTER;
        if alarm {
            self.alarmed_at = Some(now);
        }
        alarm
    }

    /// Records that the server rejected the candidate and never had it: a new one is made, at once the first few times.
    pub fn discard(&mut self, now: Timestamp, random: u64) -> bool {
        self.phase = Phase::Create;
        self.rejected = self.rejected.saturating_add(1);
        self.sent_at = None;
        self.unsure_at = None;
        if self.rejected.is_multiple_of(CANDIDATES_AT_ONCE) {
            self.tries = (self.rejected / CANDIDATES_AT_ONCE).saturating_sub(1);
            return self.failed(Failure::Rejected, now, random);
        }
        false
    }

    /// Whether a change of this candidate may still be carried out by the server.
    pub fn is_unsure(&self, now: Timestamp) -> bool {
        self.unsure_at
            .is_some_and(|at| now.duration_since(at) < SETTLES_WITHIN)
    }
}

/// Two seconds, doubling up to [`LONGEST_WAIT_SECS`], spread by a fifth either way.
fn wait(tries: u32, random: u64) -> SignedDuration {
    let doubled = FIRST_WAIT_SECS << tries.saturating_sub(1).min(MOST_DOUBLINGS);
    let millis = doubled.min(LONGEST_WAIT_SECS) * 1000;
    let fifth = millis / 5;
    let spread = i64::try_from(random % 1000).unwrap_or(0) * fifth * 2 / 1000;
    SignedDuration::from_millis(millis - fifth + spread)
}

fn after(time: Timestamp, wait: SignedDuration) -> Timestamp {
    time.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// A database that restarts is back within seconds, and until the run has ended readers see AWSPENDING.
const FIRST_WAIT_SECS: i64 = 2;

/// One login in ten minutes is no burden on a server, and what was put right is noticed before its owner leaves.
const LONGEST_WAIT_SECS: i64 = 10 * 60;

/// Beyond the longest wait; more would only overflow.
const MOST_DOUBLINGS: u32 = 10;

/// About a minute of waiting: longer than a restart, and soon enough to be told.
const ALARM_AFTER: u32 = 5;

/// So that an alarm that nobody heard is repeated, and nobody has to mute it.
const ALARM_EVERY: SignedDuration = SignedDuration::from_hours(24);

/// Candidates that are tried before it waits: a rule about passwords that one candidate breaks by chance, five do not.
pub(super) const CANDIDATES_AT_ONCE: u32 = 5;

/// A statement whose connection is gone ends within this: it waits for a lock at most as long as servers let it
/// (MariaDB's `lock_wait_timeout` is longer, but nothing else locks an account's row for a minute).
pub(super) const SETTLES_WITHIN: SignedDuration = SignedDuration::from_mins(1);
