//! The key ring: makes, keeps sealed, uses and - only where it must - gives away private keys.
//!
//! A private key exists in two forms. At rest it is a [`StoredKey`]: sealed under a key that is
//! derived from the root key, bound to its own id and kind, safe to keep in any record. In use it
//! is parsed and ready, in a bounded cache, so that a busy authority's key is not opened for each
//! certificate; what falls out of the cache is overwritten.
//!
//! P-256 signatures take tens of microseconds and are made where they are asked for. Everything
//! else runs on the ring's own threads (see `pool`), and RSA keys come from a small reserve where
//! possible (see `reserve`).
//!
//! A stored key names its provider: this process, or a PKCS #11 token (see `tokens`) in which the
//! key was made, and which it does not leave.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::x509::{KeySpec, SignatureAlgorithm};
use lru::LruCache;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::seal::{DataKey, KeyId, RootKey};
use crate::token::Token;
use crate::x509::{Csr, pem};
use crate::{CryptoError, digest};

pub(crate) mod export;
mod import;
mod material;
mod pool;
mod reserve;
mod soft;
mod tokens;

pub(crate) use material::low_s;
pub use material::{DataPair, NewMaterial, StoredMaterial};
pub(crate) use tokens::Held;

use material::Materials;
use pool::{Lane, Pool};
use reserve::Reserve;
use soft::SoftKey;

/// Parsed keys that are kept. A parsed RSA-4096 key takes about 10 KiB, so that the cache stays
/// under 3 MiB; authorities in use at the same time are far fewer.
const CACHED_KEYS: NonZeroUsize = match NonZeroUsize::new(256) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// Verified requests that are remembered.
const CACHED_REQUESTS: NonZeroUsize = match NonZeroUsize::new(128) {
    Some(count) => count,
    None => NonZeroUsize::MIN,
};
/// Longest request that is remembered, so that all of them together take at most 3 MiB; one with an
/// ML-DSA-65 key has 7 KiB in PEM, one with an RSA-4096 key 2 KiB.
const MAX_CACHED_REQUEST: usize = 8 * 1024;
/// Longest passphrase for an export, in bytes: ACM's `PassphraseBlob` allows 128.
const MAX_PASSPHRASE: usize = 128;
/// The purpose of the sealing key.
const PURPOSE: &str = "seal private keys";

/// A private key at rest. Opaque; it can be kept in any record, and only the ring that made it (or
/// one with the same root key) can use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKey {
    id: KeyId,
    spec: KeySpec,
    provider: Provider,
}

/// Where the private half is.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Provider {
    /// Here, in PKCS #8, sealed.
    Software {
        #[serde(with = "serde_bytes")]
        sealed: Vec<u8>,
    },
    /// In the token of this name, under the key's own id.
    Token { token: String },
}

impl Provider {
    /// The sealed private half.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] when it is in a token, and stays there.
    fn sealed(&self) -> Result<&[u8], CryptoError> {
        match self {
            Self::Software { sealed } => Ok(sealed),
            Self::Token { token } => Err(CryptoError::Unsupported(format!(
                "the key is in the token {token}, and cannot be taken out of it"
            ))),
        }
    }
}

impl StoredKey {
    /// The key's public identity.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// What kind of key it is.
    pub fn spec(&self) -> KeySpec {
        self.spec
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Software { .. } => f.write_str("Software"),
            Self::Token { token } => write!(f, "Token({token})"),
        }
    }
}

/// A key that has just come into the ring.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The private key, to be kept.
    pub key: StoredKey,
    /// DER of the public key's SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
}

/// A private key in clear, PKCS #8 in PEM, for delivery to where it is used. Does not print, and is
/// overwritten when dropped.
pub struct PrivateKeyPem(Zeroizing<String>);

impl PrivateKeyPem {
    /// The key in this PEM, which [`KeyRing::export_encrypted`] of another installation encrypted. Takes its time: not for an
    /// async executor.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`].
    pub fn decrypt(text: &str, passphrase: &[u8]) -> Result<Self, CryptoError> {
        let blocks = pem::blocks(text)?;
        let block = blocks
            .iter()
            .find(|block| block.label == "ENCRYPTED PRIVATE KEY");
        let block = block.ok_or_else(|| {
            CryptoError::Malformed("the text has no encrypted private key".into())
        })?;
        let clear = export::decrypt(&block.der, passphrase)?;
        Ok(Self(pem::encode_secret("PRIVATE KEY", &clear)))
    }

    /// The text. Whoever calls this is about to hand the key over.
    pub fn as_pem(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PrivateKeyPem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKeyPem(redacted)")
    }
}

/// How a ring runs.
#[derive(Clone, Debug)]
pub struct KeyRingOptions {
    /// Threads for key operations; at least two are started.
    pub threads: usize,
    /// Whether RSA keys are made in advance once any was asked for.
    pub reserve: bool,
}

