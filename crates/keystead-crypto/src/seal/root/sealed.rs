//! A root key file whose key a token seals: worth nothing without the token.
//!
//! ```text
//! keystead root key v1, sealed by a token
//! token: its serial number, for people
//! sealed by: 32 hexadecimal digits: the CKA_ID of the AES key in the token
//! id: 32 hexadecimal digits: the root key's id
//! sealed: 144 hexadecimal digits: nonce, ciphertext, tag
//! ```
//!
//! The token's key seals as any token's AES key does, by XAES-256-GCM (see [`crate::token`]); what
//! stands before the last line is the associated data. The key in the token is made for this file
//! alone.

use std::path::Path;
use std::sync::Arc;

use keystead_core::kms::{EncryptionAlgorithm, KeySpec, KeyUsage};

use super::{RootKey, file, push_hex};
use crate::keyring::Held;
use crate::seal::{KeyId, hex_byte, xaes};
use crate::token::{self, Token};
use crate::{CryptoError, digest};

/// First line of the file.
const HEADER: &str = "keystead root key v1, sealed by a token";
/// What the lines after it begin with.
const TOKEN: &str = "token: ";
const SEALED_BY: &str = "sealed by: ";
const ID: &str = "id: ";
const SEALED: &str = "sealed: ";
/// Bytes of nonce, ciphertext and tag.
const SEALED_LEN: usize = xaes::NONCE + xaes::KEY + xaes::TAG;
/// Longest serial number: PKCS #11's have 16 bytes.
const MAX_SERIAL: usize = 64;
/// What the key in the token is called, for people who look into it.
const LABEL: &str = "keystead root key";

/// What a root key file holds.
#[derive(Debug)]
pub enum RootKeyFile {
    /// The root key.
    Clear(RootKey),
    /// The root key, sealed by a token.
    Sealed(SealedRootKey),
}

/// A root key that a token has sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedRootKey {
    serial: String,
    key: KeyId,
    id: KeyId,
    sealed: [u8; SEALED_LEN],
}

impl RootKeyFile {
    /// Reads a root key file.
    ///
    /// # Errors
    /// [`CryptoError::RootKeyMissing`] when there is none; [`CryptoError::RootKey`] when others than
    /// its owner have access, or it is not a complete root key file.
    pub fn read(path: &Path) -> Result<Self, CryptoError> {
        let text = file::read(path)?;
        let parsed = match text.starts_with(HEADER.as_bytes()) {
            true => SealedRootKey::decode(&text).map(Self::Sealed),
            false => RootKey::decode(&text).map(Self::Clear),
        };
        parsed.map_err(|reason| {
            CryptoError::RootKey(format!(
                "the root key file {} {reason}; restore it from your copy",
                path.display()
            ))
        })
    }

    /// The root key's public identity.
    pub fn id(&self) -> KeyId {
        match self {
            Self::Clear(root) => root.id(),
            Self::Sealed(sealed) => sealed.id,
        }
    }
}

impl SealedRootKey {
    /// The serial number of the token that sealed it, as the token said it then.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The root key, opened by the token, which must be connected.
    ///
    /// # Errors
    /// [`CryptoError::Token`] when the token does not do its part, or is another one than that which
    /// sealed it; [`CryptoError::RootKey`] when the file was altered.
    pub async fn open(&self, token: &Arc<Token>) -> Result<RootKey, CryptoError> {
        let held = Held::new(token, self.key);
        let (head, default) = (self.head(), EncryptionAlgorithm::SymmetricDefault);
        let opened = held.decrypt(default, head.as_bytes(), &self.sealed).await?;
        let altered = || {
            CryptoError::RootKey(
                "the sealed root key does not open: its file was altered; restore it from your copy"
                    .into(),
            )
        };
        let secret = opened.ok_or_else(altered)?;
        let secret = <&[u8; xaes::KEY]>::try_from(secret.as_slice()).map_err(|_| altered())?;
        let root = RootKey::from_bytes(*secret);
        match root.id() == self.id {
            true => Ok(root),
            false => Err(altered()),
        }
    }

    /// What the file says before its last line.
    fn head(&self) -> String {
        let Self {
            serial, key, id, ..
        } = self;
        format!("{HEADER}\n{TOKEN}{serial}\n{SEALED_BY}{key}\n{ID}{id}\n")
    }

