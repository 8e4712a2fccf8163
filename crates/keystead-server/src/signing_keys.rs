//! Signing keys at hand: deriving one takes four HMACs, and a client uses the same one all day.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_crypto::digest;
use keystead_wire::sigv4::{self, AuthError, Authorization, RequestView, SigningKey};
use lru::LruCache;
use parking_lot::Mutex;
use zeroize::Zeroizing;

use crate::limits::SIGNING_KEYS;

/// The keys of the credentials that were used last, wiped when they fall out. Each is named by its
/// credential (access key, day, region, service), and stands only for the secret that it was derived from:
/// the ids of two sessions may be the same.
pub(crate) struct SigningKeys(Mutex<LruCache<String, Kept>>);

#[derive(Clone)]
struct Kept {
    secret: Arc<Zeroizing<String>>,
    key: SigningKey,
}

impl SigningKeys {
    pub(crate) fn new() -> Self {
        let capacity = NonZeroUsize::new(SIGNING_KEYS).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(capacity)))
    }

    /// Verifies a request whose access key has this secret. Only a key that verified one is kept, so
    /// that nobody fills the cache with scopes that he made up.
    pub(crate) fn verify(
        &self,
        claim: &Authorization<'_>,
        view: &RequestView<'_>,
        secret: &str,
        body: &[u8],
    ) -> Result<(), AuthError> {
        let payload = digest::sha256(body);
        let known = self.0.lock().get(claim.credential()).cloned();
        let same =
            |kept: &Kept| digest::constant_time_eq(kept.secret.as_bytes(), secret.as_bytes());
        if let Some(kept) = known.filter(same) {
            return sigv4::verify(claim, view, &kept.key, &payload);
        }
        let key = SigningKey::derive(secret, claim.date(), claim.region(), claim.service());
        sigv4::verify(claim, view, &key, &payload)?;
        let secret = Arc::new(Zeroizing::new(secret.to_owned()));
        let kept = Kept { secret, key };
        self.0.lock().put(claim.credential().to_owned(), kept);
        Ok(())
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKeys { .. }")
    }
}
