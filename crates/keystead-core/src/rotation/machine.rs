//! The rotation of one password: Create, Set, Test, Finish.
//!
//! [`next`] says what to do from what is stored ([`Run`]) and what was seen of the server since the step began ([`Seen`]).
//! It is the same for the first time, a retry and the repair after a crash, because it never trusts what it did before:
//! before it changes a password it looks which one the server takes, in the order AWSCURRENT, AWSPENDING, AWSPREVIOUS, and
//! goes on from there.
//!
//! What holds at every moment, whatever dies: the password that the server takes is stored under a label. The candidate is
//! stored as AWSPENDING before the server hears of it; it becomes AWSCURRENT only after it has logged in; it is discarded
//! only when the server has rejected it, does not take it, and no change of it can still be under way there.

use jiff::Timestamp;

use super::rotator::Authority;
use super::run::{Failure, Phase, Run};

/// A version of the secret, by its label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Label {
    Current,
    Pending,
    Previous,
}

/// What is known of whether a version logs in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// Nothing yet.
    #[default]
    Untried,
    /// There is no such version, or it has no value.
    Absent,
    /// It logs in.
    Works,
    /// The server refuses it.
    Refused,
    /// The server says nothing.
    Unreachable,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// The server says that it is done.
    Done,
    /// The server refuses this password, and whoever asked may ask with another.
    Rejected,
    /// The server refuses whoever asks: he can't log in, or may not change it.
    NotPermitted,
    /// The server was never reached.
    Unreachable,
    /// The connection ended in between.
    Unknown,
}

/// What was seen since the step began. It is forgotten when the step ends: what worked then may not work now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Whether AWSCURRENT logs in.
    pub current: Sight,
    /// Whether AWSPENDING does.
    pub pending: Sight,
    /// Whether AWSPREVIOUS does.
    pub previous: Sight,
    /// What became of the change that was made last in this step, and who made it.
    pub change: Option<(With, Change)>,
}

/// Who changes the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum With {
    /// The user, with the password of this version.
    Label(Label),
    /// The administrator.
    Administrator,
    /// Whoever runs Keystead: the password lies in a file, or a command knows how.
    Operator,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Make a candidate and store it as AWSPENDING: [`Run::created`].
    Create,
    /// Log in with this version.
    Try(Label),
    /// Store, before the next [`Move::Set`], that a change may be under way: [`Run::sending`].
    Announce,
    /// Have the server take the candidate; [`Run::answered`] where it says what became of it.
    Set(With),
    /// Store that it is this far.
    Enter(Phase),
    /// Make AWSPENDING the current version, and end the run, in one commit.
    Finish,
    /// Remove the candidate: [`Run::discard`].
    Discard,
    /// Stop for now: [`Run::failed`].
    Wait(Failure),
    /// End the run without a change.
    End,
}

impl Seen {
    /// What is known of this version.
    pub fn of(&self, label: Label) -> Sight {
        match label {
            Label::Current => self.current,
            Label::Pending => self.pending,
            Label::Previous => self.previous,
        }
    }

    /// Records what was seen of this version.
    pub fn put(&mut self, label: Label, sight: Sight) {
        match label {
            Label::Current => self.current = sight,
            Label::Pending => self.pending = sight,
            Label::Previous => self.previous = sight,
        }
    }
}

/// What to do next.
pub fn next(run: &Run, authority: Authority, seen: &Seen, now: Timestamp) -> Move {
    let sights = [seen.current, seen.pending, seen.previous];
    if sights.contains(&Sight::Unreachable) {
        return Move::Wait(Failure::Unreachable);
    }
    match run.phase {
        Phase::Check => check(authority, seen),
        Phase::Create => Move::Create,
        // Somebody else took the candidate away.
        Phase::Set | Phase::Test if seen.pending == Sight::Absent => Move::Enter(Phase::Create),
        Phase::Set => match set(run, authority, seen, now) {
            Move::Set(_) if run.sent_at.is_none() => Move::Announce,
            step => step,
        },
        Phase::Test => match seen.pending {
            Sight::Works => Move::Finish,
            Sight::Refused => Move::Wait(Failure::NotInEffect),
            _ => Move::Try(Label::Pending),
        },
    }
}

fn check(authority: Authority, seen: &Seen) -> Move {
    match (seen.current, authority) {
        (Sight::Untried, _) => Move::Try(Label::Current),
        (Sight::Works, _) => Move::End,
        (_, Authority::Own { .. }) if seen.previous == Sight::Untried => Move::Try(Label::Previous),
        (_, Authority::Own { .. }) if seen.previous == Sight::Works => Move::End,
        _ => Move::Wait(Failure::LockedOut),
    }
}

fn set(run: &Run, authority: Authority, seen: &Seen, now: Timestamp) -> Move {
    let Some((with, change)) = seen.change else {
        return begin(authority, seen);
    };
    match change {
        Change::Done => Move::Enter(Phase::Test),
        Change::Unreachable => Move::Wait(Failure::Unreachable),
        Change::Unknown => Move::Wait(Failure::Unknown),
        // Users of some servers may not change their own password.
        Change::NotPermitted if authority.has_administrator() && with != With::Administrator => {
            Move::Set(With::Administrator)
        }
        Change::NotPermitted => Move::Wait(Failure::NotPermitted),
        Change::Rejected => match seen.pending {
            // An earlier change of this candidate may have come through.
            Sight::Untried => Move::Try(Label::Pending),
            Sight::Works => Move::Enter(Phase::Test),
            _ if run.is_unsure(now) => Move::Wait(Failure::Rejected),
            _ => Move::Discard,
        },
    }
}

/// Looks which password works, and changes it with the authority of that one.
fn begin(authority: Authority, seen: &Seen) -> Move {
    let order: &[Label] = match authority {
        Authority::Own { .. } => &[Label::Current, Label::Pending, Label::Previous],
        Authority::Administrator | Authority::Operator => &[Label::Pending],
    };
    for label in order {
        match (seen.of(*label), label) {
            (Sight::Untried, _) => return Move::Try(*label),
            (Sight::Works, Label::Pending) => return Move::Enter(Phase::Test),
            (Sight::Works, _) => return Move::Set(With::Label(*label)),
            _ => {}
        }
    }
    match authority {
        Authority::Operator => Move::Set(With::Operator),
        _ if authority.has_administrator() => Move::Set(With::Administrator),
        _ => Move::Wait(Failure::LockedOut),
    }
}