    fn encode(&self) -> String {
        let mut text = self.head();
        text.push_str(SEALED);
        push_hex(&mut text, &self.sealed);
        text.push('\n');
        text
    }

    /// The inverse of `encode`; the error is a clause that follows "the root key file x".
    fn decode(text: &[u8]) -> Result<Self, &'static str> {
        const DAMAGED: &str = "is damaged: it does not have the five lines of a sealed root key";
        let text = str::from_utf8(text).map_err(|_| DAMAGED)?;
        let mut lines = text.split('\n').skip(1);
        let mut field = |name| lines.next().and_then(|line| line.strip_prefix(name));
        let (Some(serial), Some(key), Some(id), Some(sealed)) =
            (field(TOKEN), field(SEALED_BY), field(ID), field(SEALED))
        else {
            return Err(DAMAGED);
        };
        let mut bytes = [0; SEALED_LEN];
        for (byte, digits) in bytes.iter_mut().zip(sealed.as_bytes().chunks(2)) {
            *byte = hex_byte(digits).ok_or(DAMAGED)?;
        }
        let parsed = Self {
            serial: serial.to_owned(),
            key: key.parse().map_err(|_| DAMAGED)?,
            id: id.parse().map_err(|_| DAMAGED)?,
            sealed: bytes,
        };
        // There is one way to write it.
        match parsed.encode() == text {
            true => Ok(parsed),
            false => Err(DAMAGED),
        }
    }
}

impl RootKey {
    /// Reads the root key from its file, sealed or in clear. May be called where nothing
    /// asynchronous runs, and nowhere else.
    ///
    /// # Errors
    /// As [`RootKey::load`] where there is no token. Where there is one, it must be connected, and
    /// the file be sealed by it: [`CryptoError::Token`] and [`CryptoError::RootKey`].
    pub fn open(path: &Path, token: Option<&Arc<Token>>) -> Result<Self, CryptoError> {
        let Some(token) = token else {
            return Self::load(path);
        };
        match RootKeyFile::read(path)? {
            RootKeyFile::Sealed(sealed) => waited(token::block_on(sealed.open(token))),
            RootKeyFile::Clear(_) => Err(CryptoError::RootKey(format!(
                "the root key in {} is in clear, but the configuration has the token {} seal it: \
                 seal it first ('keystead root-key seal')",
                path.display(),
                token.name()
            ))),
        }
    }

    /// Makes a root key and stores it in a new file, sealed where there is a token; as
    /// [`RootKey::open`] otherwise.
    ///
    /// # Errors
    /// As [`RootKey::create`] and [`RootKey::create_sealed`].
    pub fn establish(path: &Path, token: Option<&Arc<Token>>) -> Result<Self, CryptoError> {
        match token {
            Some(token) => waited(token::block_on(Self::create_sealed(path, token))),
            None => Self::create(path),
        }
    }

    /// Makes a root key and stores it in a new file, sealed by a token; as [`RootKey::create`]
    /// otherwise.
    ///
    /// # Errors
    /// As [`RootKey::create`]; [`CryptoError::Token`] when the token does not do its part.
    pub async fn create_sealed(path: &Path, token: &Arc<Token>) -> Result<Self, CryptoError> {
        let root = Self::generate()?;
        let sealed = root.seal(token).await?;
        file::create(path, &sealed.encode())?;
        Ok(root)
    }

    /// Replaces a root key file by one with the same key, sealed by a token. The new form is opened
    /// again before it takes the place of the old one; if this fails or the machine stops, either
    /// is there, whole.
    ///
    /// # Errors
    /// [`CryptoError::Token`] when the token does not do its part; [`CryptoError::RootKey`] when the
    /// file cannot be written.
    pub async fn store_sealed(&self, path: &Path, token: &Arc<Token>) -> Result<(), CryptoError> {
        let sealed = self.seal(token).await?;
        file::replace(path, &sealed.encode())
    }

    /// Replaces a root key file by one with the same key in clear; as [`RootKey::store_sealed`]
    /// otherwise.
    ///
    /// # Errors
    /// [`CryptoError::RootKey`] when the file cannot be written.
    pub fn store_clear(&self, path: &Path) -> Result<(), CryptoError> {
        file::replace(path, &self.encode())
    }

