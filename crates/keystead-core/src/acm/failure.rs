//! Why a request or renewal failed: the API's words, and what each means for trying again.

use serde::{Deserialize, Serialize};

use crate::error::ErrorKind;

/// The API's `FailureReason`, those that Keystead produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the API's")]
pub enum FailureReason {
    PcaLimitExceeded,
    PcaInvalidArn,
    PcaInvalidState,
    PcaRequestFailed,
    PcaResourceNotFound,
    PcaInvalidArgs,
    PcaInvalidDuration,
    PcaAccessDenied,
    Other,
}

impl FailureReason {
    /// The model's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PcaLimitExceeded => "PCA_LIMIT_EXCEEDED",
            Self::PcaInvalidArn => "PCA_INVALID_ARN",
            Self::PcaInvalidState => "PCA_INVALID_STATE",
            Self::PcaRequestFailed => "PCA_REQUEST_FAILED",
            Self::PcaResourceNotFound => "PCA_RESOURCE_NOT_FOUND",
            Self::PcaInvalidArgs => "PCA_INVALID_ARGS",
            Self::PcaInvalidDuration => "PCA_INVALID_DURATION",
            Self::PcaAccessDenied => "PCA_ACCESS_DENIED",
            Self::Other => "OTHER",
        }
    }
}

/// A private CA's refusal, as ACM sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The API's word for it.
    pub reason: FailureReason,
    /// Whether somebody has to do something before another attempt can succeed.
    pub lasting: bool,
}

impl Failure {
    /// What a private CA's refusal of this kind means (ACM user guide, "Handling exceptions", which
    /// gives the CA's exception for each of ACM's reasons).
    pub fn of_authority(kind: ErrorKind) -> Self {
        use FailureReason as R;
        let lasting = |reason| Self {
            reason,
            lasting: true,
        };
        match kind {
            ErrorKind::AccessDenied => lasting(R::PcaAccessDenied),
            ErrorKind::InvalidArgs | ErrorKind::InvalidParameter => lasting(R::PcaInvalidArgs),
            ErrorKind::InvalidArn => lasting(R::PcaInvalidArn),
            ErrorKind::InvalidState => lasting(R::PcaInvalidState),
            ErrorKind::LimitExceeded => lasting(R::PcaLimitExceeded),
            ErrorKind::NotFound => lasting(R::PcaResourceNotFound),
            ErrorKind::Validation => lasting(R::PcaInvalidDuration),
            ErrorKind::ConcurrentModification
            | ErrorKind::Internal
            | ErrorKind::RequestInProgress
            | ErrorKind::Unavailable => Self {
                reason: R::PcaRequestFailed,
                lasting: false,
            },
            ErrorKind::AlreadyExists
            | ErrorKind::CertificateMismatch
            | ErrorKind::Conflict
            | ErrorKind::ExpiredToken
            | ErrorKind::IdentityProviderUnreachable
            | ErrorKind::InvalidDomainValidationOptions
            | ErrorKind::InvalidIdentityToken
            | ErrorKind::InvalidMessage
            | ErrorKind::InvalidNextToken
            | ErrorKind::InvalidPolicy
            | ErrorKind::InvalidRequest
            | ErrorKind::InvalidTag
            | ErrorKind::Kms(_)
            | ErrorKind::MalformedCertificate
            | ErrorKind::MalformedCsr
            | ErrorKind::NotAttachable
            | ErrorKind::RequestAlreadyProcessed
            | ErrorKind::RequestFailed
            | ErrorKind::ResourceInUse
            | ErrorKind::Secrets(_)
            | ErrorKind::TooManyTags => lasting(R::PcaRequestFailed),
        }
    }
}
