//! What the certificates above a new one leave it: names within the constraints of every authority of its path (RFC 5280
//! sections 4.2.1.10 and 6.1.3 (b) and (c)), and purposes that its authorities have.
//!
//! Verifiers find such a certificate wrong; whoever asked for it should hear so before they do. Where a constraint can't be
//! processed, what it might concern is refused (section 4.2.1.10: "MUST either process the constraint or reject the
//! certificate").

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::constraints::{DIRECTORY, DNS, EMAIL, IP, OTHER, Subtree, URI, subtrees};
use super::der::{self, Fault, Reader};
use super::facts::{Facts, read_purposes};
use super::subtree::{Reach, reach};
use super::{Rule, fields, names, oid, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_6_1_3_b_names_are_permitted",
        check: permitted,
    },
    Rule {
        id: "rfc5280_6_1_3_c_names_are_not_excluded",
        check: not_excluded,
    },
    Rule {
        id: "rfc5280_4_2_1_12_purposes_are_the_issuers",
        check: purposes_are_the_issuers,
    },
];

/// What an authority's certificate and those above it say about everything below.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// DER of each nameConstraints.
    name_constraints: Vec<ByteBuf>,
    /// DER of each extKeyUsage.
    purposes: Vec<ByteBuf>,
    /// How many authorities may follow.
    path_len: Option<u8>,
}

impl Bounds {
    /// What these certificates say together: the authority's own, and those above it in order. (RFC 5280 leaves a trust
    /// anchor's constraints to the verifier, section 6.2; those that matter apply them.)
    ///
    /// # Errors
    /// Which certificate can't be read, as a sentence.
    pub fn of<'a>(path: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, String> {
        let mut bounds = Self::default();
        // Authorities of the path below the one at hand; self-issued ones do not count (section 6.1.4 (l)).
        let mut below = 0_u64;
        for certificate in path {
            let facts = fields::unwrap(certificate)
                .and_then(|tbs| Facts::read(tbs, None).map_err(str::to_owned))
                .map_err(|fault| format!("a certificate of the path can't be read: {fault}"))?;
            let value = |oid| facts.extension(oid).map(|found| ByteBuf::from(found.value));
            bounds.name_constraints.extend(value(oid::NAME_CONSTRAINTS));
            bounds.purposes.extend(value(oid::EXTENDED_KEY_USAGE));
            let limit = facts.basic_constraints.and_then(|found| found.path_len);
            let left = limit.map(|limit| limit.saturating_sub(below));
            let left = left.map(|left| u8::try_from(left).unwrap_or(u8::MAX));
            bounds.path_len = match (bounds.path_len, left) {
                (Some(known), Some(left)) => Some(known.min(left)),
                (known, left) => known.or(left),
            };
            below += u64::from(facts.subject != facts.issuer);
        }
        Ok(bounds)
    }

    /// How many authorities may follow, if anything limits that (RFC 5280 section 6.1.4 (m)).
    pub fn path_len(&self) -> Option<u8> {
        self.path_len
    }

    /// DER of a name that ends as this one does and that lies below the longest name that is permitted: for a certificate that
    /// the authority makes for itself and whose name is nobody's choice. `name` itself where no directory name is asked
    /// for.
    pub fn below<'a>(&self, name: &'a [u8]) -> Cow<'a, [u8]> {
        let all = self.name_constraints.iter();
        let all = all.flat_map(|value| subtrees(value).unwrap_or_default());
        let bases = all.filter(|subtree| subtree.permitted && subtree.base.tag == DIRECTORY);
        let longest = bases
            .map(|subtree| subtree.base.content)
            .max_by_key(|base| base.len());
        let content = |name| Some(Reader(name).take(der::SEQUENCE).ok()?.content);
        match (longest.and_then(content), content(name)) {
            (Some(base), Some(own)) => Cow::Owned(der::sequence(&[base, own].concat())),
            _ => Cow::Borrowed(name),
        }
    }
}

/// RFC 5280 section 6.1.3 (b): a name of a kind that an authority permits some of is one of those.
fn permitted(facts: &Facts<'_>) -> Result<(), String> {
    each(facts, |name, subtrees| {
        let mut of_kind = subtrees
            .iter()
            .filter(|subtree| subtree.permitted)
            .peekable();
        let fits = of_kind.peek().is_none()
            || of_kind.any(|subtree| name.reach(subtree) == Some(Reach::Within));
        require(fits, || {
            format!(
                "{name} is not among the names that nameConstraints of the CA, or of one above it, permits"
            )
        })
    })
}

/// RFC 5280 section 6.1.3 (c): nor is it one of those that are excluded.
fn not_excluded(facts: &Facts<'_>) -> Result<(), String> {
    each(facts, |name, subtrees| {
        let mut excluded = subtrees.iter().filter(|subtree| !subtree.permitted);
        let fits = excluded.all(|subtree| name.reach(subtree) == Some(Reach::Apart));
        require(fits, || {
            format!(
                "{name} is among the names that nameConstraints of the CA, or of one above it, excludes"
            )
        })
    })
}

