//! Rotation of key material: by itself, after a chosen time, and on demand.
//!
//! A rotation changes which key material encrypts; all of them go on decrypting. On demand, a key with imported key
//! material turns to what was imported for it. A multi-Region key is rotated by its primary, for its replicas as well.
//!
//! Sources: developer guide, "Rotate AWS KMS keys"; API reference, EnableKeyRotation and RotateKeyOnDemand.

use jiff::{SignedDuration, Timestamp};

use super::state::Command;
use super::{
    Fault, Key, KeySpec, Material, MaterialId, MaterialState, Origin, Rotation, RotationType, Stage,
};
use crate::error::{Error, ErrorKind, Result};

/// Days between two automatic rotations where nothing else is asked for (EnableKeyRotation, RotationPeriodInDays).
pub const USUAL_PERIOD_DAYS: u16 = 365;
/// Rotations on demand that a key can have in its life (RotateKeyOnDemand).
const MOST_ON_DEMAND: usize = 25;
/// So close to an automatic rotation none can be had on demand (RotateKeyOnDemand, ConflictException).
const CLOSE: SignedDuration = SignedDuration::from_mins(20);

/// Which key material a rotation on demand turns to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// One that is made for it.
    Fresh,
    /// One that was imported for it.
    Imported(MaterialId),
}

