//! A secret's way to its end, and back ("Delete an AWS Secrets Manager secret").

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::error::{Error, ErrorKind, Result};

/// Days that a secret waits where nobody says otherwise.
const DEFAULT_DAYS: i64 = 30;

/// A secret that waits for its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deletion {
    /// When that was asked for: `DeletedDate`.
    pub asked_at: Timestamp,
    /// When the secret goes.
    pub due: Timestamp,
}

/// How long a secret that is deleted can be had back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// So many days.
    Days(i64),
    /// Not at all.
    Never,
}

impl Window {
    /// From what DeleteSecret says.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`], in AWS's words.
    pub fn new(days: Option<i64>, force: Option<bool>) -> Result<Self> {
        let refused = |message| Err(Error::new(ErrorKind::InvalidParameter, message));
        if days.is_some_and(|days| !(7..=30).contains(&days)) {
            return refused(
                "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
            );
        }
        match (days, force) {
            (Some(_), Some(true)) => refused(
                "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
            ),
            (None, Some(true)) => Ok(Self::Never),
            (days, _) => Ok(Self::Days(days.unwrap_or(DEFAULT_DAYS))),
        }
    }

    /// When a secret that is deleted now goes.
    pub fn ends(self, now: Timestamp) -> Timestamp {
        let days = match self {
            Self::Days(days) => days,
            Self::Never => 0,
        };
        now.checked_add(SignedDuration::from_hours(24 * days))
            .unwrap_or(Timestamp::MAX)
    }
}

impl Secret {
    /// Has it wait for its end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`] where it does already.
    pub fn delete(&mut self, window: Window, now: Timestamp) -> Result<Timestamp> {
        if self.deletion.is_some() {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                "You tried to perform the operation on a secret that's currently marked deleted.",
            ));
        }
        let due = window.ends(now);
        self.deletion = Some(Deletion { asked_at: now, due });
        Ok(due)
    }

    /// Keeps it after all; a secret that is not being deleted stays as it is.
    pub fn restore(&mut self) {
        self.deletion = None;
    }
}
