//! The record of a certificate: what is stored, and what follows from it at a given instant.
//!
//! A certificate has *versions*, numbered 1, 2, 3... and never reused: each is a key with the
//! certificate made for it, kept apart from this record. `current` is what is served; a version under
//! way is an [`Attempt`] and becomes current in one commit, after which the one before is still kept.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::acm::facts::Facts;
use crate::acm::schedule;
use crate::acm::tags::{CertificateTags, KEEP_KEY};
use crate::acm::{FailureReason, KeyAlgorithm};
use crate::pca::Revocation;

/// A certificate, apart from its keys and its DER.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// Its name.
    pub arn: String,
    /// Where it comes from.
    pub origin: Origin,
    /// The first of its names; empty if an imported certificate has none.
    pub domain_name: String,
    /// All its names, the domain name included.
    pub names: Vec<String>,
    /// The kind of its key, the same in every version.
    pub key_algorithm: KeyAlgorithm,
    /// What was asked for beside the names.
    pub options: Options,
    /// Its tags.
    pub tags: CertificateTags,
    /// When it was requested, or first imported.
    pub created_at: Timestamp,
    /// How far it has come.
    pub state: State,
    /// The version that is served.
    pub current: Option<Issued>,
    /// The version that was served before, whose key and certificate are still kept.
    pub previous: Option<u64>,
    /// The CA's own ARN of that version, if a private CA issued it.
    #[serde(default)]
    pub previous_certificate: Option<String>,
    /// The highest version that was ever begun.
    pub last_version: u64,
    /// A version under way.
    pub attempt: Option<Attempt>,
    /// How the last renewal that came to an end did so.
    pub renewal: Option<Renewal>,
    /// The version that was exported last.
    pub exported_version: Option<u64>,
    /// How many associations name it (load balancers of AWS, nodes of Keystead).
    pub uses: u32,
    /// That it was revoked, with every version whose key is kept.
    #[serde(default)]
    pub revoked: Option<Revocation>,
}

/// Where a certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// The owner brought it, key and all.
    Imported {
        /// When this version was brought.
        at: Timestamp,
    },
    /// A private CA issues it.
    Private {
        /// The CA's ARN.
        authority: String,
    },
    /// A public CA is to issue it, once its names are validated.
    Public {
        /// How the owner shows that the names are his.
        method: ValidationMethod,
        /// Where each name is validated, by name; a name that isn't here is validated at itself.
        validation_domains: std::collections::BTreeMap<String, String>,
    },
}

/// How the owner of a name shows that it is his.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ValidationMethod {
    /// A record in the domain.
    Dns,
    /// An answered mail.
    Email,
}

/// What was asked for beside the names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// Whether a public certificate is to be logged.
    pub transparency_logging: bool,
    /// Whether a public certificate may be exported. Private ones always may.
    pub export: bool,
}

/// How far a certificate has come. Expiry follows from the time as well; see [`Certificate::status`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// Nothing to serve yet.
    Pending,
    /// `current` is served.
    Issued,
    /// `current` is past its end.
    Expired,
    /// Its owner revoked it.
    Revoked,
    /// Validation didn't succeed in time.
    TimedOut,
    /// The request failed for good.
    Failed(FailureReason),
}

/// A version that was issued or imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Issued {
    /// Its number.
    pub version: u64,
    /// What it says.
    pub facts: Facts,
    /// When it became the current version.
    pub at: Timestamp,
    /// When its renewal begins, if it is managed.
    pub renew_at: Option<Timestamp>,
    /// The CA's own ARN of it, if a private CA issued it.
    pub authority_certificate: Option<String>,
}

/// A version under way: the first of a request, or a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The version whose key is stored; `None` while one has to be made.
    pub version: Option<u64>,
    /// When it was begun.
    pub begun_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When to act next.
    pub retry_at: Timestamp,
    /// How often it was refused.
    pub tries: u32,
    /// Why it was refused last.
    pub reason: Option<FailureReason>,
    /// The private CA that is asked, if it is another one than the certificate's: once it has issued,
    /// it is the certificate's.
    #[serde(default)]
    pub authority: Option<String>,
}

/// How a renewal stands (the API's `RenewalSummary`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewal {
    /// How it stands.
    pub status: RenewalStatus,
    /// Why it didn't succeed, yet or for good.
    pub reason: Option<FailureReason>,
    /// Since when.
    pub updated_at: Timestamp,
}

/// How a renewal stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RenewalStatus {
    /// It is under way; with a reason, it was refused and will be tried again.
    PendingAutoRenewal,
    /// The current version is its result.
    Success,
    /// The certificate expired before it succeeded.
    Failed,
}

impl RenewalStatus {
    /// The model's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingAutoRenewal => "PENDING_AUTO_RENEWAL",
            Self::Success => "SUCCESS",
            Self::Failed => "FAILED",
        }
    }
}

/// The API's `CertificateStatus`, those that Keystead produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum Status {
    PendingValidation,
    Issued,
    Expired,
    ValidationTimedOut,
    Revoked,
    Failed,
}

impl Status {
    /// The model's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingValidation => "PENDING_VALIDATION",
            Self::Issued => "ISSUED",
            Self::Expired => "EXPIRED",
            Self::ValidationTimedOut => "VALIDATION_TIMED_OUT",
            Self::Revoked => "REVOKED",
            Self::Failed => "FAILED",
        }
    }
}

