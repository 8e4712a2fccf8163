//! What is kept of a secret beside its values.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::deletion::Deletion;
use super::replication::Replication;
use super::tie::Tie;
use super::version::Version;
use crate::arn::{AccountId, Arn, Region};
use crate::error::{Error, ErrorKind, Result};
use crate::rotation::Run;
use crate::tags::{self, Tags};

/// A secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: String,
    /// The six characters behind the name in its ARN: another secret of the same name has others.
    pub suffix: String,
    /// Who owns it.
    pub account: AccountId,
    /// Where it is.
    pub region: Region,
    /// `Description`.
    pub description: Option<String>,
    /// The KMS key, as the owner named it; `None` for the service's own.
    pub kms_key: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When anything of it was last changed.
    pub changed_at: Timestamp,
    /// The last day on which a value of it was read.
    pub accessed_on: Option<Timestamp>,
    /// Since and until when it waits for its end.
    pub deletion: Option<Deletion>,
    /// Its tags; `None` where it never had any, which AWS shows otherwise than none.
    pub tags: Option<Tags>,
    /// Its resource policy.
    pub policy: Option<String>,
    /// Its versions, in the order in which they came.
    pub versions: Vec<Version>,
    /// How it rotates.
    pub rotation: Rotation,
    /// `Type`: the partner that holds what it stands for.
    pub kind: Option<String>,
    /// What the partner wants to know.
    pub external: Option<External>,
    /// The service that made it for itself.
    pub owning_service: Option<String>,
    /// Where else it is.
    #[serde(default)]
    pub replication: Replication,
    /// What ties it to one of another account.
    #[serde(default)]
    pub tie: Tie,
}

/// How a secret rotates. A secret that never rotated has nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Whether it rotates by itself; `None` where nobody ever asked for it.
    pub enabled: Option<bool>,
    /// `RotationLambdaARN`.
    pub function: Option<String>,
    /// `RotationRules`.
    pub rules: Option<RotationRules>,
    /// When a rotation last came to its end.
    pub last: Option<Timestamp>,
    /// When the next is due at the latest.
    pub next: Option<Timestamp>,
    /// When the next begins, within its window.
    #[serde(default)]
    pub begin: Option<Timestamp>,
    /// When the rules were set.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// The administrator's secret that may be used, since whoever turned rotation on may read it; or the certificate likewise.
    #[serde(default)]
    pub administrator: Option<String>,
    /// The certificate's version that the secret has, where it follows one.
    #[serde(default)]
    pub followed: Option<Followed>,
    /// The rotation under way.
    #[serde(default)]
    pub run: Option<Run>,
}

/// A version of a certificate that a secret has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Its number.
    pub version: u64,
    /// When to look whether there is a newer one.
    pub look_at: Timestamp,
}

/// When a secret rotates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationRules {
    /// `AutomaticallyAfterDays`.
    pub after_days: Option<i64>,
    /// `Duration`.
    pub duration: Option<String>,
    /// `ScheduleExpression`.
    pub schedule: Option<String>,
}

/// What a managed external secret has beside others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct External {
    /// `ExternalSecretRotationMetadata`.
    pub metadata: Vec<(String, String)>,
    /// `ExternalSecretRotationRoleArn`.
    pub role: Option<String>,
}

impl Secret {
    /// Its ARN.
    pub fn arn(&self) -> String {
        let resource = format!("secret:{}-{}", self.name, self.suffix);
        Arn::new("secretsmanager", &self.region, &self.account, resource).to_string()
    }

    /// Gives it tags.
    ///
    /// # Errors
    /// As [`tags::add`], by [`ErrorKind::InvalidParameter`] and [`ErrorKind::LimitExceeded`]: the service has no code of its
    /// own for tags.
    pub fn tag(&mut self, added: impl IntoIterator<Item = (String, String)>) -> Result<()> {
        let mut all = self.tags.clone().unwrap_or_default();
        tags::add(&mut all, added).map_err(|error| Error {
            kind: ErrorKind::InvalidParameter,
            ..error
        })?;
        if !all.is_empty() {
            self.tags = Some(all);
        }
        Ok(())
    }

    /// Takes tags from it; what is not there is passed over.
    pub fn untag(&mut self, keys: impl IntoIterator<Item = String>) {
        if let Some(all) = &mut self.tags {
            tags::remove(all, keys.into_iter().map(|key| (key, None)));
        }
    }

    /// Its tags, none included.
    pub fn tagged(&self) -> &Tags {
        static NONE: Tags = Tags::new();
        self.tags.as_ref().unwrap_or(&NONE)
    }

    /// Refuses to whoever wants to use a secret that waits for its end.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidRequest`].
    pub fn check_live(&self) -> Result<()> {
        match self.deletion {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::InvalidRequest,
                "You can't perform this operation on the secret because it was marked for deletion.",
            )),
        }
    }
}
