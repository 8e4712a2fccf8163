//! Import tokens.
//!
//! A token is the wrapping key's private half, which the key ring has sealed, with the algorithm and the time that were
//! asked for; sealed as a whole under a key of its own and bound to the KMS key. An altered token, or another key's, does
//! not open, and there is nothing to store or to clean up.

use jiff::Timestamp;
use keystead_core::kms::{Fault, WrappingAlgorithm};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::StoredMaterial;
use keystead_crypto::seal::TokenSealer;
use keystead_store::{Store, Versioned, decode, encode};
use serde::{Deserialize, Serialize};

/// What a token says.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Token {
    /// The private half of the wrapping key.
    pub(super) wrapping: StoredMaterial,
    /// How key material has to be wrapped.
    pub(super) algorithm: WrappingAlgorithm,
    /// Until when, in microseconds since 1970.
    expires: i64,
}

impl Versioned for Token {
    const MARKER: &'static str = "kms.import-token/1";
}

impl Token {
    /// A token for key material that is wrapped under this key in this way until then.
    pub(super) fn new(
        wrapping: StoredMaterial,
        algorithm: WrappingAlgorithm,
        expires: Timestamp,
    ) -> Self {
        Self {
            wrapping,
            algorithm,
            expires: expires.as_microsecond(),
        }
    }

    /// The token's bytes, for the KMS key with this record key.
    pub(super) fn seal(&self, store: &Store, at: &str) -> Result<Vec<u8>> {
        let plain = encode(self).map_err(|error| {
            let message = format!("cannot write an import token: {error}");
            Error::new(ErrorKind::Internal, message)
        })?;
        Ok(sealer(store)?.seal(at, &plain)?)
    }

    /// Opens what [`Token::seal`] made.
    ///
    /// Refuses with [`Fault::InvalidImportToken`] and [`Fault::ExpiredImportToken`].
    pub(super) fn open(store: &Store, at: &str, sealed: &[u8], now: Timestamp) -> Result<Self> {
        let invalid = || {
            Fault::InvalidImportToken
                .error("The import token is invalid or is associated with a different KMS key.")
        };
        let plain = sealer(store)?.open(at, sealed).map_err(|_| invalid())?;
        let token: Self = decode(&plain).map_err(|_| invalid())?;
        if token.expires <= now.as_microsecond() {
            return Err(Fault::ExpiredImportToken.error(
                "The import token is expired: get a new token and wrapping key by GetParametersForImport, and wrap the key material anew.",
            ));
        }
        Ok(token)
    }
}

fn sealer(store: &Store) -> Result<TokenSealer> {
    Ok(TokenSealer::new(
        store.root_key(),
        "keystead import tokens 1",
    )?)
}
