//! The one form in which a refusal leaves: code, status, text. Each protocol renders it its way.

use std::fmt;

/// An error as the caller will see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorAnswer {
    /// AWS's code, for instance `ResourceNotFoundException`.
    pub code: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What the user reads; never a secret.
    pub message: String,
    /// Where the fault is: the element `Detail` of an error in XML, which AWS's documents have and mostly leave out.
    pub detail: Option<String>,
    /// Why a call was refused, sealed: for the user to carry to an administrator, who may read it
    /// (`sts:DecodeAuthorizationMessage`). A header of printable characters, beside what AWS answers.
    pub sealed_explanation: Option<String>,
}

impl ErrorAnswer {
    /// An error with this code, status and text.
    pub fn new(code: &'static str, status: u16, message: impl Into<String>) -> Self {
        Self {
            code,
            status,
            message: message.into(),
            detail: None,
            sealed_explanation: None,
        }
    }

    /// `SerializationException`, 400: the document is not what the operation takes.
    pub fn serialization(message: impl Into<String>) -> Self {
        Self::new("SerializationException", 400, message)
    }

    /// `ValidationException`, 400: a constraint of the model is broken.
    pub fn validation(message: impl Into<String>) -> Self {
        Self::new("ValidationException", 400, message)
    }

    /// `UnknownOperationException`: no such operation, or one that is not served. 400 in awsJson,
    /// 404 in rpc-v2-cbor (Smithy, "RPC v2 CBOR protocol", "Protocol errors").
    pub fn unknown_operation(status: u16, message: impl Into<String>) -> Self {
        Self::new("UnknownOperationException", status, message)
    }

    /// `InternalFailure`, 500: Keystead's own fault.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new("InternalFailure", 500, message)
    }
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.code, self.status, self.message)
    }
}

impl std::error::Error for ErrorAnswer {}
