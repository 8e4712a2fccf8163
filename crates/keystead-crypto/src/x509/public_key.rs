//! Public keys: what a SubjectPublicKeyInfo holds, and signatures under it.

use aws_lc_rs::signature::{self, ParsedPublicKey, VerificationAlgorithm};
use keystead_core::hex;
use keystead_core::lint::KeyPrints;
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
        let (spec, length_fits) = match kind {
            KeyKind::Fixed(spec) => (Some(spec), length_fits(spec, bits)),
            KeyKind::Ed25519 => (None, bits.len() == 32),
            KeyKind::Rsa { .. } => (rsa_spec(rsa_bits(bits)?)?, true),
        };
        if !length_fits {
            return Err(CryptoError::Malformed(
                "the public key does not have the length of its kind".into(),
            ));
        }
        Ok(Self { kind, spec, bits })
    }

    /// The key's spec, if Keystead makes such keys itself.
    pub(crate) fn spec(&self) -> Option<KeySpec> {
        self.spec
    }

    /// The point of a key on this curve, uncompressed, and truly on it.
    pub(crate) fn point(&self, curve: KeySpec) -> Option<&'a [u8]> {
        let digest = match curve {
            KeySpec::EcP256 => SignatureAlgorithm::Sha256WithEcdsa,
            KeySpec::EcP384 => SignatureAlgorithm::Sha384WithEcdsa,
            KeySpec::EcP521 => SignatureAlgorithm::Sha512WithEcdsa,
            _ => return None,
        };
        let algorithm = self.verification(Scheme::Made(digest))?;
        let fits = self.spec == Some(curve) && self.bits.first() == Some(&4);
        let valid = fits && ParsedPublicKey::new(algorithm, self.bits).is_ok();
        valid.then_some(self.bits)
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
            (KeyKind::Rsa { pss_only }, Scheme::Made(made)) => match made {
                S::Sha256WithRsaPss => &signature::RSA_PSS_2048_8192_SHA256,
                S::Sha384WithRsaPss => &signature::RSA_PSS_2048_8192_SHA384,
                S::Sha512WithRsaPss => &signature::RSA_PSS_2048_8192_SHA512,
                _ if pss_only => return None,
                S::Sha256WithRsa => &signature::RSA_PKCS1_2048_8192_SHA256,
                S::Sha384WithRsa => &signature::RSA_PKCS1_2048_8192_SHA384,
                S::Sha512WithRsa => &signature::RSA_PKCS1_2048_8192_SHA512,
                _ => return None,
            },
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
    Ok(digest::sha1(key_bits(spki_der)?))
}

/// The fingerprints by which lists of compromised keys name the key of a SubjectPublicKeyInfo.
pub fn key_prints(spki_der: &[u8]) -> KeyPrints {
    KeyPrints {
        spki: digest::sha256(spki_der),
        modulus: printed_modulus(spki_der).ok().map(|printed| {
            let [.., a, b, c, d, e, f, g, h, i, j] = digest::sha1(printed.as_bytes());
            [a, b, c, d, e, f, g, h, i, j]
        }),
    }
}

/// The modulus of an RSA key as `openssl rsa -modulus` prints it.
fn printed_modulus(spki_der: &[u8]) -> Result<String, CryptoError> {
    let (identifier, bits) = split(spki_der)?;
    let kind = KeyKind::parse(&Reader::new(identifier).element()?)?;
    if !matches!(kind, KeyKind::Rsa { .. }) {
        return Err(CryptoError::Mismatch("the key has no modulus".into()));
    }
    let mut key = Reader::new(bits).enter(tag::SEQUENCE)?;
    let modulus = der::unsigned_integer(key.expect(tag::INTEGER)?.content)?;
    Ok(format!("Modulus={}\n", hex(modulus).to_uppercase()))
}

