//! The record of an authority and the changes it goes through.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::permission::Permission;
use super::revocation::RevocationConfiguration;
use super::state::{self, Command, Status};
use super::subject::Subject;
use crate::arn::{AccountId, Arn, Region};
use crate::error::{Error, ErrorKind, Result};
use crate::lint::Bounds;
use crate::tags::Tags;
use crate::x509::{KeySpec, KeyUsageBit, Oid, SignatureAlgorithm};

/// A certificate authority, apart from its key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CertificateAuthority {
    /// Its id: the UUID in its ARN.
    pub id: String,
    /// Who owns it.
    pub account: AccountId,
    /// Where it lives.
    pub region: Region,
    /// Root or subordinate.
    pub kind: Kind,
    /// The kind of its key.
    pub key_spec: KeySpec,
    /// How its own request is signed, and what signs when nobody asks for anything else.
    pub signing_algorithm: SignatureAlgorithm,
    /// The name it was created with.
    pub subject: Subject,
    /// What its request asks for beside the name.
    pub csr_extensions: CsrExtensions,
    /// For how long its certificates may live.
    pub usage: UsageMode,
    /// ACM-PCA `KeyStorageSecurityStandard`, as asked for.
    pub key_storage: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When its state last changed.
    pub changed_at: Timestamp,
    stage: Stage,
    /// Its certificate, once it has one.
    pub installed: Option<Installed>,
    /// How revocation is published.
    pub revocation: RevocationConfiguration,
    /// Its tags.
    pub tags: Tags,
    /// Who else may use it.
    pub permissions: Vec<Permission>,
    /// The resource policy, as it was put.
    pub policy: Option<String>,
    deletion: Option<Deletion>,
    /// When its last audit report was asked for.
    #[serde(default)]
    pub(super) reported_at: Option<Timestamp>,
}

/// What an authority is made from.
#[derive(Clone, Debug)]
pub struct NewAuthority {
    /// See [`CertificateAuthority::id`].
    pub id: String,
    /// See [`CertificateAuthority::account`].
    pub account: AccountId,
    /// See [`CertificateAuthority::region`].
    pub region: Region,
    /// See [`CertificateAuthority::kind`].
    pub kind: Kind,
    /// See [`CertificateAuthority::key_spec`].
    pub key_spec: KeySpec,
    /// See [`CertificateAuthority::signing_algorithm`].
    pub signing_algorithm: SignatureAlgorithm,
    /// See [`CertificateAuthority::subject`].
    pub subject: Subject,
    /// See [`CertificateAuthority::csr_extensions`].
    pub csr_extensions: CsrExtensions,
    /// See [`CertificateAuthority::usage`].
    pub usage: UsageMode,
    /// See [`CertificateAuthority::key_storage`].
    pub key_storage: String,
    /// See [`CertificateAuthority::revocation`].
    pub revocation: RevocationConfiguration,
    /// See [`CertificateAuthority::tags`].
    pub tags: Tags,
}

/// ACM-PCA `CertificateAuthorityType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Signs its own certificate.
    Root,
    /// Another authority signs its certificate.
    Subordinate,
}

/// ACM-PCA `CertificateAuthorityUsageMode`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UsageMode {
    /// Certificates of any length of life.
    #[default]
    GeneralPurpose,
    /// Certificates of at most seven days, which need no revocation.
    ShortLived,
}

/// ACM-PCA `CsrExtensions`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CsrExtensions {
    /// The key usages to ask for; `None` asks for none.
    pub key_usage: Option<Vec<KeyUsageBit>>,
    /// subjectInfoAccess: (access method, URI).
    pub subject_information_access: Vec<(Oid, String)>,
}

/// What is known of the certificate that an authority works under.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    /// SHA-256 of its DER: names the stored certificate and chain.
    #[serde(with = "serde_bytes")]
    pub fingerprint: Vec<u8>,
    /// Its serial number, big-endian, without leading zeros.
    #[serde(with = "serde_bytes")]
    pub serial: Vec<u8>,
    /// DER of its subject's name: the issuer of everything signed under it.
    #[serde(with = "serde_bytes")]
    pub subject_der: Vec<u8>,
    /// Its subject key identifier, or what stands for it where it has none.
    #[serde(with = "serde_bytes")]
    pub key_id: Vec<u8>,
    /// First second of its validity (Unix time).
    pub not_before: i64,
    /// Last second of its validity (Unix time).
    pub not_after: i64,
    /// How many authorities may follow, by it and by those above it.
    pub path_len: Option<u8>,
    /// What it and those above it leave to what is signed under it; nobody noted it once.
    #[serde(default)]
    pub bounds: Option<Bounds>,
}

