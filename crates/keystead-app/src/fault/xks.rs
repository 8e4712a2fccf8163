//! The names of the external key store proxy API ("Error codes" of its specification).

use keystead_core::ErrorKind;
use keystead_core::kms::Fault;

/// The name and the HTTP status for `kind`.
pub(super) fn code(kind: ErrorKind) -> (&'static str, u16) {
    match kind {
        ErrorKind::AccessDenied => ("AccessDeniedException", 403),
        ErrorKind::NotFound => ("KeyNotFoundException", 404),
        ErrorKind::LimitExceeded => ("ThrottlingException", 429),
        ErrorKind::InvalidState | ErrorKind::ResourceInUse => ("InvalidStateException", 400),
        ErrorKind::InvalidArgs
        | ErrorKind::InvalidArn
        | ErrorKind::InvalidParameter
        | ErrorKind::InvalidRequest
        | ErrorKind::Validation => ("ValidationException", 400),
        ErrorKind::Unavailable => ("DependencyTimeoutException", 503),
        ErrorKind::Kms(fault) => own(fault),
        ErrorKind::AlreadyExists
        | ErrorKind::CertificateMismatch
        | ErrorKind::ConcurrentModification
        | ErrorKind::Conflict
        | ErrorKind::ExpiredToken
        | ErrorKind::IdentityProviderUnreachable
        | ErrorKind::Internal
        | ErrorKind::InvalidDomainValidationOptions
        | ErrorKind::InvalidIdentityToken
        | ErrorKind::InvalidMessage
        | ErrorKind::InvalidNextToken
        | ErrorKind::InvalidPolicy
        | ErrorKind::InvalidTag
        | ErrorKind::MalformedCertificate
        | ErrorKind::MalformedCsr
        | ErrorKind::NotAttachable
        | ErrorKind::RequestAlreadyProcessed
        | ErrorKind::RequestFailed
        | ErrorKind::RequestInProgress
        | ErrorKind::Secrets(_)
        | ErrorKind::TooManyTags => INTERNAL,
    }
}

fn own(fault: Fault) -> (&'static str, u16) {
    match fault {
        Fault::Disabled => ("InvalidStateException", 400),
        Fault::InvalidCiphertext => ("InvalidCiphertextException", 400),
        Fault::InvalidKeyUsage => ("InvalidKeyUsageException", 400),
        Fault::UnsupportedOperation => ("UnsupportedOperationException", 501),
        Fault::DependencyTimeout => ("DependencyTimeoutException", 503),
        Fault::XksProxyInvalidConfiguration => ("InvalidUriPathException", 404),
        _ => INTERNAL,
    }
}

/// "For example due to failure of the backing key manager".
const INTERNAL: (&str, u16) = ("InternalException", 500);