/// Why ACM would not renew a certificate (ACM user guide, "Managed certificate renewal").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Ineligible {
    NotManaged,
    NotIssued,
    Expired,
    Revoked,
    NeitherUsedNorExported,
}

impl Ineligible {
    /// The reason, for the owner.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotManaged => "only certificates that a private CA issued for ACM are renewed",
            Self::NotIssued => "it has not been issued",
            Self::Expired => "it has expired; request a new one",
            Self::Revoked => "it was revoked; request a new one",
            Self::NeitherUsedNorExported => {
                "it is neither in use nor was it exported since it was issued or last renewed"
            }
        }
    }
}

impl Certificate {
    /// The version whose key the next one gets; `None` where that has a key of its own.
    pub fn kept_key(&self) -> Option<u64> {
        let current = self.current.as_ref()?;
        let kept = self.tags.contains_key(KEEP_KEY);
        kept.then_some(current.version)
    }

    /// Its status at `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        match self.state {
            State::Pending if self.validation_deadline().is_some_and(|end| now >= end) => {
                Status::ValidationTimedOut
            }
            State::Pending => Status::PendingValidation,
            State::Issued if self.has_expired(now) => Status::Expired,
            State::Issued => Status::Issued,
            State::Expired => Status::Expired,
            State::Revoked => Status::Revoked,
            State::TimedOut => Status::ValidationTimedOut,
            State::Failed(_) => Status::Failed,
        }
    }

    /// Whether it would be renewed, were it time; if not, why not.
    pub fn eligibility(&self, now: Timestamp) -> Result<(), Ineligible> {
        if !matches!(self.origin, Origin::Private { .. }) {
            return Err(Ineligible::NotManaged);
        }
        match (self.status(now), &self.current) {
            (Status::Issued, Some(current)) => {
                if self.uses > 0 || self.exported_version == Some(current.version) {
                    Ok(())
                } else {
                    Err(Ineligible::NeitherUsedNorExported)
                }
            }
            (Status::Expired, _) => Err(Ineligible::Expired),
            (Status::Revoked, _) => Err(Ineligible::Revoked),
            _ => Err(Ineligible::NotIssued),
        }
    }

    /// How its renewal stands, if there was ever one.
    pub fn renewal_summary(&self) -> Option<Renewal> {
        match (&self.state, &self.attempt) {
            (State::Issued, Some(attempt)) => Some(Renewal {
                status: RenewalStatus::PendingAutoRenewal,
                reason: attempt.reason,
                updated_at: attempt.updated_at,
            }),
            _ => self.renewal,
        }
    }

    /// The private CA to ask for the version under way, if a private CA is.
    pub fn asked_authority(&self) -> Option<&str> {
        let other = self.attempt.as_ref().and_then(|a| a.authority.as_deref());
        match &self.origin {
            Origin::Private { authority } => Some(other.unwrap_or(authority)),
            Origin::Imported { .. } | Origin::Public { .. } => None,
        }
    }

    /// The CA's own ARNs of the versions whose keys are kept, as far as a private CA issued them.
    pub fn authority_certificates(&self) -> Vec<String> {
        let current = self.current.as_ref();
        let current = current.and_then(|current| current.authority_certificate.clone());
        let previous = self.previous_certificate.clone();
        previous.into_iter().chain(current).collect()
    }

    /// When ACM next has something to do for it, if ever.
    pub fn wake(&self) -> Option<Timestamp> {
        match self.state {
            State::Pending => self
                .validation_deadline()
                .or_else(|| self.attempt.as_ref().map(|attempt| attempt.retry_at)),
            State::Issued => {
                let current = self.current.as_ref()?;
                let end = schedule::after(current.facts.not_after, ONE_SECOND);
                let renewal = match &self.attempt {
                    Some(attempt) => Some(attempt.retry_at),
                    // Before its end, it is eligible or not whatever the time.
                    None => current
                        .renew_at
                        .filter(|_| self.eligibility(current.facts.not_before).is_ok()),
                };
                Some(renewal.map_or(end, |renewal| renewal.min(end)))
            }
            State::Expired | State::Revoked | State::TimedOut | State::Failed(_) => None,
        }
    }

    /// The versions whose keys are stored.
    pub fn stored_versions(&self) -> Vec<u64> {
        let current = self.current.as_ref().map(|current| current.version);
        let underway = self.attempt.as_ref().and_then(|attempt| attempt.version);
        [self.previous, current, underway]
            .into_iter()
            .flatten()
            .collect()
    }

    /// When a request for a public certificate is over, if this is one.
    pub(super) fn validation_deadline(&self) -> Option<Timestamp> {
        match self.origin {
            Origin::Public { .. } => Some(schedule::after(
                self.created_at,
                schedule::VALIDATION_WINDOW,
            )),
            Origin::Imported { .. } | Origin::Private { .. } => None,
        }
    }

    /// Whether the current version is past its last second (RFC 5280 section 4.1.2.5: inclusive).
    pub(super) fn has_expired(&self, now: Timestamp) -> bool {
        self.current
            .as_ref()
            .is_some_and(|current| now > current.facts.not_after)
    }
}

const ONE_SECOND: SignedDuration = SignedDuration::from_secs(1);
