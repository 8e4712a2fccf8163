//! Encryption: XAES-256-GCM, and RSA with OAEP.

use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm, OaepPrivateDecryptingKey,
    OaepPublicEncryptingKey, PublicEncryptingKey,
};
use keystead_core::kms::{EncryptionAlgorithm, KeySpec};
use zeroize::Zeroizing;

use super::ready::{Ready, Second};
use super::sign::unfit;
use crate::seal::xaes;
use crate::{CryptoError, random};

/// Refuses what such a key does not do.
pub(super) fn check(
    spec: KeySpec,
    algorithm: EncryptionAlgorithm,
    aad: &[u8],
) -> Result<(), CryptoError> {
    if !spec.encryption_algorithms().contains(&algorithm) {
        return Err(unfit(algorithm.name()));
    }
    if spec.is_asymmetric() && !aad.is_empty() {
        return Err(CryptoError::Mismatch(
            "only symmetric encryption binds further data to a ciphertext".into(),
        ));
    }
    Ok(())
}

impl Ready {
    /// See `KeyRing::encrypt`.
    pub(super) fn encrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        aad: &[u8],
        plaintext: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        match (self, oaep(algorithm)) {
            (Self::Symmetric(key), None) => seal(key, aad, plaintext),
            (Self::Shared(..), Some(oaep)) => {
                let public = self.public_key()?.unwrap_or_default();
                encrypt_oaep(&public, oaep, algorithm, plaintext)
            }
            _ => Err(unfit(algorithm.name())),
        }
    }

    /// See `KeyRing::decrypt`.
    pub(super) fn decrypt(
        &self,
        algorithm: EncryptionAlgorithm,
        aad: &[u8],
        ciphertext: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, CryptoError> {
        match (self, oaep(algorithm)) {
            (Self::Symmetric(key), None) => open(key, aad, ciphertext),
            (Self::Shared(..), Some(oaep)) => {
                Ok(decrypt_oaep(self.decrypting_key()?, oaep, ciphertext))
            }
            _ => Err(unfit(algorithm.name())),
        }
    }

    /// # Errors
    /// [`CryptoError::Mismatch`] when it is no RSA key.
    pub(super) fn decrypting_key(&self) -> Result<&OaepPrivateDecryptingKey, CryptoError> {
        match self.second().transpose()? {
            Some(Second::Decrypting(key)) => Ok(key),
            _ => Err(unfit("RSAES_OAEP")),
        }
    }
}

pub(in crate::keyring) fn oaep(algorithm: EncryptionAlgorithm) -> Option<&'static OaepAlgorithm> {
    match algorithm {
        EncryptionAlgorithm::SymmetricDefault => None,
        EncryptionAlgorithm::RsaesOaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
        EncryptionAlgorithm::RsaesOaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
    }
}

fn seal(key: &xaes::Key, aad: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoError> {
    let nonce = random::bytes::<{ xaes::NONCE }>()?;
    seal_with(key.message_key(&nonce)?, &nonce, aad, plaintext)
}

fn open(
    key: &xaes::Key,
    aad: &[u8],
    ciphertext: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>, CryptoError> {
    let Some((nonce, body)) = ciphertext.split_first_chunk::<{ xaes::NONCE }>() else {
        return Ok(None);
    };
    Ok(open_with(key.message_key(nonce)?, aad, body))
}

/// Nonce, ciphertext and tag, under the key of this message.
pub(in crate::keyring) fn seal_with(
    key: xaes::MessageKey,
    nonce: &[u8; xaes::NONCE],
    aad: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let length = plaintext.len().saturating_add(xaes::NONCE + xaes::TAG);
    let mut out = Vec::with_capacity(length);
    out.extend_from_slice(nonce);
    out.extend_from_slice(plaintext);
    let (_, body) = out
        .split_at_mut_checked(xaes::NONCE)
        .ok_or_else(|| CryptoError::library("seal"))?;
    let tag = key.seal(aad, body)?;
    out.extend_from_slice(&tag);
    Ok(out)
}

/// The plaintext of ciphertext and tag; `None` when they are not authentic.
pub(in crate::keyring) fn open_with(
    key: xaes::MessageKey,
    aad: &[u8],
    body: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut buffer = Zeroizing::new(body.to_vec());
    let length = key.open(aad, &mut buffer)?.len();
    buffer.truncate(length);
    Some(buffer)
}

pub(in crate::keyring) fn encrypt_oaep(
    spki: &[u8],
    oaep: &'static OaepAlgorithm,
    algorithm: EncryptionAlgorithm,
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    let fail = || CryptoError::library("encrypt");
    let key = PublicEncryptingKey::from_der(spki).map_err(|_| fail())?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| fail())?;
    // RFC 8017 section 7.1.1; developer guide, "RSA key specs for encryption and decryption".
    let most = key.max_plaintext_size(oaep);
    if plaintext.len() > most {
        return Err(CryptoError::Malformed(format!(
            "the plaintext has {} bytes; a {}-bit key encrypts at most {most} by {}",
            plaintext.len(),
            key.key_size_bits(),
            algorithm.name()
        )));
    }
    let mut out = vec![0; key.ciphertext_size()];
    let length = key
        .encrypt(oaep, plaintext, &mut out, None)
        .map_err(|_| fail())?
        .len();
    out.truncate(length);
    Ok(out)
}

/// The plaintext; `None` whatever is wrong, so that nobody learns what (RFC 8017 section 7.1.2).
pub(super) fn decrypt_oaep(
    key: &OaepPrivateDecryptingKey,
    algorithm: &'static OaepAlgorithm,
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let mut out = Zeroizing::new(vec![0; key.min_output_size()]);
    let length = key
        .decrypt(algorithm, ciphertext, &mut out, None)
        .ok()?
        .len();
    out.truncate(length);
    Some(out)
}