/// RFC 5280 says nothing of extKeyUsage in an authority's certificate; verifiers take it for a limit of what is below
/// (OpenSSL, rustls-webpki, Go), and so does section 7.1.2.10.6 of the CA/Browser Forum's Baseline Requirements. That has no
/// OCSPSigning in an authority's certificate, whose own signer has it all the same.
fn purposes_are_the_issuers(facts: &Facts<'_>) -> Result<(), String> {
    let purposes = facts.purposes.iter().flatten().copied();
    let wanted: Vec<&[u8]> = purposes.filter(|one| *one != oid::OCSP_SIGNING).collect();
    for limit in bounds(facts).iter().flat_map(|bounds| &bounds.purposes) {
        let limit =
            read_purposes(limit).map_err(|fault| format!("the CA's certificate {fault}"))?;
        let fits =
            limit.contains(&oid::ANY_PURPOSE) || wanted.iter().all(|one| limit.contains(one));
        require(fits, || {
            "extKeyUsage lists a purpose that extKeyUsage of the CA, or of one above it, does not have".into()
        })?;
    }
    Ok(())
}

fn bounds<'a>(facts: &Facts<'a>) -> Option<&'a Bounds> {
    facts.issuing.and_then(|issuer| issuer.bounds)
}

/// Checks each name against those subtrees of each authority that are of its kind.
fn each(
    facts: &Facts<'_>,
    check: impl Fn(&Named<'_>, &[Subtree<'_>]) -> Result<(), String>,
) -> Result<(), String> {
    let constraints = bounds(facts).map_or(&[][..], |bounds| &bounds.name_constraints);
    // Section 6.1.3 (b): a self-issued certificate in the midst of a path is let through.
    if constraints.is_empty() || (facts.is_ca() && facts.subject == facts.issuer) {
        return Ok(());
    }
    let names = named(facts).map_err(|fault| format!("the subject {fault}"))?;
    for value in constraints {
        let subtrees = subtrees(value)
            .map_err(|fault| format!("nameConstraints of the CA, or of one above it, {fault}"))?;
        for name in &names {
            let of_kind = subtrees
                .iter()
                .filter(|subtree| subtree.base.tag == name.kind);
            check(name, &of_kind.copied().collect::<Vec<_>>())?;
        }
    }
    Ok(())
}

/// A name that constraints apply to.
struct Named<'a> {
    /// Its kind, by the tag that a GeneralName has.
    kind: u8,
    value: &'a [u8],
}

impl Named<'_> {
    /// How it lies to the subtree; `None` where nobody can tell.
    fn reach(&self, subtree: &Subtree<'_>) -> Option<Reach> {
        if subtree.has_distance {
            return None;
        }
        reach(self.kind, self.value, subtree.base.content)
    }
}

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(self.value);
        let text = text.escape_debug();
        match (self.kind, self.value) {
            (DNS, _) => write!(f, "the DNS name '{text}'"),
            (EMAIL, _) => write!(f, "the email address '{text}'"),
            (URI, _) => write!(f, "the URI '{text}'"),
            (IP, octets) => match <[u8; 4]>::try_from(octets) {
                Ok(four) => write!(f, "the IP address {}", std::net::Ipv4Addr::from(four)),
                Err(_) => match <[u8; 16]>::try_from(octets) {
                    Ok(all) => write!(f, "the IP address {}", std::net::Ipv6Addr::from(all)),
                    Err(_) => f.write_str("an IP address"),
                },
            },
            (DIRECTORY, _) => f.write_str("the subject, or a directory name beside it,"),
            _ => f.write_str("a subject alternative name of a kind that can't be compared"),
        }
    }
}

/// The subject and its alternative names.
fn named<'a>(facts: &Facts<'a>) -> Result<Vec<Named<'a>>, Fault> {
    let mut all = Vec::new();
    let mut add = |kind, value| all.push(Named { kind, value });
    if !facts.subject_is_empty() {
        add(DIRECTORY, facts.subject);
    }
    let alternative = facts.alternative_names.as_deref().unwrap_or_default();
    for name in alternative {
        add(name.tag, name.content);
        // RFC 9598 section 6: what constrains mailboxes constrains these.
        if name.tag == OTHER
            && let Some(mailbox) = mailbox(name.inside())
        {
            add(EMAIL, mailbox);
        }
    }
    let has_dns = alternative.iter().any(|name| name.tag == DNS);
    names::visit(facts.subject, |oid, value| {
        // Section 4.2.1.10 wants it where there is no alternative name; verifiers look always.
        if oid == oid::EMAIL_ADDRESS {
            add(EMAIL, value);
        }
        // Verifiers that take a common name for a server's name constrain it like one.
        if oid == oid::COMMON_NAME && !has_dns && !facts.is_ca() && is_like_host(value) {
            add(DNS, value);
        }
    })?;
    Ok(all)
}

/// The address of a SmtpUTF8Mailbox.
fn mailbox(mut fields: Reader<'_>) -> Option<&[u8]> {
    let kind = fields.take(der::OID).ok()?;
    let mut value = fields.take(der::explicit(0)).ok()?.inside();
    (kind.content == oid::SMTP_UTF8_MAILBOX)
        .then(|| value.take(der::UTF8_STRING).ok())?
        .map(|text| text.content)
}

fn is_like_host(value: &[u8]) -> bool {
    let of_host = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    value.iter().all(of_host) && value.contains(&b'.')
}
