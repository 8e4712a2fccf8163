//! Trust roll-over: authorities are replaced by others, in the only order in which no peer ever meets a
//! certificate that it does not trust (RFC 4210 section 4.4 has the same order for a root's key).
//!
//! 1. *Distributing*: whoever trusts an old or a new authority is given both to trust. Nothing is issued
//!    differently yet. It is over when every consumer has proven that it uses what it was given.
//! 2. *Issuing*: certificates that an old authority issued are issued anew by its successor, one after
//!    another, and delivered. It is over when all are, and every consumer serves its new one.
//! 3. *Retiring*: the old authorities issue no more. What they issued elsewhere lives on, and so does
//!    the trust in them, until the last certificate of theirs has expired or was revoked.
//! 4. *Done*: only the new ones are trusted, under the old ones' names too, which consumers go on to use.
//!
//! It can be aborted before the old authorities retire: at once while it distributes; while it issues, the
//! certificates go back first (*Returning*), and only then the trust.
//!
//! Whether a phase is over is found out by a [`Pass`] over what is there, page by page, again and again:
//! each ends in a [`Verdict`]. A phase ends only by [`RollOver::advance`], which looks at the verdict, at
//! the clock, and at nothing that somebody claims. Nothing hurries it.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::arn::{AccountId, Arn, Region};
use crate::error::{Error, ErrorKind, Result};
use crate::trust::phase::{Phase, Stage};

/// A roll-over, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RollOver {
    /// Its id: the UUID in its ARN.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// Which authority takes the place of which.
    pub replacements: Vec<Replacement>,
    /// Whether it goes on by itself as soon as it may.
    pub automatic: bool,
    /// For how long the trust lies out at least before anything is issued, in seconds: time for consumers
    /// that nobody knows of, and for those that are switched off for a while.
    pub settle_seconds: i64,
    /// Where it stands.
    pub phase: Phase,
    /// When it was started.
    pub started_at: Timestamp,
    /// When its phase began.
    pub entered_at: Timestamp,
    /// How far the present look at everything has come.
    pub pass: Pass,
    /// What the last whole look in this phase found.
    pub verdict: Option<Verdict>,
    /// How many certificates were handed from one authority to the other.
    pub moved: u64,
    /// The certificate of an old authority that lives longest, as far as was looked.
    pub last_leaf: Option<Leaf>,
    /// Certificates by which old roots vouch for new ones.
    pub cross: Vec<Cross>,
}

/// One authority that takes the place of another: their ARNs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replacement {
    /// The one that goes.
    pub old: String,
    /// The one that comes.
    pub new: String,
}

/// A look at everything, page by page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pass {
    /// Which of the phase's stages is at work.
    pub stage: usize,
    /// Which replacement the stage is at, for those that go by them.
    pub replacement: usize,
    /// The key after which the next page begins.
    pub cursor: Option<String>,
    /// How much was found that is not as it must be.
    pub open: u64,
    /// The first of it, in words.
    pub example: Option<String>,
}

/// What a page of a pass found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// How much is not as it must be.
    pub open: u64,
    /// The first of it, in words.
    pub example: Option<String>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
    /// How many certificates were handed over.
    pub moved: u64,
    /// The certificate that lives longest.
    pub leaf: Option<Leaf>,
}

/// What a whole pass found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// When it came to its end.
    pub at: Timestamp,
    /// How much is not as it must be.
    pub open: u64,
    /// The first of it, in words.
    pub example: Option<String>,
}

/// A certificate that keeps an old authority trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// Its record's key.
    pub key: String,
    /// Its last second (Unix time).
    pub not_after: i64,
}

/// A cross-certificate: the new root's key, certified by the old (RFC 4210 section 4.4, "new with old").
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cross {
    /// ARN of the authority whose key it certifies.
    pub subject: String,
    /// ARN of the authority that signed.
    pub issuer: String,
    /// The certificate in PEM; `None` where none can be made.
    pub pem: Option<String>,
}

/// What a roll-over is started with.
#[derive(Clone, Debug)]
pub struct NewRollOver {
    /// See [`RollOver::id`].
    pub id: String,
    /// See [`RollOver::account`].
    pub account: AccountId,
    /// See [`RollOver::region`].
    pub region: Region,
    /// See [`RollOver::replacements`].
    pub replacements: Vec<Replacement>,
    /// See [`RollOver::automatic`].
    pub automatic: bool,
    /// See [`RollOver::settle_seconds`].
    pub settle_seconds: i64,
}

