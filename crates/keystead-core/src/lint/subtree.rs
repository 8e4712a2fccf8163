//! How a name lies to a subtree of names (RFC 5280 section 4.2.1.10).

use std::net::Ipv4Addr;

use super::constraints::{DIRECTORY, DNS, EMAIL, IP, URI};
use super::der;
use super::names;

/// How a name lies to a subtree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All that it stands for is in the subtree.
    Within,
    /// Some of it is.
    Across,
    /// None of it is.
    Apart,
}

/// How a name of this kind lies to the subtree below `base`; `None` where it can't be told.
pub(super) fn reach(kind: u8, name: &[u8], base: &[u8]) -> Option<Reach> {
    let text = |octets| {
        std::str::from_utf8(octets)
            .ok()
            .map(str::to_ascii_lowercase)
    };
    match kind {
        DNS => Some(host(&text(name)?, &text(base)?)),
        EMAIL => mail(
            std::str::from_utf8(name).ok()?,
            std::str::from_utf8(base).ok()?,
        ),
        URI => Some(domain(uri_host(&text(name)?)?, &text(base)?)),
        IP => address(name, base),
        DIRECTORY => directory(name, base),
        _ => None,
    }
}

fn whole(within: bool) -> Reach {
    if within { Reach::Within } else { Reach::Apart }
}

/// "Any DNS name that can be constructed by simply adding zero or more labels to the left-hand side of the name satisfies the
/// name constraint." With a period in front it is one label at least, as verifiers have it. A wildcard stands for all that
/// one label can make of it.
fn host(name: &str, base: &str) -> Reach {
    let below = |name: &str| {
        let rest = name.strip_suffix(base);
        rest.is_some_and(|rest| {
            rest.is_empty() || base.is_empty() || base.starts_with('.') || rest.ends_with('.')
        })
    };
    match name.strip_prefix("*.") {
        _ if below(name) => Reach::Within,
        Some(rest)
            if base
                .split_once('.')
                .is_some_and(|(_, parent)| parent == rest) =>
        {
            Reach::Across
        }
        _ => Reach::Apart,
    }
}

/// Of mail and URIs: a host by itself, or with a period in front what is below it.
fn domain(host: &str, base: &str) -> Reach {
    whole(match base.starts_with('.') {
        true => host.len() > base.len() && host.ends_with(base),
        false => host == base,
    })
}

/// A mailbox, all of a host, or all of a domain. RFC 5321 section 2.4: what is in front of the @ has upper and lower case.
fn mail(name: &str, base: &str) -> Option<Reach> {
    let (local, host) = name.rsplit_once('@')?;
    let host = host.to_ascii_lowercase();
    let (mailbox, base) = base
        .rsplit_once('@')
        .map_or((None, base), |(mailbox, base)| (Some(mailbox), base));
    let base = base.to_ascii_lowercase();
    Some(match mailbox {
        Some(mailbox) => whole(mailbox == local && host == base),
        None => domain(&host, &base),
    })
}

/// The host of a URI in lower case; `None` where it has none with a fully qualified name, for then "the application MUST reject
/// the certificate".
fn uri_host(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let host = host.split_once(':').map_or(host, |(host, _)| host);
    let named = !host.is_empty() && !host.starts_with('[') && host.parse::<Ipv4Addr>().is_err();
    named.then_some(host)
}

/// A network, by address and mask (RFC 4632).
fn address(name: &[u8], base: &[u8]) -> Option<Reach> {
    let (network, mask) = base.split_at(base.len() / 2);
    if !matches!(base.len(), 8 | 32) {
        return None;
    }
    let masked = name.iter().zip(network).zip(mask);
    let mut masked = masked.map(|((own, network), mask)| own & mask == network & mask);
    Some(whole(
        name.len() == network.len() && masked.all(|same| same),
    ))
}

