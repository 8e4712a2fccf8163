//! The one map from what went wrong to AWS's error codes.
//!
//! Code names and statuses are those of the service models; the awsJson services answer every fault
//! of the caller with 400, the query services as their model says ("Common Errors" of each API
//! reference).

mod kms;
mod secrets;
mod xks;

use keystead_core::{Error, ErrorKind};
use keystead_wire::error::ErrorAnswer;
use keystead_wire::schema::OperationDef;

use crate::Ctx;

/// The refusal of `operation` as the caller sees it. Where the model declares the code, its status
/// is the model's.
///
/// An internal error's message may name files and causes that concern the operator alone: the
/// caller gets a request id to ask with.
pub fn answer(operation: &OperationDef, error: &Error) -> ErrorAnswer {
    let (code, status) = code(operation.service.signing_name, error.kind);
    let declared = operation
        .errors
        .iter()
        .find(|declared| declared.name == code);
    let message = match error.kind {
        ErrorKind::Internal => {
            "An internal error has occurred. The server's log names the cause under this request id."
        }
        _ => &error.message,
    };
    ErrorAnswer::new(
        code,
        declared.map_or(status, |declared| declared.status),
        message,
    )
}

/// The refusal of an object as the caller sees it (S3 API reference, "List of error codes").
pub fn of_object(ctx: &Ctx, error: &Error) -> ErrorAnswer {
    let (code, status) = match error.kind {
        ErrorKind::AccessDenied => ("AccessDenied", 403),
        ErrorKind::NotFound => ("NoSuchKey", 404),
        ErrorKind::Unavailable => ("ServiceUnavailable", 503),
        _ => {
            let request_id = &ctx.request_id;
            tracing::error!(request_id, error = error.message, "an object can't be read");
            let message = "We encountered an internal error. Please try again.";
            return ErrorAnswer::new("InternalError", 500, message);
        }
    };
    ErrorAnswer::new(code, status, error.message.clone())
}

/// The error code and the HTTP status that `service` (its signing name) answers for `kind`.
pub fn code(service: &str, kind: ErrorKind) -> (&'static str, u16) {
    let service = match service {
        "iam" => return iam(kind),
        "kms" => return kms::code(kind),
        "kms-xks-proxy" => return xks::code(kind),
        "secretsmanager" => return secrets::code(kind),
        "sts" => return sts(kind),
        "rolesanywhere" => return roles_anywhere(kind),
        "acm-pca" => Service::Pca,
        "acm" => Service::Acm,
        _ => Service::Keystead,
    };
    let code = match kind {
        ErrorKind::AccessDenied => "AccessDeniedException",
        ErrorKind::AlreadyExists => {
            service.pca("PermissionAlreadyExistsException", "ConflictException")
        }
        ErrorKind::CertificateMismatch => service.pca("CertificateMismatchException", VALIDATION),
        ErrorKind::ConcurrentModification => {
            service.pca("ConcurrentModificationException", "ConflictException")
        }
        ErrorKind::Conflict => "ConflictException",
        ErrorKind::ExpiredToken => "ExpiredTokenException",
        ErrorKind::Internal => return ("InternalFailure", 500),
        ErrorKind::InvalidArgs => service.certificates("InvalidArgsException", VALIDATION),
        ErrorKind::InvalidArn => "InvalidArnException",
        ErrorKind::InvalidDomainValidationOptions => "InvalidDomainValidationOptionsException",
        ErrorKind::IdentityProviderUnreachable
        | ErrorKind::InvalidIdentityToken
        | ErrorKind::InvalidMessage => VALIDATION,
        ErrorKind::InvalidNextToken => service.pca("InvalidNextTokenException", VALIDATION),
        ErrorKind::InvalidParameter => match service {
            Service::Acm => "InvalidParameterException",
            Service::Pca => "InvalidArgsException",
            Service::Keystead => VALIDATION,
        },
        ErrorKind::InvalidPolicy => "InvalidPolicyException",
        ErrorKind::InvalidRequest => service.pca("InvalidRequestException", VALIDATION),
        ErrorKind::InvalidState => {
            service.certificates("InvalidStateException", "ConflictException")
        }
        ErrorKind::InvalidTag => service.certificates("InvalidTagException", VALIDATION),
        // KMS refuses what a certificate service asks of it: what its state is, is the caller's.
        ErrorKind::Kms(_) => service.certificates("InvalidStateException", "ConflictException"),
        ErrorKind::Secrets(_) => return ("InternalFailure", 500),
        ErrorKind::LimitExceeded => "LimitExceededException",
        ErrorKind::MalformedCertificate => service.pca("MalformedCertificateException", VALIDATION),
        ErrorKind::MalformedCsr => service.pca("MalformedCSRException", VALIDATION),
        ErrorKind::NotFound => "ResourceNotFoundException",
        ErrorKind::RequestAlreadyProcessed => "RequestAlreadyProcessedException",
        ErrorKind::RequestFailed => "RequestFailedException",
        ErrorKind::RequestInProgress => "RequestInProgressException",
        ErrorKind::ResourceInUse => "ResourceInUseException",
        ErrorKind::TooManyTags => "TooManyTagsException",
        ErrorKind::Unavailable => return ("ServiceUnavailable", 503),
        ErrorKind::NotAttachable | ErrorKind::Validation => VALIDATION,
    };
    (code, 400)
}

