//! Key material of KMS keys: made, sealed, used, imported.
//!
//! It lives beside the keys of certificates and as they do: at rest a [`StoredMaterial`], sealed
//! and bound to its id and spec; in use parsed and ready, in a bounded cache whose every entry
//! overwrites itself when it falls out. What is a key pair is stored as PKCS #8, what is not as
//! its bytes.
//!
//! Symmetric keys, HMAC, P-256 and Ed25519 take microseconds and are used where they are asked
//! for; everything else runs on the ring's threads. AWS's limits of lengths are the service
//! model's and are checked there, except those that depend on the key.

use std::num::NonZeroUsize;
use std::sync::Arc;

use aws_lc_rs::hmac;
use keystead_core::kms::KeySpec;
use keystead_core::x509;
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Provider, Vault};
use crate::CryptoError;
use crate::seal::{KeyId, RootKey};

mod agree;
mod calls;
mod encrypt;
mod kem;
mod ready;
mod sign;
mod verify;
mod wrap;

use ready::Ready;
pub(crate) use sign::low_s;

pub(super) use encrypt::{encrypt_oaep, oaep, open_with, seal_with};
pub(super) use sign::{hashed, unfit};

/// Secret keys that are kept ready. With its record one takes 1 KiB, an HMAC key 2, so that the
/// cache stays under 16 MiB.
const CACHED_SECRETS: NonZeroUsize = match NonZeroUsize::new(8192) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// Key pairs that are kept ready. With its record the largest, ML-DSA-87 and RSA-4096 parsed for
/// signing and decrypting, takes 11 KiB, so that the cache stays under 6 MiB.
const CACHED_PAIRS: NonZeroUsize = match NonZeroUsize::new(512) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// Material that was forgotten, and that a call which began earlier does not bring back: more than
/// run at the same time.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(4096) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// The purpose of the key under which material is given its fingerprint.
const FINGERPRINT: &str = "identify key material";

/// A KMS key's material at rest. Opaque; it can be kept in any record, and only the ring that made
/// it (or one with the same root key) can use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMaterial {
    id: KeyId,
    spec: KeySpec,
    provider: Provider,
}

impl StoredMaterial {
    /// A key of a token, of the same id there.
    pub(super) fn in_token(id: KeyId, spec: KeySpec, token: String) -> Self {
        Self {
            id,
            spec,
            provider: Provider::Token { token },
        }
    }

    pub(super) fn provider(&self) -> &Provider {
        &self.provider
    }

    /// The material's public identity, new for each time that it comes into a ring.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What kind of key it is.
    pub fn spec(&self) -> KeySpec {
        self.spec
    }
}

/// Material that has just come into the ring.
#[derive(Clone, Debug)]
pub struct NewMaterial {
    /// The material, to be kept.
    pub material: StoredMaterial,
    /// DER of the public key's SubjectPublicKeyInfo, if the key has a public half.
    pub public_key: Option<Vec<u8>>,
    /// The same whenever the same owner brings the same material for the same spec, different
    /// otherwise, and telling nothing about it: AWS's `KeyMaterialId`.
    pub material_id: [u8; 32],
}

/// A key pair that is given away (`GenerateDataKeyPair`). Overwrites itself; prints as redacted.
pub struct DataPair {
    /// PKCS #8 DER.
    pub private_key: Zeroizing<Vec<u8>>,
    /// DER of the SubjectPublicKeyInfo.
    pub public_key: Vec<u8>,
}

impl std::fmt::Debug for DataPair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataPair(redacted)")
    }
}

/// The spec of a certificate's key of the same kind, where there is one.
pub(super) fn certificate_spec(spec: KeySpec) -> Option<x509::KeySpec> {
    Some(match spec {
        KeySpec::Rsa2048 => x509::KeySpec::Rsa2048,
        KeySpec::Rsa3072 => x509::KeySpec::Rsa3072,
        KeySpec::Rsa4096 => x509::KeySpec::Rsa4096,
        KeySpec::EccNistP256 => x509::KeySpec::EcP256,
        KeySpec::EccNistP384 => x509::KeySpec::EcP384,
        KeySpec::EccNistP521 => x509::KeySpec::EcP521,
        KeySpec::MlDsa44 => x509::KeySpec::MlDsa44,
        KeySpec::MlDsa65 => x509::KeySpec::MlDsa65,
        KeySpec::MlDsa87 => x509::KeySpec::MlDsa87,
        _ => return None,
    })
}

