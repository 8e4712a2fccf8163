//! What can go wrong here, by meaning.

use std::fmt;
use std::path::PathBuf;

use keystead_core::kms::Fault;
use keystead_core::{Error, ErrorKind};

use crate::token::{TokenError, TokenFailure};

/// A refusal or failure of this crate. The text never contains a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CryptoError {
    /// The pool's queue is full; trying again later may work.
    Busy,
    /// Bytes from outside are not what they should be: what was wrong, what was expected.
    Malformed(String),
    /// Well-formed, but of a kind that is not served: what is served instead.
    Unsupported(String),
    /// A signature does not verify.
    BadSignature(String),
    /// Things that should belong together do not (key and certificate, certificate and issuer).
    Mismatch(String),
    /// Sealed bytes cannot be opened: altered, moved, torn, or sealed under another key.
    Sealed(String),
    /// Wrapped key material does not unwrap: altered, or wrapped for another key or by another
    /// algorithm.
    NotUnwrapped(String),
    /// Key material unwraps, but is not what its key takes: what was expected.
    WrongMaterial(String),
    /// There is no root key file at this path.
    RootKeyMissing(PathBuf),
    /// The root key file is unsafe, damaged, in the way, or belongs to another store.
    RootKey(String),
    /// The token that a key is in does not do its part.
    Token(TokenError),
    /// The library or the operating system failed where neither should.
    Internal(String),
}

impl CryptoError {
    /// The library refused an operation whose input was valid.
    pub(crate) fn library(operation: &str) -> Self {
        Self::Internal(format!("the cryptographic library failed to {operation}"))
    }
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("too many key operations are waiting, try again later"),
            Self::RootKeyMissing(path) => {
                write!(f, "there is no root key file at {}", path.display())
            }
            Self::Malformed(message)
            | Self::Unsupported(message)
            | Self::BadSignature(message)
            | Self::Mismatch(message)
            | Self::Sealed(message)
            | Self::NotUnwrapped(message)
            | Self::WrongMaterial(message)
            | Self::RootKey(message)
            | Self::Internal(message) => f.write_str(message),
            Self::Token(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CryptoError {}

/// What a token cannot do is refused as what the program cannot do, and a token that is too busy is
/// no different from a program that is.
impl From<TokenError> for CryptoError {
    fn from(error: TokenError) -> Self {
        match error.failure {
            TokenFailure::Busy => Self::Busy,
            TokenFailure::Unsupported => Self::Unsupported(error.message),
            _ => Self::Token(error),
        }
    }
}

/// The meaning where the caller knows no better one; a use case that knows whether it read a
/// request or a certificate chooses its own kind.
impl From<CryptoError> for Error {
    fn from(error: CryptoError) -> Self {
        if let CryptoError::Token(error) = error {
            return Self::new(ErrorKind::Unavailable, error.for_callers());
        }
        let kind = match error {
            CryptoError::Busy | CryptoError::Token(_) => ErrorKind::Unavailable,
            CryptoError::Malformed(_)
            | CryptoError::Unsupported(_)
            | CryptoError::BadSignature(_) => ErrorKind::InvalidArgs,
            CryptoError::Mismatch(_) => ErrorKind::CertificateMismatch,
            CryptoError::NotUnwrapped(_) => ErrorKind::Kms(Fault::InvalidCiphertext),
            CryptoError::WrongMaterial(_) => ErrorKind::Kms(Fault::IncorrectKeyMaterial),
            CryptoError::Sealed(_)
            | CryptoError::RootKeyMissing(_)
            | CryptoError::RootKey(_)
            | CryptoError::Internal(_) => ErrorKind::Internal,
        };
        Self::new(kind, error.to_string())
    }
}
