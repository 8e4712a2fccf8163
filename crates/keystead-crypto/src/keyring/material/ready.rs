//! Material that is parsed and ready for use.

use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};
use aws_lc_rs::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use aws_lc_rs::{agreement, hmac};
use keystead_core::kms::{KeySpec, MacAlgorithm};
use zeroize::Zeroizing;

use super::certificate_spec;
use super::kem::{self, MlKem};
use super::sign::unfit;
use crate::der::{self, Reader, tag};
use crate::keyring::soft::{Curve, SoftKey};
use crate::seal::xaes;
use crate::{CryptoError, random, x509};

/// Every form overwrites itself when dropped: the library frees its keys so, and what is kept here
/// beside them is `Zeroizing`.
pub(super) enum Ready {
    Symmetric(xaes::Key),
    Mac(Box<hmac::Key>),
    /// A key as certificates have them too; what these do not do with it is made on first use.
    Shared(SoftKey, OnceLock<Second>),
    Secp256k1(EcdsaKeyPair),
    Ed25519(Ed25519),
    MlKem(MlKem),
}

/// What a shared kind of key does for KMS alone.
pub(super) enum Second {
    Decrypting(OaepPrivateDecryptingKey),
    Agreeing(agreement::PrivateKey),
}

/// An Ed25519 key, with its seed and public key as Ed25519ph wants them: 64 bytes, on the heap, so
/// that moving the key leaves no copy behind.
pub(super) struct Ed25519 {
    pub(super) key: Ed25519KeyPair,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// How secp256k1 keys sign: r and s of 32 bytes each, because s may have to be replaced.
const SECP256K1: &signature::EcdsaSigningAlgorithm = &signature::ECDSA_P256K1_SHA256_FIXED_SIGNING;
/// Longest HMAC key: the developer guide, "Importing key material", allows 1024 bits.
const MAX_MAC_KEY: usize = 128;
/// The PKCS #8 of an Ed25519 key (RFC 8410 section 7) up to its seed.
const ED25519_PREFIX: &[u8] = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";

impl Ready {
    /// New material, and what is stored of it.
    pub(super) fn generate(spec: KeySpec) -> Result<(Self, Zeroizing<Vec<u8>>), CryptoError> {
        if let Some(shared) = certificate_spec(spec) {
            return Self::with_soft(SoftKey::generate(shared)?);
        }
        let secret = match spec {
            KeySpec::EccSecgP256k1 => {
                let key = EcdsaKeyPair::generate(SECP256K1)
                    .map_err(|_| CryptoError::library("generate a key"))?;
                let secret = ec_pkcs8(&key)?;
                return Ok((Self::Secp256k1(key), secret));
            }
            KeySpec::EccNistEdwards25519 => {
                let mut seed = Zeroizing::new([0; 32]);
                random::fill(seed.as_mut_slice())?;
                Zeroizing::new([ED25519_PREFIX, seed.as_slice()].concat())
            }
            KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => {
                let mut seed = Zeroizing::new([0; kem::SEED]);
                random::fill(seed.as_mut_slice())?;
                kem::seed_pkcs8(spec, &seed)?
            }
            _ => {
                let mut secret = Zeroizing::new(vec![0; secret_len(spec)?]);
                random::fill(&mut secret)?;
                secret
            }
        };
        Ok((Self::from_secret(spec, &secret)?, secret))
    }

    /// A key of a kind that certificates have too, and what is stored of it.
    pub(super) fn with_soft(key: SoftKey) -> Result<(Self, Zeroizing<Vec<u8>>), CryptoError> {
        let secret = key.to_pkcs8()?;
        Ok((Self::Shared(key, OnceLock::new()), secret))
    }

    /// Material from what is stored of it.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is not a valid key of this spec.
    pub(super) fn from_secret(spec: KeySpec, secret: &[u8]) -> Result<Self, CryptoError> {
        if let Some(shared) = certificate_spec(spec) {
            return Ok(Self::Shared(
                SoftKey::from_pkcs8(shared, secret)?,
                OnceLock::new(),
            ));
        }
        match spec {
            KeySpec::SymmetricDefault => {
                let key = secret.try_into().map_err(|_| invalid())?;
                xaes::Key::new(key).map(Self::Symmetric)
            }
            KeySpec::EccSecgP256k1 => EcdsaKeyPair::from_pkcs8(SECP256K1, secret)
                .map(Self::Secp256k1)
                .map_err(|_| invalid()),
            KeySpec::EccNistEdwards25519 => Ed25519::from_pkcs8(secret).map(Self::Ed25519),
            KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => {
                MlKem::from_pkcs8(spec, secret).map(Self::MlKem)
            }
            _ => {
                let algorithm = spec.mac_algorithm().ok_or_else(invalid)?;
                let key = hmac::Key::new(mac_algorithm(algorithm), secret);
                Ok(Self::Mac(Box::new(key)))
            }
        }
    }

