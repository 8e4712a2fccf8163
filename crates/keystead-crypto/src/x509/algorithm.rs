//! Algorithm identifiers, ready-made: what is signed never computes one.

use keystead_core::x509::{KeySpec, SignatureAlgorithm};

use crate::CryptoError;
use crate::der::{Element, tag};

/// How a signature is to be verified. What Keystead makes itself is `Made`; the rest it only reads,
/// in requests and certificates that come from elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Made(SignatureAlgorithm),
    Ed25519,
}

impl Scheme {
    /// The scheme of an AlgorithmIdentifier.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for any other, SHA-1 and MD5 among them.
    pub(crate) fn parse(identifier: &Element<'_>) -> Result<Self, CryptoError> {
        let der = identifier.whole;
        if let Some(algorithm) = SignatureAlgorithm::ALL
            .into_iter()
            .find(|algorithm| signature_identifier(*algorithm) == der)
        {
            return Ok(Self::Made(algorithm));
        }
        let rsa_without_null = [
            SignatureAlgorithm::Sha256WithRsa,
            SignatureAlgorithm::Sha384WithRsa,
            SignatureAlgorithm::Sha512WithRsa,
        ]
        .into_iter()
        .find(|algorithm| {
            // RFC 4055 section 5: implementations accept absent parameters as well as NULL.
            let with_null = signature_identifier(*algorithm);
            with_null.get(2..with_null.len() - 2) == Some(identifier.content)
        });
        if let Some(algorithm) = rsa_without_null {
            return Ok(Self::Made(algorithm));
        }
        if der == ED25519 {
            return Ok(Self::Ed25519);
        }
        Err(Self::unsupported())
    }

    /// The refusal of any other signature.
    pub(crate) fn unsupported() -> CryptoError {
        CryptoError::Unsupported(
            "the signature algorithm is not served: use RSA (PKCS #1 v1.5 or PSS) or ECDSA with \
             SHA-256, SHA-384 or SHA-512, Ed25519, or ML-DSA"
                .into(),
        )
    }

    /// The algorithm, if it is one that Keystead makes.
    pub(crate) fn made(self) -> Option<SignatureAlgorithm> {
        match self {
            Self::Made(algorithm) => Some(algorithm),
            Self::Ed25519 => None,
        }
    }
}

/// The AlgorithmIdentifier of a signature: RFC 4055 section 5 (RSA, parameters NULL) and section 3.1
/// (RSASSA-PSS with one hash throughout, the salt as long as it and the default trailer: the only
/// combinations in use, and the ones that RFC 8446 names), RFC 5758
/// section 3.2 (ECDSA, parameters absent), RFC 9881 section 2 (ML-DSA, parameters absent).
pub(crate) fn signature_identifier(algorithm: SignatureAlgorithm) -> &'static [u8] {
    use SignatureAlgorithm as S;
    match algorithm {
        S::Sha256WithRsa => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
        S::Sha384WithRsa => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00",
        S::Sha512WithRsa => b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00",
        S::Sha256WithRsaPss => const { &pss_identifier(0x01, 0x20) },
        S::Sha384WithRsaPss => const { &pss_identifier(0x02, 0x30) },
        S::Sha512WithRsaPss => const { &pss_identifier(0x03, 0x40) },
        S::Sha256WithEcdsa => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
        S::Sha384WithEcdsa => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
        S::Sha512WithEcdsa => b"\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
        S::MlDsa44 => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11",
        S::MlDsa65 => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12",
        S::MlDsa87 => b"\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x13",
    }
}

/// RFC 8410 section 3.
const ED25519: &[u8] = b"\x30\x05\x06\x03\x2b\x65\x70";

/// rsaEncryption (RFC 3279 section 2.3.1).
const RSA_KEY: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
/// id-RSASSA-PSS (RFC 4055 section 3.1).
pub(super) const PSS: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a";
/// id-ecPublicKey (RFC 5480 section 2.1.1).
const EC_KEY: &[u8] = b"\x2a\x86\x48\xce\x3d\x02\x01";
/// id-Ed25519 (RFC 8410 section 3).
const ED25519_KEY: &[u8] = b"\x2b\x65\x70";