    /// Stores the key in clear in a new file: a copy for a safe place.
    ///
    /// # Errors
    /// [`CryptoError::RootKey`] when something is there already, or it cannot be written.
    pub fn store_copy(&self, path: &Path) -> Result<(), CryptoError> {
        file::create(path, &self.encode())
    }

    /// Seals the key under a new key in a token, and sees that it opens.
    async fn seal(&self, token: &Arc<Token>) -> Result<SealedRootKey, CryptoError> {
        let key = KeyId::random()?;
        let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
        token.generate(spec, usage, key, LABEL).await?;
        let sealed = self.seal_by(token, key).await;
        if sealed.is_err() {
            // Nothing is sealed by it. If this fails too, it is no worse than before.
            let _ = token.destroy(key).await;
        }
        sealed
    }

    async fn seal_by(&self, token: &Arc<Token>, key: KeyId) -> Result<SealedRootKey, CryptoError> {
        let serial = token.status().identity.map(|identity| identity.serial);
        let mut sealed = SealedRootKey {
            serial: shown(&serial.unwrap_or_default()),
            key,
            id: self.id(),
            sealed: [0; SEALED_LEN],
        };
        let (spec, default) = (
            KeySpec::SymmetricDefault,
            EncryptionAlgorithm::SymmetricDefault,
        );
        let head = sealed.head();
        let bytes = Held::new(token, key)
            .encrypt(spec, default, head.as_bytes(), &self.secret)
            .await?;
        sealed.sealed = <[u8; SEALED_LEN]>::try_from(bytes)
            .map_err(|_| CryptoError::library("seal the root key"))?;
        let opened = sealed.open(token).await?;
        match digest::constant_time_eq(&opened.secret, &self.secret) {
            true => Ok(sealed),
            false => Err(CryptoError::library("open the root key again")),
        }
    }
}

fn waited<T>(outcome: std::io::Result<Result<T, CryptoError>>) -> Result<T, CryptoError> {
    outcome.unwrap_or_else(|error| {
        Err(CryptoError::Internal(format!(
            "cannot wait for a token: {error}"
        )))
    })
}

/// A serial number in a line of text.
fn shown(serial: &str) -> String {
    let plain = |letter: char| match letter.is_control() {
        true => '?',
        false => letter,
    };
    serial.chars().map(plain).take(MAX_SERIAL).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> SealedRootKey {
        SealedRootKey {
            serial: "454e58f5528b2a5c".into(),
            key: "00112233445566778899aabbccddeeff".parse().unwrap(),
            id: "ffeeddccbbaa99887766554433221100".parse().unwrap(),
            sealed: [0xa5; SEALED_LEN],
        }
    }

    /// The format does not change.
    #[test]
    fn a_sealed_file_says_who_sealed_what() {
        let text = format!(
            "keystead root key v1, sealed by a token\ntoken: 454e58f5528b2a5c\nsealed by: \
             00112233445566778899aabbccddeeff\nid: ffeeddccbbaa99887766554433221100\nsealed: {}\n",
            "a5".repeat(72)
        );
        assert_eq!(sample().encode(), text);
        assert_eq!(SealedRootKey::decode(text.as_bytes()).unwrap(), sample());
        let odd = SealedRootKey {
            serial: shown("a\nb\u{7f}ü"),
            ..sample()
        };
        assert_eq!(odd.serial, "a?b?ü");
        assert_eq!(SealedRootKey::decode(odd.encode().as_bytes()).unwrap(), odd);
    }

    #[test]
    fn every_cut_and_every_misshapen_line_is_refused() {
        let whole = sample().encode();
        for at in HEADER.len()..whole.len() {
            let cut = &whole.as_bytes()[..at];
            assert!(SealedRootKey::decode(cut).is_err(), "cut at {at}");
        }
        for (from, to) in [
            ("token:", "Token:"),
            ("aabb", "AABB"),
            ("aabb", "aabg"),
            ("a5a5", "a5"),
            ("a5a5", "a5a5a5a5"),
            ("sealed: ", "sealed:  "),
            ("\nid", "\r\nid"),
        ] {
            let odd = whole.replacen(from, to, 1);
            assert!(SealedRootKey::decode(odd.as_bytes()).is_err(), "{to}");
        }
        assert!(SealedRootKey::decode(format!("{whole}x").as_bytes()).is_err());
    }
}