    /// Material from outside, and what is to be stored of it.
    ///
    /// # Errors
    /// [`CryptoError::WrongMaterial`] when it is not such material.
    pub(super) fn import(
        spec: KeySpec,
        input: &[u8],
    ) -> Result<(Self, Zeroizing<Vec<u8>>), CryptoError> {
        if !spec.is_asymmetric() {
            let least = secret_len(spec)?;
            let most = if spec.mac_algorithm().is_some() {
                MAX_MAC_KEY
            } else {
                least
            };
            if !(least..=most).contains(&input.len()) {
                return Err(wrong(spec, format!("has {} bytes", input.len())));
            }
            return Ok((
                Self::from_secret(spec, input)?,
                Zeroizing::new(input.to_vec()),
            ));
        }
        let refuse = |_| {
            wrong(
                spec,
                "is not a valid private key of this kind in PKCS #8".into(),
            )
        };
        expect_kind(spec, input).map_err(refuse)?;
        let input = match spec {
            KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => {
                kem::preferred(spec, input).map_err(refuse)?
            }
            _ => Zeroizing::new(input.to_vec()),
        };
        let ready = Self::from_secret(spec, &input).map_err(refuse)?;
        let secret = match &ready {
            // Written anew, so that nothing is kept that is not the key.
            Self::Shared(key, _) => key.to_pkcs8().map_err(refuse)?,
            Self::Secp256k1(key) => ec_pkcs8(key)?,
            Self::Ed25519(key) => key.pkcs8(),
            Self::MlKem(key) => {
                key.check().map_err(refuse)?;
                input
            }
            Self::Symmetric(_) | Self::Mac(_) => return Err(invalid()),
        };
        if let Some(shared) = certificate_spec(spec) {
            // The kind does not say how long an RSA key is.
            let public_key = ready.public_key()?.ok_or_else(invalid)?;
            if x509::key_spec(&public_key).ok().flatten() != Some(shared) {
                return Err(wrong(spec, "is a key of another size".into()));
            }
        }
        Ok((ready, secret))
    }

    /// The SubjectPublicKeyInfo of the public half, if there is one.
    pub(super) fn public_key(&self) -> Result<Option<Vec<u8>>, CryptoError> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Symmetric(_) | Self::Mac(_) => return Ok(None),
            Self::Shared(key, _) => return key.spki().map(Some),
            Self::MlKem(key) => return key.spki().map(Some),
            Self::Secp256k1(key) => key.public_key().as_der(),
            Self::Ed25519(key) => key.key.public_key().as_der(),
        };
        der.map(|der| Some(der.as_ref().to_vec()))
            .map_err(|_| CryptoError::library("encode a public key"))
    }

    /// The key of such codes.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when this is none.
    pub(super) fn mac_key(&self, algorithm: MacAlgorithm) -> Result<&hmac::Key, CryptoError> {
        match self {
            Self::Mac(key) if key.algorithm() == mac_algorithm(algorithm) => Ok(key),
            _ => Err(unfit(algorithm.name())),
        }
    }

    /// # Errors
    /// [`CryptoError::Mismatch`] when it is no ML-KEM key.
    pub(super) fn ml_kem(&self) -> Result<&MlKem, CryptoError> {
        match self {
            Self::MlKem(key) => Ok(key),
            _ => Err(unfit(keystead_core::kms::ML_KEM)),
        }
    }

    /// What an RSA key decrypts with or a curve's agrees with; made on first use, because most
    /// keys only sign.
    pub(super) fn second(&self) -> Option<Result<&Second, CryptoError>> {
        let Self::Shared(key, second) = self else {
            return None;
        };
        if let Some(second) = second.get() {
            return Some(Ok(second));
        }
        let made = match key {
            SoftKey::Rsa(_) => decrypting(key).map(Second::Decrypting),
            SoftKey::Ec(_, curve) => agreeing(key, *curve).map(Second::Agreeing),
            SoftKey::MlDsa(_) => return None,
        };
        // Two callers may make it at the same time; one of the two is kept.
        Some(made.map(|made| second.get_or_init(|| made)))
    }
}

fn decrypting(key: &SoftKey) -> Result<OaepPrivateDecryptingKey, CryptoError> {
    let key = PrivateDecryptingKey::from_pkcs8(&key.to_pkcs8()?).map_err(|_| invalid())?;
    OaepPrivateDecryptingKey::new(key).map_err(|_| invalid())
}