/// How far an authority has come; expiry and deletion lie over it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Creating,
    PendingCertificate,
    Active,
    Disabled,
    Failed,
}

/// An authority that was deleted and is not yet gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Deletion {
    /// `None` where nothing can bring it back.
    restorable_until: Option<Timestamp>,
}

impl CertificateAuthority {
    /// A new authority whose key is being made. Refuses a signature that the key can't make.
    pub fn create(new: NewAuthority, now: Timestamp) -> Result<Self> {
        fits(new.key_spec, new.signing_algorithm)?;
        Ok(Self {
            id: new.id,
            account: new.account,
            region: new.region,
            kind: new.kind,
            key_spec: new.key_spec,
            signing_algorithm: new.signing_algorithm,
            subject: new.subject,
            csr_extensions: new.csr_extensions,
            usage: new.usage,
            key_storage: new.key_storage,
            created_at: now,
            changed_at: now,
            stage: Stage::Creating,
            installed: None,
            revocation: new.revocation,
            tags: new.tags,
            permissions: Vec::new(),
            policy: None,
            deletion: None,
            reported_at: None,
        })
    }

    /// The key and the request are there: it waits for its certificate.
    pub fn key_is_ready(&mut self) {
        if self.stage == Stage::Creating {
            self.stage = Stage::PendingCertificate;
        }
    }

    /// The key could not be made; nothing revives it (user guide, "CA status").
    pub fn key_failed(&mut self, now: Timestamp) {
        if self.stage == Stage::Creating {
            self.stage = Stage::Failed;
            self.changed_at = now;
        }
    }

    /// Its name.
    pub fn arn(&self) -> String {
        let resource = format!("certificate-authority/{}", self.id);
        Arn::new("acm-pca", &self.region, &self.account, resource).to_string()
    }

    /// Where it stands at this instant. Expiry needs no event: it shows as soon as the time is past
    /// (user guide: the status is EXPIRED whether it was ACTIVE or DISABLED, but DELETED wins).
    pub fn status(&self, now: Timestamp) -> Status {
        if self.deletion.is_some() {
            return Status::Deleted;
        }
        match self.stage {
            Stage::Creating => Status::Creating,
            Stage::PendingCertificate => Status::PendingCertificate,
            Stage::Failed => Status::Failed,
            Stage::Active | Stage::Disabled if self.expired(now) => Status::Expired,
            Stage::Active => Status::Active,
            Stage::Disabled => Status::Disabled,
        }
    }

    /// Whether the command is allowed at this instant.
    pub fn check(&self, command: Command, now: Timestamp) -> Result<()> {
        state::check(self.status(now), command, &self.arn())
    }

    /// Takes a certificate, which has been checked before. An authority that expired while it was
    /// disabled stays disabled (user guide: "returns to its state before it expired").
    pub fn install(&mut self, installed: Installed, now: Timestamp) -> Result<()> {
        self.check(Command::Install, now)?;
        if self.stage == Stage::PendingCertificate {
            self.stage = Stage::Active;
        }
        self.installed = Some(installed);
        self.changed_at = now;
        Ok(())
    }

    /// Switches on or off.
    pub fn set_active(&mut self, active: bool, now: Timestamp) -> Result<()> {
        self.check(Command::Update, now)?;
        let stage = if active {
            Stage::Active
        } else {
            Stage::Disabled
        };
        if self.stage != stage {
            self.stage = stage;
            self.changed_at = now;
        }
        Ok(())
    }

    /// Changes how revocation is published.
    pub fn configure(&mut self, revocation: RevocationConfiguration, now: Timestamp) -> Result<()> {
        self.check(Command::Update, now)?;
        self.revocation = revocation;
        Ok(())
    }