/// IAM's codes as its model names the shapes; in answers they lose the word `Exception` (model,
/// `error.code`).
fn iam(kind: ErrorKind) -> (&'static str, u16) {
    match kind {
        ErrorKind::AccessDenied => ("AccessDenied", 403),
        ErrorKind::AlreadyExists => ("EntityAlreadyExistsException", 409),
        ErrorKind::ConcurrentModification | ErrorKind::Conflict => {
            ("ConcurrentModificationException", 409)
        }
        ErrorKind::Internal | ErrorKind::RequestFailed | ErrorKind::Secrets(_) => {
            ("ServiceFailureException", 500)
        }
        ErrorKind::InvalidParameter
        | ErrorKind::InvalidRequest
        | ErrorKind::InvalidTag
        | ErrorKind::CertificateMismatch
        | ErrorKind::InvalidDomainValidationOptions
        | ErrorKind::MalformedCertificate
        | ErrorKind::MalformedCsr => ("InvalidInputException", 400),
        ErrorKind::ExpiredToken
        | ErrorKind::IdentityProviderUnreachable
        | ErrorKind::InvalidArgs
        | ErrorKind::InvalidArn
        | ErrorKind::InvalidIdentityToken
        | ErrorKind::InvalidMessage
        | ErrorKind::InvalidNextToken
        | ErrorKind::Validation => ("ValidationError", 400),
        ErrorKind::InvalidPolicy => ("MalformedPolicyDocumentException", 400),
        ErrorKind::InvalidState | ErrorKind::Kms(_) => ("UnmodifiableEntityException", 400),
        ErrorKind::LimitExceeded | ErrorKind::TooManyTags => ("LimitExceededException", 409),
        ErrorKind::NotAttachable => ("PolicyNotAttachableException", 400),
        ErrorKind::NotFound => ("NoSuchEntityException", 404),
        ErrorKind::RequestAlreadyProcessed | ErrorKind::RequestInProgress => {
            ("EntityTemporarilyUnmodifiableException", 409)
        }
        ErrorKind::ResourceInUse => ("DeleteConflictException", 409),
        ErrorKind::Unavailable => ("ServiceUnavailable", 503),
    }
}