/// The key's bits (the contents of subjectPublicKey).
///
/// # Errors
/// [`CryptoError::Malformed`] when it is no SubjectPublicKeyInfo.
pub(crate) fn key_bits(spki_der: &[u8]) -> Result<&[u8], CryptoError> {
    Ok(split(spki_der)?.1)
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

/// Whether the bits are a point (SEC 1 section 2.3.3, compressed or not) or a key (FIPS 204 table 2)
/// of the right length.
fn length_fits(spec: KeySpec, bits: &[u8]) -> bool {
    let point = |coordinate: usize| match bits.first() {
        Some(2 | 3) => bits.len() == 1 + coordinate,
        Some(4) => bits.len() == 1 + 2 * coordinate,
        _ => false,
    };
    match spec {
        KeySpec::EcP256 => point(32),
        KeySpec::EcP384 => point(48),
        KeySpec::EcP521 => point(66),
        KeySpec::MlDsa44 => bits.len() == 1312,
        KeySpec::MlDsa65 => bits.len() == 1952,
        KeySpec::MlDsa87 => bits.len() == 2592,
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => false,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::der::Writer;

    fn spki(identifier: &[u8], bits: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        writer
            .sequence(|w| {
                w.raw(identifier);
                w.bit_string(bits);
                Ok(())
            })
            .unwrap();
        writer.finish()
    }

    const P256: &[u8] =
        b"\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";

    fn rsa(modulus: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new();
        writer
            .sequence(|w| {
                w.unsigned_integer(modulus);
                w.small_integer(65537);
                Ok(())
            })
            .unwrap();
        spki(RSA, &writer.finish())
    }

    #[test]
    fn rsa_keys_are_known_by_their_length() {
        for (bytes, first, expected) in [
            (256, 0x80, Some(KeySpec::Rsa2048)),
            (384, 0xff, Some(KeySpec::Rsa3072)),
            (512, 0x80, Some(KeySpec::Rsa4096)),
            (512, 0x01, None),
            (1024, 0x80, None),
        ] {
            let mut modulus = vec![0xff; bytes];
            modulus[0] = first;
            assert_eq!(key_spec(&rsa(&modulus)).unwrap(), expected);
        }
        for (bytes, first) in [(128, 0x80), (256, 0x7f), (1025, 0x01)] {
            let mut modulus = vec![0xff; bytes];
            modulus[0] = first;
            let error = key_spec(&rsa(&modulus)).unwrap_err();
            assert!(matches!(error, CryptoError::Unsupported(_)), "{error}");
        }
    }

    #[test]
    fn points_have_the_length_of_their_curve() {
        let point = |form, length| key_spec(&spki(P256, &[&[form][..], &vec![7; length]].concat()));
        assert_eq!(point(4, 64).unwrap(), Some(KeySpec::EcP256));
        assert_eq!(point(2, 32).unwrap(), Some(KeySpec::EcP256));
        for (form, length) in [(4, 63), (4, 96), (2, 64), (5, 64), (0x30, 64)] {
            let error = point(form, length).unwrap_err();
            assert!(matches!(error, CryptoError::Malformed(_)), "{error}");
        }
    }

    #[test]
    fn a_point_that_is_not_on_the_curve_verifies_nothing() {
        let off_curve = spki(P256, &[&[4][..], &[7; 64]].concat());
        let algorithm = SignatureAlgorithm::Sha256WithEcdsa;
        let error = verify_signature(&off_curve, algorithm, b"m", b"s").unwrap_err();
        assert!(matches!(error, CryptoError::Malformed(_)), "{error}");
    }

    #[test]
    fn a_signature_of_another_kind_is_a_mismatch() {
        let mut modulus = vec![0xff; 256];
        modulus[255] = 1;
        let algorithm = SignatureAlgorithm::Sha256WithEcdsa;
        let error = verify_signature(&rsa(&modulus), algorithm, b"m", b"s").unwrap_err();
        assert!(matches!(error, CryptoError::Mismatch(_)), "{error}");
    }

    /// A key that Debian's list names, with its fingerprint there.
    #[test]
    fn a_modulus_has_the_fingerprint_of_debians_lists() {
        let digits = "D673252AF6723C3F72529403EAB7C30DEF3C52F97E799825F4A70191C616ADCF1ECE1113F162597107\
            4C492C592025FDEADBDB146A081826BDF0D77C3C913DCF1B6F0B3B78F5108D2E493AD0EEE8CA5C021711ADC13D\
            358E61133870FCD19C8E5C22403959782AA82E72AEE53A3D491E3912CE27B27E1A85EA69C19A527D28F7934C98\
            23B7E56FDD657DAC83FDC65BB22A98D843DF73238919781B714C81A5E2AFEC71F5C54AA2A27C590AD94C03C106\
            2D50EFCFFAC743E3C8A3AE056846A1D756EB862BF4224169D467C35215ADE0AFCC11E85FE629AFB802C4786FF2\
            E9C929BCCF502B3D3B8876C6A11785CC398B389F1D86BDD9CB0BD4EC13956EC3FA270D";
        let pairs = digits.as_bytes().chunks(2);
        let modulus: Vec<u8> = pairs
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        let expected = [0x8d, 0xf2, 0x0e, 0x69, 0x61, 0xa1, 0x63, 0x98, 0xb8, 0x5a];
        let key = rsa(&modulus);
        let prints = key_prints(&key);
        assert_eq!(prints.modulus, Some(expected));
        assert_eq!(prints.spki, digest::sha256(&key));
        assert_eq!(key_prints(&spki(P256, &[4; 65])).modulus, None);
    }

    /// RFC 7093 section 3 and RFC 5280 section 4.2.1.2: the bits without tag, length and the octet
    /// that counts unused bits.
    #[test]
    fn the_key_identifier_hashes_the_bits_alone() {
        let bits = [&[4][..], &[7; 64]].concat();
        assert_eq!(
            key_identifier(&spki(P256, &bits)).unwrap(),
            digest::sha1(&bits)
        );
    }
}
