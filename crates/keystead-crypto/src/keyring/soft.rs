//! A private key in this process, ready to sign.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair, PqdsaKeyPair, PqdsaSigningAlgorithm,
    RsaEncoding, RsaKeyPair,
};
use keystead_core::x509::{KeySpec, SignatureAlgorithm};
use zeroize::Zeroizing;

use crate::{CryptoError, digest};

/// The library frees key material with its memory overwritten.
pub(super) enum SoftKey {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, Curve),
    MlDsa(PqdsaKeyPair),
}

/// The curves, each with the one signing algorithm under which the library's keys are held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
    P521,
}

impl Curve {
    /// # Errors
    /// [`CryptoError::Internal`] when the spec is not that of a curve.
    pub(super) fn of(spec: KeySpec) -> Result<Self, CryptoError> {
        match spec {
            KeySpec::EcP256 => Ok(Self::P256),
            KeySpec::EcP384 => Ok(Self::P384),
            KeySpec::EcP521 => Ok(Self::P521),
            _ => Err(CryptoError::library("find the curve of a key")),
        }
    }

    pub(super) fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384 => &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
            Self::P521 => &signature::ECDSA_P521_SHA512_ASN1_SIGNING,
        }
    }

    /// The hash of the message in the form in which the library signs it for this curve.
    ///
    /// The library offers each curve with few hashes; AWS's `SigningAlgorithm` combines them
    /// freely. ECDSA uses the hash only as an integer: its leftmost bits, as many as the curve's
    /// order has (FIPS 186-5 section 6.4.1). So a longer hash is cut to, and a shorter one filled
    /// up with leading zeros to, the length that the library expects: the integer, and with it the
    /// signature, is exactly that of the hash asked for.
    fn digest(self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Digest, CryptoError> {
        use aws_lc_rs::digest::{SHA256, SHA384, SHA512};
        let (expected, length) = match self {
            Self::P256 => (&SHA256, 32),
            Self::P384 => (&SHA384, 48),
            Self::P521 => (&SHA512, 64),
        };
        let (sha256, sha384, sha512);
        let hash: &[u8] = match algorithm {
            SignatureAlgorithm::Sha256WithEcdsa => {
                sha256 = digest::sha256(message);
                &sha256
            }
            SignatureAlgorithm::Sha384WithEcdsa => {
                sha384 = digest::sha384(message);
                &sha384
            }
            SignatureAlgorithm::Sha512WithEcdsa => {
                sha512 = digest::sha512(message);
                &sha512
            }
            _ => return Err(unfit()),
        };
        let mut fitted = vec![0; length - hash.len().min(length)];
        fitted.extend(hash.iter().take(length));
        Digest::import_less_safe(&fitted, expected).map_err(|_| CryptoError::library("hash"))
    }
}

