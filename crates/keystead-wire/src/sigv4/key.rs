//! The signing key: the secret, narrowed to one day, region and service.

use std::fmt;

use keystead_crypto::digest;
use zeroize::Zeroizing;

use super::TERMINATOR;

/// The key that signs one credential's requests for one day, region and service. Four HMACs make
/// it, so whoever verifies often keeps it. Wiped when dropped.
#[derive(Clone)]
pub struct SigningKey(Zeroizing<[u8; 32]>);

impl SigningKey {
    /// Derives the key from the secret access key; `date` is the scope's `YYYYMMDD`.
    pub fn derive(secret: &str, date: &str, region: &str, service: &str) -> Self {
        let mut seed = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
        seed.extend_from_slice(b"AWS4");
        seed.extend_from_slice(secret.as_bytes());
        let mut key = Zeroizing::new(digest::hmac_sha256(&seed, date.as_bytes()));
        for part in [region, service, TERMINATOR] {
            *key = digest::hmac_sha256(&*key, part.as_bytes());
        }
        Self(key)
    }

    pub(super) fn sign(&self, string_to_sign: &[u8]) -> [u8; 32] {
        digest::hmac_sha256(&*self.0, string_to_sign)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey { .. }")
    }
}
