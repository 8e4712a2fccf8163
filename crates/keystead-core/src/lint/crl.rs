//! Revocation lists (RFC 5280 section 5): what a list must satisfy before its issuer signs it.
//!
//! As for certificates, the rules judge the exact bytes that would be signed. They know more than a verifier can: which
//! numbers were given out before, and whether the list is meant for a part of the issuer's certificates.

use super::der::{self, Fault, Reader, Tlv};
use super::facts::{Extension, Time, extension};
use super::{Finding, fields, found, none, oid, one, require, time};
use crate::x509::SignatureAlgorithm;

/// What is known of who is going to sign a list.
#[derive(Clone, Copy, Debug)]
pub struct CrlIssuer<'a> {
    /// DER of its subject's name.
    pub subject_der: &'a [u8],
    /// Its subject key identifier, as in its certificate.
    pub key_id: &'a [u8],
    /// How it is going to sign.
    pub signature: SignatureAlgorithm,
    /// The highest number that it gave to a list of this scope.
    pub last_number: Option<u64>,
    /// The address that the certificates in the list's scope name; `None` for a list of all of them.
    pub distribution_point: Option<&'a str>,
}

/// Judges the DER of a TBSCertList that `issuer` is about to sign; answers every rule it breaks.
pub fn lint_crl_tbs(der: &[u8], issuer: &CrlIssuer<'_>) -> Result<(), Vec<Finding>> {
    let facts =
        Facts::read(der, issuer).map_err(|fault| one(STRUCTURE, format!("the list {fault}")))?;
    none(found(RULES.iter().map(|(rule, check)| (*rule, check(&facts)))).collect())
}

pub(super) type Check = fn(&Facts<'_>) -> Result<(), String>;

pub(super) const RULES: &[(&str, Check)] = &[
    ("rfc5280_5_1_canonical", canonical),
    ("rfc5280_5_1_2_1_version_2", version),
    ("rfc5280_5_1_2_2_signature", signature),
    ("rfc5280_5_1_2_3_issuer", issuer),
    ("rfc5280_5_1_2_4_times_encoded", times_encoded),
    ("rfc5280_5_1_2_5_next_update", next_update),
    ("rfc5280_5_1_2_6_not_empty", not_empty),
    ("rfc5280_5_1_2_6_serial_numbers", serial_numbers),
    ("rfc5280_5_1_2_6_revoked_before", revoked_before),
    ("rfc5280_5_2_extensions", extensions),
    ("rfc5280_5_2_1_authority_key_id", authority_key_id),
    ("rfc5280_5_2_3_number", number),
    ("rfc5280_5_2_5_distribution_point", distribution_point),
    ("rfc5280_5_3_entry_extensions", entry_extensions),
    ("rfc5280_5_3_1_reason", reason),
];

/// RFC 5280 section 5.1: the bytes are a TBSCertList at all.
pub(super) const STRUCTURE: &str = "rfc5280_5_1_structure";

/// Everything the rules look at.
pub(super) struct Facts<'a> {
    issuing: &'a CrlIssuer<'a>,
    tbs: &'a [u8],
    version: Option<&'a [u8]>,
    signature: &'a [u8],
    issuer: &'a [u8],
    this_update: Tlv<'a>,
    next_update: Option<Tlv<'a>>,
    /// `None` where there is no such field; an empty list where it is there and empty.
    entries: Option<Vec<Entry<'a>>>,
    extensions: Vec<Extension<'a>>,
}

struct Entry<'a> {
    serial: &'a [u8],
    at: Tlv<'a>,
    extensions: Vec<Extension<'a>>,
}

impl<'a> Facts<'a> {
    fn read(tbs: &'a [u8], issuing: &'a CrlIssuer<'a>) -> Result<Self, Fault> {
        let mut outer = Reader(tbs);
        let mut fields = outer.take(der::SEQUENCE)?.inside();
        outer.end()?;
        let version = fields.optional(der::INTEGER)?.map(|tlv| tlv.content);
        let signature = fields.take(der::SEQUENCE)?.raw;
        let issuer = fields.take(der::SEQUENCE)?.raw;
        let this_update = optional_time(&mut fields)?.ok_or("has no thisUpdate")?;
        let next_update = optional_time(&mut fields)?;
        let entries = match fields.optional(der::SEQUENCE)? {
            Some(list) => Some(entries(list)?),
            None => None,
        };
        let extensions = match fields.optional(der::explicit(0))? {
            Some(wrapped) => {
                let mut inside = wrapped.inside();
                let list = inside.take(der::SEQUENCE)?;
                inside.end()?;
                read_extensions(list)?
            }
            None => Vec::new(),
        };
        fields.end()?;
        Ok(Self {
            issuing,
            tbs,
            version,
            signature,
            issuer,
            this_update,
            next_update,
            entries,
            extensions,
        })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry<'a>> {
        self.entries.iter().flatten()
    }

    fn extension(&self, oid: &[u8]) -> Option<Extension<'a>> {
        let mut all = self.extensions.iter();
        all.find(|extension| extension.oid == oid).copied()
    }
}

