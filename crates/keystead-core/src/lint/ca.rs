//! What makes a CA a CA, and everybody else not one (RFC 5280 sections 4.2.1.2, .3, .9 and .10).

use super::facts::Facts;
use super::{Rule, oid, require};
use crate::x509::KeyUsageBit;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_2_1_9_ca_basic_constraints_critical",
        check: basic_constraints_critical,
    },
    Rule {
        id: "rfc5280_4_2_1_3_ca_key_cert_sign",
        check: ca_key_cert_sign,
    },
    Rule {
        id: "rfc5280_4_2_1_3_ca_key_usage_critical",
        check: ca_key_usage_critical,
    },
    Rule {
        id: "rfc5280_4_2_1_9_key_cert_sign_is_for_cas",
        check: key_cert_sign_is_for_cas,
    },
    Rule {
        id: "rfc5280_4_2_1_9_path_len_is_for_cas",
        check: path_len_is_for_cas,
    },
    Rule {
        id: "rfc5280_6_1_4_path_len_fits_issuer",
        check: path_len_fits_issuer,
    },
    Rule {
        id: "rfc5280_4_2_1_10_name_constraints",
        check: name_constraints,
    },
];

fn basic_constraints_critical(facts: &Facts<'_>) -> Result<(), String> {
    let critical = facts
        .extension(oid::BASIC_CONSTRAINTS)
        .is_some_and(|extension| extension.critical);
    require(!facts.is_ca() || critical, || {
        "basicConstraints of a CA is not critical".into()
    })
}

fn ca_key_cert_sign(facts: &Facts<'_>) -> Result<(), String> {
    require(
        !facts.is_ca() || facts.may(KeyUsageBit::KeyCertSign as u8),
        || "keyUsage of a CA lacks keyCertSign".into(),
    )
}

/// RFC 5280 section 4.2.1.3 says SHOULD; AWS's templates always do.
fn ca_key_usage_critical(facts: &Facts<'_>) -> Result<(), String> {
    let critical = facts
        .extension(oid::KEY_USAGE)
        .is_none_or(|extension| extension.critical);
    require(!facts.is_ca() || critical, || {
        "keyUsage of a CA is not critical".into()
    })
}

fn key_cert_sign_is_for_cas(facts: &Facts<'_>) -> Result<(), String> {
    require(
        facts.is_ca() || !facts.may(KeyUsageBit::KeyCertSign as u8),
        || "keyUsage allows keyCertSign, but the subject is not a CA".into(),
    )
}

fn path_len_is_for_cas(facts: &Facts<'_>) -> Result<(), String> {
    let has_path_len = facts
        .basic_constraints
        .is_some_and(|constraints| constraints.path_len.is_some());
    require(facts.is_ca() || !has_path_len, || {
        "basicConstraints has a path length, but the subject is not a CA".into()
    })
}

/// RFC 5280 section 6.1.4 (l) and (m): each CA of a path uses up one of its issuer's path length.
fn path_len_fits_issuer(facts: &Facts<'_>) -> Result<(), String> {
    let limit = facts.issuing.and_then(|issuer| issuer.path_len);
    let (Some(limit), true) = (limit, facts.is_ca()) else {
        return Ok(());
    };
    let own = facts
        .basic_constraints
        .and_then(|constraints| constraints.path_len);
    require(own.is_some_and(|own| own < u64::from(limit)), || {
        format!("the CA's path length of {limit} leaves no room for such a subordinate")
    })
}

/// RFC 5280 section 4.2.1.10: only in a CA's certificate, and critical.
fn name_constraints(facts: &Facts<'_>) -> Result<(), String> {
    let fits = facts
        .extension(oid::NAME_CONSTRAINTS)
        .is_none_or(|extension| facts.is_ca() && extension.critical);
    require(fits, || {
        "nameConstraints is not critical, or the subject is not a CA".into()
    })
}
