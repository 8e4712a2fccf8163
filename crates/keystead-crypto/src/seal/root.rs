//! The root key and its file.
//!
//! The file is text, so that an operator can recognise, copy and print it:
//!
//! ```text
//! keystead root key v1
//! 64 hexadecimal digits: the key
//! 32 hexadecimal digits: the key's id, which also tells a damaged file
//! ```
//!
//! or, with the key sealed by a token, what `sealed` tells.

use std::fmt;
use std::path::Path;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use zeroize::{Zeroize, Zeroizing};

use super::{DataKey, KeyId, xaes};
use crate::{CryptoError, digest, random};

mod file;
mod sealed;

pub use sealed::{RootKeyFile, SealedRootKey};

/// First line of a root key file.
const HEADER: &str = "keystead root key v1";
/// The whole file: header, key and id, each with its line end.
const FILE_LEN: usize = HEADER.len() + 1 + 2 * xaes::KEY + 1 + 2 * KeyId::LEN + 1;

/// The key from which all protection at rest descends.
pub struct RootKey {
    secret: [u8; xaes::KEY],
}

impl RootKey {
    /// A new random root key, kept nowhere.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when there is no randomness.
    pub fn generate() -> Result<Self, CryptoError> {
        Ok(Self::from_bytes(*Zeroizing::new(random::bytes()?)))
    }

    /// A root key that came from elsewhere than a file.
    pub fn from_bytes(secret: [u8; 32]) -> Self {
        Self { secret }
    }

    /// Makes a root key and stores it in a new file, mode 0600, in clear. When this returns, the
    /// file is complete and durable; if it fails or the machine stops, there is no file at `path`.
    ///
    /// # Errors
    /// [`CryptoError::RootKey`] when something is at `path` already or it cannot be written.
    pub fn create(path: &Path) -> Result<Self, CryptoError> {
        let root = Self::generate()?;
        file::create(path, &root.encode())?;
        Ok(root)
    }

    /// Reads the root key from its file, in which it is in clear.
    ///
    /// # Errors
    /// [`CryptoError::RootKeyMissing`] when there is no such file; [`CryptoError::RootKey`] when
    /// others than its owner have access, it is not a complete root key file, or the key in it is
    /// sealed.
    pub fn load(path: &Path) -> Result<Self, CryptoError> {
        match RootKeyFile::read(path)? {
            RootKeyFile::Clear(root) => Ok(root),
            RootKeyFile::Sealed(sealed) => Err(CryptoError::RootKey(format!(
                "the root key in {} is sealed by the token with the serial number {}: name it in \
                 the configuration ([root_key], token)",
                path.display(),
                sealed.serial()
            ))),
        }
    }

    /// Its public identity: tells two root keys apart and says nothing else about them.
    pub fn id(&self) -> KeyId {
        let mut id = [0; KeyId::LEN];
        let derived = digest::hmac_sha256(&self.secret, b"keystead root key id");
        id.iter_mut().zip(derived).for_each(|(to, from)| *to = from);
        KeyId(id)
    }

    /// A key of its own for each purpose: HKDF-SHA-256 (RFC 5869) with the purpose as its info.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when the library fails.
    pub fn derive(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
        let mut out = Zeroizing::new([0; 32]);
        Salt::new(HKDF_SHA256, b"keystead")
            .extract(&self.secret)
            .expand(&[purpose.as_bytes()], Length)
            .and_then(|okm| okm.fill(out.as_mut_slice()))
            .map_err(|_| CryptoError::library("derive a key"))?;
        Ok(out)
    }

    /// A data key, encrypted so that it can be kept beside what it seals.
    ///
    /// # Errors
    /// [`CryptoError::Internal`] when there is no randomness.
    pub fn wrap(&self, key: &DataKey) -> Result<Vec<u8>, CryptoError> {
        let mut plaintext = Zeroizing::new(Vec::with_capacity(KeyId::LEN + xaes::KEY));
        plaintext.extend_from_slice(key.id.as_bytes());
        plaintext.extend_from_slice(&key.secret);
        self.sealing_key(WRAP)?.seal(WRAP_AAD, &plaintext)
    }

    /// The data key that [`RootKey::wrap`] encrypted.
    ///
    /// # Errors
    /// [`CryptoError::RootKey`] when another root key wrapped it; [`CryptoError::Sealed`] when the
    /// bytes were altered.
    pub fn unwrap(&self, wrapped: &[u8]) -> Result<DataKey, CryptoError> {
        let plaintext = self.sealing_key(WRAP)?.open_own(WRAP_AAD, wrapped)?;
        let torn = || CryptoError::Sealed("a wrapped data key has the wrong length".into());
        let (id, secret) = plaintext
            .split_first_chunk::<{ KeyId::LEN }>()
            .ok_or_else(torn)?;
        let secret = <&[u8; xaes::KEY]>::try_from(secret).map_err(|_| torn())?;
        DataKey::from_parts(KeyId(*id), secret)
    }

