//! Sealing: what leaves this process for a disk is encrypted and bound to where it belongs.
//!
//! Three layers. A [`RootKey`] (a file, which a token may seal) wraps [`DataKey`]s; a data key, held by a [`Sealer`],
//! seals records; and the root key yields, by HKDF, keys for other purposes ([`RootKey::derive`]).
//!
//! **Nonces.** Plain AES-256-GCM has a 96-bit nonce; drawn at random, one key is good for 2^32
//! messages (NIST SP 800-38D section 8.3), which a busy store passes. A counter would be safe only
//! as long as no snapshot of the store is ever restored. So records are sealed with XAES-256-GCM
//! (C2SP): a 192-bit random nonce, of which each message derives its own AES-256-GCM key. 2^80
//! messages under one data key leave a collision risk of 2^-32.
//!
//! **Binding.** The associated data is the format, the data key's id, the collection, the key and
//! the version, each with its length before it, so that no two places have the same encoding. A
//! record that was moved, swapped, altered or brought back from an older state does not open.
//!
//! **Envelope.** `0x01`, data key id (16 bytes), nonce (24), ciphertext, tag (16). The id in the
//! envelope is what lets a data key be rotated: new records use the new one, old ones still open.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{Zeroize, Zeroizing};

use crate::{CryptoError, random};

mod once;
mod root;
mod token;
pub(crate) mod xaes;

pub use once::{open_under, seal_under};
pub use root::{RootKey, RootKeyFile, SealedRootKey};
pub use token::TokenSealer;

/// First byte of every envelope.
const FORMAT: u8 = 1;
/// Bytes before the ciphertext: format, key id, nonce.
const HEADER: usize = 1 + KeyId::LEN + xaes::NONCE;

/// By how many bytes an envelope is longer than what it seals.
pub const OVERHEAD: usize = HEADER + xaes::TAG;

/// The public identity of a data key or root key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; Self::LEN]);

impl KeyId {
    /// Bytes of an id.
    pub const LEN: usize = 16;

    /// A new random id.
    pub(crate) fn random() -> Result<Self, CryptoError> {
        random::bytes().map(Self)
    }

    /// The id's bytes.
    pub fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// The id from its 32 hexadecimal digits.
impl FromStr for KeyId {
    type Err = CryptoError;

    fn from_str(text: &str) -> Result<Self, CryptoError> {
        let malformed = || CryptoError::Malformed("a key id is not 32 hexadecimal digits".into());
        if text.len() != 2 * Self::LEN {
            return Err(malformed());
        }
        let mut id = [0; Self::LEN];
        for (byte, digits) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            *byte = hex_byte(digits).ok_or_else(malformed)?;
        }
        Ok(Self(id))
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// The byte of two hexadecimal digits.
fn hex_byte(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0, |value: u8, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        u8::try_from((u32::from(value) << 4) | digit).ok()
    })
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

/// A key that seals records. Made at random, kept only wrapped by a root key.
pub struct DataKey {
    id: KeyId,
    secret: [u8; xaes::KEY],
    ready: xaes::Key,
}

impl DataKey {
    /// A new random data key.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when there is no randomness.
    pub fn generate() -> Result<Self, CryptoError> {
        Self::from_parts(
            KeyId::random()?,
            &Zeroizing::new(random::bytes::<{ xaes::KEY }>()?),
        )
    }

    /// Its public identity.
    pub fn id(&self) -> KeyId {
        self.id
    }

    fn from_parts(id: KeyId, secret: &[u8; xaes::KEY]) -> Result<Self, CryptoError> {
        Ok(Self {
            id,
            secret: *secret,
            ready: xaes::Key::new(secret)?,
        })
    }

    pub(crate) fn seal(&self, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
        let nonce = random::bytes::<{ xaes::NONCE }>()?;
        let mut out = Vec::with_capacity(plaintext.len().saturating_add(OVERHEAD));
        out.push(FORMAT);
        out.extend_from_slice(&self.id.0);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plaintext);
        let (_, body) = out
            .split_at_mut_checked(HEADER)
            .ok_or_else(|| CryptoError::library("seal"))?;
        let tag = self.ready.seal(&nonce, aad, body)?;
        out.extend_from_slice(&tag);
        Ok(out)
    }

