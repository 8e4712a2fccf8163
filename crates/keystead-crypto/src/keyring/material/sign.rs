//! Signatures over messages and digests.

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::signature::{self, EcdsaKeyPair, RsaEncoding, RsaKeyPair};
use keystead_core::kms::{KeySpec, MessageType, SigningAlgorithm};

use super::ready::{Ed25519, Ready};
use crate::der::Writer;
use crate::keyring::soft::{Curve, SoftKey};
use crate::{CryptoError, native};

/// Refuses what such a key does not sign.
pub(super) fn check(
    spec: KeySpec,
    algorithm: SigningAlgorithm,
    message_type: MessageType,
    message: &[u8],
) -> Result<(), CryptoError> {
    if !spec.signing_algorithms().contains(&algorithm) {
        return Err(unfit(algorithm.name()));
    }
    if !algorithm.takes(message_type) {
        return Err(CryptoError::Malformed(format!(
            "{} does not take messages of type {}",
            algorithm.name(),
            message_type.name()
        )));
    }
    let expected = match message_type {
        MessageType::Raw => None,
        MessageType::Digest => algorithm.digest_len(),
        MessageType::ExternalMu => Some(native::MU),
    };
    match expected {
        Some(expected) if message.len() != expected => Err(CryptoError::Malformed(format!(
            "Digest is invalid length for algorithm {}: it has {} bytes, and {expected} are \
             expected",
            algorithm.name(),
            message.len()
        ))),
        _ => Ok(()),
    }
}

impl Ready {
    /// See `KeyRing::sign_message`; `check` has seen the arguments.
    pub(super) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message_type: MessageType,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        use SigningAlgorithm as S;
        match (self, algorithm) {
            (Self::Shared(SoftKey::Rsa(key), _), _) => {
                sign_rsa(key, algorithm, &hashed(algorithm, message_type, message)?)
            }
            (Self::Shared(SoftKey::Ec(key, curve), _), _) if hash_of(*curve) == algorithm => {
                let digest = hashed(algorithm, message_type, message)?;
                key.sign_digest(&digest)
                    .map(|signature| signature.as_ref().to_vec())
                    .map_err(|_| fail())
            }
            (Self::Secp256k1(key), S::EcdsaSha256) => {
                sign_secp256k1(key, &hashed(algorithm, message_type, message)?)
            }
            (Self::Ed25519(Ed25519 { key, .. }), S::Ed25519Sha512) => key
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| fail()),
            (Self::Ed25519(Ed25519 { bytes, .. }), S::Ed25519PhSha512) => {
                let key = bytes.as_slice().try_into().map_err(|_| fail())?;
                let digest = message.try_into().map_err(|_| fail())?;
                native::ed25519ph_sign(key, digest)
                    .map(Into::into)
                    .ok_or_else(fail)
            }
            (Self::Shared(key @ SoftKey::MlDsa(pair), _), S::MlDsaShake256) => {
                if message_type == MessageType::ExternalMu {
                    let mu = message.try_into().map_err(|_| fail())?;
                    return native::ml_dsa_sign_mu(&key.to_pkcs8()?, mu).ok_or_else(fail);
                }
                let mut out = vec![0; pair.algorithm().signature_len()];
                let length = pair.sign(message, &mut out).map_err(|_| fail())?;
                out.truncate(length);
                Ok(out)
            }
            _ => Err(unfit(algorithm.name())),
        }
    }
}

/// The one algorithm of a curve.
fn hash_of(curve: Curve) -> SigningAlgorithm {
    match curve {
        Curve::P256 => SigningAlgorithm::EcdsaSha256,
        Curve::P384 => SigningAlgorithm::EcdsaSha384,
        Curve::P521 => SigningAlgorithm::EcdsaSha512,
    }
}

