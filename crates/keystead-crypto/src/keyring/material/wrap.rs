//! Key material on its way in, under an RSA key's public half.

use aws_lc_rs::key_wrap::{AES_256, KeyEncryptionKey, KeyWrapPadded};
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
};
use keystead_core::kms::WrappingAlgorithm;
use zeroize::Zeroizing;

use super::encrypt::decrypt_oaep;
use super::ready::Ready;
use crate::CryptoError;

impl Ready {
    /// The material inside.
    ///
    /// # Errors
    /// [`CryptoError::NotUnwrapped`], whatever is wrong with it.
    pub(super) fn unwrap_material(
        &self,
        algorithm: WrappingAlgorithm,
        wrapped: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        use WrappingAlgorithm as W;
        let key = self.decrypting_key()?;
        let clear = match algorithm {
            W::RsaesOaepSha1 => decrypt_oaep(key, &OAEP_SHA1_MGF1SHA1, wrapped),
            W::RsaesOaepSha256 => decrypt_oaep(key, &OAEP_SHA256_MGF1SHA256, wrapped),
            W::RsaAesKeyWrapSha1 => two_steps(key, &OAEP_SHA1_MGF1SHA1, wrapped),
            W::RsaAesKeyWrapSha256 => two_steps(key, &OAEP_SHA256_MGF1SHA256, wrapped),
        };
        clear.ok_or_else(|| {
            CryptoError::NotUnwrapped(format!(
                "the key material does not unwrap by {}: it has to be wrapped under the public \
                 key that came with the import token",
                algorithm.name()
            ))
        })
    }
}

/// RSA_AES_KEY_WRAP (PKCS #11's CKM_RSA_AES_KEY_WRAP): an AES-256 key under RSA, then the material
/// under that key by AES key wrap with padding (RFC 5649).
fn two_steps(
    key: &OaepPrivateDecryptingKey,
    oaep: &'static OaepAlgorithm,
    wrapped: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (wrapped_key, rest) = wrapped.split_at_checked(key.key_size_bytes())?;
    unwrap_padded(&decrypt_oaep(key, oaep, wrapped_key)?, rest)
}

/// AES key unwrap with padding (RFC 5649) under an AES-256 key.
pub(super) fn unwrap_padded(key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let key = KeyEncryptionKey::new(&AES_256, key).ok()?;
    let mut out = Zeroizing::new(vec![0; wrapped.len()]);
    let length = key.unwrap_with_padding(wrapped, &mut out).ok()?.len();
    out.truncate(length);
    Some(out)
}
