//! Extensions other than the names and those of CAs (RFC 5280 section 4.2).

use super::der::{self, Fault, Reader};
use super::facts::{self, Facts};
use super::{Rule, oid, require};

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
        id: "rfc5280_4_2_1_1_issuer_and_serial_together",
        check: issuer_and_serial,
    },
    Rule {
        id: "rfc5280_4_2_1_2_subject_key_id",
        check: subject_key_id,
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

/// RFC 5280 section 4.2.1.1: authorityCertIssuer and authorityCertSerialNumber come together.
fn issuer_and_serial(facts: &Facts<'_>) -> Result<(), String> {
    let Some(extension) = facts.extension(oid::AUTHORITY_KEY_ID) else {
        return Ok(());
    };
    let both = || {
        let mut fields = Reader(extension.value).take(der::SEQUENCE)?.inside();
        fields.optional(der::implicit(0))?;
        let issuer = fields.optional(der::explicit(1))?.is_some();
        let serial = fields.optional(der::implicit(2))?.is_some();
        fields.end()?;
        Ok::<_, Fault>(issuer == serial)
    };
    require(both().unwrap_or(false), || {
        "authorityKeyIdentifier is malformed, or names an issuer without a serial number or the reverse"
            .into()
    })
}

/// RFC 5280 section 4.2.1.2: CAs must have it, others should; all of ours do, and it is not empty.
fn subject_key_id(facts: &Facts<'_>) -> Result<(), String> {
    require(
        facts.subject_key_id.is_some_and(|id| !id.is_empty()),
        || "there is no subject key identifier".into(),
    )
}

/// RFC 5280 section 4.2.1.13: never reasons alone; a name that says where to fetch, at least by
/// HTTP or LDAP. freshestCRL (section 4.2.1.15) has the same form.
fn crl_distribution_points(facts: &Facts<'_>) -> Result<(), String> {
    for kind in [oid::CRL_DISTRIBUTION_POINTS, oid::FRESHEST_CRL] {
        let Some(extension) = facts.extension(kind) else {
            continue;
        };
        let points = distribution_points(extension.value)
            .map_err(|fault| format!("cRLDistributionPoints or freshestCRL {fault}"))?;
        require(points, || {
            "cRLDistributionPoints or freshestCRL lists nothing, or a point without an http or ldap address"
                .into()
        })?;
    }
    Ok(())
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

/// RFC 5280 sections 4.2.1.1, .2, .8, .15, 4.2.2.1 and .2: never critical. Sections 4.2.1.11 and .14:
/// always critical.
fn criticality(facts: &Facts<'_>) -> Result<(), String> {
    let wrong = facts.extensions.iter().flatten().any(|extension| {
        let demanded = match extension.oid {
            oid::AUTHORITY_KEY_ID
            | oid::SUBJECT_KEY_ID
            | oid::DIRECTORY_ATTRIBUTES
            | oid::FRESHEST_CRL
            | oid::AUTHORITY_INFO_ACCESS
            | oid::SUBJECT_INFO_ACCESS => false,
            oid::POLICY_CONSTRAINTS | oid::INHIBIT_ANY_POLICY => true,
            _ => return false,
        };
        extension.critical != demanded
    });
    require(!wrong, || {
        "an extension is critical where it must not be, or not critical where it must be".into()
    })
}