impl Key {
    /// Whether its key material can be rotated, by itself or on demand: that of a symmetric encryption key, made here or
    /// imported.
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`].
    pub fn check_rotates(&self) -> Result<()> {
        self.check_symmetric()?;
        match self.origin {
            Origin::AwsKms | Origin::External => Ok(()),
            _ => Err(self.invalid_origin()),
        }
    }

    /// Switches automatic rotation on, counted from now; where it is on with this period already, nothing changes.
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`] for a key that is not rotated by itself, or not here; as [`Key::check`].
    pub fn enable_rotation(&mut self, period_days: Option<u16>, now: Timestamp) -> Result<()> {
        self.check_automatic()?;
        let period_days = period_days.unwrap_or(USUAL_PERIOD_DAYS);
        if self.rotation.map(|rotation| rotation.period_days) != Some(period_days) {
            self.rotation = Some(Rotation {
                period_days,
                next: after(now, period_days),
            });
        }
        Ok(())
    }

    /// Switches automatic rotation off.
    ///
    /// # Errors
    /// As [`Key::enable_rotation`].
    pub fn disable_rotation(&mut self) -> Result<()> {
        self.check_automatic()?;
        self.rotation = None;
        Ok(())
    }

    /// Automatic rotation as GetKeyRotationStatus tells of it: off while the key is pending deletion, whatever it was and
    /// will be again.
    pub fn rotation_status(&self) -> Option<Rotation> {
        let leaving = matches!(
            self.stage,
            Stage::PendingDeletion { .. } | Stage::PendingReplicaDeletion { .. }
        );
        self.rotation.filter(|_| !leaving)
    }

    /// When it is to be rotated by itself. Nothing is while the key is not enabled; what is overdue then follows as soon
    /// as it is. A replica follows its primary.
    pub fn rotation_due(&self) -> Option<Timestamp> {
        let rotation = self
            .rotation
            .filter(|_| self.stage == Stage::Enabled && !self.is_replica())?;
        Some(rotation.next)
    }

    /// Which key material a rotation on demand turns to; `replicas` are the key's, all of them.
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`] for a key that cannot be rotated, or not here; [`ErrorKind::InvalidState`] for one
    /// whose next key material has not been imported everywhere; [`ErrorKind::LimitExceeded`];
    /// [`ErrorKind::Conflict`] right before an automatic rotation; as [`Key::check`].
    pub fn check_on_demand(&self, replicas: &[&Self], now: Timestamp) -> Result<Turn> {
        self.check_rotates()?;
        self.check_customers()?;
        self.check_primary()?;
        self.check(Command::Rotate)?;
        if self.rotations_on_demand() >= MOST_ON_DEMAND {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed for this key: {}",
                    self.arn()
                ),
            ));
        }
        if let Some(rotation) = self.rotation
            && rotation.next.duration_since(now) <= CLOSE
        {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!(
                    "An automatic rotation of {} is in progress or begins within the next 20 minutes, at {}.",
                    self.arn(),
                    rotation.next
                ),
            ));
        }
        match self.origin {
            Origin::AwsKms => Ok(Turn::Fresh),
            _ => self.imported_next(replicas).map(Turn::Imported),
        }
    }

    /// Turns to this key material, which is either new or was imported for it.
    pub fn rotate(&mut self, to: MaterialId, how: RotationType, now: Timestamp) {
        for material in &mut self.materials {
            if material.state == MaterialState::Current {
                material.state = MaterialState::NonCurrent;
            }
        }
        let waiting = self.materials.iter_mut().find(|one| one.id == to);
        if let Some(material) = waiting {
            material.state = MaterialState::Current;
            material.rotation = Some(how);
            material.since = now;
        } else {
            self.materials.push(Material {
                id: to,
                since: now,
                rotation: Some(how),
                state: MaterialState::Current,
                import: None,
            });
        }
        if let Some(rotation) = &mut self.rotation
            && how == RotationType::Automatic
        {
            rotation.next = after(now, rotation.period_days);
        }
    }

    /// Rotations on demand that it has had.
    fn rotations_on_demand(&self) -> usize {
        let how = |material: &&Material| material.rotation == Some(RotationType::OnDemand);
        self.materials.iter().filter(how).count()
    }

    /// The key material that was imported for the next rotation, if it is in all regions.
    fn imported_next(&self, replicas: &[&Self]) -> Result<MaterialId> {
        let next = self.pending().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidState,
                format!(
                    "{} has no key material that is pending rotation: import new key material first.",
                    self.arn()
                ),
            )
        })?;
        // A primary that was a replica until now may have to have it imported itself.
        let all = std::iter::once(self).chain(replicas.iter().copied());
        let without = all.filter(|brother| !brother.holds(&next.id));
        let without: Vec<_> = without.map(|brother| brother.region.as_str()).collect();
        if !without.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!(
                    "The key material {} of {} has to be imported into the keys in {} first.",
                    next.id,
                    self.arn(),
                    without.join(", ")
                ),
            ));
        }
        Ok(next.id)
    }

    /// The kind of key comes before its state: developer guide, "Key states of AWS KMS keys", note 6.
    fn check_automatic(&self) -> Result<()> {
        self.check_symmetric()?;
        if self.origin != Origin::AwsKms {
            return Err(self.invalid_origin());
        }
        self.check_customers()?;
        self.check_primary()?;
        self.check(Command::Rotate)
    }

    fn check_symmetric(&self) -> Result<()> {
        if self.spec == KeySpec::SymmetricDefault {
            return Ok(());
        }
        Err(Fault::UnsupportedOperation.error(format!(
            "{} key spec is {} which is not valid for this operation: only symmetric encryption keys are rotated.",
            self.arn(),
            self.spec.name()
        )))
    }

    /// The refusal for a key whose origin does not go with the operation, in AWS's words.
    pub(super) fn invalid_origin(&self) -> Error {
        Fault::UnsupportedOperation.error(format!(
            "{} origin is {} which is not valid for this operation.",
            self.arn(),
            self.origin.name()
        ))
    }

    /// That it is not a replica.
    pub(super) fn check_primary(&self) -> Result<()> {
        match &self.multi_region {
            Some(multi) if self.is_replica() => Err(Fault::UnsupportedOperation.error(format!(
                "{} is a multi-Region replica key, which is not valid for this operation: call it on the primary key, in {}.",
                self.arn(),
                multi.primary
            ))),
            _ => Ok(()),
        }
    }

    /// Whether it follows a primary in another region.
    pub fn is_replica(&self) -> bool {
        self.multi_region.is_some() && !self.is_primary()
    }
}

fn after(now: Timestamp, days: u16) -> Timestamp {
    now.checked_add(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
