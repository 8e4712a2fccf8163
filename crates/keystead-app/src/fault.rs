//! The one map from what went wrong to AWS's error codes.
//!
//! Code names and statuses are those of the service models; the awsJson services answer every fault
//! of the caller with 400, the query services as their model says ("Common Errors" of each API
//! reference).

use keystead_core::{Error, ErrorKind};
use keystead_wire::error::ErrorAnswer;
use keystead_wire::schema::OperationDef;

/// The refusal of `operation` as the caller sees it. Where the model declares the code, its status
/// is the model's.
///
/// An internal error's message may name files and causes that concern the operator alone: the
/// caller gets a request id to ask with.
pub fn answer(operation: &OperationDef, error: &Error) -> ErrorAnswer {
    let (code, status) = code(operation.service.signing_name, error.kind);
    let declared = operation.errors.iter().find(|declared| declared.name == code);
    let message = match error.kind {
        ErrorKind::Internal => {
            "An internal error has occurred. The server's log names the cause under this request id."
        }
        _ => &error.message,
    };
    ErrorAnswer::new(code, declared.map_or(status, |declared| declared.status), message)
}

/// The error code and the HTTP status that `service` (its signing name) answers for `kind`.
pub fn code(service: &str, kind: ErrorKind) -> (&'static str, u16) {
    let service = match service {
        "acm-pca" => Service::Pca,
        "acm" => Service::Acm,
        "sts" => Service::Sts,
        _ => Service::Keystead,
    };
    match kind {
        ErrorKind::AccessDenied => match service {
            Service::Sts => ("AccessDenied", 403),
            Service::Pca | Service::Acm | Service::Keystead => ("AccessDeniedException", 400),
        },
        ErrorKind::AlreadyExists => match service {
            Service::Pca => ("PermissionAlreadyExistsException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ConflictException", 400),
        },
        ErrorKind::CertificateMismatch => match service {
            Service::Pca => ("CertificateMismatchException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::ConcurrentModification => match service {
            Service::Pca => ("ConcurrentModificationException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ConflictException", 400),
        },
        ErrorKind::Conflict => ("ConflictException", 400),
        ErrorKind::Internal => match service {
            Service::Acm | Service::Pca | Service::Sts | Service::Keystead => ("InternalFailure", 500),
        },
        ErrorKind::InvalidArgs => match service {
            Service::Pca | Service::Acm => ("InvalidArgsException", 400),
            Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::InvalidArn => ("InvalidArnException", 400),
        ErrorKind::InvalidDomainValidationOptions => ("InvalidDomainValidationOptionsException", 400),
        ErrorKind::InvalidNextToken => match service {
            Service::Pca => ("InvalidNextTokenException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::InvalidParameter => match service {
            Service::Acm => ("InvalidParameterException", 400),
            Service::Pca => ("InvalidArgsException", 400),
            Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::InvalidPolicy => ("InvalidPolicyException", 400),
        ErrorKind::InvalidRequest => match service {
            Service::Pca => ("InvalidRequestException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::InvalidState => match service {
            Service::Pca | Service::Acm => ("InvalidStateException", 400),
            Service::Sts | Service::Keystead => ("ConflictException", 400),
        },
        ErrorKind::InvalidTag => match service {
            Service::Pca | Service::Acm => ("InvalidTagException", 400),
            Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::LimitExceeded => ("LimitExceededException", 400),
        ErrorKind::MalformedCertificate => match service {
            Service::Pca => ("MalformedCertificateException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::MalformedCsr => match service {
            Service::Pca => ("MalformedCSRException", 400),
            Service::Acm | Service::Sts | Service::Keystead => ("ValidationException", 400),
        },
        ErrorKind::NotFound => ("ResourceNotFoundException", 400),
        ErrorKind::RequestAlreadyProcessed => ("RequestAlreadyProcessedException", 400),
        ErrorKind::RequestFailed => ("RequestFailedException", 400),
        ErrorKind::RequestInProgress => ("RequestInProgressException", 400),
        ErrorKind::ResourceInUse => ("ResourceInUseException", 400),
        ErrorKind::TooManyTags => ("TooManyTagsException", 400),
        ErrorKind::Unavailable => ("ServiceUnavailable", 503),
        ErrorKind::Validation => ("ValidationException", 400),
    }
}

enum Service {
    Pca,
    Acm,
    Sts,
    Keystead,
}