impl RollOver {
    /// A roll-over that begins. Refuses what is no plan.
    pub fn start(new: NewRollOver, now: Timestamp) -> Result<Self> {
        let mut seen: Vec<&str> = Vec::new();
        if new.replacements.is_empty() || new.replacements.len() > MAX_REPLACEMENTS {
            return Err(invalid(format!(
                "A roll-over replaces 1 to {MAX_REPLACEMENTS} authorities."
            )));
        }
        for arn in new.replacements.iter().flat_map(Replacement::both) {
            if seen.contains(&arn) {
                return Err(invalid(format!(
                    "The authority {arn} is named twice; each takes part once."
                )));
            }
            seen.push(arn);
        }
        if !(0..=MAX_SETTLE_SECONDS).contains(&new.settle_seconds) {
            return Err(invalid(format!(
                "SettleSeconds is {}; 0 to {MAX_SETTLE_SECONDS} are allowed.",
                new.settle_seconds
            )));
        }
        Ok(Self {
            id: new.id,
            account: new.account,
            region: new.region,
            replacements: new.replacements,
            automatic: new.automatic,
            settle_seconds: new.settle_seconds,
            phase: Phase::Distributing,
            started_at: now,
            entered_at: now,
            pass: Pass::default(),
            verdict: None,
            moved: 0,
            last_leaf: None,
            cross: Vec::new(),
        })
    }

    /// Its name.
    pub fn arn(&self) -> String {
        let resource = format!("trust-roll-over/{}", self.id);
        Arn::new("keystead", &self.region, &self.account, resource).to_string()
    }