    /// Deletes; answers when it is to be gone for good. One whose key was never made goes at once
    /// and can't be restored (user guide, "Delete your private CA").
    pub fn delete(&mut self, days: Option<i64>, now: Timestamp) -> Result<Timestamp> {
        self.check(Command::Delete, now)?;
        let days = days.unwrap_or(DEFAULT_RESTORATION_DAYS);
        if !RESTORATION_DAYS.contains(&days) {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("PermanentDeletionTimeInDays is {days}; 7 to 30 days are allowed."),
            ));
        }
        let never_was = matches!(self.stage, Stage::Creating | Stage::Failed);
        let purge_at = if never_was {
            now
        } else {
            now.checked_add(SignedDuration::from_hours(24 * days))
                .unwrap_or(Timestamp::MAX)
        };
        self.deletion = Some(Deletion {
            restorable_until: (!never_was).then_some(purge_at),
        });
        self.changed_at = now;
        Ok(purge_at)
    }

    /// Takes a deletion back; the authority stands where it stood (model: "set to its pre-deletion
    /// status"; user guide: EXPIRED if its certificate has expired).
    pub fn restore(&mut self, now: Timestamp) -> Result<()> {
        self.check(Command::Restore, now)?;
        if self.restorable_until().is_none_or(|until| until <= now) {
            return Err(Error::new(
                ErrorKind::InvalidState,
                format!(
                    "The restoration period of the certificate authority {} is over.",
                    self.arn()
                ),
            ));
        }
        self.deletion = None;
        self.changed_at = now;
        Ok(())
    }

    /// Until when a deleted authority can be brought back.
    pub fn restorable_until(&self) -> Option<Timestamp> {
        self.deletion?.restorable_until
    }

    /// Whether a deleted authority's time is up, so that it is to be destroyed.
    pub fn is_to_be_purged(&self, now: Timestamp) -> bool {
        self.deletion
            .is_some_and(|deletion| deletion.restorable_until.is_none_or(|until| until <= now))
    }

    /// When its state last changed; expiry counts as a change.
    pub fn last_state_change(&self, now: Timestamp) -> Timestamp {
        let expired_at = self
            .installed
            .as_ref()
            .filter(|_| self.status(now) == Status::Expired)
            .and_then(|installed| Timestamp::from_second(installed.not_after).ok());
        expired_at.map_or(self.changed_at, |at| at.max(self.changed_at))
    }

    /// The certificate it works under; refuses where it has none, as it has none to work under.
    pub fn working_under(&self) -> Result<&Installed> {
        self.installed.as_ref().ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidState,
                "The certificate authority is not in a valid state for issuing certificates",
            )
        })
    }

    fn expired(&self, now: Timestamp) -> bool {
        self.installed
            .as_ref()
            .is_some_and(|installed| installed.not_after < now.as_second())
    }
}

/// Refuses a signature that a key of this kind can't make, in AWS's words.
pub(crate) fn fits(key: KeySpec, signature: SignatureAlgorithm) -> Result<()> {
    if key.fits(signature) {
        return Ok(());
    }
    let possible: Vec<&str> = SignatureAlgorithm::ALL
        .into_iter()
        .filter(|other| key.fits(*other))
        .map(SignatureAlgorithm::pca_name)
        .collect();
    Err(Error::new(
        ErrorKind::InvalidArgs,
        format!(
            "Signing algorithm {} cannot be used with key type {}. Valid signing algorithms are: {}.",
            signature.pca_name(),
            key.pca_name(),
            possible.join(", ")
        ),
    ))
}

impl CertificateAuthority {
    /// Refuses a signature that this authority's key can't make, in AWS's words.
    pub fn check_signature(&self, signature: SignatureAlgorithm) -> Result<()> {
        fits(self.key_spec, signature)
    }
}

/// ACM-PCA `PermanentDeletionTimeInDays`.
const RESTORATION_DAYS: std::ops::RangeInclusive<i64> = 7..=30;

/// ACM-PCA, DeleteCertificateAuthority: "By default ... 30 days".
const DEFAULT_RESTORATION_DAYS: i64 = 30;

#[cfg(test)]
pub(super) mod tests;
