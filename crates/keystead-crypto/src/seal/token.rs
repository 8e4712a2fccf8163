//! Tokens: what callers carry about and bring back, so that nobody has to remember it.

use std::fmt;

use zeroize::Zeroizing;

use super::{DataKey, OVERHEAD, RootKey};
use crate::CryptoError;

/// Seals tokens of one purpose under a key of its own, derived from the root key.
pub struct TokenSealer(DataKey);

impl TokenSealer {
    /// By how many bytes a token is longer than what it says.
    pub const OVERHEAD: usize = OVERHEAD;

    /// The sealer for this purpose; every purpose has its own key.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when the library fails.
    pub fn new(root: &RootKey, purpose: &str) -> Result<Self, CryptoError> {
        root.sealing_key(purpose).map(Self)
    }

    /// Seals `plaintext`; it opens only beside the same `bound`.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when there is no randomness.
    pub fn seal(&self, bound: &str, plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        self.0.seal(bound.as_bytes(), plaintext)
    }

    /// Opens what [`TokenSealer::seal`] made under the same root key, for the same purpose and `bound`.
    ///
    /// # Errors
    /// [`CryptoError::Sealed`] or [`CryptoError::RootKey`] for anything else.
    pub fn open(&self, bound: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        self.0.open_own(bound.as_bytes(), sealed)
    }
}

impl fmt::Debug for TokenSealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenSealer { .. }")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_for_its_purpose_and_bond_alone() {
        let root = RootKey::generate().unwrap();
        let sealer = TokenSealer::new(&root, "sessions").unwrap();
        let sealed = sealer.seal("ASIA1", b"who").unwrap();
        assert_eq!(sealed.len(), 3 + TokenSealer::OVERHEAD);
        assert_eq!(sealer.open("ASIA1", &sealed).unwrap().as_slice(), b"who");
        assert!(sealer.open("ASIA2", &sealed).is_err());
        let others = [
            TokenSealer::new(&root, "messages").unwrap(),
            TokenSealer::new(&RootKey::generate().unwrap(), "sessions").unwrap(),
        ];
        for other in others {
            assert!(other.open("ASIA1", &sealed).is_err());
        }
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(sealer.open("ASIA1", &altered).is_err(), "byte {at}");
        }
    }
}