/// STS's codes as its model names the shapes.
fn sts(kind: ErrorKind) -> (&'static str, u16) {
    match kind {
        ErrorKind::AccessDenied => ("AccessDenied", 403),
        ErrorKind::ExpiredToken => ("ExpiredTokenException", 400),
        ErrorKind::IdentityProviderUnreachable => ("IDPCommunicationErrorException", 400),
        ErrorKind::InvalidIdentityToken => ("InvalidIdentityTokenException", 400),
        ErrorKind::InvalidMessage => ("InvalidAuthorizationMessageException", 400),
        ErrorKind::InvalidPolicy => ("MalformedPolicyDocumentException", 400),
        ErrorKind::InvalidTag => ("InvalidParameterValue", 400),
        ErrorKind::LimitExceeded => ("PackedPolicyTooLargeException", 400),
        ErrorKind::Internal | ErrorKind::RequestFailed | ErrorKind::Secrets(_) => {
            ("InternalFailure", 500)
        }
        ErrorKind::Unavailable => ("ServiceUnavailable", 503),
        ErrorKind::AlreadyExists
        | ErrorKind::CertificateMismatch
        | ErrorKind::ConcurrentModification
        | ErrorKind::Conflict
        | ErrorKind::InvalidArgs
        | ErrorKind::InvalidArn
        | ErrorKind::InvalidDomainValidationOptions
        | ErrorKind::InvalidNextToken
        | ErrorKind::InvalidParameter
        | ErrorKind::InvalidRequest
        | ErrorKind::InvalidState
        | ErrorKind::Kms(_)
        | ErrorKind::MalformedCertificate
        | ErrorKind::MalformedCsr
        | ErrorKind::NotAttachable
        | ErrorKind::NotFound
        | ErrorKind::RequestAlreadyProcessed
        | ErrorKind::RequestInProgress
        | ErrorKind::ResourceInUse
        | ErrorKind::TooManyTags
        | ErrorKind::Validation => ("ValidationError", 400),
    }
}

/// Roles Anywhere's codes: its model has five, and its answers have the status of each.
fn roles_anywhere(kind: ErrorKind) -> (&'static str, u16) {
    match kind {
        ErrorKind::AccessDenied | ErrorKind::ExpiredToken => ("AccessDeniedException", 403),
        ErrorKind::NotFound => ("ResourceNotFoundException", 404),
        ErrorKind::TooManyTags => ("TooManyTagsException", 400),
        ErrorKind::Internal | ErrorKind::RequestFailed | ErrorKind::Secrets(_) => {
            ("InternalFailure", 500)
        }
        ErrorKind::ConcurrentModification
        | ErrorKind::IdentityProviderUnreachable
        | ErrorKind::RequestInProgress
        | ErrorKind::Unavailable => ("ServiceUnavailableException", 503),
        ErrorKind::AlreadyExists
        | ErrorKind::CertificateMismatch
        | ErrorKind::Conflict
        | ErrorKind::InvalidArgs
        | ErrorKind::InvalidArn
        | ErrorKind::InvalidDomainValidationOptions
        | ErrorKind::InvalidIdentityToken
        | ErrorKind::InvalidMessage
        | ErrorKind::InvalidNextToken
        | ErrorKind::InvalidParameter
        | ErrorKind::InvalidPolicy
        | ErrorKind::InvalidRequest
        | ErrorKind::InvalidState
        | ErrorKind::InvalidTag
        | ErrorKind::Kms(_)
        | ErrorKind::LimitExceeded
        | ErrorKind::MalformedCertificate
        | ErrorKind::MalformedCsr
        | ErrorKind::NotAttachable
        | ErrorKind::RequestAlreadyProcessed
        | ErrorKind::ResourceInUse
        | ErrorKind::Validation => (VALIDATION, 400),
    }
}

const VALIDATION: &str = "ValidationException";

enum Service {
    Pca,
    Acm,
    Keystead,
}

impl Service {
    /// The private CA's code, or that of the others.
    fn pca(&self, its: &'static str, others: &'static str) -> &'static str {
        match self {
            Self::Pca => its,
            Self::Acm | Self::Keystead => others,
        }
    }

    /// The code of both certificate services, or that of the others.
    fn certificates(&self, theirs: &'static str, others: &'static str) -> &'static str {
        match self {
            Self::Pca | Self::Acm => theirs,
            Self::Keystead => others,
        }
    }
}