/// id-RSASSA-PSS with the hash 2.16.840.1.101.3.4.2.`hash`, MGF1 with the same, and this length of salt.
#[rustfmt::skip]
const fn pss_identifier(hash: u8, salt: u8) -> [u8; 67] {
    [
        0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a, 0x30, 0x34,
        0xa0, 0x0f, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00,
        0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
        0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00,
        0xa2, 0x03, 0x02, 0x01, salt,
    ]
}

/// The kind of key that an AlgorithmIdentifier names, as far as it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// RSA of whatever size; `pss_only` where the key may make no other signatures.
    Rsa {
        pss_only: bool,
    },
    /// An elliptic curve or lattice key of a size that is served.
    Fixed(KeySpec),
    Ed25519,
}

impl KeyKind {
    /// The kind of key of a SubjectPublicKeyInfo's or PrivateKeyInfo's algorithm.
    ///
    /// # Errors
    /// [`CryptoError::Unsupported`] for any that is not served.
    pub(crate) fn parse(identifier: &Element<'_>) -> Result<Self, CryptoError> {
        let mut reader = identifier.reader();
        let oid = reader.expect(tag::OID)?.content;
        let parameters = if reader.is_empty() {
            None
        } else {
            Some(reader.element()?)
        };
        reader.finish()?;
        match (oid, parameters) {
            (RSA_KEY, None) => Ok(Self::Rsa { pss_only: false }),
            (RSA_KEY, Some(null)) if null.whole == [tag::NULL, 0] => {
                Ok(Self::Rsa { pss_only: false })
            }
            (PSS, _) => Ok(Self::Rsa { pss_only: true }),
            (EC_KEY, Some(curve)) if curve.tag == tag::OID => {
                named_curve(curve.content).map(Self::Fixed).ok_or_else(|| {
                    CryptoError::Unsupported(
                        "the elliptic curve is not served: use P-256, P-384 or P-521".into(),
                    )
                })
            }
            (EC_KEY, _) => Err(CryptoError::Unsupported(
                "the elliptic curve is not named by its identifier; write the key again with a \
                 named curve"
                    .into(),
            )),
            (ED25519_KEY, None) => Ok(Self::Ed25519),
            (_, None) => ml_dsa(oid).map(Self::Fixed).ok_or_else(other_key),
            _ => Err(other_key()),
        }
    }
}

fn other_key() -> CryptoError {
    CryptoError::Unsupported(
        "the kind of key is not served: use RSA, an elliptic curve (P-256, P-384, P-521) or ML-DSA"
            .into(),
    )
}

/// The key of a named curve (RFC 5480 section 2.1.1.1), from the identifier's contents.
pub(crate) fn named_curve(oid: &[u8]) -> Option<KeySpec> {
    match oid {
        b"\x2a\x86\x48\xce\x3d\x03\x01\x07" => Some(KeySpec::EcP256),
        b"\x2b\x81\x04\x00\x22" => Some(KeySpec::EcP384),
        b"\x2b\x81\x04\x00\x23" => Some(KeySpec::EcP521),
        _ => None,
    }
}

