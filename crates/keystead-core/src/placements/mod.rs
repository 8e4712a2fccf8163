//! Placements: what an agent puts where on its machine, and what there is to tell of it.
//!
//! A placement is reported by the agent that carries it out: what is wanted, what lies on the disk, what the port was
//! seen to serve. From that alone, and the clock, follows whether it is late, failed, or about to serve what is past its
//! end; nobody has to compare it with anything else. That an agent says nothing any more is told of the agent
//! ([`contact`]).

pub mod contact;
pub mod join;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How far a placement has come, as its agent says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// What is wanted is on its way.
    Pending,
    /// It is on the disk, and nothing was asked whether it is served.
    Placed,
    /// It was seen at every address.
    Proven,
    /// It was not accepted somewhere; the last good one is in its place, and it is tried again.
    Failed,
}

/// One certificate, secret or authority of a placement, in versions as the agent names them: serial numbers of
/// certificates, ids of secrets' versions, digests of bundles.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resource {
    /// Its ARN.
    pub arn: String,
    /// What should be in place.
    pub wanted: Option<String>,
    /// What lies on the disk.
    pub placed: Option<String>,
    /// What was last seen to be served.
    pub proven: Option<String>,
}

/// What one address showed when it was dialled last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// Host and port.
    pub address: String,
    /// Whether it serves what is wanted.
    pub proven: bool,
    /// What it serves.
    pub served: Option<String>,
    /// Why it does not.
    pub reason: Option<String>,
}

/// A placement as it was reported last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Its ARN.
    pub arn: String,
    /// Its name, unique on its machine.
    pub name: String,
    /// How far it has come.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// When what is wanted became so.
    pub wanted_at: Timestamp,
    /// What it is made of.
    pub resources: Vec<Resource>,
    /// Where it was looked for.
    pub addresses: Vec<Address>,
    /// First second of what is in use, where that is a certificate.
    pub not_before: Option<Timestamp>,
    /// Last second of it.
    pub not_after: Option<Timestamp>,
    /// Why it is not further.
    pub reason: Option<String>,
    /// When it was reported.
    pub reported_at: Timestamp,
    /// What was told of it last, as long as that holds.
    pub told: Option<Alarm>,
}

/// What an operator wants to be woken for, the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Alarm {
    /// What is in use ends soon, and nothing newer was proven.
    Expiring,
    /// It was put back, or could not be placed.
    Failed,
    /// It should have been in place for a while.
    Late,
}

impl Placement {
    /// What there is to tell of it now.
    pub fn alarm(&self, now: Timestamp) -> Option<Alarm> {
        if self.near_its_end().is_some_and(|from| now >= from) {
            return Some(Alarm::Expiring);
        }
        match self.state {
            State::Failed => Some(Alarm::Failed),
            State::Pending if now >= self.late_from() => Some(Alarm::Late),
            State::Pending | State::Placed | State::Proven => None,
        }
    }

    /// When there will next be something else to tell, by the clock alone.
    pub fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let late = (self.state == State::Pending).then(|| self.late_from());
        let ahead = [late, self.near_its_end()].into_iter().flatten();
        ahead.filter(|at| *at > now).min()
    }

    fn late_from(&self) -> Timestamp {
        later(self.wanted_at, LATE_AFTER)
    }

    /// From when on the end of what is in use is near: a sixth of its time before it, but a week at most. A certificate of
    /// Certificate Manager is renewed long before (60 days; a third for short-lived ones), so that this is only reached
    /// where a renewal did not come, or did not come through.
    fn near_its_end(&self) -> Option<Timestamp> {
        let end = self.not_after?;
        let lifetime = self
            .not_before
            .map_or(LONGEST_NOTICE * 6, |begin| end.duration_since(begin));
        let notice = SignedDuration::from_secs(lifetime.as_secs() / 6).min(LONGEST_NOTICE);
        Some(end.checked_sub(notice).unwrap_or(Timestamp::MIN))
    }
}

fn later(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// A placement takes seconds: fetching, a reload, a handshake. Reloads have deadlines of a minute or two; with two more
/// tries something is wrong.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// Enough for a week's holiday.
const LONGEST_NOTICE: SignedDuration = SignedDuration::from_hours(7 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    const DAY: i64 = 86_400;

    fn placement(state: State) -> Placement {
        Placement {
            arn: "arn".into(),
            name: "web".into(),
            state,
            since: at(0),
            wanted_at: at(0),
            resources: vec![],
            addresses: vec![],
            not_before: Some(at(0)),
            not_after: Some(at(90 * DAY)),
            reason: None,
            reported_at: at(0),
            told: None,
        }
    }

    #[test]
    fn every_state_has_its_alarm_by_the_clock() {
        let late = LATE_AFTER.as_secs();
        let near = 83 * DAY;
        for (state, now, alarm, next) in [
            (State::Proven, 1, None, Some(near)),
            (State::Placed, 1, None, Some(near)),
            (State::Pending, 1, None, Some(late)),
            (State::Pending, late, Some(Alarm::Late), Some(near)),
            (State::Failed, 1, Some(Alarm::Failed), Some(near)),
            (State::Failed, near, Some(Alarm::Expiring), None),
            (State::Proven, near, Some(Alarm::Expiring), None),
            (State::Pending, 90 * DAY, Some(Alarm::Expiring), None),
        ] {
            let placement = placement(state);
            assert_eq!(placement.alarm(at(now)), alarm, "{state:?} at {now}");
            assert_eq!(
                placement.next_look(at(now)),
                next.map(at),
                "{state:?} at {now}"
            );
        }
    }

    #[test]
    fn notice_of_the_end_fits_the_lifetime() {
        for (lifetime, notice) in [(DAY, DAY / 6), (7 * DAY, 7 * DAY / 6), (395 * DAY, 7 * DAY)] {
            let placement = Placement {
                not_after: Some(at(lifetime)),
                ..placement(State::Proven)
            };
            assert_eq!(placement.next_look(at(0)), Some(at(lifetime - notice)));
        }
        let secret = Placement {
            not_before: None,
            not_after: None,
            ..placement(State::Placed)
        };
        assert_eq!(
            (
                secret.alarm(at(i64::from(u32::MAX))),
                secret.next_look(at(0))
            ),
            (None, None)
        );
    }
}