impl Default for KeyRingOptions {
    /// As many threads as there are processors, with a reserve.
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(2, NonZeroUsize::get),
            reserve: true,
        }
    }
}

/// The key ring; see the module.
pub struct KeyRing {
    vault: Arc<Vault>,
    /// Requests whose signature has verified, by the SHA-256 of the bytes that they were read from.
    requests: Mutex<LruCache<[u8; 32], Arc<Csr>>>,
    pool: Pool,
    reserve: Option<Reserve>,
    tokens: RwLock<BTreeMap<String, Arc<Token>>>,
}

impl KeyRing {
    /// A ring whose keys are sealed under this root key.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when its threads cannot be started.
    pub fn open(root: &RootKey, options: KeyRingOptions) -> Result<Arc<Self>, CryptoError> {
        Ok(Arc::new(Self {
            vault: Arc::new(Vault {
                sealing: root.sealing_key(PURPOSE)?,
                parsed: Mutex::new(LruCache::new(CACHED_KEYS)),
                materials: Materials::new(root)?,
            }),
            requests: Mutex::new(LruCache::new(CACHED_REQUESTS)),
            pool: Pool::new(options.threads)?,
            reserve: options.reserve.then(Reserve::new),
            tokens: RwLock::default(),
        }))
    }

    /// A new key.
    ///
    /// # Errors
    /// [`CryptoError::Busy`] when too much is waiting already.
    pub async fn generate(&self, spec: KeySpec) -> Result<NewKey, CryptoError> {
        let vault = Arc::clone(&self.vault);
        if is_inline(spec) {
            return vault.adopt(spec, SoftKey::generate(spec)?);
        }
        let ready = self.reserve.as_ref().and_then(|shelves| shelves.take(spec));
        let lane = match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 if ready.is_none() => Lane::Slow,
            _ => Lane::Quick,
        };
        self.pool
            .run(lane, move || {
                let key = match ready {
                    Some(key) => key,
                    None => SoftKey::generate(spec)?,
                };
                vault.adopt(spec, key)
            })
            .await
    }

    /// Takes in a private key from outside: PKCS #8, PKCS #1 or SEC 1, in DER, PEM or base64 of
    /// either.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is none of these or its parts do not belong together;
    /// [`CryptoError::Unsupported`] when it is encrypted, an RSA key of another size than 2048,
    /// 3072 or 4096 bits, or of a kind that is not served; [`CryptoError::Busy`].
    pub async fn import(&self, input: &[u8]) -> Result<NewKey, CryptoError> {
        let vault = Arc::clone(&self.vault);
        let input = Zeroizing::new(input.to_vec());
        self.pool
            .run(Lane::Quick, move || {
                let (spec, key) = import::read(&input)?;
                vault.adopt(spec, key)
            })
            .await
    }

    /// A signature over the message, as certificates and requests carry it: PKCS #1 v1.5 for RSA,
    /// DER for ECDSA, raw for ML-DSA (pure, with an empty context). Any SHA-2 goes with any curve.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when such a key cannot make such signatures;
    /// [`CryptoError::Sealed`] when the stored key was altered; [`CryptoError::RootKey`] when it
    /// belongs to another root key; [`CryptoError::Token`] when the token that it is in does not do
    /// its part; [`CryptoError::Busy`].
    pub async fn sign(
        &self,
        key: &StoredKey,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        if !key.spec.fits(algorithm) {
            return Err(soft::unfit());
        }
        if let Some(held) = self.in_token(key.id, &key.provider)? {
            return held.sign_certificate(key.spec, algorithm, message).await;
        }
        if is_inline(key.spec) {
            return self.vault.ready(key)?.sign(algorithm, message);
        }
        let message = message.to_vec();
        self.with_key(key, move |key| key.sign(algorithm, &message))
            .await
    }

    /// Reads a certificate signing request in any form and verifies its signature. One that was
    /// verified not long ago is remembered, because verifying takes several times as long as
    /// signing the certificate.
    ///
    /// # Errors
    /// As [`Csr::parse`] and [`Csr::verify`]; [`CryptoError::Busy`].
    pub async fn verified_csr(&self, input: &[u8]) -> Result<Arc<Csr>, CryptoError> {
        let fingerprint = digest::sha256(input);
        if let Some(csr) = self.requests.lock().get(&fingerprint) {
            return Ok(Arc::clone(csr));
        }
        let csr = Csr::parse(input)?;
        let csr = if csr.key_spec.is_some_and(is_inline) {
            csr.verify()?;
            csr
        } else {
            let verify = move || csr.verify().map(|()| csr);
            self.pool.run(Lane::Quick, verify).await?
        };
        let csr = Arc::new(csr);
        if input.len() <= MAX_CACHED_REQUEST {
            self.requests.lock().put(fingerprint, Arc::clone(&csr));
        }
        Ok(csr)
    }

    /// DER of the public key's SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// As [`KeyRing::sign`].
    pub async fn public_key(&self, key: &StoredKey) -> Result<Vec<u8>, CryptoError> {
        if let Some(held) = self.in_token(key.id, &key.provider)? {
            return held.public_key(key.spec).await;
        }
        self.with_key(key, SoftKey::spki).await
    }

    /// The private key under a passphrase, in PEM: PKCS #8 ENCRYPTED PRIVATE KEY with PBES2
    /// (PBKDF2-HMAC-SHA-256, AES-256-CBC), which OpenSSL, Java and Python read.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when the passphrase is empty or longer than 128 bytes; otherwise
    /// as [`KeyRing::sign`].
    pub async fn export_encrypted(
        &self,
        key: &StoredKey,
        passphrase: &[u8],
    ) -> Result<String, CryptoError> {
        if passphrase.is_empty() || passphrase.len() > MAX_PASSPHRASE {
            return Err(CryptoError::Malformed(format!(
                "a passphrase has between 1 and {MAX_PASSPHRASE} bytes"
            )));
        }
        let (vault, key) = (Arc::clone(&self.vault), key.clone());
        let passphrase = Zeroizing::new(passphrase.to_vec());
        self.pool
            .run(Lane::Slow, move || {
                let der = export::encrypt(&vault.pkcs8(&key)?, &passphrase)?;
                Ok(pem::encode("ENCRYPTED PRIVATE KEY", &der))
            })
            .await
    }

    /// The private key in clear, for delivery to where it is used and for nothing else.
    ///
    /// # Errors
    /// As [`KeyRing::sign`].
    pub async fn reveal(&self, key: &StoredKey) -> Result<PrivateKeyPem, CryptoError> {
        let der = self.vault.pkcs8(key)?;
        Ok(PrivateKeyPem(pem::encode_secret("PRIVATE KEY", &der)))
    }

    /// Does something with a parsed key on one of the ring's threads.
    async fn with_key<T: Send + 'static>(
        &self,
        key: &StoredKey,
        work: impl FnOnce(&SoftKey) -> Result<T, CryptoError> + Send + 'static,
    ) -> Result<T, CryptoError> {
        let (vault, key) = (Arc::clone(&self.vault), key.clone());
        self.pool
            .run(Lane::Quick, move || work(&*vault.ready(&key)?))
            .await
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").finish_non_exhaustive()
    }
}