/// RFC 9881 section 2.
fn ml_dsa(oid: &[u8]) -> Option<KeySpec> {
    let (last, arc) = oid.split_last()?;
    match (arc, last) {
        (b"\x60\x86\x48\x01\x65\x03\x04\x03", 0x11) => Some(KeySpec::MlDsa44),
        (b"\x60\x86\x48\x01\x65\x03\x04\x03", 0x12) => Some(KeySpec::MlDsa65),
        (b"\x60\x86\x48\x01\x65\x03\x04\x03", 0x13) => Some(KeySpec::MlDsa87),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::x509::Oid;

    use super::*;
    use crate::der::{Reader, Writer};

    fn parse(der: &[u8]) -> Result<Scheme, CryptoError> {
        Scheme::parse(&Reader::new(der).element()?)
    }

    /// The identifiers by their names in the RFCs' ASN.1, against the ready-made bytes.
    #[test]
    fn identifiers_are_what_the_rfcs_say() {
        for algorithm in SignatureAlgorithm::ALL {
            use SignatureAlgorithm as S;
            let (oid, null) = match algorithm {
                S::Sha256WithRsa => ("1.2.840.113549.1.1.11", true),
                S::Sha384WithRsa => ("1.2.840.113549.1.1.12", true),
                S::Sha512WithRsa => ("1.2.840.113549.1.1.13", true),
                // By the RFC's ASN.1 below.
                S::Sha256WithRsaPss | S::Sha384WithRsaPss | S::Sha512WithRsaPss => continue,
                S::Sha256WithEcdsa => ("1.2.840.10045.4.3.2", false),
                S::Sha384WithEcdsa => ("1.2.840.10045.4.3.3", false),
                S::Sha512WithEcdsa => ("1.2.840.10045.4.3.4", false),
                S::MlDsa44 => ("2.16.840.1.101.3.4.3.17", false),
                S::MlDsa65 => ("2.16.840.1.101.3.4.3.18", false),
                S::MlDsa87 => ("2.16.840.1.101.3.4.3.19", false),
            };
            let mut writer = Writer::new();
            writer
                .sequence(|w| {
                    w.oid(&Oid::new(oid))?;
                    if null {
                        w.null();
                    }
                    Ok(())
                })
                .unwrap();
            assert_eq!(signature_identifier(algorithm), writer.finish());
            assert_eq!(
                parse(signature_identifier(algorithm)).unwrap(),
                Scheme::Made(algorithm)
            );
        }
    }

    #[test]
    fn absent_rsa_parameters_are_read() {
        let absent = b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b";
        assert_eq!(
            parse(absent).unwrap(),
            Scheme::Made(SignatureAlgorithm::Sha256WithRsa)
        );
    }

    /// RFC 4055 section 3.1, RSASSA-PSS-params, field by field.
    #[test]
    fn pss_identifiers_are_what_the_rfc_says() {
        use SignatureAlgorithm as S;
        for (algorithm, hash, salt) in [
            (S::Sha256WithRsaPss, "2.16.840.1.101.3.4.2.1", 32),
            (S::Sha384WithRsaPss, "2.16.840.1.101.3.4.2.2", 48),
            (S::Sha512WithRsaPss, "2.16.840.1.101.3.4.2.3", 64),
        ] {
            let hash_identifier = |w: &mut Writer| {
                w.sequence(|w| {
                    w.oid(&Oid::new(hash))?;
                    w.null();
                    Ok(())
                })
            };
            let mut writer = Writer::new();
            writer
                .sequence(|w| {
                    w.oid(&Oid::new("1.2.840.113549.1.1.10"))?;
                    w.sequence(|w| {
                        w.nest(tag::context_constructed(0), hash_identifier)?;
                        w.nest(tag::context_constructed(1), |w| {
                            w.sequence(|w| {
                                w.oid(&Oid::new("1.2.840.113549.1.1.8"))?;
                                hash_identifier(w)
                            })
                        })?;
                        w.nest(tag::context_constructed(2), |w| {
                            w.small_integer(salt);
                            Ok(())
                        })
                    })
                })
                .unwrap();
            let expected = writer.finish();
            assert_eq!(signature_identifier(algorithm), expected);
            assert_eq!(parse(&expected).unwrap(), Scheme::Made(algorithm));
        }
    }

    #[test]
    fn ed25519_is_read() {
        assert_eq!(parse(ED25519).unwrap(), Scheme::Ed25519);
        assert_eq!(Scheme::Ed25519.made(), None);
    }

    #[test]
    fn sha1_is_refused() {
        let sha1_with_rsa = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00";
        let error = parse(sha1_with_rsa).unwrap_err();
        assert!(matches!(error, CryptoError::Unsupported(_)));
    }
}