    /// Whether nothing will happen any more.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Done | Phase::Aborted)
    }

    /// The authorities that are trusted under the name of `arn`, itself first where it is among them.
    pub fn trusted_as(&self, arn: &str) -> Vec<String> {
        let found = self
            .replacements
            .iter()
            .find(|replacement| replacement.both().contains(&arn));
        let Some(Replacement { old, new }) = found else {
            return vec![arn.to_owned()];
        };
        match self.phase {
            Phase::Done => vec![new.clone()],
            Phase::Aborted => vec![arn.to_owned()],
            _ if arn == old => vec![old.clone(), new.clone()],
            _ => vec![new.clone(), old.clone()],
        }
    }

    /// The authority that is to issue what `arn` has issued, where certificates move now.
    pub fn moves_to(&self, arn: &str) -> Option<&str> {
        self.replacements
            .iter()
            .find_map(|Replacement { old, new }| match self.phase {
                Phase::Issuing | Phase::Retiring if arn == old => Some(new.as_str()),
                Phase::Returning if arn == new => Some(old.as_str()),
                _ => None,
            })
    }

    /// Whether certificates that take part are issued by `arn` in the end of this phase.
    pub fn is_destination(&self, arn: &str) -> bool {
        self.replacements.iter().any(|replacement| {
            arn == match self.phase {
                Phase::Returning => &replacement.old,
                _ => &replacement.new,
            }
        })
    }

    /// What to look at next; `None` when it is over.
    pub fn stage(&self) -> Option<Stage> {
        self.phase.stages().get(self.pass.stage).copied()
    }

    /// The replacement that the stage is at.
    pub fn replacement(&self) -> Option<&Replacement> {
        self.replacements.get(self.pass.replacement)
    }

    /// Takes note of a page that the present stage looked through.
    pub fn looked(&mut self, page: Page, now: Timestamp) {
        self.moved = self.moved.saturating_add(page.moved);
        if let Some(leaf) = page.leaf
            && self
                .last_leaf
                .as_ref()
                .is_none_or(|last| last.not_after < leaf.not_after)
        {
            self.last_leaf = Some(leaf);
        }
        let by_replacement = self.stage() == Some(Stage::Leaves);
        let pass = &mut self.pass;
        pass.open = pass.open.saturating_add(page.open);
        if pass.example.is_none() {
            pass.example = page.example;
        }
        pass.cursor = page.next;
        if pass.cursor.is_some() {
            return;
        }
        pass.replacement = pass.replacement.saturating_add(1);
        if by_replacement && pass.replacement < self.replacements.len() {
            return;
        }
        pass.replacement = 0;
        pass.stage = pass.stage.saturating_add(1);
        // What is not trusted everywhere must not be issued, so the rest of the pass waits.
        let blocked = pass.open > 0 && matches!(self.phase, Phase::Issuing | Phase::Returning);
        if blocked || pass.stage >= self.phase.stages().len() {
            self.verdict = Some(Verdict {
                at: now,
                open: pass.open,
                example: pass.example.take(),
            });
            self.pass = Pass::default();
        }
    }

    /// The certificate that keeps the old authority trusted was revoked, or is gone: look again which one does.
    pub fn look_again(&mut self) {
        self.pass = Pass::default();
        self.verdict = None;
        self.last_leaf = None;
    }

    /// When there is something to do again; `None` when it is over.
    pub fn wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.is_over() {
            return None;
        }
        let Some(verdict) = self
            .verdict
            .as_ref()
            .filter(|_| self.pass == Pass::default())
        else {
            return Some(now);
        };
        let wait = match (self.phase, verdict.open) {
            (Phase::Retiring, 0) => LOOK_AT_LEAVES,
            (_, 0) => LOOK_WHEN_OPEN,
            _ => LOOK_WHEN_CLOSED,
        };
        verdict.at.checked_add(wait).ok()
    }

    /// What keeps the phase from its end, in words; `None` when nothing does.
    pub fn waits_for(&self, now: Timestamp) -> Option<String> {
        if self.is_over() {
            return None;
        }
        let Some(verdict) = &self.verdict else {
            return Some("everything is being looked at for the first time in this phase".into());
        };
        if let Some(example) = &verdict.example {
            return Some(match verdict.open {
                0 | 1 => example.clone(),
                open => format!("{example} (one of {open})"),
            });
        }
        match self.phase {
            Phase::Distributing => {
                let settled = SignedDuration::from_secs(self.settle_seconds);
                let until = self.entered_at.checked_add(settled).ok()?;
                (now < until).then(|| format!("the trust must lie out until {until}"))
            }
            Phase::Retiring => {
                let leaf = self.last_leaf.as_ref()?;
                let end = Timestamp::from_second(leaf.not_after).ok()?;
                (now <= end).then(|| {
                    format!(
                        "a certificate of an old authority is valid until {end}: {}; revoke what should not live so long",
                        leaf.key
                    )
                })
            }
            _ => None,
        }
    }

    /// Goes on to the next phase; refuses while anything keeps this one from its end.
    pub fn advance(&mut self, now: Timestamp) -> Result<()> {
        if self.is_over() {
            return Err(self.refusal("it is over"));
        }
        if let Some(why) = self.waits_for(now) {
            return Err(self.refusal(&why));
        }
        let fresh = match self.phase {
            Phase::Retiring => FRESH_LEAVES,
            _ => FRESH,
        };
        let stale = self
            .verdict
            .as_ref()
            .is_none_or(|verdict| now.duration_since(verdict.at) > fresh);
        if stale {
            return Err(self.refusal("what is known is too old, and is being looked at again"));
        }
        let next = match self.phase {
            Phase::Distributing => Phase::Issuing,
            Phase::Issuing => Phase::Retiring,
            Phase::Retiring => Phase::Done,
            Phase::Returning | Phase::Done | Phase::Aborted => Phase::Aborted,
        };
        self.enter(next, now);
        Ok(())
    }

    /// Gives it up, if the old authorities have not retired yet.
    pub fn abort(&mut self, now: Timestamp) -> Result<()> {
        match self.phase {
            Phase::Distributing => self.enter(Phase::Aborted, now),
            Phase::Issuing => self.enter(Phase::Returning, now),
            Phase::Returning => {}
            Phase::Retiring => {
                return Err(self.refusal(
                    "every certificate comes from the new authority already; enable the old one and start a roll-over the other way",
                ));
            }
            Phase::Done | Phase::Aborted => return Err(self.refusal("it is over")),
        }
        Ok(())
    }

    fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.entered_at = now;
        self.pass = Pass::default();
        self.verdict = None;
    }

    fn refusal(&self, why: &str) -> Error {
        Error::new(
            ErrorKind::InvalidState,
            format!(
                "The roll-over {} is {} and does not go on: {why}.",
                self.arn(),
                self.phase.as_str()
            ),
        )
    }
}

impl Replacement {
    /// Both ARNs, the old one first.
    pub fn both(&self) -> [&str; 2] {
        [&self.old, &self.new]
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Validation, message)
}

/// A root, what is below it, and the same again for a second root; enough for one change of an organization's trust.
const MAX_REPLACEMENTS: usize = 8;

/// A quarter of a year.
const MAX_SETTLE_SECONDS: i64 = 90 * 24 * 3600;

/// Something is missing that arrives within seconds.
const LOOK_WHEN_CLOSED: SignedDuration = SignedDuration::from_secs(2);

/// Nothing is missing: whether that is still so.
const LOOK_WHEN_OPEN: SignedDuration = SignedDuration::from_secs(60);

/// A pass over a million certificates takes a minute; they expire over months.
const LOOK_AT_LEAVES: SignedDuration = SignedDuration::from_mins(60);

/// How old a verdict may be that a phase ends by: several times longer than until the next one.
const FRESH: SignedDuration = SignedDuration::from_mins(5);

/// The same for what expires over months.
const FRESH_LEAVES: SignedDuration = SignedDuration::from_mins(150);