    /// Opens what this key, derived from a root key, sealed.
    pub(crate) fn open_own(
        &self,
        aad: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let envelope = Envelope::parse(sealed)?;
        if envelope.key_id != self.id {
            return Err(CryptoError::RootKey(format!(
                "a key was sealed under root key {}, but the root key given is {}: this is the \
                 root key of another store",
                envelope.key_id, self.id
            )));
        }
        self.open(aad, &envelope)
    }

    fn open(&self, aad: &[u8], envelope: &Envelope<'_>) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let mut buffer = Zeroizing::new(envelope.body.to_vec());
        let length = match self.ready.open(envelope.nonce, aad, &mut buffer)? {
            Some(plaintext) => plaintext.len(),
            None => {
                return Err(CryptoError::Sealed(
                    "a sealed value does not open: it was altered, moved or swapped".into(),
                ));
            }
        };
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Seals and opens records. Seals with the newest data key, opens with every one it was given.
#[derive(Debug)]
pub struct Sealer {
    active: DataKey,
    older: HashMap<KeyId, DataKey>,
}

impl Sealer {
    /// A sealer with this data key alone.
    pub fn new(active: DataKey) -> Self {
        Self {
            active,
            older: HashMap::new(),
        }
    }

    /// Also opens what this older data key sealed.
    pub fn with_older(mut self, key: DataKey) -> Self {
        self.older.insert(key.id, key);
        self
    }

    /// The id of the data key that seals.
    pub fn active_id(&self) -> KeyId {
        self.active.id
    }

    /// Seals a record's bytes for this place and version; the result is [`OVERHEAD`] bytes longer.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when there is no randomness.
    pub fn seal(
        &self,
        collection: &str,
        key: &str,
        version: u64,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let aad = record_aad(self.active.id, collection, key, version);
        self.active.seal(&aad, plaintext)
    }

    /// Opens what [`Sealer::seal`] made for exactly this place and version.
    ///
    /// # Errors
    /// [`CryptoError::Sealed`] when the bytes are not an envelope, name an unknown data key, or
    /// were not sealed for this place.
    pub fn open(
        &self,
        collection: &str,
        key: &str,
        version: u64,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let envelope = Envelope::parse(sealed)?;
        let data_key = if envelope.key_id == self.active.id {
            &self.active
        } else {
            self.older.get(&envelope.key_id).ok_or_else(|| {
                CryptoError::Sealed(format!(
                    "a sealed value names data key {}, which this store does not have",
                    envelope.key_id
                ))
            })?
        };
        let aad = record_aad(data_key.id, collection, key, version);
        data_key.open(&aad, &envelope)
    }
}

/// The parts of sealed bytes.
struct Envelope<'a> {
    key_id: KeyId,
    nonce: &'a [u8; xaes::NONCE],
    /// Ciphertext and tag.
    body: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(sealed: &'a [u8]) -> Result<Self, CryptoError> {
        let parts = sealed.split_first().and_then(|(format, rest)| {
            let (key_id, rest) = rest.split_first_chunk::<{ KeyId::LEN }>()?;
            let (nonce, body) = rest.split_first_chunk::<{ xaes::NONCE }>()?;
            (*format == FORMAT && body.len() >= xaes::TAG).then_some(Self {
                key_id: KeyId(*key_id),
                nonce,
                body,
            })
        });
        parts.ok_or_else(|| {
            CryptoError::Sealed("a sealed value is torn or of an unknown format".into())
        })
    }
}

/// Where a record belongs, unambiguously: each variable part follows its length.
fn record_aad(key_id: KeyId, collection: &str, key: &str, version: u64) -> Vec<u8> {
    let mut aad = Vec::with_capacity(48 + collection.len() + key.len());
    aad.extend_from_slice(b"keystead record");
    aad.push(FORMAT);
    aad.extend_from_slice(&key_id.0);
    for part in [collection, key] {
        aad.extend_from_slice(&(part.len() as u64).to_be_bytes());
        aad.extend_from_slice(part.as_bytes());
    }
    aad.extend_from_slice(&version.to_be_bytes());
    aad
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::hex;

    fn sealer() -> Sealer {
        Sealer::new(DataKey::generate().unwrap())
    }

    #[test]
    fn opens_only_where_it_belongs() {
        let sealer = sealer();
        let sealed = sealer.seal("pca.ca", "a/b", 7, b"secret").unwrap();
        assert_eq!(sealed.len(), 6 + OVERHEAD);
        assert_eq!(
            sealer.open("pca.ca", "a/b", 7, &sealed).unwrap().as_slice(),
            b"secret"
        );
        for (collection, key, version) in [
            ("pca.c", "aa/b", 7),
            ("pca.caa", "/b", 7),
            ("pca.cert", "a/b", 7),
            ("pca.ca", "a/c", 7),
            ("pca.ca", "a/b", 6),
            ("pca.ca", "a/b", 8),
        ] {
            let error = sealer.open(collection, key, version, &sealed).unwrap_err();
            assert!(matches!(error, CryptoError::Sealed(_)), "{error}");
        }
    }

    #[test]
    fn every_altered_byte_and_every_cut_is_noticed() {
        let sealer = sealer();
        let sealed = sealer.seal("c", "k", 1, b"value").unwrap();
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(sealer.open("c", "k", 1, &altered).is_err(), "byte {at}");
            assert!(sealer.open("c", "k", 1, &sealed[..at]).is_err(), "cut {at}");
        }
    }

