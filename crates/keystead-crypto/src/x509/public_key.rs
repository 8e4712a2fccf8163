//! Public keys: what a SubjectPublicKeyInfo holds, and signatures under it.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use keystead_core::x509::{KeySpec, SignatureAlgorithm};

use super::algorithm::{KeyKind, Scheme};
use crate::der::{self, Reader, tag};
use crate::{CryptoError, digest};

/// Largest RSA modulus that is read, in bits: the largest that the library verifies with, and far
/// above any in use; verifying costs the square of it.
const MAX_RSA_BITS: usize = 8192;
/// Smallest RSA modulus that is read, in bits: NIST SP 800-131A allows no shorter one since 2014.
const MIN_RSA_BITS: usize = 2048;

/// A public key taken apart; its bits are checked when a signature is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PublicKey<'a> {
    kind: KeyKind,
    spec: Option<KeySpec>,
    /// The contents of subjectPublicKey, without the octet that counts unused bits.
    bits: &'a [u8],
}

impl<'a> PublicKey<'a> {
    /// # Errors
    /// [`CryptoError::Malformed`] when it is no SubjectPublicKeyInfo, [`CryptoError::Unsupported`]
    /// for kinds and sizes of keys that are not served.
    pub(crate) fn parse(spki_der: &'a [u8]) -> Result<Self, CryptoError> {
        let (identifier, bits) = split(spki_der)?;
        let kind = KeyKind::parse(&Reader::new(identifier).element()?)?;
        let spec = match kind {
            KeyKind::Fixed(spec) => Some(spec),
            KeyKind::Ed25519 => None,
            KeyKind::Rsa { .. } => rsa_spec(rsa_bits(bits)?)?,
        };
        Ok(Self { kind, spec, bits })
    }

    /// The key's spec, if Keystead makes such keys itself.
    pub(crate) fn spec(&self) -> Option<KeySpec> {
        self.spec
    }

    /// Whether both are the same key, however its algorithm's parameters are written.
    pub(crate) fn is_same(&self, other: &PublicKey<'_>) -> bool {
        let family = |kind| match kind {
            KeyKind::Rsa { .. } => KeyKind::Rsa { pss_only: false },
            other => other,
        };
        family(self.kind) == family(other.kind) && self.bits == other.bits
    }

    /// # Errors
    /// [`CryptoError::BadSignature`] when the signature is not one of this key over this message;
    /// [`CryptoError::Mismatch`] when such a key cannot make such signatures.
    pub(crate) fn verify(
        &self,
        scheme: Scheme,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), CryptoError> {
        let algorithm = self.verification(scheme).ok_or_else(|| {
            CryptoError::Mismatch("the signature is of another kind than the key".into())
        })?;
        let key = ParsedPublicKey::new(algorithm, self.bits).map_err(|_| {
            CryptoError::Malformed("the public key is not a valid key of its kind".into())
        })?;
        key.verify_sig(message, signature).map_err(|_| {
            CryptoError::BadSignature("the signature does not verify under the public key".into())
        })
    }

    /// What verifies such a signature under a key of this kind.
    fn verification(&self, scheme: Scheme) -> Option<&'static dyn VerificationAlgorithm> {
        use SignatureAlgorithm as S;
        Some(match (self.kind, scheme) {
            (KeyKind::Rsa { pss_only: false }, Scheme::Made(made)) => match made {
                S::Sha256WithRsa => &signature::RSA_PKCS1_2048_8192_SHA256,
                S::Sha384WithRsa => &signature::RSA_PKCS1_2048_8192_SHA384,
                S::Sha512WithRsa => &signature::RSA_PKCS1_2048_8192_SHA512,
                _ => return None,
            },
            (KeyKind::Rsa { .. }, Scheme::Pss(256)) => &signature::RSA_PSS_2048_8192_SHA256,
            (KeyKind::Rsa { .. }, Scheme::Pss(384)) => &signature::RSA_PSS_2048_8192_SHA384,
            (KeyKind::Rsa { .. }, Scheme::Pss(512)) => &signature::RSA_PSS_2048_8192_SHA512,
            (KeyKind::Ed25519, Scheme::Ed25519) => &signature::ED25519,
            (KeyKind::Fixed(spec), Scheme::Made(made)) => match (spec, made) {
                (KeySpec::EcP256, S::Sha256WithEcdsa) => &signature::ECDSA_P256_SHA256_ASN1,
                (KeySpec::EcP256, S::Sha384WithEcdsa) => &signature::ECDSA_P256_SHA384_ASN1,
                (KeySpec::EcP256, S::Sha512WithEcdsa) => &signature::ECDSA_P256_SHA512_ASN1,
                (KeySpec::EcP384, S::Sha256WithEcdsa) => &signature::ECDSA_P384_SHA256_ASN1,
                (KeySpec::EcP384, S::Sha384WithEcdsa) => &signature::ECDSA_P384_SHA384_ASN1,
                (KeySpec::EcP384, S::Sha512WithEcdsa) => &signature::ECDSA_P384_SHA512_ASN1,
                (KeySpec::EcP521, S::Sha256WithEcdsa) => &signature::ECDSA_P521_SHA256_ASN1,
                (KeySpec::EcP521, S::Sha384WithEcdsa) => &signature::ECDSA_P521_SHA384_ASN1,
                (KeySpec::EcP521, S::Sha512WithEcdsa) => &signature::ECDSA_P521_SHA512_ASN1,
                (KeySpec::MlDsa44, S::MlDsa44) => &signature::ML_DSA_44,
                (KeySpec::MlDsa65, S::MlDsa65) => &signature::ML_DSA_65,
                (KeySpec::MlDsa87, S::MlDsa87) => &signature::ML_DSA_87,
                _ => return None,
            },
            _ => return None,
        })
    }
}

