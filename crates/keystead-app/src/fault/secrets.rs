//! Secrets Manager's codes, as its model names the shapes. What the model cannot say goes by the common errors.

use keystead_core::ErrorKind;
use keystead_core::secrets::Fault;

/// The error code and the HTTP status for `kind`.
pub(super) fn code(kind: ErrorKind) -> (&'static str, u16) {
    let code = match kind {
        ErrorKind::AccessDenied => "AccessDeniedException",
        ErrorKind::AlreadyExists => "ResourceExistsException",
        ErrorKind::Internal | ErrorKind::RequestFailed | ErrorKind::IdentityProviderUnreachable => {
            return ("InternalServiceError", 500);
        }
        ErrorKind::Unavailable => return ("ServiceUnavailable", 503),
        ErrorKind::InvalidNextToken => "InvalidNextTokenException",
        ErrorKind::InvalidPolicy => "MalformedPolicyDocumentException",
        ErrorKind::ConcurrentModification
        | ErrorKind::Conflict
        | ErrorKind::InvalidRequest
        | ErrorKind::InvalidState
        | ErrorKind::RequestAlreadyProcessed
        | ErrorKind::RequestInProgress
        | ErrorKind::ResourceInUse => "InvalidRequestException",
        ErrorKind::LimitExceeded | ErrorKind::TooManyTags => "LimitExceededException",
        ErrorKind::NotFound => "ResourceNotFoundException",
        // What KMS refuses, the use cases tell apart: what seals from what opens.
        ErrorKind::Kms(_) => return ("InternalServiceError", 500),
        ErrorKind::Secrets(fault) => match fault {
            Fault::Decryption => "DecryptionFailure",
            Fault::Encryption => "EncryptionFailure",
            Fault::Precondition => "PreconditionNotMetException",
            Fault::PublicPolicy => "PublicPolicyException",
        },
        ErrorKind::Validation => "ValidationException",
        ErrorKind::CertificateMismatch
        | ErrorKind::ExpiredToken
        | ErrorKind::InvalidArgs
        | ErrorKind::InvalidArn
        | ErrorKind::InvalidDomainValidationOptions
        | ErrorKind::InvalidIdentityToken
        | ErrorKind::InvalidMessage
        | ErrorKind::InvalidParameter
        | ErrorKind::InvalidTag
        | ErrorKind::MalformedCertificate
        | ErrorKind::MalformedCsr
        | ErrorKind::NotAttachable => "InvalidParameterException",
    };
    (code, 400)
}
