//! What a key may be used for: keyUsage and extKeyUsage against each other and against the key (RFC 5280
//! sections 4.2.1.3 and 4.2.1.12).

use super::facts::Facts;
use super::{Rule, der, oid, require};
use crate::x509::KeyUsageBit;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_2_1_3_key_usage_not_zero",
        check: key_usage_not_zero,
    },
    Rule {
        id: "x690_11_2_2_key_usage_without_trailing_zeros",
        check: no_trailing_zeros,
    },
    Rule {
        id: "rfc5280_4_2_1_3_only_bits_of_key_agreement",
        check: only_bits_of_agreement,
    },
    Rule {
        id: "rfc9881_5_signature_keys_sign",
        check: signature_keys_sign,
    },
    Rule {
        id: "rfc5280_4_2_1_12_purposes_not_empty",
        check: purposes_not_empty,
    },
    Rule {
        id: "rfc5280_4_2_1_12_purposes_once",
        check: purposes_once,
    },
    Rule {
        id: "rfc5280_4_2_1_12_any_purpose_not_critical",
        check: any_purpose_not_critical,
    },
    Rule {
        id: "rfc5280_4_2_1_12_purposes_fit_key_usage",
        check: purposes_fit_key_usage,
    },
    Rule {
        id: "rfc6960_4_2_2_2_1_no_check",
        check: no_check,
    },
];

fn key_usage_not_zero(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.key_usage != Some(0), || {
        "keyUsage is there and allows nothing".into()
    })
}

/// X.690 section 11.2.2: a list of named bits ends with its last one that is set.
fn no_trailing_zeros(facts: &Facts<'_>) -> Result<(), String> {
    let Some(extension) = facts.extension(oid::KEY_USAGE) else {
        return Ok(());
    };
    // Tag, length, the count of unused bits, the bits.
    let exact = match extension.value {
        [_, _, unused, .., last] => last.trailing_zeros() == u32::from(*unused),
        _ => true, // no bit at all, which has its own rule
    };
    require(exact || facts.key_usage == Some(0), || {
        "keyUsage is encoded with zeros behind its last bit".into()
    })
}

/// RFC 5280 section 4.2.1.3: encipherOnly and decipherOnly say how a key agrees; without keyAgreement
/// they mean nothing. They exclude each other.
fn only_bits_of_agreement(facts: &Facts<'_>) -> Result<(), String> {
    use KeyUsageBit as K;
    let [encipher, decipher, agrees] =
        [K::EncipherOnly, K::DecipherOnly, K::KeyAgreement].map(|bit| facts.may(bit as u8));
    require(
        (agrees || !encipher && !decipher) && !(encipher && decipher),
        || "keyUsage has encipherOnly or decipherOnly without keyAgreement, or both of them".into(),
    )
}

/// RFC 9881 section 5 (ML-DSA) and RFC 9295 section 3 (Ed25519): where there is a keyUsage, it has at
/// least one bit that such a key can serve.
fn signature_keys_sign(facts: &Facts<'_>) -> Result<(), String> {
    use KeyUsageBit as K;
    let signs = matches!(
        facts.key.algorithm,
        oid::ED25519 | oid::ML_DSA_44 | oid::ML_DSA_65 | oid::ML_DSA_87
    );
    let served = [
        K::DigitalSignature,
        K::NonRepudiation,
        K::KeyCertSign,
        K::CrlSign,
    ];
    let fits = served.iter().any(|bit| facts.may(*bit as u8));
    require(!signs || facts.key_usage.is_none() || fits, || {
        "keyUsage allows no signature, and this kind of key does nothing else".into()
    })
}

fn purposes_not_empty(facts: &Facts<'_>) -> Result<(), String> {
    let empty = facts.purposes.as_ref().is_some_and(Vec::is_empty);
    require(!empty, || "extKeyUsage is there and lists nothing".into())
}

/// RFC 5280 section 4.2.1.12 lists purposes, each of which is there or not.
fn purposes_once(facts: &Facts<'_>) -> Result<(), String> {
    let all = facts.purposes.as_deref().unwrap_or_default();
    let twice = (1..).zip(all).any(|(next, purpose)| {
        let after = all.get(next..).unwrap_or_default();
        after.contains(purpose)
    });
    require(!twice, || "extKeyUsage lists a purpose twice".into())
}

/// RFC 5280 section 4.2.1.12: with anyExtendedKeyUsage the extension should not be critical.
fn any_purpose_not_critical(facts: &Facts<'_>) -> Result<(), String> {
    let any = facts.purposes.iter().flatten();
    let any = any.copied().any(|purpose| purpose == oid::ANY_PURPOSE);
    let critical = facts
        .extension(oid::EXTENDED_KEY_USAGE)
        .is_some_and(|extension| extension.critical);
    require(!(any && critical), || {
        "extKeyUsage allows every purpose and is critical".into()
    })
}

/// RFC 5280 section 4.2.1.12: each purpose names the key usages of which it needs one; a
/// certificate is to be used only where both agree, so a contradiction makes it useless.
fn purposes_fit_key_usage(facts: &Facts<'_>) -> Result<(), String> {
    use KeyUsageBit as K;
    if facts.key_usage.is_none() {
        return Ok(());
    }
    let fits = |purpose: &&[u8]| {
        let any_of: &[K] = match *purpose {
            oid::SERVER_AUTH => &[K::DigitalSignature, K::KeyEncipherment, K::KeyAgreement],
            oid::CLIENT_AUTH => &[K::DigitalSignature, K::KeyAgreement],
            oid::CODE_SIGNING => &[K::DigitalSignature],
            oid::EMAIL_PROTECTION => &[
                K::DigitalSignature,
                K::NonRepudiation,
                K::KeyEncipherment,
                K::KeyAgreement,
            ],
            oid::TIME_STAMPING | oid::OCSP_SIGNING => &[K::DigitalSignature, K::NonRepudiation],
            _ => return true,
        };
        any_of.iter().any(|bit| facts.may(*bit as u8))
    };
    require(facts.purposes.iter().flatten().all(fits), || {
        "extKeyUsage lists a purpose that keyUsage leaves no way to serve".into()
    })
}

/// RFC 6960 section 4.2.2.2.1: NULL, and not critical.
fn no_check(facts: &Facts<'_>) -> Result<(), String> {
    let fits = facts
        .extension(oid::OCSP_NO_CHECK)
        .is_none_or(|extension| !extension.critical && extension.value == [der::NULL, 0]);
    require(fits, || {
        "id-pkix-ocsp-nocheck is critical or not NULL".into()
    })
}
