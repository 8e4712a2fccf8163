//! What the web asks of a server's certificate beyond RFC 5280: the CA/Browser Forum's Baseline Requirements
//! for TLS (version 2.2).
//!
//! These are remarks and stop nothing. A private CA exists to issue what they forbid: internal names, private
//! addresses, lifetimes and purposes of an organisation's own choice. Who wants to know whether a certificate
//! would do on the public web asks (`keystead lint --public`); what issues for the public web refuses.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::facts::Facts;
use super::key::{bit_length, rsa};
use super::names::common_names;
use super::san::names_of;
use super::time::unix;
use super::{Rule, der, oid, policies, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "cabf_br_7_1_2_7_not_a_ca",
        check: not_a_ca,
    },
    Rule {
        id: "cabf_br_7_1_2_7_12_names",
        check: names,
    },
    Rule {
        id: "cabf_br_4_2_2_no_internal_name",
        check: no_internal_name,
    },
    Rule {
        id: "cabf_br_4_2_2_no_reserved_address",
        check: no_reserved_address,
    },
    Rule {
        id: "cabf_br_7_1_4_3_common_name_is_a_name",
        check: common_name,
    },
    Rule {
        id: "cabf_br_6_3_2_validity",
        check: validity,
    },
    Rule {
        id: "cabf_br_6_1_5_key",
        check: key,
    },
    Rule {
        id: "cabf_br_7_1_2_7_10_purposes",
        check: purposes,
    },
    Rule {
        id: "cabf_br_7_1_6_1_policy",
        check: policy,
    },
    Rule {
        id: "cabf_br_7_1_2_7_7_access_to_issuer",
        check: access,
    },
    Rule {
        id: "cabf_br_7_1_2_11_2_revocation",
        check: revocation,
    },
];

fn not_a_ca(facts: &Facts<'_>) -> Result<(), String> {
    require(!facts.is_ca(), || {
        "the certificate is an authority's, not a server's".into()
    })
}

/// Section 7.1.2.7.12: subjectAltName, of DNS names and addresses alone.
fn names(facts: &Facts<'_>) -> Result<(), String> {
    let all = facts.alternative_names.as_deref().unwrap_or_default();
    let public = all.iter().all(|name| matches!(name.tag, DNS | IP));
    require(public && !all.is_empty(), || {
        "the alternative names are missing, or of kinds other than DNS names and addresses".into()
    })
}

/// Sections 1.6.1 and 4.2.2: a name that means something else in every network. Without the list of public
/// suffixes, which changes by the day, these are single labels and the domains that are reserved.
fn no_internal_name(facts: &Facts<'_>) -> Result<(), String> {
    for name in names_of(facts, DNS) {
        let text = std::str::from_utf8(name.content).unwrap_or_default();
        let text = text.to_ascii_lowercase();
        let top = text.rsplit_once('.').map(|(_, top)| top);
        let public = top.is_some_and(|top| !RESERVED_DOMAINS.contains(&top));
        require(public && !text.ends_with(".home.arpa"), || {
            format!("the DNS name '{}' is internal", text.escape_debug())
        })?;
    }
    Ok(())
}

/// Section 4.2.2: no address that IANA has reserved.
fn no_reserved_address(facts: &Facts<'_>) -> Result<(), String> {
    let reserved = names_of(facts, IP).any(|name| {
        if let Ok(octets) = <[u8; 4]>::try_from(name.content) {
            let address = Ipv4Addr::from(octets);
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || address.is_broadcast()
                || address.is_documentation()
                || matches!(octets, [0 | 240..=255, ..] | [100, 64..=127, ..])
        } else if let Ok(octets) = <[u8; 16]>::try_from(name.content) {
            let address = Ipv6Addr::from(octets);
            // Only 2000::/3 is given out; of it, documentation is not.
            octets.first().is_none_or(|first| first >> 5 != 1)
                || address.segments().first_chunk() == Some(&[0x2001, 0x0db8])
        } else {
            true
        }
    });
    require(!reserved, || "an address is private or reserved".into())
}

/// Section 7.1.4.3: what the common name says is among the alternative names.
fn common_name(facts: &Facts<'_>) -> Result<(), String> {
    for name in common_names(facts) {
        let text = std::str::from_utf8(name).unwrap_or_default();
        let dns = names_of(facts, DNS).any(|other| other.content == name);
        let address = names_of(facts, IP).any(|other| match other.content.len() {
            4 => text
                .parse::<Ipv4Addr>()
                .is_ok_and(|a| a.octets() == other.content),
            _ => text
                .parse::<Ipv6Addr>()
                .is_ok_and(|a| a.octets() == other.content),
        });
        require(dns || address, || {
            "the common name is not among the alternative names".into()
        })?;
    }
    Ok(())
}

