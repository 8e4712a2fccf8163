//! Verification of signatures under a public key.
//!
//! ECDSA signatures are accepted with either value of s, on secp256k1 too: AWS KMS says no more
//! than that it verifies by FIPS 186-5, which both fulfil, and signatures that others made have
//! to verify here as they do there. Only what is made here prefers one.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use keystead_core::kms::{KeySpec, MessageType, SigningAlgorithm};

use super::sign::{hashed, unfit};
use crate::x509::key_bits;
use crate::{CryptoError, native};

/// See `KeyRing::verify_message`; `sign::check` has seen the arguments.
pub(super) fn verify(
    spec: KeySpec,
    public_key: &[u8],
    algorithm: SigningAlgorithm,
    message_type: MessageType,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, CryptoError> {
    use SigningAlgorithm as S;
    match algorithm {
        S::Ed25519PhSha512 => {
            let key = key_bits(public_key)?.try_into().map_err(|_| not_valid())?;
            let digest = message.try_into().map_err(|_| not_valid())?;
            Ok(signature
                .try_into()
                .is_ok_and(|signature| native::ed25519ph_verify(key, digest, signature)))
        }
        S::MlDsaShake256 if message_type == MessageType::ExternalMu => {
            // Parsed for its parameters: the C function takes any of the three.
            parsed(spec, algorithm, public_key)?;
            let mu = message.try_into().map_err(|_| not_valid())?;
            native::ml_dsa_verify_mu(public_key, mu, signature).ok_or_else(not_valid)
        }
        S::Ed25519Sha512 | S::MlDsaShake256 => {
            let key = parsed(spec, algorithm, public_key)?;
            Ok(key.verify_sig(message, signature).is_ok())
        }
        _ => {
            let key = parsed(spec, algorithm, public_key)?;
            let digest = hashed(algorithm, message_type, message)?;
            Ok(key.verify_digest_sig(&digest, signature).is_ok())
        }
    }
}

fn parsed(
    spec: KeySpec,
    algorithm: SigningAlgorithm,
    public_key: &[u8],
) -> Result<ParsedPublicKey, CryptoError> {
    let verifying = verification(spec, algorithm).ok_or_else(|| unfit(algorithm.name()))?;
    ParsedPublicKey::new(verifying, public_key).map_err(|_| not_valid())
}

/// What verifies such a signature under such a key. The library's PSS algorithms take only a salt
/// as long as the digest.
fn verification(
    spec: KeySpec,
    algorithm: SigningAlgorithm,
) -> Option<&'static dyn VerificationAlgorithm> {
    use KeySpec as K;
    use SigningAlgorithm as S;
    Some(match (spec, algorithm) {
        (_, S::RsassaPkcs1V15Sha256) => &signature::RSA_PKCS1_2048_8192_SHA256,
        (_, S::RsassaPkcs1V15Sha384) => &signature::RSA_PKCS1_2048_8192_SHA384,
        (_, S::RsassaPkcs1V15Sha512) => &signature::RSA_PKCS1_2048_8192_SHA512,
        (_, S::RsassaPssSha256) => &signature::RSA_PSS_2048_8192_SHA256,
        (_, S::RsassaPssSha384) => &signature::RSA_PSS_2048_8192_SHA384,
        (_, S::RsassaPssSha512) => &signature::RSA_PSS_2048_8192_SHA512,
        (K::EccNistP256, S::EcdsaSha256) => &signature::ECDSA_P256_SHA256_ASN1,
        (K::EccSecgP256k1, S::EcdsaSha256) => &signature::ECDSA_P256K1_SHA256_ASN1,
        (K::EccNistP384, S::EcdsaSha384) => &signature::ECDSA_P384_SHA384_ASN1,
        (K::EccNistP521, S::EcdsaSha512) => &signature::ECDSA_P521_SHA512_ASN1,
        (K::EccNistEdwards25519, S::Ed25519Sha512) => &signature::ED25519,
        (K::MlDsa44, S::MlDsaShake256) => &signature::ML_DSA_44,
        (K::MlDsa65, S::MlDsaShake256) => &signature::ML_DSA_65,
        (K::MlDsa87, S::MlDsaShake256) => &signature::ML_DSA_87,
        _ => return None,
    })
}

fn not_valid() -> CryptoError {
    CryptoError::Malformed("the public key is not a valid key of its kind".into())
}
