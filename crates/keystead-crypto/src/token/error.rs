//! What can go wrong with a token, by meaning.

use std::fmt;

use cryptoki::context::Function;
use cryptoki::error::{Error as ModuleError, RvError as Rv};

/// Why a token does not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenFailure {
    /// The configuration names no such token.
    Unknown,
    /// Its module cannot be loaded, or does not start.
    Module,
    /// No slot of its module has it, or several have one that fits.
    NotFound,
    /// Its PIN is another one.
    PinIncorrect,
    /// Its PIN is locked, after too many wrong ones.
    PinLocked,
    /// There is no PIN to try: its file cannot be read, or the token wants another one first.
    PinUnusable,
    /// It does not answer in time.
    NotAnswering,
    /// It was there, and is gone.
    Lost,
    /// It has too much to do already; trying again later may work.
    Busy,
    /// It was disconnected by whoever runs this program.
    Disconnected,
    /// It does not have the key.
    KeyMissing,
    /// It, or its module, cannot do this.
    Unsupported,
    /// It refused, and said nothing better about why.
    Refused,
}

/// A refusal or failure of a token. The text never contains a secret; it is for the operator, and
/// tells of files and modules: callers are told [`TokenError::for_callers`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenError {
    /// What code branches on.
    pub failure: TokenFailure,
    /// What a person reads.
    pub message: String,
}

impl TokenError {
    /// What a caller may know who is not the operator.
    pub fn for_callers(&self) -> &'static str {
        match self.failure {
            TokenFailure::NotAnswering => {
                "The token that has the key does not answer in time. Try again later."
            }
            TokenFailure::KeyMissing => "The token that had the key does not have it any more.",
            TokenFailure::Refused => {
                "The token that has the key refused to use it. Ask the operator of the server."
            }
            _ => "The token that has the key is not connected. Try again later.",
        }
    }

    pub(crate) fn new(failure: TokenFailure, message: impl Into<String>) -> Self {
        Self {
            failure,
            message: message.into(),
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TokenError {}

/// What a call into the module came to, when it was not what was hoped for.
#[derive(Debug)]
pub(super) enum Failure {
    /// The module's own word.
    Module(ModuleError),
    /// Ours.
    Said(TokenError),
}

impl From<ModuleError> for Failure {
    fn from(error: ModuleError) -> Self {
        Self::Module(error)
    }
}

impl From<TokenError> for Failure {
    fn from(error: TokenError) -> Self {
        Self::Said(error)
    }
}

/// What follows from the module's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The token, or our being logged in, is gone: connect anew.
    Gone,
    /// What was known of the token's objects is out of date: look for the key again.
    Stale,
    /// The session is in the middle of something: take another one.
    Entangled,
    /// It cannot do this.
    Unsupported,
    /// It says little: ask whether the token is still there.
    Unclear,
}

/// PKCS #11 version 3.1 section 5.1.
pub(super) fn meaning(error: &ModuleError) -> Meaning {
    let ModuleError::Pkcs11(rv, function) = error else {
        return match error {
            ModuleError::NullFunctionPointer | ModuleError::NotSupported => Meaning::Unsupported,
            _ => Meaning::Unclear,
        };
    };
    match rv {
        Rv::DeviceRemoved
        | Rv::TokenNotPresent
        | Rv::TokenNotRecognized
        | Rv::SlotIdInvalid
        | Rv::SessionHandleInvalid
        | Rv::SessionClosed
        | Rv::UserNotLoggedIn
        | Rv::CryptokiNotInitialized => Meaning::Gone,
        Rv::ObjectHandleInvalid | Rv::KeyHandleInvalid => Meaning::Stale,
        Rv::OperationActive | Rv::OperationNotInitialized => Meaning::Entangled,
        Rv::MechanismInvalid
        | Rv::MechanismParamInvalid
        | Rv::FunctionNotSupported
        | Rv::KeySizeRange
        | Rv::CurveNotSupported
        | Rv::DomainParamsInvalid
        | Rv::KeyFunctionNotPermitted
        | Rv::KeyTypeInconsistent => Meaning::Unsupported,
        // What an operation begins with is the same each time: a token that takes offence does not
        // know it (SoftHSM, of OAEP with another hash than SHA-1).
        Rv::ArgumentsBad if matches!(function, Function::SignInit | Function::DecryptInit) => {
            Meaning::Unsupported
        }
        _ => Meaning::Unclear,
    }
}

/// Whether the module may have found that a ciphertext is not one of the key's. Some have no better
/// words for it than that something failed (SoftHSM).
pub(super) fn may_be_undecipherable(error: &ModuleError) -> bool {
    matches!(
        error,
        ModuleError::Pkcs11(
            Rv::EncryptedDataInvalid
                | Rv::EncryptedDataLenRange
                | Rv::DataInvalid
                | Rv::DataLenRange
                | Rv::GeneralError
                | Rv::FunctionFailed,
            Function::Decrypt
        )
    )
}

/// The module's answer for a reader.
pub(super) fn said(error: &ModuleError) -> String {
    match error {
        ModuleError::Pkcs11(rv, function) => format!("C_{function:?} answered {rv:?}"),
        other => other.to_string(),
    }
}
