//! A key's way from being switched off to being gone (developer guide, "Deleting AWS KMS keys").

use jiff::{SignedDuration, Timestamp};

use super::key::{Key, Stage};
use super::state::Command;
use super::{Fault, Manager};
use crate::arn::Region;
use crate::error::{Error, ErrorKind, Result};

/// Days that a key waits before it is deleted, where nobody says otherwise.
const DEFAULT_WINDOW: i32 = 30;

impl Key {
    /// Switches it on or off; also says no to who changes a service's own key.
    ///
    /// # Errors
    /// As [`Key::check`], and [`Fault::UnsupportedOperation`].
    pub fn switch(&mut self, on: bool) -> Result<()> {
        self.check_customers()?;
        self.check(Command::Switch)?;
        self.stage = if on { Stage::Enabled } else { Stage::Disabled };
        Ok(())
    }

    /// Has it deleted after so many days, or as many after the last of its replicas is gone.
    ///
    /// # Errors
    /// As [`Key::check`], [`ErrorKind::Validation`], [`Fault::UnsupportedOperation`].
    pub fn schedule_deletion(&mut self, window: Option<i32>, now: Timestamp) -> Result<()> {
        self.check_customers()?;
        self.check(Command::ScheduleDeletion)?;
        let days = window.unwrap_or(DEFAULT_WINDOW);
        let window_days = u16::try_from(days)
            .ok()
            .filter(|days| (7..=30).contains(days))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Validation,
                    format!(
                        "PendingWindowInDays is {days}; it must be between 7 and 30 (inclusive)."
                    ),
                )
            })?;
        let waits_for_replicas = self
            .multi_region
            .as_ref()
            .is_some_and(|multi| self.is_primary() && !multi.replicas.is_empty());
        if waits_for_replicas {
            self.stage = Stage::PendingReplicaDeletion { window_days };
        } else {
            self.wait_for_deletion(window_days, now);
        }
        Ok(())
    }

    /// Its brother in this region is gone. A primary that waited for its last replica begins to wait for its own end
    /// ("Deleting multi-Region keys": its waiting period begins then).
    pub fn lose(&mut self, region: &Region, now: Timestamp) {
        let is_primary = self.is_primary();
        let Some(multi) = &mut self.multi_region else {
            return;
        };
        multi.replicas.retain(|replica| replica != region);
        if let Stage::PendingReplicaDeletion { window_days } = self.stage
            && is_primary
            && multi.replicas.is_empty()
        {
            self.wait_for_deletion(window_days, now);
        }
    }

    /// Keeps it after all. It is switched off, or still waits for its key material.
    ///
    /// # Errors
    /// As [`Key::check`].
    pub fn cancel_deletion(&mut self) -> Result<()> {
        self.check(Command::CancelDeletion)?;
        self.stage = if self.is_complete() {
            Stage::Disabled
        } else {
            Stage::PendingImport
        };
        Ok(())
    }

    /// When its end is due.
    pub fn deletion_due(&self) -> Option<Timestamp> {
        match self.stage {
            Stage::PendingDeletion { due, .. } => Some(due),
            _ => None,
        }
    }

    /// A key that a service manages is changed by that service alone.
    ///
    /// # Errors
    /// [`Fault::UnsupportedOperation`].
    pub fn check_customers(&self) -> Result<()> {
        match self.manager {
            Manager::Customer => Ok(()),
            Manager::Aws => Err(Fault::UnsupportedOperation.error(format!(
                "{} is managed by a service: only customer managed keys can be changed so.",
                self.arn()
            ))),
        }
    }

    fn wait_for_deletion(&mut self, window_days: u16, now: Timestamp) {
        let window = SignedDuration::from_hours(24 * i64::from(window_days));
        let due = now.checked_add(window).unwrap_or(Timestamp::MAX);
        self.stage = Stage::PendingDeletion { due, window_days };
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::*;
    use super::*;
    use crate::kms::{KeySpec, KeyState, Origin};

    fn kind<T>(result: Result<T>) -> ErrorKind {
        result.err().unwrap().kind
    }

    #[test]
    fn every_stage_comes_to_the_next_by_each_command_or_stays() {
        for stage in stages() {
            let key = || Key { stage, ..made() };
            let leaving = matches!(
                stage,
                Stage::PendingDeletion { .. } | Stage::PendingReplicaDeletion { .. }
            );
            for on in [true, false] {
                let mut key = key();
                let switched = key.switch(on);
                if matches!(stage, Stage::Enabled | Stage::Disabled) {
                    switched.unwrap();
                    let expected = if on { Stage::Enabled } else { Stage::Disabled };
                    assert_eq!(key.stage, expected);
                } else {
                    assert_eq!(kind(switched), ErrorKind::InvalidState);
                    assert_eq!(key.stage, stage);
                }
            }
            let mut scheduled = key();
            let result = scheduled.schedule_deletion(Some(10), at(0));
            if leaving {
                assert_eq!(kind(result), ErrorKind::InvalidState);
                assert_eq!(scheduled.stage, stage);
            } else {
                result.unwrap();
                assert_eq!(scheduled.deletion_due(), Some(days(10)));
            }
            let mut kept = key();
            let result = kept.cancel_deletion();
            if leaving {
                result.unwrap();
                assert_eq!(kept.stage, Stage::Disabled);
            } else {
                assert_eq!(kind(result), ErrorKind::InvalidState);
                assert_eq!(kept.stage, stage);
            }
        }
    }

    #[test]
    fn a_key_waits_for_seven_to_thirty_days() {
        for window in [None, Some(7), Some(30)] {
            let mut key = made();
            key.schedule_deletion(window, at(0)).unwrap();
            let expected = days(window.unwrap_or(30).into());
            assert_eq!(key.deletion_due(), Some(expected));
        }
        for window in [-1, 0, 1, 6, 31, 365, i32::MAX] {
            let mut key = made();
            let refused = key.schedule_deletion(Some(window), at(0));
            assert_eq!(kind(refused), ErrorKind::Validation);
            assert_eq!(key.stage, Stage::Enabled);
        }
    }

    #[test]
    fn what_is_kept_without_its_key_material_waits_for_it() {
        for origin in [Origin::External, Origin::AwsKms] {
            let mut key = empty(KeySpec::SymmetricDefault, origin);
            key.schedule_deletion(None, at(0)).unwrap();
            key.cancel_deletion().unwrap();
            assert_eq!(key.state(), KeyState::PendingImport);
        }
        let mut key = imported();
        key.schedule_deletion(None, at(0)).unwrap();
        key.remove_material(&id(1));
        assert_eq!(key.state(), KeyState::PendingDeletion);
        key.cancel_deletion().unwrap();
        assert_eq!(key.state(), KeyState::PendingImport);
    }

    #[test]
    fn a_primary_waits_for_the_last_of_its_replicas() {
        let (mut primary, mut replicas) = replicated(made(), &["eu-west-1", "us-west-2"]);
        primary.schedule_deletion(Some(7), at(0)).unwrap();
        assert_eq!(primary.state(), KeyState::PendingReplicaDeletion);
        assert_eq!(primary.deletion_due(), None);
        replicas[0].schedule_deletion(None, at(0)).unwrap();
        assert_eq!(replicas[0].deletion_due(), Some(days(30)));
        for key in [&mut primary, &mut replicas[1]] {
            key.lose(&region("eu-west-1"), days(30));
            let left = &key.multi_region.as_ref().unwrap().replicas;
            assert_eq!(left, &[region("us-west-2")]);
        }
        assert_eq!(primary.state(), KeyState::PendingReplicaDeletion);
        assert_eq!(replicas[1].state(), KeyState::Enabled);
        primary.lose(&region("us-west-2"), days(40));
        assert_eq!(primary.deletion_due(), Some(days(47)));
    }

    #[test]
    fn a_primary_that_is_kept_does_not_begin_to_wait() {
        let (mut primary, _) = replicated(made(), &["eu-west-1"]);
        primary.schedule_deletion(Some(7), at(0)).unwrap();
        primary.cancel_deletion().unwrap();
        primary.lose(&region("eu-west-1"), days(30));
        assert_eq!(primary.stage, Stage::Disabled);
        primary.schedule_deletion(Some(7), days(30)).unwrap();
        assert_eq!(primary.deletion_due(), Some(days(37)));
    }

    #[test]
    fn a_services_own_key_is_its_services() {
        let mut key = Key {
            manager: Manager::Aws,
            ..made()
        };
        let unsupported = ErrorKind::Kms(Fault::UnsupportedOperation);
        assert_eq!(kind(key.switch(false)), unsupported);
        assert_eq!(kind(key.schedule_deletion(None, at(0))), unsupported);
        assert_eq!(kind(key.check_customers()), unsupported);
    }

    #[test]
    fn what_a_key_store_holds_is_unavailable_while_that_is_not_connected() {
        for stage in stages() {
            let key = Key { stage, ..made() };
            assert_eq!(key.state_while(true), key.state());
            let expected = match stage {
                Stage::Enabled | Stage::Disabled => KeyState::Unavailable,
                _ => key.state(),
            };
            assert_eq!(key.state_while(false), expected);
        }
    }
}