/// The relative names of the base, and then others (section 7.1: strings by what they say, without regard to case and
/// to how many spaces there are).
fn directory(name: &[u8], base: &[u8]) -> Option<Reach> {
    let (name, base) = (relative_names(name)?, relative_names(base)?);
    Some(whole(name.starts_with(&base)))
}

type Attribute = (Vec<u8>, u8, Vec<u8>);

fn relative_names(name: &[u8]) -> Option<Vec<Vec<Attribute>>> {
    let mut all: Vec<Vec<Attribute>> = Vec::new();
    names::visit_places(name, |place, oid, tag, value| {
        let (tag, value) = comparable(tag, value);
        all.resize_with(all.len().max(place + 1), Vec::new);
        if let Some(relative) = all.get_mut(place) {
            relative.push((oid.to_vec(), tag, value));
            relative.sort();
        }
    })
    .ok()?;
    Some(all)
}

fn comparable(tag: u8, value: &[u8]) -> (u8, Vec<u8>) {
    let is_text = matches!(
        tag,
        der::UTF8_STRING
            | der::PRINTABLE_STRING
            | der::IA5_STRING
            | der::TELETEX_STRING
            | der::VISIBLE_STRING
    );
    match std::str::from_utf8(value) {
        Ok(text) if is_text => {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            (
                der::UTF8_STRING,
                words.join(" ").to_ascii_lowercase().into_bytes(),
            )
        }
        _ => (tag, value.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lie_to_subtrees_as_the_rfc_says() {
        use Reach::{Across as A, Apart as O, Within as W};
        for (kind, name, base, expected) in [
            (DNS, "a.test", "a.test", Some(W)),
            (DNS, "B.a.TEST", "A.test", Some(W)),
            (DNS, "ba.test", "a.test", Some(O)),
            (DNS, "test", "a.test", Some(O)),
            (DNS, "a.test", "", Some(W)),
            (DNS, "a.test", ".a.test", Some(O)),
            (DNS, "b.a.test", ".a.test", Some(W)),
            (DNS, "*.a.test", "a.test", Some(W)),
            (DNS, "*.a.test", "b.a.test", Some(A)),
            (DNS, "*.a.test", "c.b.a.test", Some(O)),
            (EMAIL, "me@A.test", "a.test", Some(W)),
            (EMAIL, "me@b.a.test", "a.test", Some(O)),
            (EMAIL, "me@b.a.test", ".a.test", Some(W)),
            (EMAIL, "me@a.test", ".a.test", Some(O)),
            (EMAIL, "me@a.test", "me@A.test", Some(W)),
            (EMAIL, "Me@a.test", "me@a.test", Some(O)),
            (EMAIL, "nobody", "a.test", None),
            (URI, "https://me:x@A.test:1/b.test", "a.test", Some(W)),
            (URI, "spiffe://b.a.test/x", "a.test", Some(O)),
            (URI, "spiffe://b.a.test?x", ".a.test", Some(W)),
            (URI, "urn:a.test", "a.test", None),
            (URI, "https://192.0.2.1/", "a.test", None),
            (URI, "https://[2001:db8::1]/", "a.test", None),
            (
                IP,
                "\u{a}\u{0}\u{1}\u{2}",
                "\u{a}\u{0}\u{0}\u{0}\u{7f}\u{7f}\u{0}\u{0}",
                Some(W),
            ),
            (
                IP,
                "\u{a}\u{2}\u{1}\u{2}",
                "\u{a}\u{0}\u{0}\u{0}\u{7f}\u{7f}\u{0}\u{0}",
                Some(O),
            ),
            (
                IP,
                "0123456789abcdef",
                "\u{a}\u{0}\u{0}\u{0}\u{7f}\u{7f}\u{0}\u{0}",
                Some(O),
            ),
            (IP, "\u{a}\u{2}\u{1}\u{2}", "\u{a}", None),
            (0xa0, "x", "x", None),
        ] {
            assert_eq!(
                reach(kind, name.as_bytes(), base.as_bytes()),
                expected,
                "{name:?} {base:?}"
            );
        }
    }
}
