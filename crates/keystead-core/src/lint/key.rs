//! The subject's public key: that it is of a kind we know, well-formed, and not weak.

use super::der::{self, Reader};
use super::facts::{Facts, Key};
use super::{KeyRule, Rule, oid, require};
use crate::x509::KeyUsageBit;

/// Rules about the key alone.
pub(super) const KEY_RULES: &[KeyRule] = &[
    KeyRule {
        id: "rfc3279_2_3_key_kind",
        check: key_kind,
    },
    KeyRule {
        id: "sp800_131a_rsa_modulus_2048_bits",
        check: rsa_size,
    },
    KeyRule {
        id: "rfc8017_3_1_rsa_modulus_odd",
        check: rsa_modulus_odd,
    },
    KeyRule {
        id: "rfc8017_3_1_rsa_exponent_odd_from_3",
        check: rsa_exponent,
    },
    KeyRule {
        id: "rfc5480_2_2_point",
        check: ec_point,
    },
    KeyRule {
        id: "rfc9881_4_key_size",
        check: fixed_size,
    },
];

/// Rules about what a certificate says of its key.
pub(super) const RULES: &[Rule] = &[Rule {
    id: "rfc8813_3_key_usage_fits_key",
    check: key_usage_fits,
}];

/// RSA with NULL parameters (RFC 3279 section 2.3.1), ECDSA on a named curve of NIST's (RFC 5480
/// section 2.1.1), Ed25519 (RFC 8410 section 3) and ML-DSA (RFC 9881 section 2) without.
fn key_kind(key: &Key<'_>) -> Result<(), String> {
    let parameters = key.parameters.map(|tlv| (tlv.tag, tlv.content));
    let known = match (key.algorithm, parameters) {
        (oid::RSA, Some((der::NULL, []))) => true,
        (oid::EC, Some((der::OID, curve))) => coordinate_octets(curve).is_some(),
        (oid::ED25519 | oid::ML_DSA_44 | oid::ML_DSA_65 | oid::ML_DSA_87, None) => true,
        _ => false,
    };
    require(known, || {
        "the public key is neither RSA, nor on one of the curves P-256, P-384 and P-521, nor Ed25519, \
         nor ML-DSA"
            .into()
    })
}

/// NIST SP 800-131A revision 2, table 2: below 2048 bits is disallowed. Above 8192 a signature
/// takes so long to verify that a certificate becomes a weapon against its readers.
fn rsa_size(key: &Key<'_>) -> Result<(), String> {
    let Some((modulus, _)) = rsa(key) else {
        return Ok(());
    };
    let bits = bit_length(modulus);
    require(RSA_BITS.contains(&bits), || {
        format!("the RSA key has {bits} bits; 2048 to 8192 are allowed")
    })
}

/// RFC 8017 section 3.1: a product of odd primes.
fn rsa_modulus_odd(key: &Key<'_>) -> Result<(), String> {
    let even = rsa(key).is_some_and(|(modulus, _)| !ends_odd(modulus));
    require(!even, || "the RSA modulus is even".into())
}

/// RFC 8017 section 3.1: the public exponent is odd and at least 3; an exponent of 1 signs nothing.
fn rsa_exponent(key: &Key<'_>) -> Result<(), String> {
    let weak = rsa(key).is_some_and(|(_, exponent)| {
        let one_or_less = matches!(exponent, [] | [0 | 1]);
        one_or_less
            || !ends_odd(exponent)
            || exponent.first().is_some_and(|first| first & 0x80 != 0)
    });
    require(!weak, || {
        "the RSA exponent is not an odd number of at least 3".into()
    })
}

/// RFC 5480 section 2.2: an uncompressed point, both coordinates in full. Whether it lies on the
/// curve is for `keystead-crypto`, which has verified a signature by this key before.
fn ec_point(key: &Key<'_>) -> Result<(), String> {
    let (oid::EC, Some(curve)) = (key.algorithm, key.parameters) else {
        return Ok(());
    };
    let Some(octets) = coordinate_octets(curve.content) else {
        return Ok(());
    };
    let uncompressed = key.bits.first() == Some(&4) && key.bits.len() == 1 + 2 * octets;
    require(uncompressed, || {
        format!("the public key is not an uncompressed point of {octets} octets a coordinate")
    })
}

/// RFC 9881 section 4: the key is FIPS 204's encoding, whose size is fixed (FIPS 204 table 2). So is
/// that of Ed25519 (RFC 8032 section 5.1.5).
fn fixed_size(key: &Key<'_>) -> Result<(), String> {
    let octets = match key.algorithm {
        oid::ED25519 => 32,
        oid::ML_DSA_44 => 1312,
        oid::ML_DSA_65 => 1952,
        oid::ML_DSA_87 => 2592,
        _ => return Ok(()),
    };
    require(key.bits.len() == octets, || {
        format!("the public key is not {octets} octets long, as its kind demands")
    })
}

/// RFC 8813 section 3 (elliptic curves), RFC 9295 section 3 (Ed25519) and RFC 9881 section 5
/// (ML-DSA): such keys encipher nothing, and the latter two agree on nothing either.
fn key_usage_fits(facts: &Facts<'_>) -> Result<(), String> {
    use KeyUsageBit as K;
    let enciphers = facts.may(K::KeyEncipherment as u8) || facts.may(K::DataEncipherment as u8);
    let agrees = facts.may(K::KeyAgreement as u8)
        || facts.may(K::EncipherOnly as u8)
        || facts.may(K::DecipherOnly as u8);
    let unfit = match facts.key.algorithm {
        oid::EC => enciphers,
        oid::ED25519 | oid::ML_DSA_44 | oid::ML_DSA_65 | oid::ML_DSA_87 => enciphers || agrees,
        _ => false,
    };
    require(!unfit, || {
        "keyUsage allows encipherment or key agreement, which this kind of key can't do".into()
    })
}

/// See [`super::is_rsa_key`].
pub(super) fn is_rsa(spki: &[u8]) -> bool {
    let algorithm = || {
        let mut fields = Reader(spki).take(der::SEQUENCE)?.inside();
        let mut algorithm = fields.take(der::SEQUENCE)?.inside();
        Ok::<_, der::Fault>(algorithm.take(der::OID)?.content == oid::RSA)
    };
    algorithm().unwrap_or(false)
}

/// Modulus and exponent of an RSA key (RFC 8017 appendix A.1.1), empty where it is malformed.
pub(super) fn rsa<'a>(key: &Key<'a>) -> Option<(&'a [u8], &'a [u8])> {
    (key.algorithm == oid::RSA).then(|| {
        let read = || {
            let mut outer = Reader(key.bits);
            let mut fields = outer.take(der::SEQUENCE)?.inside();
            outer.end()?;
            let modulus = fields.take(der::INTEGER)?.content;
            let exponent = fields.take(der::INTEGER)?.content;
            fields.end()?;
            Ok::<_, der::Fault>((modulus, exponent))
        };
        read().unwrap_or_default()
    })
}

/// The bits of a big-endian number.
pub(super) fn bit_length(number: &[u8]) -> usize {
    let first = number.iter().position(|octet| *octet != 0);
    first.map_or(0, |at| {
        let leading = number.get(at).map_or(0, |octet| octet.leading_zeros());
        (number.len() - at) * 8 - leading as usize
    })
}

/// See [`rsa_size`].
pub(super) const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

fn ends_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|last| last & 1 == 1)
}

fn coordinate_octets(curve: &[u8]) -> Option<usize> {
    match curve {
        oid::P256 => Some(32),
        oid::P384 => Some(48),
        oid::P521 => Some(66),
        _ => None,
    }
}