/// The digest that is signed: the message's, or the message itself where it is one.
pub(in crate::keyring) fn hashed(
    algorithm: SigningAlgorithm,
    message_type: MessageType,
    message: &[u8],
) -> Result<Digest, CryptoError> {
    use SigningAlgorithm as S;
    let hash = match algorithm {
        S::RsassaPssSha256 | S::RsassaPkcs1V15Sha256 | S::EcdsaSha256 => &digest::SHA256,
        S::RsassaPssSha384 | S::RsassaPkcs1V15Sha384 | S::EcdsaSha384 => &digest::SHA384,
        S::RsassaPssSha512 | S::RsassaPkcs1V15Sha512 | S::EcdsaSha512 => &digest::SHA512,
        S::MlDsaShake256 | S::Ed25519Sha512 | S::Ed25519PhSha512 => {
            return Err(CryptoError::library("find the hash of a signature"));
        }
    };
    match message_type {
        MessageType::Digest => Digest::import_less_safe(message, hash)
            .map_err(|_| CryptoError::library("take a digest")),
        MessageType::Raw | MessageType::ExternalMu => Ok(digest::digest(hash, message)),
    }
}

fn sign_rsa(
    key: &RsaKeyPair,
    algorithm: SigningAlgorithm,
    digest: &Digest,
) -> Result<Vec<u8>, CryptoError> {
    use SigningAlgorithm as S;
    // Each PSS encoding of the library has a salt as long as its digest.
    let encoding: &'static dyn RsaEncoding = match algorithm {
        S::RsassaPkcs1V15Sha256 => &signature::RSA_PKCS1_SHA256,
        S::RsassaPkcs1V15Sha384 => &signature::RSA_PKCS1_SHA384,
        S::RsassaPkcs1V15Sha512 => &signature::RSA_PKCS1_SHA512,
        S::RsassaPssSha256 => &signature::RSA_PSS_SHA256,
        S::RsassaPssSha384 => &signature::RSA_PSS_SHA384,
        S::RsassaPssSha512 => &signature::RSA_PSS_SHA512,
        _ => return Err(unfit(algorithm.name())),
    };
    let mut out = vec![0; key.public_modulus_len()];
    key.sign_digest(encoding, digest, &mut out)
        .map_err(|_| fail())?;
    Ok(out)
}

/// DER of r and s, where s is the smaller of the two that verify: those who use this curve,
/// blockchains above all, refuse the larger one (Bitcoin's BIP 146, Ethereum's EIP-2).
fn sign_secp256k1(key: &EcdsaKeyPair, digest: &Digest) -> Result<Vec<u8>, CryptoError> {
    let signature = key.sign_digest(digest).map_err(|_| fail())?;
    let (r, s) = signature
        .as_ref()
        .split_first_chunk::<32>()
        .ok_or_else(fail)?;
    let s = low_s(s.try_into().map_err(|_| fail())?);
    let mut writer = Writer::new();
    writer.sequence(|writer| {
        writer.unsigned_integer(r);
        writer.unsigned_integer(&s);
        Ok(())
    })?;
    Ok(writer.finish())
}

/// The order of secp256k1's base point (SEC 2 section 2.4.1).
pub(super) const ORDER: [u8; 32] =
    *b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe\
\xba\xae\xdc\xe6\xaf\x48\xa0\x3b\xbf\xd2\x5e\x8c\xd0\x36\x41\x41";

/// s or the order minus s, whichever is smaller. Both are public, so the time may tell.
pub(crate) fn low_s(s: &[u8; 32]) -> [u8; 32] {
    let mut other = [0; 32];
    let mut borrow = false;
    for ((out, order), s) in other.iter_mut().zip(ORDER).zip(s).rev() {
        let (difference, first) = order.overflowing_sub(*s);
        let (difference, second) = difference.overflowing_sub(borrow.into());
        *out = difference;
        borrow = first || second;
    }
    other.min(*s)
}

fn fail() -> CryptoError {
    CryptoError::library("sign")
}

/// The refusal of an algorithm that is not the key's.
pub(in crate::keyring) fn unfit(algorithm: &str) -> CryptoError {
    CryptoError::Mismatch(format!("a key of this kind is not for {algorithm}"))
}