    /// A key that seals for one purpose; its envelopes carry the root key's id.
    pub(crate) fn sealing_key(&self, purpose: &str) -> Result<DataKey, CryptoError> {
        DataKey::from_parts(self.id(), &*self.derive(purpose)?)
    }

    fn encode(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::with_capacity(FILE_LEN));
        text.push_str(HEADER);
        for bytes in [self.secret.as_slice(), self.id().as_bytes()] {
            text.push('\n');
            push_hex(&mut text, bytes);
        }
        text.push('\n');
        text
    }

    /// The inverse of `encode`; the error is a clause that follows "the root key file x".
    fn decode(text: &[u8]) -> Result<Self, &'static str> {
        if !text.starts_with(HEADER.as_bytes()) {
            return Err("does not begin with \"keystead root key v1\"");
        }
        if text.len() < FILE_LEN {
            return Err("is cut short");
        }
        let mut secret = Zeroizing::new([0; xaes::KEY]);
        let key_digits = text.get(HEADER.len() + 1..).unwrap_or_default();
        for (byte, digits) in secret.iter_mut().zip(key_digits.chunks_exact(2)) {
            *byte = super::hex_byte(digits).ok_or("is damaged: the key is not hexadecimal")?;
        }
        let root = Self::from_bytes(*secret);
        if !digest::constant_time_eq(root.encode().as_bytes(), text) {
            return Err("is damaged: key and id do not belong together");
        }
        Ok(root)
    }
}

impl Drop for RootKey {
    fn drop(&mut self) {
        self.secret.zeroize();
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RootKey")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}

/// The purpose of the key that wraps data keys.
const WRAP: &str = "wrap data keys";
/// What the wrapping of a data key is bound to.
const WRAP_AAD: &[u8] = b"keystead data key";

/// HKDF output as long as a key.
struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        xaes::KEY
    }
}

/// Appends the digits of these bytes, without a copy on the way.
fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn refusal(path: &Path) -> String {
        match RootKey::load(path) {
            Err(CryptoError::RootKey(message)) => message,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn survives_its_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        assert_eq!(
            RootKey::load(&path).unwrap_err(),
            CryptoError::RootKeyMissing(path.clone())
        );
        let made = RootKey::create(&path).unwrap();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        let loaded = RootKey::load(&path).unwrap();
        assert_eq!(loaded.id(), made.id());
        assert_eq!(loaded.secret, made.secret);
        assert_eq!(
            fs::read_dir(directory.path()).unwrap().count(),
            1,
            "no draft is left"
        );
    }

    #[test]
    fn never_replaces_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        let first = RootKey::create(&path).unwrap();
        let error = RootKey::create(&path).unwrap_err();
        assert!(error.to_string().contains("exists"), "{error}");
        assert_eq!(RootKey::load(&path).unwrap().id(), first.id());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn wide_permissions_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        RootKey::create(&path).unwrap();
        for mode in [0o640, 0o604, 0o660, 0o601] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert!(refusal(&path).contains("chmod 600"));
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        RootKey::load(&path).unwrap();
    }

    #[test]
    fn every_cut_and_every_altered_byte_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        RootKey::create(&path).unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            fs::write(&path, &whole[..at]).unwrap();
            refusal(&path);
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            refusal(&path);
        }
        fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
        refusal(&path);
        fs::write(&path, &whole).unwrap();
        RootKey::load(&path).unwrap();
    }

    #[test]
    fn another_root_key_is_named() {
        let (ours, theirs) = (RootKey::generate().unwrap(), RootKey::generate().unwrap());
        let key = DataKey::generate().unwrap();
        let wrapped = ours.wrap(&key).unwrap();
        assert_eq!(ours.unwrap(&wrapped).unwrap().id(), key.id());
        let error = theirs.unwrap(&wrapped).unwrap_err();
        assert!(matches!(error, CryptoError::RootKey(_)));
        assert!(error.to_string().contains(&ours.id().to_string()));
        let mut altered = wrapped.clone();
        *altered.last_mut().unwrap() ^= 1;
        assert!(matches!(
            ours.unwrap(&altered).unwrap_err(),
            CryptoError::Sealed(_)
        ));
    }

    #[test]
    fn purposes_have_their_own_keys() {
        let root = RootKey::from_bytes([7; 32]);
        assert_eq!(root.derive("a").unwrap(), root.derive("a").unwrap());
        assert_ne!(root.derive("a").unwrap(), root.derive("b").unwrap());
        assert_ne!(root.derive("a").unwrap().as_slice(), root.secret);
        assert!(!format!("{root:?}").contains("07, 07"));
    }
}
