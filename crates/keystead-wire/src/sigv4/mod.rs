//! AWS Signature Version 4, both sides, without sockets or clocks: bytes and time in, verdict out.
//!
//! Verifying takes two steps, because the secret is looked up between them:
//!
//! 1. [`parse`] reads the `Authorization` header or the presigned query, and decides everything that
//!    needs no secret: all parts are there, the date is within five minutes (or within
//!    `X-Amz-Expires`), the credential scope fits, `host` is signed. An [`Authorization`] exists only
//!    if all of that holds.
//! 2. [`verify`] recomputes the signature with the [`SigningKey`] of that credential and compares it
//!    in constant time.
//!
//! The checks come in the order that AWS's front ends show (date, `host`, algorithm, credential,
//! scope, key, signature), so that a request with two faults is refused for the same one.
//!
//! No error here carries a signature, a canonical request or a secret. AWS prints the canonical
//! request and the string to sign on a mismatch; we don't (`docs/divergences.md`).
//!
//! Source: IAM user guide, "Create a signed AWS API request" and "Troubleshoot Signature Version 4".

mod authorization;
mod canonical;
mod claim;
mod error;
mod holder;
mod key;
mod sign;
mod time;
mod x509;

use http::{HeaderMap, request};
use keystead_crypto::digest;

pub use authorization::{Authorization, parse};
pub use claim::Claim;
pub use error::{AuthError, ErrorStyle};
pub use holder::ToSign;
pub use key::SigningKey;
pub use sign::{Credentials, Signer};
pub use x509::{Holder, verify_holder};

/// The only algorithm served. SigV4a (`AWS4-ECDSA-P256-SHA256`) is for multi-region endpoints.
pub const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// The fixed end of every credential scope.
const TERMINATOR: &str = "aws4_request";

/// How far the clocks of signer and verifier may be apart, in seconds: the "5 min." of AWS's own
/// messages ("Signature expired: ... - 5 min.").
pub const CLOCK_SKEW_SECONDS: i64 = 5 * 60;

/// The longest validity of a presigned request, in seconds: one week (S3 user guide, "Authenticating
/// requests: using query parameters", `X-Amz-Expires`).
pub const MAX_EXPIRES_SECONDS: i64 = 7 * 24 * 60 * 60;

/// The payload hash that says "the body is not signed".
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

const X_AMZ_DATE: &str = "x-amz-date";
const X_AMZ_CONTENT_SHA256: &str = "x-amz-content-sha256";
const X_AMZ_SECURITY_TOKEN: &str = "x-amz-security-token";

/// The parts of a request that a signature covers, borrowed, exactly as they were on the wire.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// The method, upper-case.
    pub method: &'a str,
    /// The path before `?`, percent-encoded as sent.
    pub path: &'a str,
    /// What stands after `?`, as sent; empty if there is none.
    pub query: &'a str,
    /// HTTP/2's `:authority`, which stands for `host` where that header is absent.
    pub authority: Option<&'a str>,
    /// The headers.
    pub headers: &'a HeaderMap,
}

impl<'a> RequestView<'a> {
    /// The view of a request whose head was read.
    pub fn of(parts: &'a request::Parts) -> Self {
        Self {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            authority: parts.uri.authority().map(|authority| authority.as_str()),
            headers: &parts.headers,
        }
    }
}

/// Where services differ in what they sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// `.`, `..` and repeated slashes are resolved before signing. S3 keys are taken literally.
    pub normalize_path: bool,
    /// The already encoded path is encoded once more. Not so for S3.
    pub double_encode: bool,
    /// A header-signed request may leave its body unsigned, and a presigned one does so unless it
    /// says otherwise: S3 only.
    pub unsigned_payload: bool,
    /// A presigned session token is part of what is signed. Some services add it afterwards instead.
    pub token_signed: bool,
}

impl Rules {
    /// Every service but those named below.
    pub const STANDARD: Self = Self {
        normalize_path: true,
        double_encode: true,
        unsigned_payload: false,
        token_signed: true,
    };

    /// Amazon S3.
    pub const S3: Self = Self {
        normalize_path: false,
        double_encode: false,
        unsigned_payload: true,
        token_signed: true,
    };

    /// The rules of a service by its signing name.
    pub fn of(service: &str) -> Self {
        match service {
            "s3" => Self::S3,
            _ => Self::STANDARD,
        }
    }
}

/// Compares the signature of a parsed request with the one that its key gives.
///
/// `payload` is the SHA-256 of the body as it arrived; if the request declares another
/// (`x-amz-content-sha256`), it is refused. Takes time that does not depend on where signatures
/// differ.
///
/// # Errors
/// [`AuthError::Mismatch`] for a wrong signature or body; [`AuthError::Invalid`] for a payload form
/// that the service does not take (unsigned, streaming).
pub fn verify(
    authorization: &Authorization<'_>,
    view: &RequestView<'_>,
    key: &SigningKey,
    payload: &[u8; 32],
) -> Result<(), AuthError> {
    let payload = authorization.payload_line(view, payload)?;
    let canonical = canonical::request(view, &authorization.coverage(), &payload);
    let to_sign = canonical::string_to_sign(
        ALGORITHM,
        authorization.amz_date(),
        authorization.scope(),
        &digest::sha256(&canonical),
    );
    let expected = key.sign(&to_sign);
    match authorization.signature() {
        Some(given) if digest::constant_time_eq(given, &expected) => Ok(()),
        _ => Err(AuthError::Mismatch),
    }
}
