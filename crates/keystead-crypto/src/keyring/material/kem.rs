//! ML-KEM (FIPS 203).
//!
//! The stored form is PKCS #8 of RFC 9935 with the seed, of which everything else follows; a key
//! that was imported expanded stays expanded. The public key's SubjectPublicKeyInfo is that RFC's
//! too, which is what GetPublicKey answers: DER of X.509 for every kind of key.

use aws_lc_rs::kem;
use keystead_core::kms::KeySpec;
use zeroize::Zeroizing;

use super::ready::{invalid, private_key};
use crate::der::{Reader, Writer, tag};
use crate::{CryptoError, native};

/// Bytes of a seed: d and z (FIPS 203 section 7.1).
pub(super) const SEED: usize = 64;

/// What tells the three sizes apart.
pub(super) struct Parameters {
    library: &'static kem::Algorithm,
    /// The contents of its AlgorithmIdentifier (RFC 9935 section 3).
    pub(super) algorithm: &'static [u8],
    /// Where the public key is in an expanded private key (FIPS 203 algorithm 16), and its length.
    public_key: (usize, usize),
    ciphertext: usize,
}

static ML_KEM_512: Parameters = Parameters {
    library: &kem::ML_KEM_512,
    algorithm: b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x04\x01",
    public_key: (768, 800),
    ciphertext: 768,
};
static ML_KEM_768: Parameters = Parameters {
    library: &kem::ML_KEM_768,
    algorithm: b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x04\x02",
    public_key: (1152, 1184),
    ciphertext: 1088,
};
static ML_KEM_1024: Parameters = Parameters {
    library: &kem::ML_KEM_1024,
    algorithm: b"\x06\x09\x60\x86\x48\x01\x65\x03\x04\x04\x03",
    public_key: (1536, 1568),
    ciphertext: 1568,
};

/// # Errors
/// [`CryptoError::Internal`] when the spec is none of ML-KEM.
pub(super) fn parameters(spec: KeySpec) -> Result<&'static Parameters, CryptoError> {
    match spec {
        KeySpec::MlKem512 => Ok(&ML_KEM_512),
        KeySpec::MlKem768 => Ok(&ML_KEM_768),
        KeySpec::MlKem1024 => Ok(&ML_KEM_1024),
        _ => Err(CryptoError::library("find the parameters of a key")),
    }
}

/// A key pair.
pub(super) struct MlKem {
    parameters: &'static Parameters,
    private: kem::DecapsulationKey,
    public: kem::EncapsulationKey,
}

impl MlKem {
    /// A key from its PKCS #8 DER.
    ///
    /// # Errors
    /// [`CryptoError::Malformed`] when it is not a key of this spec.
    pub(super) fn from_pkcs8(spec: KeySpec, pkcs8: &[u8]) -> Result<Self, CryptoError> {
        let parameters = parameters(spec)?;
        let expanded = native::ml_kem_expanded(pkcs8).ok_or_else(invalid)?;
        let (start, length) = parameters.public_key;
        let public = expanded.get(start..start + length).ok_or_else(invalid)?;
        Ok(Self {
            parameters,
            private: kem::DecapsulationKey::new(parameters.library, &expanded)
                .map_err(|_| invalid())?,
            public: kem::EncapsulationKey::new(parameters.library, public)
                .map_err(|_| invalid())?,
        })
    }

    /// Whether the two halves belong together. Encapsulating checks the public key (FIPS 203
    /// section 7.2), decapsulating that the private one contains its hash (section 7.3).
    pub(super) fn check(&self) -> Result<(), CryptoError> {
        let (ciphertext, secret) = self.encapsulate()?;
        if *self.decapsulate(&ciphertext)? == *secret {
            Ok(())
        } else {
            Err(invalid())
        }
    }

    /// A ciphertext and its secret.
    pub(super) fn encapsulate(&self) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), CryptoError> {
        let (ciphertext, secret) = self
            .public
            .encapsulate()
            .map_err(|_| CryptoError::library("encapsulate"))?;
        let secret = Zeroizing::new(secret.as_ref().to_vec());
        Ok((ciphertext.as_ref().to_vec(), secret))
    }

    /// # Errors
    /// [`CryptoError::Malformed`] when the ciphertext is not as long as this key's are.
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
        let expected = self.parameters.ciphertext;
        if ciphertext.len() != expected {
            return Err(CryptoError::Malformed(format!(
                "the ciphertext has {} bytes; those of this key have {expected}",
                ciphertext.len()
            )));
        }
        self.private
            .decapsulate(ciphertext.into())
            .map(|secret| Zeroizing::new(secret.as_ref().to_vec()))
            .map_err(|_| CryptoError::library("decapsulate"))
    }

    /// RFC 9935 section 4.
    pub(super) fn spki(&self) -> Result<Vec<u8>, CryptoError> {
        let public = self
            .public
            .key_bytes()
            .map_err(|_| CryptoError::library("encode a public key"))?;
        let mut writer = Writer::new();
        writer.sequence(|writer| {
            writer.tlv(tag::SEQUENCE, self.parameters.algorithm);
            writer.bit_string(public.as_ref());
            Ok(())
        })?;
        Ok(writer.finish())
    }
}

/// The PKCS #8 DER of a seed (RFC 9935 section 6), 86 bytes long, so that no buffer grows.
pub(super) fn seed_pkcs8(
    spec: KeySpec,
    seed: &[u8; SEED],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    Ok(Zeroizing::new(
        [
            b"\x30\x54\x02\x01\x00\x30\x0b",
            parameters(spec)?.algorithm,
            b"\x04\x42\x80\x40",
            seed,
        ]
        .concat(),
    ))
}

/// The form in which an imported key is kept: its seed if it brings one, otherwise as it is. The
/// library does not read the form that has both; whether the two belong together is checked here
/// (RFC 9935 section 8).
pub(super) fn preferred(spec: KeySpec, pkcs8: &[u8]) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let (_, private) = private_key(pkcs8)?;
    let mut choice = Reader::new(private);
    let Some(both) = choice.optional(tag::SEQUENCE)? else {
        return Ok(Zeroizing::new(pkcs8.to_vec()));
    };
    choice.finish()?;
    let mut both = both.reader();
    let seed = both.expect(tag::OCTET_STRING)?.content;
    let expanded = both.expect(tag::OCTET_STRING)?.content;
    both.finish()?;
    let kept = seed_pkcs8(spec, seed.try_into().map_err(|_| invalid())?)?;
    let derived = native::ml_kem_expanded(&kept).ok_or_else(invalid)?;
    if crate::digest::constant_time_eq(&derived, expanded) {
        Ok(kept)
    } else {
        Err(invalid())
    }
}
