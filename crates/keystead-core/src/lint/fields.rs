//! Version, serial number, signature algorithm, unique identifiers, and the encoding itself
//! (RFC 5280 sections 4.1.1 and 4.1.2).

use super::der::{self, Reader};
use super::facts::Facts;
use super::{Rule, oid, require};
use crate::x509::SignatureAlgorithm;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_1_der_canonical",
        check: canonical,
    },
    Rule {
        id: "rfc5280_4_1_2_1_version_3",
        check: version_3,
    },
    Rule {
        id: "rfc5280_4_1_2_2_serial_positive",
        check: serial_positive,
    },
    Rule {
        id: "rfc5280_4_1_2_2_serial_at_most_20_octets",
        check: serial_length,
    },
    Rule {
        id: "cabf_br_7_1_serial_64_bits",
        check: serial_entropy,
    },
    Rule {
        id: "rfc5280_4_1_2_3_signature_algorithm",
        check: signature_algorithm,
    },
    Rule {
        id: "rfc5280_4_1_2_8_no_unique_identifiers",
        check: no_unique_ids,
    },
];

/// RFC 5280 section 4.1.1.2: the algorithm is the same in both places.
pub(super) const ALGORITHMS_MATCH: &str = "rfc5280_4_1_1_2_signature_algorithms_match";

/// The TBSCertificate within a certificate, if the two signature algorithms are equal.
pub(super) fn unwrap(certificate: &[u8]) -> Result<&[u8], String> {
    let read = || {
        let mut outer = Reader(certificate);
        let mut parts = outer.take(der::SEQUENCE)?.inside();
        outer.end()?;
        let tbs = parts.take(der::SEQUENCE)?;
        let algorithm = parts.take(der::SEQUENCE)?;
        parts.take(der::BIT_STRING)?;
        parts.end()?;
        let mut fields = tbs.inside();
        fields.optional(der::explicit(0))?;
        fields.take(der::INTEGER)?;
        let inner = fields.take(der::SEQUENCE)?;
        Ok((tbs.raw, inner.raw == algorithm.raw))
    };
    match read() {
        Ok((tbs, true)) => Ok(tbs),
        Ok((_, false)) => {
            Err("the signature algorithm beside the signature is not the signed one".into())
        }
        Err(fault) => {
            let fault: der::Fault = fault;
            Err(format!("the certificate {fault}"))
        }
    }
}

/// RFC 5280 section 4.1: what is signed is DER, so each value has one encoding (X.690 section 10).
fn canonical(facts: &Facts<'_>) -> Result<(), String> {
    let within = |fault| format!("the certificate {fault}");
    der::canonical(facts.tbs).map_err(within)?;
    for extension in facts.extensions.iter().flatten() {
        // What an unknown extension holds is its maker's business.
        if oid::is_known_extension(extension.oid) {
            der::canonical(extension.value)
                .map_err(|fault| format!("the value of an extension {fault}"))?;
        }
        require(!extension.writes_default, || {
            "an extension writes out the default critical FALSE".into()
        })?;
    }
    let writes_default = facts
        .basic_constraints
        .is_some_and(|constraints| constraints.writes_default);
    require(!writes_default, || {
        "basicConstraints writes out the default cA FALSE".into()
    })
}

fn version_3(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.version == Some(&[2]), || {
        "the version is not 3, as extensions demand".into()
    })
}

fn serial_positive(facts: &Facts<'_>) -> Result<(), String> {
    let negative = facts.serial.first().is_none_or(|first| first & 0x80 != 0);
    let zero = facts.serial.iter().all(|octet| *octet == 0);
    require(!negative && !zero, || {
        "the serial number is not positive".into()
    })
}

fn serial_length(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.serial.len() <= 20, || {
        format!(
            "the serial number has {} octets; 20 are allowed",
            facts.serial.len()
        )
    })
}

/// CA/Browser Forum Baseline Requirements section 7.1: at least 64 bits from a random generator.
/// A draw of 128 bits, which is what Keystead makes, is shorter than that once in 2^64.
fn serial_entropy(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.issuing.is_none() || facts.serial.len() >= 8, || {
        "the serial number is too short to hold 64 random bits".into()
    })
}

/// RFC 5280 section 4.1.2.3, with the parameters of RFC 4055 section 5 (RSA: NULL) and section 3.1
/// (RSASSA-PSS: one hash throughout, a salt of its length, the default trailer left out), RFC 5758
/// section 3.2 (ECDSA: none) and RFC 9881 section 2 (ML-DSA: none). SHA-1 is not among them.
fn signature_algorithm(facts: &Facts<'_>) -> Result<(), String> {
    let Some(intended) = facts.issuing.map(|issuer| issuer.signature) else {
        return Ok(());
    };
    require(facts.signature == algorithm_der(intended), || {
        format!(
            "the signature algorithm is not {}, which the CA is going to use",
            intended.pca_name()
        )
    })
}

fn no_unique_ids(facts: &Facts<'_>) -> Result<(), String> {
    require(!facts.has_unique_ids, || {
        "the certificate has a unique identifier, which conforming CAs must not generate".into()
    })
}

/// DER of the AlgorithmIdentifier.
pub(super) fn algorithm_der(algorithm: SignatureAlgorithm) -> &'static [u8] {
    use SignatureAlgorithm as S;
    match algorithm {
        S::Sha256WithRsa => &[
            0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 11, 5, 0,
        ],
        S::Sha384WithRsa => &[
            0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 12, 5, 0,
        ],
        S::Sha512WithRsa => &[
            0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 13, 5, 0,
        ],
        S::Sha256WithRsaPss => const { &pss(1, 32) },
        S::Sha384WithRsaPss => const { &pss(2, 48) },
        S::Sha512WithRsaPss => const { &pss(3, 64) },
        S::Sha256WithEcdsa => &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2],
        S::Sha384WithEcdsa => &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 3],
        S::Sha512WithEcdsa => &[0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 4],
        S::MlDsa44 => &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17],
        S::MlDsa65 => &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 18],
        S::MlDsa87 => &[0x30, 11, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 19],
    }
}

/// id-RSASSA-PSS with the hash 2.16.840.1.101.3.4.2.`hash`, MGF1 with the same, and this length of salt.
#[rustfmt::skip]
const fn pss(hash: u8, salt: u8) -> [u8; 67] {
    [
        0x30, 65, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 10, 0x30, 52,
        0xa0, 15, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
        0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 8,
        0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0,
        0xa2, 3, 2, 1, salt,
    ]
}