fn agreeing(key: &SoftKey, curve: Curve) -> Result<agreement::PrivateKey, CryptoError> {
    let algorithm = match curve {
        Curve::P256 => &agreement::ECDH_P256,
        Curve::P384 => &agreement::ECDH_P384,
        Curve::P521 => &agreement::ECDH_P521,
    };
    agreement::PrivateKey::from_private_key_der(algorithm, &key.to_pkcs8()?).map_err(|_| invalid())
}

impl Ed25519 {
    /// Reads version 1 and 2, which adds the public key (RFC 8410 section 7).
    fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let key = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8).map_err(|_| invalid())?;
        let mut seed = Reader::new(private_key(pkcs8)?.1);
        let seed = seed.expect(tag::OCTET_STRING)?.content;
        if seed.len() != 32 {
            return Err(invalid());
        }
        let bytes = Zeroizing::new([seed, key.public_key().as_ref()].concat());
        Ok(Self { key, bytes })
    }

    fn pkcs8(&self) -> Zeroizing<Vec<u8>> {
        let seed = self.bytes.get(..32).unwrap_or_default();
        Zeroizing::new([ED25519_PREFIX, seed].concat())
    }
}

fn ec_pkcs8(key: &EcdsaKeyPair) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    key.to_pkcs8v1()
        .map(|der| Zeroizing::new(der.as_ref().to_vec()))
        .map_err(|_| CryptoError::library("encode a key"))
}

/// The algorithm (contents of its AlgorithmIdentifier) and private key (contents of its OCTET
/// STRING) of a PKCS #8 DER (RFC 5958).
pub(super) fn private_key(pkcs8: &[u8]) -> Result<(&[u8], &[u8]), CryptoError> {
    let mut outer = Reader::new(pkcs8);
    let mut fields = outer.enter(tag::SEQUENCE)?;
    outer.finish()?;
    der::small_integer(fields.expect(tag::INTEGER)?.content)?;
    let algorithm = fields.expect(tag::SEQUENCE)?.content;
    Ok((algorithm, fields.expect(tag::OCTET_STRING)?.content))
}

/// Refuses a PKCS #8 of another kind of key, and curves that are spelled out instead of named
/// (developer guide, "Importing key material").
fn expect_kind(spec: KeySpec, pkcs8: &[u8]) -> Result<(), CryptoError> {
    const RSA: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const EC: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
    let named = |curve: &[u8]| [EC, curve].concat();
    let (algorithm, _) = private_key(pkcs8)?;
    let fits = match spec {
        // RFC 3279 section 2.3.1: the parameters are NULL; some leave them out.
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
            algorithm == RSA || algorithm == [RSA, b"\x05\x00"].concat()
        }
        KeySpec::EccNistP256 => algorithm == named(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
        KeySpec::EccNistP384 => algorithm == named(b"\x06\x05\x2b\x81\x04\x00\x22"),
        KeySpec::EccNistP521 => algorithm == named(b"\x06\x05\x2b\x81\x04\x00\x23"),
        KeySpec::EccSecgP256k1 => algorithm == named(b"\x06\x05\x2b\x81\x04\x00\x0a"),
        KeySpec::EccNistEdwards25519 => algorithm == b"\x06\x03\x2b\x65\x70",
        KeySpec::MlDsa44 => algorithm == b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11",
        KeySpec::MlDsa65 => algorithm == b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12",
        KeySpec::MlDsa87 => algorithm == b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13",
        KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => {
            kem::parameters(spec).is_ok_and(|parameters| algorithm == parameters.algorithm)
        }
        _ => false,
    };
    fits.then_some(()).ok_or_else(invalid)
}

/// Bytes of a secret key that is made here.
fn secret_len(spec: KeySpec) -> Result<usize, CryptoError> {
    match spec {
        KeySpec::SymmetricDefault | KeySpec::Hmac256 => Ok(32),
        KeySpec::Hmac224 => Ok(28),
        KeySpec::Hmac384 => Ok(48),
        KeySpec::Hmac512 => Ok(64),
        _ => Err(CryptoError::library("find the length of a key")),
    }
}

fn mac_algorithm(algorithm: MacAlgorithm) -> hmac::Algorithm {
    match algorithm {
        MacAlgorithm::HmacSha224 => hmac::HMAC_SHA224,
        MacAlgorithm::HmacSha256 => hmac::HMAC_SHA256,
        MacAlgorithm::HmacSha384 => hmac::HMAC_SHA384,
        MacAlgorithm::HmacSha512 => hmac::HMAC_SHA512,
    }
}

/// The refusal of stored material that cannot be read.
pub(super) fn invalid() -> CryptoError {
    crate::keyring::soft::invalid()
}

/// The refusal of material from outside.
fn wrong(spec: KeySpec, what: String) -> CryptoError {
    CryptoError::WrongMaterial(format!(
        "the key material {what}; the key's spec is {}",
        spec.name()
    ))
}