/// What the vault keeps for KMS: material that is ready, and the key of its fingerprints.
pub(super) struct Materials {
    secrets: Mutex<LruCache<KeyId, Arc<Held>>>,
    pairs: Mutex<LruCache<KeyId, Arc<Held>>>,
    forgotten: Mutex<LruCache<KeyId, ()>>,
    fingerprints: hmac::Key,
}

/// Ready material, beside the record that it came from.
struct Held {
    record: StoredMaterial,
    key: Ready,
}

impl std::ops::Deref for Held {
    type Target = Ready;

    fn deref(&self) -> &Ready {
        &self.key
    }
}

impl Materials {
    pub(super) fn new(root: &RootKey) -> Result<Self, CryptoError> {
        let secret = root.derive(FINGERPRINT)?;
        Ok(Self {
            secrets: Mutex::new(LruCache::new(CACHED_SECRETS)),
            pairs: Mutex::new(LruCache::new(CACHED_PAIRS)),
            forgotten: Mutex::new(LruCache::new(REMEMBERED)),
            fingerprints: hmac::Key::new(hmac::HMAC_SHA256, secret.as_slice()),
        })
    }

    fn cache(&self, spec: KeySpec) -> &Mutex<LruCache<KeyId, Arc<Held>>> {
        if spec.is_asymmetric() {
            &self.pairs
        } else {
            &self.secrets
        }
    }

    /// Holds ready material for its next use.
    fn hold(&self, held: Arc<Held>) {
        let id = held.record.id;
        let mut cache = self.cache(held.record.spec).lock();
        // Under the cache's lock, so that what is forgotten meanwhile is found there.
        if !self.forgotten.lock().contains(&id) {
            cache.put(id, held);
        }
    }

    fn forget(&self, material: &StoredMaterial) {
        self.forgotten.lock().put(material.id, ());
        self.cache(material.spec).lock().pop(&material.id);
    }

    /// See [`NewMaterial::material_id`]. Each part follows its length, so that no two lists of
    /// parts have the same encoding.
    pub(super) fn fingerprint(&self, owner: &[u8], spec: KeySpec, identity: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.fingerprints);
        for part in [owner, spec.name().as_bytes(), identity] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        let mut out = [0; 32];
        let tag = context.sign();
        out.iter_mut()
            .zip(tag.as_ref())
            .for_each(|(to, from)| *to = *from);
        out
    }
}

impl Vault {
    /// Gives material an id and seals it. It is cached, because it is about to be used.
    fn adopt_material(
        &self,
        spec: KeySpec,
        owner: &[u8],
        (key, secret): (Ready, Zeroizing<Vec<u8>>),
    ) -> Result<NewMaterial, CryptoError> {
        let id = KeyId::random()?;
        let public_key = key.public_key()?;
        // A pair is told by its public half: the private one has several encodings.
        let identity = public_key.as_deref().unwrap_or(&secret);
        let material_id = self.materials.fingerprint(owner, spec, identity);
        let sealed = self.sealing.seal(&binding(id, spec), &secret)?;
        let material = StoredMaterial {
            id,
            spec,
            provider: Provider::Software { sealed },
        };
        let held = Held {
            record: material.clone(),
            key,
        };
        self.materials.hold(Arc::new(held));
        Ok(NewMaterial {
            material,
            public_key,
            material_id,
        })
    }

    /// The material, ready for use.
    fn material(&self, material: &StoredMaterial) -> Result<Arc<Held>, CryptoError> {
        let cache = self.materials.cache(material.spec);
        // A record that differs from the one that was opened has to prove itself anew.
        if let Some(held) = cache.lock().get(&material.id)
            && held.record == *material
        {
            return Ok(Arc::clone(held));
        }
        let sealed = material.provider.sealed()?;
        let secret = self
            .sealing
            .open_own(&binding(material.id, material.spec), sealed)?;
        // Two callers may open the same material at the same time; that is harmless.
        let held = Arc::new(Held {
            record: material.clone(),
            key: Ready::from_secret(material.spec, &secret)?,
        });
        self.materials.hold(Arc::clone(&held));
        Ok(held)
    }
}

/// What sealed material is bound to.
fn binding(id: KeyId, spec: KeySpec) -> Vec<u8> {
    let mut binding = b"keystead kms material".to_vec();
    binding.extend_from_slice(id.as_bytes());
    binding.extend_from_slice(spec.name().as_bytes());
    binding
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
