//! Rotation of a secret: turned on and off, begun and ended. How one goes on in between is `crate::rotation`'s.
//!
//! Source: API reference, RotateSecret and CancelRotateSecret.

use jiff::{SignedDuration, Timestamp};

use super::secret::{Followed, Rotation, RotationRules, Secret};
use super::version::{CURRENT, PENDING};
use crate::error::{Error, ErrorKind, Result};
use crate::rotation::{Phase, Run, Schedule};

/// What RotateSecret asks for, checked.
#[derive(Clone, Debug)]
pub struct Turn {
    /// The id of the version to make.
    pub version: String,
    /// What rotates: the function's name, where another is asked for.
    pub function: Option<String>,
    /// When, where that is asked for.
    pub rules: Option<RotationRules>,
    /// The administrator's secret, which the caller may read, or the certificate, which he may export.
    pub administrator: Option<String>,
    /// Whether to rotate now, and not only to check that it could be done.
    pub now: bool,
}

impl RotationRules {
    /// The rules, understood; `None` where they say nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`].
    pub fn schedule(&self) -> Result<Option<Schedule>> {
        let (duration, expression) = (self.duration.as_deref(), self.schedule.as_deref());
        let parsed = Schedule::parse(self.after_days, duration, expression);
        parsed.map_err(|cause| Error::new(ErrorKind::InvalidParameter, cause))
    }
}

impl Rotation {
    /// When something is to be done for it, at the latest.
    pub fn due(&self) -> Option<Timestamp> {
        match &self.run {
            Some(run) => Some(run.retry_at),
            None if self.enabled == Some(true) => {
                let look = self.followed.as_ref().map(|followed| followed.look_at);
                self.begin.into_iter().chain(look).min()
            }
            None => None,
        }
    }

    /// Whether a rotation is to begin by now, whatever became of the certificate that is followed.
    pub fn begins(&self, now: Timestamp) -> bool {
        self.begin.is_some_and(|begin| begin <= now)
    }

    /// Sets when the next rotation is due. `random` spreads the beginnings of many within their windows.
    fn plan(&mut self, last: Timestamp, random: u64) -> Result<()> {
        let schedule = match &self.rules {
            Some(rules) => rules.schedule()?,
            None => None,
        };
        let since = self.since.unwrap_or(last);
        let window = schedule.and_then(|schedule| schedule.next(last, since));
        self.next = window.map(|window| window.closes);
        self.begin = window.map(|window| window.begin(random));
        Ok(())
    }
}

impl Followed {
    /// This version, which ends then, as it is known now: looked at again within the hour, or sooner where little is left of
    /// its life.
    pub fn known(version: u64, not_after: Timestamp, now: Timestamp) -> Self {
        let left = not_after.duration_since(now) / 8;
        let wait = left.clamp(SOONEST_LOOK, LATEST_LOOK);
        Self {
            version,
            look_at: now.checked_add(wait).unwrap_or(Timestamp::MAX),
        }
    }
}

/// A look costs one read.
const SOONEST_LOOK: SignedDuration = SignedDuration::from_mins(1);

/// Renewals come long before the end.
const LATEST_LOOK: SignedDuration = SignedDuration::from_hours(1);

