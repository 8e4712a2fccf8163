//! Extensions other than the names and those of CAs (RFC 5280 section 4.2).

use super::der::{self, Fault, Reader};
use super::facts::{self, Facts};
use super::{Rule, oid, require};
use crate::x509::KeyUsageBit;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_1_2_9_extensions_not_empty",
        check: not_empty,
    },
    Rule {
        id: "rfc5280_4_2_no_duplicates",
        check: no_duplicates,
    },
    Rule {
        id: "rfc5280_4_2_1_1_authority_key_id",
        check: authority_key_id,
    },
    Rule {
        id: "rfc5280_4_2_1_2_subject_key_id",
        check: subject_key_id,
    },
    Rule {
        id: "rfc5280_4_2_1_3_key_usage_not_zero",
        check: key_usage_not_zero,
    },
    Rule {
        id: "rfc5280_4_2_1_12_purposes_not_empty",
        check: purposes_not_empty,
    },
    Rule {
        id: "rfc5280_4_2_1_12_purposes_fit_key_usage",
        check: purposes_fit_key_usage,
    },
    Rule {
        id: "rfc5280_4_2_1_13_crl_distribution_points",
        check: crl_distribution_points,
    },
    Rule {
        id: "rfc5280_4_2_criticality",
        check: criticality,
    },
];

fn not_empty(facts: &Facts<'_>) -> Result<(), String> {
    let empty = facts.extensions.as_ref().is_some_and(Vec::is_empty);
    require(!empty, || {
        "the list of extensions is there and empty".into()
    })
}

fn no_duplicates(facts: &Facts<'_>) -> Result<(), String> {
    let all = facts.extensions.as_deref().unwrap_or_default();
    let twice = all.iter().enumerate().any(|(index, extension)| {
        all.iter()
            .skip(index + 1)
            .any(|other| other.oid == extension.oid)
    });
    require(!twice, || "an extension occurs twice".into())
}

/// RFC 5280 section 4.2.1.1: present with a key identifier, the one in the issuer's certificate; who
/// signs its own certificate may leave it out.
fn authority_key_id(facts: &Facts<'_>) -> Result<(), String> {
    let Some(issuer) = facts.issuing else {
        return Ok(());
    };
    let signs_itself = facts.issuer == facts.subject && facts.subject_key_id == Some(issuer.key_id);
    match facts.authority_key_id {
        Some(Some(id)) if id == issuer.key_id => Ok(()),
        Some(Some(_)) => {
            Err("the authority key identifier is not the CA's subject key identifier".into())
        }
        None if signs_itself => Ok(()),
        Some(None) | None => Err("there is no authority key identifier".into()),
    }
}

/// RFC 5280 section 4.2.1.2: CAs must have it, others should; all of ours do, and it is not empty.
fn subject_key_id(facts: &Facts<'_>) -> Result<(), String> {
    require(
        facts.subject_key_id.is_some_and(|id| !id.is_empty()),
        || "there is no subject key identifier".into(),
    )
}

fn key_usage_not_zero(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.key_usage != Some(0), || {
        "keyUsage is there and allows nothing".into()
    })
}

fn purposes_not_empty(facts: &Facts<'_>) -> Result<(), String> {
    let empty = facts.purposes.as_ref().is_some_and(Vec::is_empty);
    require(!empty, || "extKeyUsage is there and lists nothing".into())
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

/// RFC 5280 section 4.2.1.13: never reasons alone; a name that says where to fetch, at least by
/// HTTP or LDAP.
fn crl_distribution_points(facts: &Facts<'_>) -> Result<(), String> {
    let Some(extension) = facts.extension(oid::CRL_DISTRIBUTION_POINTS) else {
        return Ok(());
    };
    let points = distribution_points(extension.value)
        .map_err(|fault| format!("cRLDistributionPoints {fault}"))?;
    require(points, || {
        "cRLDistributionPoints lists nothing, or a point without an http or ldap address".into()
    })
}

/// Whether there is a point, and each has a full name that is a URI of a kind that RFC 5280 names.
fn distribution_points(value: &[u8]) -> Result<bool, Fault> {
    let mut outer = Reader(value);
    let list = outer.take(der::SEQUENCE)?;
    outer.end()?;
    let points = facts::elements(list)?;
    for point in &points {
        if point.tag != der::SEQUENCE {
            return Err("holds something that is not a DistributionPoint");
        }
        let Some(name) = point.inside().optional(der::explicit(0))? else {
            return Ok(false);
        };
        let Some(full_name) = name.inside().optional(der::explicit(0))? else {
            return Ok(false);
        };
        let fetchable = facts::elements(full_name)?.iter().any(|name| {
            let has_scheme = |scheme: &&[u8]| {
                let start = name.content.get(..scheme.len());
                start.is_some_and(|start| start.eq_ignore_ascii_case(scheme))
            };
            let schemes: [&[u8]; 4] = [b"http://", b"https://", b"ldap://", b"ldaps://"];
            name.tag == der::implicit(6) && schemes.iter().any(has_scheme)
        });
        if !fetchable {
            return Ok(false);
        }
    }
    Ok(!points.is_empty())
}

/// RFC 5280 sections 4.2.1.1, .2, .15 and 4.2.2.1: never critical. Sections 4.2.1.11 and .14:
/// always critical.
fn criticality(facts: &Facts<'_>) -> Result<(), String> {
    let wrong = facts.extensions.iter().flatten().any(|extension| {
        let demanded = match extension.oid {
            oid::AUTHORITY_KEY_ID
            | oid::SUBJECT_KEY_ID
            | oid::FRESHEST_CRL
            | oid::AUTHORITY_INFO_ACCESS => false,
            oid::POLICY_CONSTRAINTS | oid::INHIBIT_ANY_POLICY => true,
            _ => return false,
        };
        extension.critical != demanded
    });
    require(!wrong, || {
        "an extension is critical where it must not be, or not critical where it must be".into()
    })
}