impl SoftKey {
    /// A new key. Takes microseconds for curves and lattices, up to seconds for RSA.
    pub(super) fn generate(spec: KeySpec) -> Result<Self, CryptoError> {
        let key = match spec {
            KeySpec::Rsa2048 => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
            KeySpec::Rsa3072 => RsaKeyPair::generate(KeySize::Rsa3072).map(Self::Rsa),
            KeySpec::Rsa4096 => RsaKeyPair::generate(KeySize::Rsa4096).map(Self::Rsa),
            KeySpec::EcP256 | KeySpec::EcP384 | KeySpec::EcP521 => {
                let curve = Curve::of(spec)?;
                EcdsaKeyPair::generate(curve.signing()).map(|key| Self::Ec(key, curve))
            }
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                PqdsaKeyPair::generate(ml_dsa(spec)?).map(Self::MlDsa)
            }
        };
        key.map_err(|_| CryptoError::library("generate a key"))
    }

    /// A key from its PKCS #8 DER. The library checks that its parts belong together.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is not a valid key of this spec.
    pub(super) fn from_pkcs8(spec: KeySpec, der: &[u8]) -> Result<Self, CryptoError> {
        let key = match spec {
            KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => {
                RsaKeyPair::from_pkcs8(der).map(Self::Rsa)
            }
            KeySpec::EcP256 | KeySpec::EcP384 | KeySpec::EcP521 => {
                let curve = Curve::of(spec)?;
                EcdsaKeyPair::from_pkcs8(curve.signing(), der).map(|key| Self::Ec(key, curve))
            }
            KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => {
                PqdsaKeyPair::from_pkcs8(ml_dsa(spec)?, der).map(Self::MlDsa)
            }
        };
        key.map_err(|_| invalid())
    }

    /// The key in PKCS #8 DER; ML-DSA as its seed (RFC 9881 section 6).
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for an ML-DSA key that came without its seed.
    pub(super) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let copied = |der: &[u8]| Zeroizing::new(der.to_vec());
        match self {
            Self::Rsa(key) => AsDer::<Pkcs8V1Der<'_>>::as_der(key)
                .map(|der| copied(der.as_ref()))
                .map_err(|_| CryptoError::library("encode a key")),
            Self::Ec(key, _) => key
                .to_pkcs8v1()
                .map(|der| copied(der.as_ref()))
                .map_err(|_| CryptoError::library("encode a key")),
            Self::MlDsa(key) => key
                .to_pkcs8v1()
                .map(|der| copied(der.as_ref()))
                .map_err(|_| {
                    CryptoError::Unsupported(
                        "the ML-DSA key does not contain its seed; write it again with the seed \
                     (RFC 9881 section 6)"
                            .into(),
                    )
                }),
        }
    }

    /// The SubjectPublicKeyInfo of its public half.
    pub(super) fn spki(&self) -> Result<Vec<u8>, CryptoError> {
        let der: Result<PublicKeyX509Der<'_>, _> = match self {
            Self::Rsa(key) => key.public_key().as_der(),
            Self::Ec(key, _) => key.public_key().as_der(),
            Self::MlDsa(key) => key.public_key().as_der(),
        };
        der.map(|der| der.as_ref().to_vec())
            .map_err(|_| CryptoError::library("encode a public key"))
    }

    /// A signature over the message, in the form that certificates carry.
    ///
    /// # Errors
    /// [`CryptoError::Mismatch`] when such a key cannot make such signatures.
    pub(super) fn sign(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let fail = |_| CryptoError::library("sign");
        match self {
            Self::Rsa(key) => {
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(rsa(algorithm)?, &SystemRandom::new(), message, &mut out)
                    .map_err(fail)?;
                Ok(out)
            }
            Self::Ec(key, curve) => key
                .sign_digest(&curve.digest(algorithm, message)?)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(fail),
            Self::MlDsa(key) => {
                let fits = match algorithm {
                    SignatureAlgorithm::MlDsa44 => &signature::ML_DSA_44_SIGNING,
                    SignatureAlgorithm::MlDsa65 => &signature::ML_DSA_65_SIGNING,
                    SignatureAlgorithm::MlDsa87 => &signature::ML_DSA_87_SIGNING,
                    _ => return Err(unfit()),
                };
                if key.algorithm() != fits {
                    return Err(unfit());
                }
                let mut out = vec![0; fits.signature_len()];
                let length = key.sign(message, &mut out).map_err(fail)?;
                out.truncate(length);
                Ok(out)
            }
        }
    }
}

fn rsa(algorithm: SignatureAlgorithm) -> Result<&'static dyn RsaEncoding, CryptoError> {
    match algorithm {
        SignatureAlgorithm::Sha256WithRsa => Ok(&signature::RSA_PKCS1_SHA256),
        SignatureAlgorithm::Sha384WithRsa => Ok(&signature::RSA_PKCS1_SHA384),
        SignatureAlgorithm::Sha512WithRsa => Ok(&signature::RSA_PKCS1_SHA512),
        // The library's salt is as long as the hash.
        SignatureAlgorithm::Sha256WithRsaPss => Ok(&signature::RSA_PSS_SHA256),
        SignatureAlgorithm::Sha384WithRsaPss => Ok(&signature::RSA_PSS_SHA384),
        SignatureAlgorithm::Sha512WithRsaPss => Ok(&signature::RSA_PSS_SHA512),
        _ => Err(unfit()),
    }
}

fn ml_dsa(spec: KeySpec) -> Result<&'static PqdsaSigningAlgorithm, CryptoError> {
    match spec {
        KeySpec::MlDsa44 => Ok(&signature::ML_DSA_44_SIGNING),
        KeySpec::MlDsa65 => Ok(&signature::ML_DSA_65_SIGNING),
        KeySpec::MlDsa87 => Ok(&signature::ML_DSA_87_SIGNING),
        _ => Err(CryptoError::library("find the parameters of a key")),
    }
}

pub(super) fn unfit() -> CryptoError {
    CryptoError::Mismatch("a key of this kind cannot make a signature of this kind".into())
}

pub(super) fn invalid() -> CryptoError {
    CryptoError::Malformed("the private key is not a valid key of its kind".into())
}
