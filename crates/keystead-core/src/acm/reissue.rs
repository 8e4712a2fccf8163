//! Re-issuing everything that a private CA signed: how far that has come, and what each certificate
//! needs.
//!
//! It is done in chunks. A chunk is recorded, with the version that each certificate has, before any
//! of it is touched, and counted in the commit that records the next one. So a crash anywhere repeats
//! at most the look at one chunk: what has a later version by then was done before, and is counted
//! once. The new version comes from the machine that also renews; what a CA refuses, that machine
//! goes on trying until the certificate's end.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::acm::certificate::{Certificate, Origin, Status};
use crate::acm::failure::FailureReason;
use crate::acm::schedule;
use crate::error::{Error, ErrorKind, Result};

/// The re-issue of what a private CA has signed when it begins.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reissue {
    /// Its name.
    pub arn: String,
    /// The CA whose certificates are replaced.
    pub authority: String,
    /// The CA that issues the new ones; the same one, or its successor.
    pub target: String,
    /// At most so many certificates a second; as quickly as the server can, without.
    pub per_second: Option<u32>,
    /// When it began. What was requested later is not part of it.
    pub started_at: Timestamp,
    /// When it last came further.
    pub updated_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How far it has come.
    pub stage: Stage,
    /// How many certificates the CA has; final once they are counted.
    pub total: u64,
    /// How many have a new version.
    pub reissued: u64,
    /// How many the CA refused.
    pub failed: u64,
    /// How many needed none: expired, revoked, deleted or never issued, or requested later.
    pub left_out: u64,
    /// What was refused last.
    pub last_failure: Option<LastFailure>,
    /// The id up to which certificates are in the chunk, counted, or done.
    pub cursor: Option<String>,
    /// The certificates in hand.
    pub chunk: Vec<Planned>,
}

/// How far a re-issue has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// The CA's certificates are being counted.
    Counting,
    /// They are being replaced.
    Running,
    /// All were looked at.
    Completed,
    /// Somebody stopped it.
    Stopped,
}

impl Stage {
    /// The model's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counting => "COUNTING",
            Self::Running => "RUNNING",
            Self::Completed => "COMPLETED",
            Self::Stopped => "STOPPED",
        }
    }
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastFailure {
    /// Of which certificate.
    pub certificate: String,
    /// Why.
    pub reason: FailureReason,
}

/// A certificate in hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its id.
    pub id: String,
    /// The version that it had before.
    pub version: u64,
}

/// How a certificate stands in a re-issue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has its new version.
    Reissued,
    /// It needs none, or none any more.
    LeftOut,
    /// It needs one; if it was refused one, why.
    Waiting(Option<LastFailure>),
}

impl Reissue {
    /// A re-issue that begins now.
    pub fn begin(
        arn: String,
        authority: String,
        target: String,
        per_second: Option<u32>,
        now: Timestamp,
    ) -> Self {
        Self {
            arn,
            authority,
            target,
            per_second,
            started_at: now,
            updated_at: now,
            ended_at: None,
            stage: Stage::Counting,
            total: 0,
            reissued: 0,
            failed: 0,
            left_out: 0,
            last_failure: None,
            cursor: None,
            chunk: Vec::new(),
        }
    }

