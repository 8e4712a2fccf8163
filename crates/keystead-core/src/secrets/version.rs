//! Versions and their staging labels.
//!
//! A label is attached to one version at a time. Whoever moves AWSCURRENT to another version leaves AWSPREVIOUS on the one
//! that had it; a version without labels is deprecated, and goes when newer ones are enough ("Secrets Manager concepts:
//! Version"). A version may be there before its value: a rotation announces it so.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use crate::error::{Error, ErrorKind, Result};

/// What clients are answered who name no version.
pub const CURRENT: &str = "AWSCURRENT";
/// What was current before.
pub const PREVIOUS: &str = "AWSPREVIOUS";
/// What a rotation makes.
pub const PENDING: &str = "AWSPENDING";

/// Labels of a secret, over all its versions (user guide, "Secrets Manager quotas").
pub const MAX_LABELS: usize = 20;

/// Versions that are kept: "Secrets Manager removes outdated versions when there are more than 100, but it does not remove
/// versions created less than 24 hours ago" (API reference, UpdateSecret).
pub const USUAL_VERSIONS: usize = 100;

/// Versions that a secret can have: AWS says that the quota is reached where they come faster than one in ten minutes, and
/// gives no figure. One a minute for a day fits, and what is told of them stays far below the size of a record.
pub const MAX_VERSIONS: usize = 1_500;

/// How long a version is kept in any case.
const YOUNG: SignedDuration = SignedDuration::from_hours(24);

/// Deprecated versions that go with one change: usually it is one.
const MOST_DROPPED: usize = 64;

/// A version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// Its id: the `ClientRequestToken` of whoever made it.
    pub id: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Its labels, in the order in which they came.
    pub labels: Vec<String>,
    /// The ARN of the KMS key that sealed its value; `None` for the service's own.
    pub kms_key: Option<String>,
    /// Whether it has a value.
    pub has_value: bool,
    /// The last day on which it was read.
    pub accessed_on: Option<Timestamp>,
}

/// Which version a call means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Select<'a> {
    /// The one with this id.
    pub id: Option<&'a str>,
    /// The one with this label.
    pub label: Option<&'a str>,
}

/// What becomes of a value that is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It is a new version's, or that of one that waits for it.
    New,
    /// There is a version of this id with a value: it is the same call again, or a mistake.
    There,
}

impl<'a> Select<'a> {
    /// The version of this id.
    pub fn id(id: &'a str) -> Self {
        Self {
            id: Some(id),
            label: None,
        }
    }

    /// The version with this label.
    pub fn label(label: &'a str) -> Self {
        Self {
            id: None,
            label: Some(label),
        }
    }
}

impl Version {
    /// Whether it has this label.
    pub fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|known| known == label)
    }
}