/// Verifies a signature under the key of a SubjectPublicKeyInfo.
///
/// # Errors
/// [`CryptoError::BadSignature`] when it is not a signature of this key over this message;
/// [`CryptoError::Mismatch`] when such a key cannot make such signatures; otherwise what is wrong
/// with the key.
pub fn verify_signature(
    spki_der: &[u8],
    algorithm: SignatureAlgorithm,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    PublicKey::parse(spki_der)?.verify(Scheme::Made(algorithm), message, signature)
}

/// The spec of a SubjectPublicKeyInfo's key; `None` for kinds that are understood but that Keystead
/// does not make (Ed25519, RSA of other sizes).
///
/// # Errors
/// [`CryptoError::Malformed`] and [`CryptoError::Unsupported`] as the key deserves.
pub fn key_spec(spki_der: &[u8]) -> Result<Option<KeySpec>, CryptoError> {
    Ok(PublicKey::parse(spki_der)?.spec())
}

/// The key identifier that Keystead gives a public key: the SHA-1 of its bits (RFC 5280 section
/// 4.2.1.2, method 1).
///
/// RFC 7093 offers truncated SHA-256 instead. The identifier only finds a key, it protects
/// nothing; AWS Private CA, OpenSSL and Java all use SHA-1, and chains where one side computed it
/// itself only fit together if all do the same.
///
/// # Errors
/// [`CryptoError::Malformed`] when it is no SubjectPublicKeyInfo.
pub fn key_identifier(spki_der: &[u8]) -> Result<[u8; 20], CryptoError> {
    Ok(digest::sha1(split(spki_der)?.1))
}

/// The algorithm identifier (whole) and the key's bits.
fn split(spki_der: &[u8]) -> Result<(&[u8], &[u8]), CryptoError> {
    let mut outer = Reader::new(spki_der);
    let mut reader = outer.enter(tag::SEQUENCE)?;
    outer.finish()?;
    let identifier = reader.expect(tag::SEQUENCE)?.whole;
    let bits = der::bit_string(reader.expect(tag::BIT_STRING)?.content)?;
    reader.finish()?;
    Ok((identifier, bits))
}

/// The length of the modulus in an RSAPublicKey (RFC 8017 appendix A.1.1).
fn rsa_bits(key: &[u8]) -> Result<usize, CryptoError> {
    let mut outer = Reader::new(key);
    let mut reader = outer.enter(tag::SEQUENCE)?;
    outer.finish()?;
    let modulus = reader.expect(tag::INTEGER)?.content;
    let exponent = reader.expect(tag::INTEGER)?.content;
    reader.finish()?;
    der::unsigned_integer(exponent)?;
    bit_length(modulus)
}

/// The bits of an INTEGER's magnitude.
pub(crate) fn bit_length(integer: &[u8]) -> Result<usize, CryptoError> {
    let magnitude = der::unsigned_integer(integer)?;
    let leading = magnitude.first().map_or(0, |first| first.leading_zeros());
    Ok((magnitude.len() * 8).saturating_sub(leading as usize))
}

/// The spec of an RSA key with a modulus of this many bits.
///
/// # Errors
/// [`CryptoError::Unsupported`] when it is too short or too long.
pub(crate) fn rsa_spec(bits: usize) -> Result<Option<KeySpec>, CryptoError> {
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(CryptoError::Unsupported(format!(
            "the RSA key has {bits} bits; between {MIN_RSA_BITS} and {MAX_RSA_BITS} are served"
        )));
    }
    Ok(match bits {
        2048 => Some(KeySpec::Rsa2048),
        3072 => Some(KeySpec::Rsa3072),
        4096 => Some(KeySpec::Rsa4096),
        _ => None,
    })
}