    /// Whether there is more to do.
    pub fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Counting | Stage::Running)
    }

    /// Records that so many more certificates were counted, up to `last`; without it there are no more.
    pub fn counted(&mut self, count: u64, last: Option<String>, now: Timestamp) {
        self.total = self.total.saturating_add(count);
        if last.is_none() {
            self.stage = Stage::Running;
        }
        self.cursor = last;
        self.updated_at = now;
    }

    /// What becomes of a certificate of the CA that is looked at the first time: in hand, or left out.
    pub fn plan(
        &self,
        id: &str,
        certificate: Option<&Certificate>,
        now: Timestamp,
    ) -> Option<Planned> {
        let certificate = certificate?;
        let version = certificate.current.as_ref()?.version;
        let planned = certificate.status(now) == Status::Issued
            && certificate.created_at <= self.started_at
            && self.is_of(certificate, &self.authority);
        planned.then(|| Planned {
            id: id.into(),
            version,
        })
    }

    /// How a certificate in hand stands.
    pub fn standing(
        &self,
        planned: &Planned,
        certificate: Option<&Certificate>,
        now: Timestamp,
    ) -> Standing {
        let Some(certificate) = certificate else {
            return Standing::LeftOut;
        };
        let version = certificate.current.as_ref().map(|current| current.version);
        if version > Some(planned.version) && self.is_of(certificate, &self.target) {
            return Standing::Reissued;
        }
        let ours = self.is_of(certificate, &self.authority);
        if certificate.status(now) != Status::Issued || !ours {
            return Standing::LeftOut;
        }
        let reason = certificate
            .attempt
            .as_ref()
            .and_then(|attempt| attempt.reason);
        Standing::Waiting(reason.map(|reason| LastFailure {
            certificate: certificate.arn.clone(),
            reason,
        }))
    }

    /// Records how the chunk ended, and the next one: with `looked_at` certificates up to `cursor`, of
    /// which those in `chunk` are in hand. Without a cursor there are no more.
    pub fn advance(
        &mut self,
        ended: &[Standing],
        looked_at: u64,
        chunk: Vec<Planned>,
        cursor: Option<String>,
        now: Timestamp,
    ) {
        for standing in ended {
            let count = match standing {
                Standing::Reissued => &mut self.reissued,
                Standing::LeftOut => &mut self.left_out,
                Standing::Waiting(failure) => {
                    if failure.is_some() {
                        self.last_failure.clone_from(failure);
                    }
                    &mut self.failed
                }
            };
            *count = count.saturating_add(1);
        }
        let in_hand = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
        let left_out = looked_at.saturating_sub(in_hand);
        self.left_out = self.left_out.saturating_add(left_out);
        if looked_at == 0 && chunk.is_empty() {
            self.stage = Stage::Completed;
            self.ended_at = Some(now);
        }
        self.chunk = chunk;
        if cursor.is_some() {
            self.cursor = cursor;
        }
        self.updated_at = now;
    }

    /// Ends it where it is.
    pub fn stop(&mut self, now: Timestamp) -> Result<()> {
        if !self.is_running() {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!(
                    "The re-issue {} is not under way: it is {}.",
                    self.arn,
                    self.stage.as_str()
                ),
            ));
        }
        self.stage = Stage::Stopped;
        self.ended_at = Some(now);
        self.updated_at = now;
        self.chunk = Vec::new();
        Ok(())
    }

    /// How many certificates a chunk has.
    pub fn chunk_size(&self) -> usize {
        let wanted = self.per_second.and_then(|rate| usize::try_from(rate).ok());
        wanted.unwrap_or(CHUNK).clamp(1, CHUNK)
    }

    /// When the chunk that was begun now may be followed by the next one.
    pub fn next_at(&self, now: Timestamp) -> Timestamp {
        let Some(rate) = self.per_second else {
            return now;
        };
        let in_hand = i64::try_from(self.chunk.len()).unwrap_or(i64::MAX);
        let micros = in_hand.saturating_mul(1_000_000) / i64::from(rate.max(1));
        schedule::after(now, SignedDuration::from_micros(micros))
    }

    fn is_of(&self, certificate: &Certificate, wanted: &str) -> bool {
        matches!(&certificate.origin, Origin::Private { authority } if authority == wanted)
    }
}

/// Certificates in hand at a time: the keys and signatures of some seconds, so that a lease outlasts
/// them, and enough for the commit of a chunk to cost little beside.
const CHUNK: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(secs).expect("in range")
    }

    fn reissue(per_second: Option<u32>) -> Reissue {
        Reissue::begin("arn".into(), "old".into(), "new".into(), per_second, at(0))
    }

    fn planned(count: usize) -> Vec<Planned> {
        let ids = (0..count).map(|number| format!("{number}"));
        ids.map(|id| Planned { id, version: 1 }).collect()
    }

    #[test]
    fn everything_that_was_looked_at_is_counted_once() {
        let mut reissue = reissue(None);
        reissue.counted(1000, Some("m".into()), at(1));
        assert_eq!(reissue.stage, Stage::Counting);
        reissue.counted(5, None, at(2));
        assert_eq!((reissue.stage, reissue.total), (Stage::Running, 1005));
        assert_eq!(reissue.cursor, None, "from the first again");
        reissue.advance(&[], 5, planned(3), Some("e".into()), at(3));
        assert_eq!((reissue.left_out, reissue.reissued), (2, 0));
        let failure = LastFailure {
            certificate: "c".into(),
            reason: FailureReason::PcaAccessDenied,
        };
        let ended = [
            Standing::Reissued,
            Standing::LeftOut,
            Standing::Waiting(Some(failure.clone())),
        ];
        reissue.advance(&ended, 0, Vec::new(), None, at(4));
        assert_eq!(
            (reissue.reissued, reissue.failed, reissue.left_out),
            (1, 1, 3)
        );
        assert_eq!(reissue.last_failure, Some(failure));
        assert_eq!(reissue.stage, Stage::Completed);
        assert_eq!(reissue.ended_at, Some(at(4)));
        let stopped = reissue.stop(at(5)).map_err(|error| error.kind);
        assert_eq!(stopped, Err(ErrorKind::InvalidState));
    }

    #[test]
    fn nothing_in_hand_of_what_was_looked_at_is_not_the_end() {
        let mut reissue = reissue(None);
        reissue.counted(7, None, at(1));
        reissue.advance(&[], 7, Vec::new(), Some("g".into()), at(2));
        assert_eq!((reissue.stage, reissue.left_out), (Stage::Running, 7));
        assert_eq!(reissue.stop(at(3)), Ok(()));
        assert!(!reissue.is_running());
    }

    #[test]
    fn the_pace_is_kept_by_the_size_of_a_chunk_and_the_pause_behind_it() {
        for (rate, size, pause) in [
            (None, 32, 0),
            (Some(1), 1, 1_000_000),
            (Some(10), 10, 1_000_000),
            (Some(64), 32, 500_000),
        ] {
            let mut reissue = reissue(rate);
            assert_eq!(reissue.chunk_size(), size, "{rate:?}");
            reissue.chunk = planned(size);
            let wait = reissue.next_at(at(0)).duration_since(at(0));
            assert_eq!(wait, SignedDuration::from_micros(pause), "{rate:?}");
        }
    }
}
