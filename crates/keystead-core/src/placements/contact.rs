//! Whether an agent is still there.
//!
//! An agent asks for changes again and again ([`LONGEST_WAIT`]), so its silence says something. Nobody looks at all agents:
//! each is looked at when it would be lost if it said nothing until then.

use jiff::{SignedDuration, Timestamp};

/// What is known of an agent's contact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contact {
    /// When it was heard of last.
    pub seen: Timestamp,
    /// Since when it could have been heard: the server was not there before.
    pub listening_since: Timestamp,
    /// Whether one of its calls is waiting now.
    pub waits: bool,
}

/// What a look at an agent finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// It is there; look again then.
    There(Timestamp),
    /// It was heard of last at this time.
    Lost(Timestamp),
}

impl Contact {
    /// Looks at it.
    pub fn look(&self, now: Timestamp) -> Look {
        let last = match self.waits {
            true => now,
            false => self.seen.max(self.listening_since),
        };
        let lost_from = lost_from(last);
        match now >= lost_from {
            true => Look::Lost(self.seen),
            false => Look::There(lost_from),
        }
    }
}

/// When who was heard of last at this time is lost.
pub fn lost_from(seen: Timestamp) -> Timestamp {
    seen.checked_add(LOST_AFTER).unwrap_or(Timestamp::MAX)
}

/// The longest that one call waits for a change, in seconds: less than the deadline of every call (55 s), which is less than
/// the 60 s for which SDKs wait.
pub const LONGEST_WAIT: i32 = 50;

/// A dozen calls: a machine that restarts is back by then.
pub const LOST_AFTER: SignedDuration = SignedDuration::from_mins(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn silence_counts_while_somebody_listens() {
        let after = LOST_AFTER.as_secs();
        for (seen, listening, waits, now, found) in [
            (0, 0, false, 1, Look::There(at(after))),
            (0, 0, false, after, Look::Lost(at(0))),
            (0, 0, true, after, Look::There(at(2 * after))),
            (0, 5000, false, 5001, Look::There(at(5000 + after))),
            (0, 5000, false, 5000 + after, Look::Lost(at(0))),
        ] {
            let contact = Contact {
                seen: at(seen),
                listening_since: at(listening),
                waits,
            };
            assert_eq!(contact.look(at(now)), found);
        }
    }
}
