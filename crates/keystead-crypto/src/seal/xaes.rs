//! XAES-256-GCM (C2SP): AES-256-GCM with a 192-bit nonce.
//!
//! A key derivation of NIST SP 800-108r1 (counter mode, CMAC) turns the key and the first half of
//! the nonce into a key for this message alone; the second half is that AES-256-GCM message's
//! nonce. Both primitives are the library's; only their composition is here, checked against the
//! specification's vectors.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cmac;
use zeroize::Zeroizing;

use crate::CryptoError;

/// Bytes of a key.
pub(crate) const KEY: usize = 32;
/// Bytes of a nonce.
pub(crate) const NONCE: usize = 24;
/// Bytes that sealing adds behind the plaintext.
pub(crate) const TAG: usize = 16;

/// A key, ready for use.
#[derive(Clone)]
pub(crate) struct Key(cmac::Key);

impl Key {
    pub(crate) fn new(key: &[u8; KEY]) -> Result<Self, CryptoError> {
        cmac::Key::new(cmac::AES_256, key)
            .map(Self)
            .map_err(|_| CryptoError::library("set up a sealing key"))
    }

    /// Encrypts in place; the tag is returned.
    pub(crate) fn seal(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        in_out: &mut [u8],
    ) -> Result<[u8; TAG], CryptoError> {
        self.message_key(nonce)?.seal(aad, in_out)
    }

    /// Decrypts in place what `seal` made with its tag behind it; `None` when it is not authentic.
    pub(crate) fn open<'a>(
        &self,
        nonce: &[u8; NONCE],
        aad: &[u8],
        in_out: &'a mut [u8],
    ) -> Result<Option<&'a mut [u8]>, CryptoError> {
        Ok(self.message_key(nonce)?.open(aad, in_out))
    }

    /// The key of the message with this nonce.
    pub(crate) fn message_key(&self, nonce: &[u8; NONCE]) -> Result<MessageKey, CryptoError> {
        let mut derived = Zeroizing::new([0; KEY]);
        for (block, half) in blocks(nonce).iter().zip(derived.chunks_exact_mut(KEY / 2)) {
            let tag = cmac::sign(&self.0, block)
                .map_err(|_| CryptoError::library("derive a message key"))?;
            half.copy_from_slice(tag.as_ref());
        }
        MessageKey::new(&derived, nonce)
    }
}

/// What is authenticated by AES-CMAC to derive the two halves of a message's key, here or in a token
/// (SP 800-108r1): a 16-bit counter, the label "X", a zero byte, and as context the first half of
/// the nonce.
pub(crate) fn blocks(nonce: &[u8; NONCE]) -> [[u8; 16]; 2] {
    [1, 2].map(|counter| {
        let mut block = [0; 16];
        let fields = [0, counter, b'X', 0].into_iter().chain(*nonce);
        block
            .iter_mut()
            .zip(fields)
            .for_each(|(to, from)| *to = from);
        block
    })
}

/// The key of one message, with its nonce. Used once.
pub(crate) struct MessageKey {
    key: LessSafeKey,
    nonce: [u8; 12],
}

impl MessageKey {
    /// From what was derived for this nonce.
    pub(crate) fn new(derived: &[u8; KEY], nonce: &[u8; NONCE]) -> Result<Self, CryptoError> {
        let fail = || CryptoError::library("derive a message key");
        let key = UnboundKey::new(&AES_256_GCM, derived).map_err(|_| fail())?;
        let (_, nonce) = nonce.split_last_chunk().ok_or_else(fail)?;
        Ok(Self {
            key: LessSafeKey::new(key),
            nonce: *nonce,
        })
    }

    /// Encrypts in place; the tag is returned.
    pub(crate) fn seal(self, aad: &[u8], in_out: &mut [u8]) -> Result<[u8; TAG], CryptoError> {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        let tag = self
            .key
            .seal_in_place_separate_tag(nonce, Aad::from(aad), in_out)
            .map_err(|_| CryptoError::library("seal"))?;
        <[u8; TAG]>::try_from(tag.as_ref()).map_err(|_| CryptoError::library("seal"))
    }

    /// Decrypts in place what `seal` made with its tag behind it; `None` when it is not authentic.
    pub(crate) fn open<'a>(self, aad: &[u8], in_out: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let nonce = Nonce::assume_unique_for_key(self.nonce);
        self.key.open_in_place(nonce, Aad::from(aad), in_out).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::hex;

    /// The two vectors of the C2SP specification (XAES-256-GCM, "Test Vectors").
    #[test]
    fn known_answers() {
        for (byte, aad, expected) in [
            (
                1,
                &b""[..],
                "ce546ef63c9cc60765923609b33a9a1974e96e52daf2fcf7075e2271",
            ),
            (
                3,
                b"c2sp.org/XAES-256-GCM",
                "986ec1832593df5443a179437fd083bf3fdb41abd740a21f71eb769d",
            ),
        ] {
            let key = Key::new(&[byte; 32]).unwrap();
            let nonce = b"ABCDEFGHIJKLMNOPQRSTUVWX";
            let mut text = b"XAES-256-GCM".to_vec();
            let tag = key.seal(nonce, aad, &mut text).unwrap();
            text.extend(tag);
            assert_eq!(text, hex(expected));
            let opened = key.open(nonce, aad, &mut text).unwrap().unwrap();
            assert_eq!(opened, b"XAES-256-GCM");
        }
    }
}