/// Whether operations with such a key are shorter than a hand-over to another thread is worth.
fn is_inline(spec: KeySpec) -> bool {
    spec == KeySpec::EcP256
}

/// Sealing and the cache of parsed keys.
struct Vault {
    sealing: DataKey,
    parsed: Mutex<LruCache<KeyId, Arc<Parsed>>>,
    materials: Materials,
}

/// A parsed key, beside the record that it came from.
struct Parsed {
    record: StoredKey,
    key: SoftKey,
}

impl std::ops::Deref for Parsed {
    type Target = SoftKey;

    fn deref(&self) -> &SoftKey {
        &self.key
    }
}

impl Vault {
    /// Gives a key an id and seals it. It is cached, because a new key is about to be used.
    fn adopt(&self, spec: KeySpec, key: SoftKey) -> Result<NewKey, CryptoError> {
        let id = KeyId::random()?;
        let spki_der = key.spki()?;
        let sealed = self.sealing.seal(&binding(id, spec), &key.to_pkcs8()?)?;
        let record = StoredKey {
            id,
            spec,
            provider: Provider::Software { sealed },
        };
        let parsed = Parsed {
            record: record.clone(),
            key,
        };
        self.parsed.lock().put(id, Arc::new(parsed));
        Ok(NewKey {
            key: record,
            spki_der,
        })
    }

    /// The parsed key.
    fn ready(&self, key: &StoredKey) -> Result<Arc<Parsed>, CryptoError> {
        // A record that differs from the one that was parsed has to prove itself anew.
        if let Some(parsed) = self.parsed.lock().get(&key.id)
            && parsed.record == *key
        {
            return Ok(Arc::clone(parsed));
        }
        // Two callers may parse the same key at the same time; that is harmless.
        let parsed = Arc::new(Parsed {
            key: SoftKey::from_pkcs8(key.spec, &self.pkcs8(key)?)?,
            record: key.clone(),
        });
        self.parsed.lock().put(key.id, Arc::clone(&parsed));
        Ok(parsed)
    }

    /// The key in clear.
    fn pkcs8(&self, key: &StoredKey) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let sealed = key.provider.sealed()?;
        self.sealing.open_own(&binding(key.id, key.spec), sealed)
    }
}

/// What a sealed private key is bound to.
fn binding(id: KeyId, spec: KeySpec) -> Vec<u8> {
    let mut binding = b"keystead private key".to_vec();
    binding.extend_from_slice(id.as_bytes());
    binding.extend_from_slice(spec.pca_name().as_bytes());
    binding
}

#[cfg(test)]
mod tests;