/// Section 6.3.2: the longest validity depends on the day of issue.
fn validity(facts: &Facts<'_>) -> Result<(), String> {
    let (Some(before), Some(after)) = (unix(facts.not_before), unix(facts.not_after)) else {
        return Ok(());
    };
    let days = LONGEST.iter().rev().find(|(since, _)| before >= *since);
    let days = days.map_or(398, |(_, days)| *days);
    // Both ends count (RFC 5280 section 4.1.2.5).
    require(after.saturating_sub(before) < days * 86_400, || {
        format!("the certificate is valid for more than {days} days")
    })
}

/// Section 6.1.5: RSA of a whole number of octets, or one of the three curves.
fn key(facts: &Facts<'_>) -> Result<(), String> {
    let fits = match facts.key.algorithm {
        oid::EC => true,
        _ => rsa(&facts.key).is_some_and(|(modulus, _)| bit_length(modulus).is_multiple_of(8)),
    };
    require(fits, || {
        "the key is neither on a curve of NIST's nor RSA of a whole number of octets".into()
    })
}

/// Section 7.1.2.7.10: serverAuth, and beside it clientAuth alone.
fn purposes(facts: &Facts<'_>) -> Result<(), String> {
    let all = facts.purposes.as_deref().unwrap_or_default();
    let fits = all.contains(&oid::SERVER_AUTH)
        && all
            .iter()
            .all(|purpose| matches!(*purpose, oid::SERVER_AUTH | oid::CLIENT_AUTH));
    require(fits, || {
        "extKeyUsage does not say serverAuth, or says more than that and clientAuth".into()
    })
}

/// Section 7.1.6.1: exactly one of the Forum's reserved policies.
fn policy(facts: &Facts<'_>) -> Result<(), String> {
    let reserved = policies::listed(facts)
        .into_iter()
        .filter(|policy| policy.starts_with(oid::CABF_POLICIES) || *policy == oid::CABF_EV)
        .count();
    require(reserved == 1, || {
        "certificatePolicies does not name exactly one of the CA/Browser Forum's policies".into()
    })
}

fn access(facts: &Facts<'_>) -> Result<(), String> {
    require(
        facts.extension(oid::AUTHORITY_INFO_ACCESS).is_some(),
        || "authorityInfoAccess is missing".into(),
    )
}

/// Section 7.1.2.11.2: a distribution point, unless the certificate is short-lived (section 1.6.1).
fn revocation(facts: &Facts<'_>) -> Result<(), String> {
    let (before, after) = (unix(facts.not_before), unix(facts.not_after));
    let short = before
        .zip(after)
        .is_some_and(|(b, a)| a.saturating_sub(b) < 7 * 86_400);
    let listed = facts.extension(oid::CRL_DISTRIBUTION_POINTS).is_some();
    let asked = facts.extension(oid::AUTHORITY_INFO_ACCESS).is_some();
    require(short || listed || asked, || {
        "nothing says where revocation is to be looked up".into()
    })
}

const DNS: u8 = der::implicit(2);
const IP: u8 = der::implicit(7);

/// RFC 6761, RFC 6762, RFC 7686, and what ICANN keeps for private use.
const RESERVED_DOMAINS: [&str; 14] = [
    "alt",
    "corp",
    "example",
    "home",
    "internal",
    "intranet",
    "invalid",
    "lan",
    "local",
    "localdomain",
    "localhost",
    "mail",
    "private",
    "test",
];

/// From which second on (2026-03-15, 2027-03-15, 2029-03-15) a certificate is valid for at most so many days.
const LONGEST: [(i64, i64); 3] = [
    (1_773_532_800, 200),
    (1_805_068_800, 100),
    (1_868_227_200, 47),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_on_which_validity_shrinks() {
        for ((since, _), day) in LONGEST
            .iter()
            .zip(["2026-03-15", "2027-03-15", "2029-03-15"])
        {
            let expected: jiff::Timestamp = format!("{day}T00:00:00Z").parse().unwrap();
            assert_eq!(*since, expected.as_second());
        }
    }
}
