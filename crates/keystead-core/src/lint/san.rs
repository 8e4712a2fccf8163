//! Subject alternative names (RFC 5280 section 4.2.1.6).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::der::{self, Tlv};
use super::facts::Facts;
use super::{Rule, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_2_1_6_san_not_empty",
        check: not_empty,
    },
    Rule {
        id: "rfc5280_4_2_1_6_san_kind",
        check: kinds,
    },
    Rule {
        id: "rfc5280_4_2_1_6_dns_name",
        check: dns_names,
    },
    Rule {
        id: "rfc6125_6_4_3_wildcard_leftmost",
        check: wildcards,
    },
    Rule {
        id: "rfc5280_4_2_1_6_email",
        check: emails,
    },
    Rule {
        id: "rfc5280_4_2_1_6_uri_absolute",
        check: uris,
    },
    Rule {
        id: "rfc5280_4_2_1_6_ip_address",
        check: ip_addresses,
    },
];

fn not_empty(facts: &Facts<'_>) -> Result<(), String> {
    let empty = facts.alternative_names.as_ref().is_some_and(Vec::is_empty);
    require(!empty, || "subjectAltName has no name".into())
}

fn kinds(facts: &Facts<'_>) -> Result<(), String> {
    let unknown = names(facts).any(|name| !KINDS.contains(&name.tag));
    require(!unknown, || {
        "subjectAltName holds something that is not a GeneralName".into()
    })
}

/// RFC 5280 section 4.2.1.6: the preferred syntax of RFC 1034 section 3.5 as changed by RFC 1123
/// section 2.1; a wildcard in front is let through here and judged by its own rule.
fn dns_names(facts: &Facts<'_>) -> Result<(), String> {
    of_kind(facts, DNS, |text| {
        let host = text.strip_prefix("*.").unwrap_or(text);
        require(is_host_name(host), || {
            format!(
                "the DNS name '{}' is not made of labels of letters, digits and hyphens",
                text.escape_debug()
            )
        })
    })
}

/// RFC 6125 section 6.4.3: clients match a wildcard only as the whole leftmost label.
fn wildcards(facts: &Facts<'_>) -> Result<(), String> {
    of_kind(facts, DNS, |text| {
        let rest = text.strip_prefix("*.").unwrap_or(text);
        require(!rest.contains('*'), || {
            format!(
                "the DNS name '{}' has a wildcard that is not its whole leftmost label",
                text.escape_debug()
            )
        })
    })
}

/// RFC 5280 section 4.2.1.6: a Mailbox of RFC 2821 section 4.1.2; no phrase, no angle brackets.
fn emails(facts: &Facts<'_>) -> Result<(), String> {
    of_kind(facts, EMAIL, |text| {
        let fits = text.rsplit_once('@').is_some_and(|(local, domain)| {
            let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"@".contains(&byte);
            // RFC 5321 section 4.5.3.1.1: at most 64 octets before the @.
            (1..=64).contains(&local.len()) && local.bytes().all(plain) && is_host_name(domain)
        });
        require(fits, || {
            format!(
                "the email address '{}' is not of the form local@domain",
                text.escape_debug()
            )
        })
    })
}

/// RFC 5280 section 4.2.1.6: absolute, with a scheme and a scheme-specific part; where there is an
/// authority, its host is a domain name or an address.
fn uris(facts: &Facts<'_>) -> Result<(), String> {
    of_kind(facts, URI, |text| {
        require(is_absolute_uri(text), || {
            format!("the URI '{}' is not absolute", text.escape_debug())
        })
    })
}

fn ip_addresses(facts: &Facts<'_>) -> Result<(), String> {
    let wrong = names(facts).any(|name| name.tag == IP && !matches!(name.content.len(), 4 | 16));
    require(!wrong, || {
        "an IP address has neither 4 nor 16 octets".into()
    })
}

/// The names of one kind.
pub(super) fn names_of<'a, 'f>(
    facts: &'f Facts<'a>,
    kind: u8,
) -> impl Iterator<Item = &'f Tlv<'a>> {
    names(facts).filter(move |name| name.tag == kind)
}

fn names<'a, 'f>(facts: &'f Facts<'a>) -> impl Iterator<Item = &'f Tlv<'a>> {
    facts.alternative_names.iter().flatten()
}

fn of_kind(
    facts: &Facts<'_>,
    kind: u8,
    check: impl Fn(&str) -> Result<(), String>,
) -> Result<(), String> {
    names_of(facts, kind).try_for_each(|name| match std::str::from_utf8(name.content) {
        Ok(text) if text.is_ascii() => check(text),
        _ => Err("a subject alternative name is not ASCII, as IA5String demands".into()),
    })
}

/// Labels of 1 to 63 letters, digits and inner hyphens, 253 characters together, no final dot
/// (RFC 1034 sections 3.1 and 3.5; RFC 1123 section 2.1 lets a digit come first).
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

pub(super) fn is_absolute_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else {
        return false;
    };
    // RFC 3986 section 3.1.
    let scheme_fits = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    // RFC 3986 section 2: printable, and none of the characters it leaves out.
    let characters_fit = rest
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte));
    let host_fits = match rest.strip_prefix("//") {
        Some(after) => is_authority(after.split(['/', '?', '#']).next().unwrap_or_default()),
        None => true,
    };
    scheme_fits && characters_fit && !rest.is_empty() && host_fits
}

/// `[userinfo@]host[:port]` (RFC 3986 section 3.2).
fn is_authority(text: &str) -> bool {
    let host_and_port = text.rsplit_once('@').map_or(text, |(_, after)| after);
    if let Some(bracketed) = host_and_port.strip_prefix('[') {
        return bracketed
            .split_once(']')
            .is_some_and(|(address, port)| address.parse::<Ipv6Addr>().is_ok() && is_port(port));
    }
    let (host, port) = match host_and_port.find(':') {
        Some(colon) => host_and_port.split_at(colon),
        None => (host_and_port, ""),
    };
    is_port(port) && (host.parse::<Ipv4Addr>().is_ok() || is_host_name(host))
}

/// Nothing, or a colon and digits.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()),
        None => text.is_empty(),
    }
}

const EMAIL: u8 = der::implicit(1);
const DNS: u8 = der::implicit(2);
const URI: u8 = der::implicit(6);
const IP: u8 = der::implicit(7);

/// otherName, rfc822Name, dNSName, x400Address, directoryName, ediPartyName,
/// uniformResourceIdentifier, iPAddress, registeredID.
const KINDS: [u8; 9] = [
    der::explicit(0),
    EMAIL,
    DNS,
    der::explicit(3),
    der::explicit(4),
    der::explicit(5),
    URI,
    IP,
    der::implicit(8),
];
