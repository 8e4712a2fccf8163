//! A key's way from being switched off to being gone (developer guide, "Deleting AWS KMS keys").

use jiff::{SignedDuration, Timestamp};

use super::key::{Key, Stage};
use super::state::Command;
use super::{Fault, Manager};
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

    /// Has it deleted after so many days; answers when, or `None` where its replicas go first.
    ///
    /// # Errors
    /// As [`Key::check`], [`ErrorKind::Validation`], [`Fault::UnsupportedOperation`].
    pub fn schedule_deletion(
        &mut self,
        window: Option<i32>,
        now: Timestamp,
    ) -> Result<Option<Timestamp>> {
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
            return Ok(None);
        }
        Ok(Some(self.wait_for_deletion(window_days, now)))
    }

    /// A primary whose last replica is gone begins to wait for its own end; answers when that is.
    pub fn replicas_are_gone(&mut self, now: Timestamp) -> Option<Timestamp> {
        let Stage::PendingReplicaDeletion { window_days } = self.stage else {
            return None;
        };
        Some(self.wait_for_deletion(window_days, now))
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

    /// Whether its time is over.
    pub fn is_to_be_deleted(&self, now: Timestamp) -> bool {
        matches!(self.stage, Stage::PendingDeletion { due, .. } if due <= now)
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

    fn wait_for_deletion(&mut self, window_days: u16, now: Timestamp) -> Timestamp {
        let window = SignedDuration::from_hours(24 * i64::from(window_days));
        let due = now.checked_add(window).unwrap_or(Timestamp::MAX);
        self.stage = Stage::PendingDeletion { due, window_days };
        due
    }
}