impl Secret {
    /// Turns rotation on and begins one (RotateSecret). Answers whether anything is to be stored: the same call again, by its
    /// version, changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`], [`ErrorKind::InvalidParameter`], [`ErrorKind::LimitExceeded`].
    pub fn rotate(&mut self, turn: Turn, now: Timestamp, random: u64) -> Result<bool> {
        let refused = |message: &str| Err(Error::new(ErrorKind::InvalidRequest, message));
        let known = self.version(&turn.version);
        let under_way = self.rotation.run.as_ref();
        if under_way.is_some_and(|run| run.version == turn.version)
            || known.is_some_and(|version| version.has(CURRENT))
        {
            return Ok(false);
        }
        let pending = self
            .labelled(PENDING)
            .filter(|version| !version.has(CURRENT));
        // A check has changed nothing: another call takes its place.
        let changes = under_way.is_some_and(|run| run.phase != Phase::Check);
        if pending.is_some() || changes {
            return refused(
                "A previous rotation isn't complete. That rotation will be reattempted.",
            );
        }
        if known.is_some() {
            return refused(
                "The ClientRequestToken is that of a version of the secret that a rotation can't make anew.",
            );
        }
        if turn.function.is_none() && self.rotation.function.is_none() {
            return refused(NO_FUNCTION);
        }
        if self
            .labelled(CURRENT)
            .is_none_or(|version| !version.has_value)
        {
            return refused("You can't rotate a secret that has no current value.");
        }
        if let Some(rules) = turn.rules {
            rules.schedule()?;
            self.rotation.rules = Some(rules);
            self.rotation.since = Some(now);
        }
        self.rotation.function = turn.function.or(self.rotation.function.take());
        self.rotation.administrator = turn.administrator;
        self.rotation.enabled = Some(true);
        self.rotation.followed = None;
        self.rotation.plan(now, random)?;
        match turn.now {
            true => self.begin_rotation(&turn.version, now)?,
            false => self.rotation.run = Some(Run::check(turn.version, now)),
        }
        self.changed_at = now;
        Ok(true)
    }

    /// Turns rotation off (CancelRotateSecret). A rotation of which the server cannot have heard ends with it; one of which it
    /// may have goes on to its end, since nobody could tell otherwise which password counts. Answers the version under way.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where rotation was never turned on.
    pub fn cancel_rotation(&mut self, now: Timestamp) -> Result<Option<String>> {
        if self.rotation.function.is_none() {
            return Err(Error::new(ErrorKind::InvalidRequest, NO_FUNCTION));
        }
        self.rotation.enabled = Some(false);
        self.rotation.next = None;
        self.rotation.begin = None;
        self.changed_at = now;
        let Some(run) = self.rotation.run.clone() else {
            return Ok(None);
        };
        if matches!(run.phase, Phase::Create | Phase::Check) {
            self.drop_run(now);
        }
        Ok((run.phase != Phase::Check).then_some(run.version))
    }

    /// Begins a rotation that makes the version of this id.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`].
    pub fn begin_rotation(&mut self, version: &str, now: Timestamp) -> Result<()> {
        self.announce(version, now)?;
        self.rotation.run = Some(Run::begun(version.to_owned(), now));
        Ok(())
    }

    /// Makes what the rotation made the current version, and plans the next one.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where its version is gone.
    pub fn finish_rotation(&mut self, now: Timestamp, random: u64) -> Result<()> {
        let Some(run) = self.rotation.run.take() else {
            return Ok(());
        };
        let current = self.labelled(CURRENT).map(|version| version.id.clone());
        if current.as_deref() != Some(&run.version) {
            self.relabel(CURRENT, current.as_deref(), Some(&run.version), now)?;
        }
        self.drop_pending(now);
        self.rotation.last = Some(now);
        self.changed_at = now;
        match self.rotation.enabled {
            Some(true) => self.rotation.plan(now, random),
            _ => Ok(()),
        }
    }

    /// Ends the rotation under way without a change.
    ///
    /// # Errors
    /// None: it has the form of an edit.
    pub fn end_run(&mut self, now: Timestamp) -> Result<()> {
        self.drop_run(now);
        Ok(())
    }

    fn drop_run(&mut self, now: Timestamp) {
        self.rotation.run = None;
        self.drop_pending(now);
        self.changed_at = now;
    }

    fn drop_pending(&mut self, now: Timestamp) {
        if let Some(id) = self.labelled(PENDING).map(|version| version.id.clone()) {
            // It is attached to that very version, so that it can be taken away.
            let _ = self.relabel(PENDING, Some(&id), None, now);
        }
    }
}

const NO_FUNCTION: &str = "No Lambda rotation function ARN is associated with this secret.";

#[cfg(test)]
#[path = "rotate_tests.rs"]
mod tests;
