//! Certificate policies and what authorities say of them (RFC 5280 sections 4.2.1.4, .5, .11 and .14; RFC
//! 6818 section 3).

use super::der::{self, Fault, Reader, Tlv};
use super::facts::{self, Facts};
use super::{Rule, oid, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_2_1_4_policies",
        check: policies,
    },
    Rule {
        id: "rfc5280_4_2_1_4_any_policy_qualifiers",
        check: any_policy_qualifiers,
    },
    Rule {
        id: "rfc6818_3_explicit_text",
        check: explicit_text,
    },
    Rule {
        id: "rfc5280_4_2_1_5_policy_mappings",
        check: mappings,
    },
    Rule {
        id: "rfc5280_4_2_1_11_policy_constraints_not_empty",
        check: constraints_not_empty,
    },
    Rule {
        id: "rfc5280_4_2_1_14_policies_of_paths_are_for_cas",
        check: for_cas,
    },
];

/// RFC 5280 section 4.2.1.4: at least one, and none twice.
fn policies(facts: &Facts<'_>) -> Result<(), String> {
    let Some(all) = read(facts) else {
        return Ok(());
    };
    let all = all.map_err(|fault| format!("certificatePolicies {fault}"))?;
    let twice = (1..).zip(&all).any(|(next, policy)| {
        let mut after = all.iter().skip(next);
        after.any(|other| other.oid == policy.oid)
    });
    require(!all.is_empty() && !twice, || {
        "certificatePolicies lists nothing, or a policy twice".into()
    })
}

/// RFC 5280 section 4.2.1.4: with anyPolicy only the qualifiers that it defines, a pointer and a notice.
fn any_policy_qualifiers(facts: &Facts<'_>) -> Result<(), String> {
    let strange = well_formed(facts).iter().any(|policy| {
        let known = |q: &Qualifier<'_>| matches!(q.oid, oid::QUALIFIER_CPS | oid::QUALIFIER_NOTICE);
        policy.oid == oid::ANY_POLICY && !policy.qualifiers.iter().all(known)
    });
    require(!strange, || {
        "anyPolicy has a qualifier that is neither a pointer nor a notice".into()
    })
}

/// RFC 5280 section 4.2.1.4: at most 200 characters; RFC 6818 section 3: not as IA5String. The pointer is
/// an IA5String.
fn explicit_text(facts: &Facts<'_>) -> Result<(), String> {
    let policies = well_formed(facts);
    for qualifier in policies.iter().flat_map(|policy| &policy.qualifiers) {
        let fits = match qualifier.oid {
            oid::QUALIFIER_CPS => qualifier.value.tag == der::IA5_STRING,
            oid::QUALIFIER_NOTICE => notice_fits(qualifier.value).unwrap_or(false),
            _ => true,
        };
        require(fits, || {
            "a policy's notice is longer than 200 characters or an IA5String, or its pointer is not one"
                .into()
        })?;
    }
    Ok(())
}

fn notice_fits(notice: Tlv<'_>) -> Result<bool, Fault> {
    if notice.tag != der::SEQUENCE {
        return Ok(false);
    }
    let mut fields = notice.inside();
    fields.optional(der::SEQUENCE)?; // noticeRef
    let text = fields.next()?;
    fields.end()?;
    Ok(text.is_none_or(|text| {
        let characters = match text.tag {
            der::UTF8_STRING => std::str::from_utf8(text.content).map_or(0, |t| t.chars().count()),
            der::VISIBLE_STRING => text.content.len(),
            der::BMP_STRING => text.content.len() / 2,
            _ => return false,
        };
        (1..=200).contains(&characters)
    }))
}

/// RFC 5280 section 4.2.1.5: pairs of policies, neither of them anyPolicy, for authorities alone.
fn mappings(facts: &Facts<'_>) -> Result<(), String> {
    let Some(extension) = facts.extension(oid::POLICY_MAPPINGS) else {
        return Ok(());
    };
    let pairs = || -> Result<bool, Fault> {
        let list = whole(extension.value)?;
        let all = facts::elements(list)?;
        for pair in &all {
            let mut fields = pair.inside();
            for _ in 0..2 {
                if fields.take(der::OID)?.content == oid::ANY_POLICY {
                    return Ok(false);
                }
            }
            fields.end()?;
        }
        Ok(!all.is_empty())
    };
    require(facts.is_ca() && pairs().unwrap_or(false), || {
        "policyMappings maps nothing, or anyPolicy, or is not in a CA's certificate".into()
    })
}

fn constraints_not_empty(facts: &Facts<'_>) -> Result<(), String> {
    let fits = facts
        .extension(oid::POLICY_CONSTRAINTS)
        .is_none_or(|extension| whole(extension.value).is_ok_and(|list| !list.content.is_empty()));
    require(fits, || "policyConstraints constrains nothing".into())
}

/// RFC 5280 sections 4.2.1.11 and 4.2.1.14: what limits the policies of a path is in certificates of CAs.
fn for_cas(facts: &Facts<'_>) -> Result<(), String> {
    let limits = [oid::POLICY_CONSTRAINTS, oid::INHIBIT_ANY_POLICY];
    let limited = limits.iter().any(|oid| facts.extension(oid).is_some());
    require(facts.is_ca() || !limited, || {
        "policyConstraints or inhibitAnyPolicy is in a certificate that is not a CA's".into()
    })
}

/// The policies that the certificate lists.
pub(super) fn listed<'a>(facts: &Facts<'a>) -> Vec<&'a [u8]> {
    well_formed(facts).iter().map(|policy| policy.oid).collect()
}

struct Policy<'a> {
    oid: &'a [u8],
    qualifiers: Vec<Qualifier<'a>>,
}

struct Qualifier<'a> {
    oid: &'a [u8],
    value: Tlv<'a>,
}

/// The policies, unless they can't be read, which is the finding of [`policies`].
fn well_formed<'a>(facts: &Facts<'a>) -> Vec<Policy<'a>> {
    read(facts).and_then(Result::ok).unwrap_or_default()
}

fn read<'a>(facts: &Facts<'a>) -> Option<Result<Vec<Policy<'a>>, Fault>> {
    let extension = facts.extension(oid::CERTIFICATE_POLICIES)?;
    Some(whole(extension.value).and_then(|list| {
        let all = facts::elements(list)?;
        all.into_iter().map(policy).collect()
    }))
}

fn policy(tlv: Tlv<'_>) -> Result<Policy<'_>, Fault> {
    let mut fields = tlv.inside();
    let oid = fields.take(der::OID)?.content;
    let list = fields.optional(der::SEQUENCE)?;
    fields.end()?;
    let mut qualifiers = Vec::new();
    for qualifier in list.map(facts::elements).transpose()?.unwrap_or_default() {
        let mut fields = qualifier.inside();
        let oid = fields.take(der::OID)?.content;
        let value = fields.next()?.ok_or("has a qualifier without a value")?;
        fields.end()?;
        qualifiers.push(Qualifier { oid, value });
    }
    match list.is_some() && qualifiers.is_empty() {
        true => Err("has an empty list of qualifiers"),
        false => Ok(Policy { oid, qualifiers }),
    }
}

/// The SEQUENCE that an extension's value is.
fn whole(value: &[u8]) -> Result<Tlv<'_>, Fault> {
    let mut outer = Reader(value);
    let list = outer.take(der::SEQUENCE)?;
    outer.end()?;
    Ok(list)
}
