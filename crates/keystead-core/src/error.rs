//! What can go wrong, by meaning. The edge (`keystead-app::fault`) maps each kind to a service's own
//! error code and status; nothing below the edge knows AWS's exception names.

use std::fmt;

use crate::{kms, secrets};

/// The result of a decision.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A refusal: the meaning that code branches on, and the sentence that the user reads.
///
/// The message is lower-case-tolerant prose in AWS's own words where they are published: what was
/// wrong, what was expected, what to do. It never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What went wrong, by meaning.
    pub kind: ErrorKind,
    /// What the user reads.
    pub message: String,
    /// Where the fault is, beside a message whose words are AWS's and are compared by clients.
    pub place: Option<String>,
}

impl Error {
    /// A refusal of this kind with this message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
        }
    }

    /// The same refusal, with where the fault is.
    pub fn at(self, place: impl Into<String>) -> Self {
        Self {
            place: Some(place.into()),
            ..self
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Every meaning a refusal can have, across services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The caller may not do this.
    AccessDenied,
    /// A record with this identity exists.
    AlreadyExists,
    /// A certificate and its key, chain or authority do not belong together.
    CertificateMismatch,
    /// Somebody else changed the record in between; the caller may try again.
    ConcurrentModification,
    /// The request contradicts what is there (for instance a reused idempotency token).
    Conflict,
    /// Something that the caller was given for a while is past its time.
    ExpiredToken,
    /// The provider that vouches for somebody cannot be reached.
    IdentityProviderUnreachable,
    /// Keystead itself failed; the message names what the operator should look at.
    Internal,
    /// An argument is not acceptable in itself.
    InvalidArgs,
    /// An ARN is malformed or names another kind of resource.
    InvalidArn,
    /// Domain validation options do not fit the request.
    InvalidDomainValidationOptions,
    /// A token that should prove who somebody is does not.
    InvalidIdentityToken,
    /// An encoded message is not one of ours, or not for this caller.
    InvalidMessage,
    /// A pagination token is unknown, altered or belongs to another listing.
    InvalidNextToken,
    /// A parameter value is not acceptable.
    InvalidParameter,
    /// A policy document is malformed.
    InvalidPolicy,
    /// The request as a whole is not acceptable.
    InvalidRequest,
    /// The record is in a state that does not allow this.
    InvalidState,
    /// A tag is not acceptable.
    InvalidTag,
    /// A refusal that only KMS knows.
    Kms(kms::Fault),
    /// A named limit would be passed.
    LimitExceeded,
    /// Certificate text cannot be parsed.
    MalformedCertificate,
    /// A certificate signing request cannot be parsed or its signature does not verify.
    MalformedCsr,
    /// A policy that callers may not attach.
    NotAttachable,
    /// The named record does not exist (in this account and region).
    NotFound,
    /// The request was already carried out.
    RequestAlreadyProcessed,
    /// The request failed for good.
    RequestFailed,
    /// The work asked for is not finished yet.
    RequestInProgress,
    /// The record is used by something and cannot be removed.
    ResourceInUse,
    /// A refusal that only Secrets Manager knows.
    Secrets(secrets::Fault),
    /// More tags than a resource may have.
    TooManyTags,
    /// The service cannot answer now; trying again later may work.
    Unavailable,
    /// A constraint of the request is not satisfied.
    Validation,
}