impl Secret {
    /// The version of this id.
    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.id == id)
    }

    /// The version with this label.
    pub fn labelled(&self, label: &str) -> Option<&Version> {
        self.versions.iter().find(|version| version.has(label))
    }

    /// The version that a call means, which has a value.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`], [`ErrorKind::InvalidRequest`] where id and label do not belong together; in AWS's words.
    pub fn select(&self, select: Select<'_>) -> Result<&Version> {
        let label = select.label.unwrap_or(CURRENT);
        let found = match select.id {
            Some(id) => self.version(id),
            None => self.labelled(label),
        };
        let found = found.filter(|version| version.has_value);
        let found = found.ok_or_else(|| {
            let which = match select.id {
                Some(id) => format!("VersionId: {id}"),
                None => format!("staging label: {label}"),
            };
            Error::new(
                ErrorKind::NotFound,
                format!("Secrets Manager can't find the specified secret value for {which}"),
            )
        })?;
        match (select.id, select.label) {
            (Some(_), Some(label)) if !found.has(label) => Err(Error::new(
                ErrorKind::InvalidRequest,
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )),
            _ => Ok(found),
        }
    }

    /// What becomes of a value for the version of this id.
    pub fn putting(&self, id: &str) -> Put {
        match self.version(id) {
            Some(version) if version.has_value => Put::There,
            _ => Put::New,
        }
    }

    /// The refusal of another value for a version that has one.
    pub fn token_in_use(&self, id: &str) -> Error {
        Error::new(
            ErrorKind::AlreadyExists,
            format!(
                "You can't use ClientRequestToken {id} because that value is already in use for a version of secret {}.",
                self.arn()
            ),
        )
    }

    /// Gives the version of this id its value, and these labels, or AWSCURRENT where there are none. The first version of
    /// a secret is always current.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`], [`ErrorKind::InvalidParameter`]; the secret is unchanged then.
    pub fn put(
        &mut self,
        id: &str,
        kms_key: Option<String>,
        labels: Option<&[String]>,
        now: Timestamp,
    ) -> Result<()> {
        let mut wanted: Vec<&str> = match labels {
            Some(labels) => labels.iter().map(String::as_str).collect(),
            None => vec![CURRENT],
        };
        if !wanted.contains(&CURRENT) && self.labelled(CURRENT).is_none() {
            wanted.push(CURRENT);
        }
        let mut seen: Vec<&str> = Vec::new();
        for label in &wanted {
            if seen.contains(label) {
                return Err(Error::new(
                    ErrorKind::InvalidParameter,
                    format!("Staging label {label} appears more than once in the request."),
                ));
            }
            seen.push(label);
        }
        let mut after = self.clone();
        match after.versions.iter_mut().find(|version| version.id == id) {
            Some(version) => {
                version.has_value = true;
                version.kms_key = kms_key;
                version.created_at = now;
            }
            None => after.versions.push(Version {
                id: id.to_owned(),
                created_at: now,
                labels: Vec::new(),
                kms_key,
                has_value: true,
                accessed_on: None,
            }),
        }
        for label in wanted {
            after.attach(label, id);
        }
        after.check_room()?;
        after.changed_at = now;
        *self = after;
        Ok(())
    }

    /// Announces a version that has no value yet, as the pending one of a rotation.
    ///
    /// # Errors
    /// [`ErrorKind::LimitExceeded`]; the secret is unchanged then.
    pub fn announce(&mut self, id: &str, now: Timestamp) -> Result<()> {
        let mut after = self.clone();
        if after.version(id).is_none() {
            after.versions.push(Version {
                id: id.to_owned(),
                created_at: now,
                labels: Vec::new(),
                kms_key: None,
                has_value: false,
                accessed_on: None,
            });
        }
        after.attach(PENDING, id);
        after.check_room()?;
        after.changed_at = now;
        *self = after;
        Ok(())
    }

    /// Takes its value from a version that nobody can have used: it waits for another one.
    pub fn forget_value(&mut self, id: &str) {
        if let Some(version) = self.versions.iter_mut().find(|version| version.id == id) {
            version.has_value = false;
        }
    }

    /// Moves a label from a version to another, or attaches it, or takes it away (UpdateSecretVersionStage).
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`], [`ErrorKind::NotFound`], [`ErrorKind::LimitExceeded`]; the secret is unchanged then.
    pub fn relabel(
        &mut self,
        label: &str,
        from: Option<&str>,
        to: Option<&str>,
        now: Timestamp,
    ) -> Result<()> {
        let refused = |message: String| Err(Error::new(ErrorKind::InvalidParameter, message));
        let holder = self.labelled(label).map(|version| version.id.clone());
        for id in from.into_iter().chain(to) {
            if self.version(id).is_none() {
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("Secrets Manager can't find the specified secret version: {id}."),
                ));
            }
        }
        match (from, to, holder.as_deref()) {
            (None, None, _) => {
                return refused(
                    "You must specify RemoveFromVersionId, MoveToVersionId, or both.".into(),
                );
            }
            (Some(from), _, holder) if holder != Some(from) => {
                return refused(format!(
                    "The parameter RemoveFromVersionId is not valid. Staging label {label} is not currently attached to version {from}."
                ));
            }
            (None, Some(to), Some(holder)) if holder != to => {
                return refused(format!(
                    "The parameter RemoveFromVersionId can't be empty. Staging label {label} is currently attached to version {holder}, so you must explicitly reference that version in RemoveFromVersionId."
                ));
            }
            (Some(_), None, _) if label == CURRENT => {
                return refused(format!(
                    "You can only move staging label {CURRENT} to a different secret version. It can't be completely removed."
                ));
            }
            _ => {}
        }
        let mut after = self.clone();
        match to {
            Some(to) => after.attach(label, to),
            None => after.detach(label),
        }
        after.check_room()?;
        after.changed_at = now;
        *self = after;
        Ok(())
    }

    /// Takes out what is deprecated and no longer kept, and answers the ids of those that had a value.
    pub fn prune(&mut self, now: Timestamp) -> Vec<String> {
        // Nobody can use a version that has neither label nor value.
        self.versions
            .retain(|version| version.has_value || !version.labels.is_empty());
        let over = self.versions.len().saturating_sub(USUAL_VERSIONS);
        let old = |version: &&Version| {
            version.labels.is_empty() && now.duration_since(version.created_at) > YOUNG
        };
        let dropped: Vec<String> = (self.versions.iter().filter(old))
            .take(over.min(MOST_DROPPED))
            .map(|version| version.id.clone())
            .collect();
        self.versions
            .retain(|version| !dropped.contains(&version.id));
        dropped
    }

    fn attach(&mut self, label: &str, id: &str) {
        let holder = self.labelled(label).map(|version| version.id.clone());
        if holder.as_deref() == Some(id) {
            return;
        }
        self.detach(label);
        if let Some(version) = self.versions.iter_mut().find(|version| version.id == id) {
            version.labels.push(label.to_owned());
        }
        if let Some(before) = holder.filter(|_| label == CURRENT) {
            self.attach(PREVIOUS, &before);
        }
    }

    fn detach(&mut self, label: &str) {
        for version in &mut self.versions {
            version.labels.retain(|known| known != label);
        }
    }

    fn check_room(&self) -> Result<()> {
        let labels: usize = self.versions.iter().map(|one| one.labels.len()).sum();
        if labels > MAX_LABELS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "A secret can have at most {MAX_LABELS} staging labels attached to its versions."
                ),
            ));
        }
        if self.versions.len() > MAX_VERSIONS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!(
                    "A secret can have at most {MAX_VERSIONS} versions; those without a staging label go after 24 hours."
                ),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "version_tests.rs"]
mod tests;
