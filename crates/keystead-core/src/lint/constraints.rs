//! Constraints on the names below an authority (RFC 5280 section 4.2.1.10).

use super::der::{self, Fault, Reader, Tlv};
use super::facts::{self, Facts};
use super::names::is_name;
use super::san::is_host_name;
use super::{Rule, oid, require};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "rfc5280_4_2_1_10_constraints_not_empty",
        check: not_empty,
    },
    Rule {
        id: "rfc5280_4_2_1_10_base_distances",
        check: distances,
    },
    Rule {
        id: "rfc5280_4_2_1_10_constraint_form",
        check: forms,
    },
];

/// Not an empty sequence, and no empty list within.
fn not_empty(facts: &Facts<'_>) -> Result<(), String> {
    match own(facts) {
        None => Ok(()),
        Some(Err(fault)) => Err(format!("nameConstraints {fault}")),
        Some(Ok(all)) => require(!all.is_empty(), || {
            "nameConstraints constrains nothing".into()
        }),
    }
}

/// The minimum is 0, which DER leaves out, and there is no maximum.
fn distances(facts: &Facts<'_>) -> Result<(), String> {
    let distant = well_formed(facts)
        .iter()
        .any(|subtree| subtree.has_distance);
    require(!distant, || {
        "nameConstraints says how deep a subtree is, which RFC 5280 does not use".into()
    })
}

/// A domain for DNS names and, with a period in front, for URIs and mail; an address with its mask; a
/// directory name. Other kinds have no syntax or must not be constrained.
fn forms(facts: &Facts<'_>) -> Result<(), String> {
    for subtree in well_formed(facts) {
        let base = subtree.base;
        let text = std::str::from_utf8(base.content).unwrap_or("\u{0}");
        let inner = text.strip_prefix('.').unwrap_or(text);
        let fits = match base.tag {
            DNS => text.is_empty() || is_host_name(text),
            EMAIL => {
                let domain = inner.rsplit_once('@').map_or(inner, |(_, domain)| domain);
                is_host_name(domain)
            }
            URI => is_host_name(inner),
            IP => is_network(base.content),
            DIRECTORY => is_name(base.content),
            OTHER => true,
            _ => false,
        };
        require(fits, || {
            "nameConstraints has a subtree that is malformed, or of a kind of name that can't be constrained"
                .into()
        })?;
    }
    Ok(())
}

/// An address and a mask of the same length (RFC 4632 section 3.1): ones, then zeros, and the address has
/// nothing where the mask has not.
fn is_network(octets: &[u8]) -> bool {
    let (address, mask) = octets.split_at(octets.len() / 2);
    let outside = |(address, mask): (&u8, &u8)| address & !mask != 0;
    let zeros = mask
        .iter()
        .flat_map(|octet| (0..8).rev().map(move |bit| octet >> bit & 1));
    matches!(octets.len(), 8 | 32)
        && !address.iter().zip(mask).any(outside)
        && zeros.is_sorted_by(|before, after| before >= after)
}

#[derive(Clone, Copy)]
pub(super) struct Subtree<'a> {
    pub(super) base: Tlv<'a>,
    /// Whether it is permitted, and not excluded.
    pub(super) permitted: bool,
    pub(super) has_distance: bool,
}

fn well_formed<'a>(facts: &Facts<'a>) -> Vec<Subtree<'a>> {
    own(facts).and_then(Result::ok).unwrap_or_default()
}

fn own<'a>(facts: &Facts<'a>) -> Option<Result<Vec<Subtree<'a>>, Fault>> {
    let extension = facts.extension(oid::NAME_CONSTRAINTS)?;
    Some(subtrees(extension.value))
}

/// The subtrees that the DER of nameConstraints names, permitted and excluded.
pub(super) fn subtrees(value: &[u8]) -> Result<Vec<Subtree<'_>>, Fault> {
    let mut outer = Reader(value);
    let mut fields = outer.take(der::SEQUENCE)?.inside();
    outer.end()?;
    let mut all = Vec::new();
    for (list, permitted) in [(0, true), (1, false)] {
        let Some(list) = fields.optional(der::explicit(list))? else {
            continue;
        };
        let list = facts::elements(list)?;
        if list.is_empty() {
            return Err("has an empty list of subtrees");
        }
        for subtree in list {
            let mut fields = subtree.inside();
            let base = fields.next()?.ok_or("has a subtree without a name")?;
            all.push(Subtree {
                base,
                permitted,
                has_distance: !fields.is_empty(),
            });
        }
    }
    fields.end()?;
    Ok(all)
}

pub(super) const OTHER: u8 = der::explicit(0);
pub(super) const EMAIL: u8 = der::implicit(1);
pub(super) const DNS: u8 = der::implicit(2);
pub(super) const DIRECTORY: u8 = der::explicit(4);
pub(super) const URI: u8 = der::implicit(6);
pub(super) const IP: u8 = der::implicit(7);