    #[test]
    fn equal_plaintexts_seal_differently() {
        let sealer = sealer();
        assert_ne!(
            sealer.seal("c", "k", 1, b"value").unwrap(),
            sealer.seal("c", "k", 1, b"value").unwrap()
        );
    }

    #[test]
    fn a_rotated_data_key_still_opens() {
        let root = RootKey::generate().unwrap();
        let first = DataKey::generate().unwrap();
        let wrapped = root.wrap(&first).unwrap();
        let sealed = Sealer::new(first).seal("c", "k", 1, b"old").unwrap();

        let alone = sealer();
        assert!(
            alone
                .open("c", "k", 1, &sealed)
                .unwrap_err()
                .to_string()
                .contains("does not have")
        );
        let both = alone.with_older(root.unwrap(&wrapped).unwrap());
        assert_eq!(both.open("c", "k", 1, &sealed).unwrap().as_slice(), b"old");
    }

    /// Made from docs/formats.md by another implementation (Python's cryptography): what is on a
    /// disk today opens for ever.
    #[test]
    fn the_stored_formats_do_not_change() {
        let root = RootKey::from_bytes(std::array::from_fn(|at| at as u8));
        assert_eq!(root.id().to_string(), "3d721b60284f0fda23c04d5e66e0d45c");
        let wrapped = hex(concat!(
            "013d721b60284f0fda23c04d5e66e0d45c",
            "010101010101010101010101010101010101010101010101",
            "252cc87911dfd5ad74382c29e7d72a1f1f6d7cd7676be39c3fa4702a9e991732",
            "dbb2bcb17b2f756eb043be1dac8ee618a7897934670b9e60c65176ecb2f44d2b",
        ));
        let record = hex(concat!(
            "01d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0d0",
            "020202020202020202020202020202020202020202020202",
            "94b3e1bfb3c5a7a185388167b0d6402f7908d35f716a",
        ));
        let sealer = Sealer::new(root.unwrap(&wrapped).unwrap());
        let opened = sealer.open("pca.ca", "a/b", 7, &record).unwrap();
        assert_eq!(opened.as_slice(), b"record");
    }

    #[test]
    fn secrets_do_not_print() {
        let key = DataKey::from_parts(KeyId([0; 16]), &[0xab; 32]).unwrap();
        let shown = format!("{:?}", Sealer::new(key));
        assert!(!shown.contains("ab") && !shown.contains("171"), "{shown}");
    }

    proptest! {
        #[test]
        fn opens_what_it_sealed(
            collection in "[a-z.]{0,20}", key in ".{0,40}", version: u64,
            value in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let sealer = sealer();
            let sealed = sealer.seal(&collection, &key, version, &value).unwrap();
            let opened = sealer.open(&collection, &key, version, &sealed).unwrap();
            prop_assert_eq!(opened.as_slice(), value.as_slice());
        }

        #[test]
        fn arbitrary_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(sealer().open("c", "k", 1, &bytes).is_err());
        }
    }
}