fn optional_time<'a>(fields: &mut Reader<'a>) -> Result<Option<Tlv<'a>>, Fault> {
    match fields.optional(der::UTC_TIME)? {
        Some(time) => Ok(Some(time)),
        None => fields.optional(der::GENERALIZED_TIME),
    }
}

fn entries(list: Tlv<'_>) -> Result<Vec<Entry<'_>>, Fault> {
    let mut reader = list.inside();
    let mut all = Vec::new();
    while let Some(tlv) = reader.next()? {
        if tlv.tag != der::SEQUENCE {
            return Err("has an entry that is not a SEQUENCE");
        }
        let mut fields = tlv.inside();
        let serial = fields.take(der::INTEGER)?.content;
        let at = optional_time(&mut fields)?.ok_or("has an entry without a date")?;
        let extensions = match fields.optional(der::SEQUENCE)? {
            Some(list) => read_extensions(list)?,
            None => Vec::new(),
        };
        fields.end()?;
        all.push(Entry {
            serial,
            at,
            extensions,
        });
    }
    Ok(all)
}

fn read_extensions(list: Tlv<'_>) -> Result<Vec<Extension<'_>>, Fault> {
    let mut reader = list.inside();
    let mut all = Vec::new();
    while let Some(tlv) = reader.next()? {
        all.push(extension(tlv)?);
    }
    if all.is_empty() {
        return Err("has a list of extensions that is there and empty");
    }
    Ok(all)
}

/// RFC 5280 section 5.1: DER throughout, what the extensions hold included.
fn canonical(facts: &Facts<'_>) -> Result<(), String> {
    let extensions = facts.entries().flat_map(|entry| &entry.extensions);
    let inner = extensions
        .chain(&facts.extensions)
        .map(|extension| extension.value);
    for der in std::iter::once(facts.tbs).chain(inner) {
        der::canonical(der).map_err(|fault| format!("the list {fault}"))?;
    }
    Ok(())
}

fn version(facts: &Facts<'_>) -> Result<(), String> {
    require(facts.version == Some(&[1]), || {
        "a list with extensions has version 2".into()
    })
}

/// RFC 5280 section 5.1.2.2: the algorithm is the one that is going to sign.
fn signature(facts: &Facts<'_>) -> Result<(), String> {
    let expected = fields::algorithm_der(facts.issuing.signature);
    require(facts.signature == expected, || {
        "the list names another signature algorithm than the one that is going to sign it".into()
    })
}

fn issuer(facts: &Facts<'_>) -> Result<(), String> {
    let named = facts.issuer != [der::SEQUENCE, 0];
    require(named && facts.issuer == facts.issuing.subject_der, || {
        "the issuer is not the CA's subject, byte for byte, or has no name".into()
    })
}

/// RFC 5280 sections 5.1.2.4 to 5.1.2.6: UTCTime until 2049, GeneralizedTime from 2050, with seconds, in UTC.
fn times_encoded(facts: &Facts<'_>) -> Result<(), String> {
    let entries = facts.entries().map(|entry| &entry.at);
    let mut all = entries
        .chain([&facts.this_update])
        .chain(&facts.next_update);
    require(all.all(|tlv| seconds(tlv).is_some()), || {
        "a time is not in the one form that RFC 5280 allows for it".into()
    })
}

/// A date in the one form that it has, or `None`.
fn seconds(tlv: &Tlv<'_>) -> Option<i64> {
    let read = time::unix(Time {
        tag: tlv.tag,
        text: tlv.content,
    })?;
    // Section 5.1.2.4: UTCTime through 2049.
    ((tlv.tag == der::UTC_TIME) == (read < YEAR_2050)).then_some(read)
}

fn next_update(facts: &Facts<'_>) -> Result<(), String> {
    let next = facts.next_update.as_ref().and_then(seconds);
    let this = seconds(&facts.this_update);
    require(next.is_some() && next > this, || {
        "nextUpdate is missing, or not after thisUpdate".into()
    })
}

fn not_empty(facts: &Facts<'_>) -> Result<(), String> {
    let empty = facts.entries.as_ref().is_some_and(Vec::is_empty);
    require(!empty, || {
        "revokedCertificates is there and lists nothing".into()
    })
}

/// RFC 5280 section 4.1.2.2: positive and at most 20 octets; and no certificate stands in a list twice.
fn serial_numbers(facts: &Facts<'_>) -> Result<(), String> {
    let positive = |serial: &[u8]| {
        serial.len() <= 20
            && serial.first().is_some_and(|first| first & 0x80 == 0)
            && serial.iter().any(|octet| *octet != 0)
    };
    let mut all: Vec<&[u8]> = facts.entries().map(|entry| entry.serial).collect();
    require(all.iter().all(|serial| positive(serial)), || {
        "a serial number is not positive, or longer than 20 octets".into()
    })?;
    all.sort_unstable();
    let twice = all.windows(2).any(|pair| pair.first() == pair.last());
    require(!twice, || "a serial number occurs twice".into())
}

/// RFC 5280 section 5.1.2.6: the date is that of the revocation, which the list knows of.
fn revoked_before(facts: &Facts<'_>) -> Result<(), String> {
    let this = seconds(&facts.this_update);
    let later = facts.entries().any(|entry| seconds(&entry.at) > this);
    require(!later, || {
        "a certificate is revoked after the list was made".into()
    })
}

/// RFC 5280 section 5.2: none twice; those that are known here are critical where they must be, and no others are.
/// A delta list (section 5.2.4) is never made.
fn extensions(facts: &Facts<'_>) -> Result<(), String> {
    let all = &facts.extensions;
    let twice = all.iter().enumerate().any(|(index, extension)| {
        let mut later = all.iter().skip(index + 1);
        later.any(|other| other.oid == extension.oid)
    });
    require(!twice, || "an extension occurs twice".into())?;
    let wrong = all.iter().any(|extension| match extension.oid {
        oid::AUTHORITY_KEY_ID | CRL_NUMBER => extension.critical,
        ISSUING_DISTRIBUTION_POINT => !extension.critical,
        _ => true,
    });
    require(!wrong, || {
        "an extension is unknown, critical where it must not be, or not critical where it must be"
            .into()
    })
}

fn authority_key_id(facts: &Facts<'_>) -> Result<(), String> {
    let id = facts.extension(oid::AUTHORITY_KEY_ID).and_then(|found| {
        let mut outer = Reader(found.value);
        let mut inside = outer.take(der::SEQUENCE).ok()?.inside();
        let id = inside.optional(der::implicit(0)).ok()??;
        Some(id.content)
    });
    require(id == Some(facts.issuing.key_id), || {
        "the authority key identifier is missing, or not the CA's subject key identifier".into()
    })
}

/// RFC 5280 section 5.2.3: there is one, not negative, at most 20 octets, and higher than every one before.
fn number(facts: &Facts<'_>) -> Result<(), String> {
    let number = facts.extension(CRL_NUMBER).and_then(|found| {
        let mut outer = Reader(found.value);
        let content = outer.take(der::INTEGER).ok()?.content;
        let negative = content.first().is_none_or(|first| first & 0x80 != 0);
        // Ours have eight octets, and one more where the first bit is set.
        (!negative && content.len() <= 9).then(|| {
            content
                .iter()
                .fold(0_u128, |value, octet| (value << 8) | u128::from(*octet))
        })
    });
    let last = facts.issuing.last_number.map(u128::from);
    require(number.is_some() && number > last, || {
        "the list's number is missing, malformed, or not higher than the last one".into()
    })
}

/// RFC 5280 section 5.2.5: a list for a part of the certificates names the very address that they name; a list of all
/// has no such extension.
fn distribution_point(facts: &Facts<'_>) -> Result<(), String> {
    let found = facts.extension(ISSUING_DISTRIBUTION_POINT);
    let fits = match (found, facts.issuing.distribution_point) {
        (None, None) => true,
        (Some(found), Some(expected)) => point(found.value) == Ok(expected.as_bytes()),
        _ => false,
    };
    require(fits, || {
        "the issuing distribution point is not the address that the certificates name".into()
    })
}

/// The one address of an issuing distribution point that says nothing else.
fn point(value: &[u8]) -> Result<&[u8], Fault> {
    let mut outer = Reader(value);
    let mut fields = outer.take(der::SEQUENCE)?.inside();
    outer.end()?;
    let mut point = fields.take(der::explicit(0))?.inside();
    fields.end()?;
    let mut names = point.take(der::explicit(0))?.inside();
    point.end()?;
    let uri = names.take(der::implicit(6))?.content;
    names.end()?;
    Ok(uri)
}

/// RFC 5280 section 5.3: no entry says anything but its reason, and none critically (a verifier that does not know it
/// must refuse the list).
fn entry_extensions(facts: &Facts<'_>) -> Result<(), String> {
    let alone = |entry: &Entry<'_>| match entry.extensions.as_slice() {
        [] => true,
        [one] => one.oid == REASON_CODE && !one.critical,
        _ => false,
    };
    require(facts.entries().all(alone), || {
        "an entry has another extension than its reason, or has it twice, or critical".into()
    })
}

/// RFC 5280 section 5.3.1: unspecified is left out; 7 is not used; removal is for delta lists.
fn reason(facts: &Facts<'_>) -> Result<(), String> {
    let given = |entry: &Entry<'_>| {
        let mut reasons = entry.extensions.iter();
        reasons.all(|one| matches!(one.value, [ENUMERATED, 1, 1..=6 | 9 | 10]))
    };
    require(facts.entries().all(given), || {
        "an entry has a reason that a list does not state".into()
    })
}

const ENUMERATED: u8 = 0x0a;

/// 2050-01-01T00:00:00Z.
const YEAR_2050: i64 = 2_524_608_000;

// id-ce, 2.5.29 (RFC 5280 sections 5.2 and 5.3).
const REASON_CODE: &[u8] = &[0x55, 0x1d, 21];
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 20];
const ISSUING_DISTRIBUTION_POINT: &[u8] = &[0x55, 0x1d, 28];
