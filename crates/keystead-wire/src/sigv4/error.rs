//! The ways to fail, and what AWS calls each of them.

use std::fmt;

use crate::ErrorAnswer;

/// Why a request is not authentic. The text never contains a signature, a canonical request or a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthError {
    /// The request carries no signature at all.
    Missing,
    /// A part of the signature is missing or malformed.
    Incomplete(String),
    /// The signature is well-formed, but not for here and now: expired, not yet current, another
    /// scope, a header left out.
    Invalid(String),
    /// The signature is another than the key gives for this request.
    Mismatch,
    /// Nobody has this access key, it is inactive, or its session token is not the right one.
    UnknownKey,
    /// The session token was right, and has expired.
    ExpiredToken,
}

/// The families of error codes. The same refusal has other names in awsJson and in query services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorStyle {
    /// awsJson and rpc-v2-cbor: ACM, Private CA, KMS, Secrets Manager.
    Json,
    /// Query with XML: STS, IAM, SNS, CloudFormation.
    Query,
    /// REST with JSON: Roles Anywhere.
    Rest,
    /// The external key store proxy API.
    XksProxy,
    /// Amazon S3.
    S3,
}

impl AuthError {
    /// What the caller is answered.
    pub fn answer(&self, style: ErrorStyle) -> ErrorAnswer {
        let (code, status) = match style {
            ErrorStyle::Json => (self.json_code(), 400),
            ErrorStyle::Query => self.query_code(),
            // The same codes, as 403 (Roles Anywhere API reference, "Common errors").
            ErrorStyle::Rest => (self.json_code(), 403),
            // One name for all ("Error codes" of its specification).
            ErrorStyle::S3 => self.s3_code(),
            ErrorStyle::XksProxy => ("AuthenticationFailedException", 401),
        };
        ErrorAnswer::new(code, status, self.message(style))
    }

    /// The common errors of awsJson services; all are status 400 (KMS API reference, "Common
    /// errors").
    fn json_code(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::Invalid(_) | Self::Mismatch => "InvalidSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::ExpiredToken => "ExpiredTokenException",
        }
    }

    /// The common errors of query services (STS API reference, "Common errors", and the statuses
    /// that STS really sends).
    fn query_code(&self) -> (&'static str, u16) {
        match self {
            Self::Missing => ("MissingAuthenticationToken", 403),
            Self::Incomplete(_) => ("IncompleteSignature", 400),
            Self::Invalid(_) | Self::Mismatch => ("SignatureDoesNotMatch", 403),
            Self::UnknownKey => ("InvalidClientTokenId", 403),
            Self::ExpiredToken => ("ExpiredToken", 403),
        }
    }

    /// S3 API reference, "Error responses", "List of error codes".
    fn s3_code(&self) -> (&'static str, u16) {
        match self {
            Self::Missing => ("AccessDenied", 403),
            Self::Incomplete(_) => ("AuthorizationHeaderMalformed", 400),
            Self::Invalid(_) => ("AccessDenied", 403),
            Self::Mismatch => ("SignatureDoesNotMatch", 403),
            Self::UnknownKey => ("InvalidAccessKeyId", 403),
            Self::ExpiredToken => ("ExpiredToken", 400),
        }
    }

    fn message(&self, style: ErrorStyle) -> &str {
        match self {
            Self::Missing => match style {
                ErrorStyle::Json | ErrorStyle::Rest | ErrorStyle::XksProxy => {
                    "Missing Authentication Token"
                }
                ErrorStyle::Query => "Request is missing Authentication Token",
                ErrorStyle::S3 => "Access Denied",
            },
            Self::Incomplete(message) | Self::Invalid(message) => message,
            Self::Mismatch => {
                "The request signature we calculated does not match the signature you provided. \
                 Check your AWS Secret Access Key and signing method. Consult the service \
                 documentation for details."
            }
            Self::UnknownKey => "The security token included in the request is invalid.",
            Self::ExpiredToken => "The security token included in the request is expired",
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message(ErrorStyle::Json))
    }
}

impl std::error::Error for AuthError {}
