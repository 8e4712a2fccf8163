//! A to-be-signed certificate, read once into what the rules ask about.

use super::Issuer;
use super::der::{self, Fault, Reader, Tlv};
use super::oid;

/// Everything the rules look at.
#[derive(Debug)]
pub(super) struct Facts<'a> {
    /// Who is going to sign; `None` where somebody else has signed.
    pub(super) issuing: Option<&'a Issuer<'a>>,
    /// The whole TBSCertificate.
    pub(super) tbs: &'a [u8],
    /// The version number as encoded (2 means v3); `None` where it is left out (v1).
    pub(super) version: Option<&'a [u8]>,
    /// Content of the INTEGER.
    pub(super) serial: &'a [u8],
    pub(super) signature: &'a [u8],
    pub(super) issuer: &'a [u8],
    pub(super) not_before: Time<'a>,
    pub(super) not_after: Time<'a>,
    pub(super) subject: &'a [u8],
    pub(super) key: Key<'a>,
    pub(super) has_unique_ids: bool,
    /// `None` where there is no such field; an empty list where it is there and empty.
    pub(super) extensions: Option<Vec<Extension<'a>>>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    /// The bits of keyUsage, number 0 lowest.
    pub(super) key_usage: Option<u16>,
    pub(super) purposes: Option<Vec<&'a [u8]>>,
    pub(super) alternative_names: Option<Vec<Tlv<'a>>>,
    pub(super) subject_key_id: Option<&'a [u8]>,
    /// The keyIdentifier field; the outer `None` where the extension is not there.
    pub(super) authority_key_id: Option<Option<&'a [u8]>>,
}

/// A date as it is encoded.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time<'a> {
    pub(super) tag: u8,
    pub(super) text: &'a [u8],
}

/// The subject's public key.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key<'a> {
    pub(super) algorithm: &'a [u8],
    pub(super) parameters: Option<Tlv<'a>>,
    /// Content of the BIT STRING without the count of unused bits.
    pub(super) bits: &'a [u8],
}

/// One extension.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extension<'a> {
    pub(super) oid: &'a [u8],
    pub(super) critical: bool,
    /// Whether `critical FALSE` is written out, which DER forbids.
    pub(super) writes_default: bool,
    pub(super) value: &'a [u8],
}

/// The extension of this name.
#[derive(Clone, Copy, Debug)]
pub(super) struct BasicConstraints {
    pub(super) ca: bool,
    pub(super) path_len: Option<u64>,
    /// Whether `cA FALSE` is written out, which DER forbids.
    pub(super) writes_default: bool,
}

impl<'a> Facts<'a> {
    /// Reads the DER of a TBSCertificate (RFC 5280 section 4.1).
    pub(super) fn read(tbs: &'a [u8], issuing: Option<&'a Issuer<'a>>) -> Result<Self, Fault> {
        let mut outer = Reader(tbs);
        let mut fields = outer.take(der::SEQUENCE)?.inside();
        outer.end()?;
        let version = match fields.optional(der::explicit(0))? {
            Some(wrapped) => Some(wrapped.inside().take(der::INTEGER)?.content),
            None => None,
        };
        let serial = fields.take(der::INTEGER)?.content;
        let signature = fields.take(der::SEQUENCE)?.raw;
        let issuer = fields.take(der::SEQUENCE)?.raw;
        let mut validity = fields.take(der::SEQUENCE)?.inside();
        let (not_before, not_after) = (time(&mut validity)?, time(&mut validity)?);
        validity.end()?;
        let subject = fields.take(der::SEQUENCE)?.raw;
        let key = key(fields.take(der::SEQUENCE)?)?;
        let issuer_id = fields.optional(der::implicit(1))?;
        let subject_id = fields.optional(der::implicit(2))?;
        let extensions = match fields.optional(der::explicit(3))? {
            Some(wrapped) => Some(extensions(wrapped)?),
            None => None,
        };
        fields.end()?;
        let mut facts = Self {
            issuing,
            tbs,
            version,
            serial,
            signature,
            issuer,
            not_before,
            not_after,
            subject,
            key,
            has_unique_ids: issuer_id.is_some() || subject_id.is_some(),
            extensions,
            basic_constraints: None,
            key_usage: None,
            purposes: None,
            alternative_names: None,
            subject_key_id: None,
            authority_key_id: None,
        };
        facts.interpret()?;
        Ok(facts)
    }

    /// Reads the extensions that rules refer to. Where one occurs twice the last counts; that it
    /// occurs twice is a finding of its own.
    fn interpret(&mut self) -> Result<(), Fault> {
        for extension in self.extensions.clone().unwrap_or_default() {
            let mut value = Reader(extension.value);
            match extension.oid {
                oid::BASIC_CONSTRAINTS => {
                    self.basic_constraints = Some(basic_constraints(value)?);
                }
                oid::KEY_USAGE => self.key_usage = Some(key_usage(value)?),
                oid::EXTENDED_KEY_USAGE => self.purposes = Some(purposes(value)?),
                oid::SUBJECT_ALT_NAME => {
                    self.alternative_names = Some(elements(value.take(der::SEQUENCE)?)?);
                }
                oid::SUBJECT_KEY_ID => {
                    self.subject_key_id = Some(value.take(der::OCTET_STRING)?.content);
                }
                oid::AUTHORITY_KEY_ID => {
                    let mut inside = value.take(der::SEQUENCE)?.inside();
                    let key_id = inside.optional(der::implicit(0))?;
                    self.authority_key_id = Some(key_id.map(|tlv| tlv.content));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The extension of this type.
    pub(super) fn extension(&self, oid: &[u8]) -> Option<Extension<'a>> {
        let mut all = self.extensions.iter().flatten();
        all.find(|extension| extension.oid == oid).copied()
    }

    /// Whether the subject may issue certificates.
    pub(super) fn is_ca(&self) -> bool {
        self.basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// Whether the bit of this number is set in keyUsage.
    pub(super) fn may(&self, bit: u8) -> bool {
        self.key_usage.is_some_and(|bits| bits & (1 << bit) != 0)
    }

    /// Whether the subject's name has no attribute.
    pub(super) fn subject_is_empty(&self) -> bool {
        self.subject == EMPTY_NAME
    }
}

/// DER of a name without attributes.
pub(super) const EMPTY_NAME: &[u8] = &[der::SEQUENCE, 0];

fn time<'a>(reader: &mut Reader<'a>) -> Result<Time<'a>, Fault> {
    match reader.next()? {
        Some(tlv) if matches!(tlv.tag, der::UTC_TIME | der::GENERALIZED_TIME) => Ok(Time {
            tag: tlv.tag,
            text: tlv.content,
        }),
        _ => Err("has a validity that is neither UTCTime nor GeneralizedTime"),
    }
}

/// Reads the DER of a SubjectPublicKeyInfo by itself.
pub(super) fn read_key(spki: &[u8]) -> Result<Key<'_>, Fault> {
    let mut outer = Reader(spki);
    let whole = outer.take(der::SEQUENCE)?;
    outer.end()?;
    key(whole)
}

fn key(spki: Tlv<'_>) -> Result<Key<'_>, Fault> {
    let mut fields = spki.inside();
    let mut algorithm = fields.take(der::SEQUENCE)?.inside();
    let bits = fields.take(der::BIT_STRING)?.content;
    fields.end()?;
    let identifier = algorithm.take(der::OID)?.content;
    let parameters = algorithm.next()?;
    algorithm.end()?;
    match bits {
        [0, bits @ ..] => Ok(Key {
            algorithm: identifier,
            parameters,
            bits,
        }),
        _ => Err("has a public key that is not a whole number of octets"),
    }
}

fn extensions(wrapped: Tlv<'_>) -> Result<Vec<Extension<'_>>, Fault> {
    let mut outer = wrapped.inside();
    let list = outer.take(der::SEQUENCE)?;
    outer.end()?;
    elements(list)?.into_iter().map(extension).collect()
}

/// One extension (RFC 5280 section 4.1): of a certificate, of a list, of a list's entry.
pub(super) fn extension(tlv: Tlv<'_>) -> Result<Extension<'_>, Fault> {
    if tlv.tag != der::SEQUENCE {
        return Err("has an extension that is not a SEQUENCE");
    }
    let mut fields = tlv.inside();
    let oid = fields.take(der::OID)?.content;
    let critical = fields.optional(der::BOOLEAN)?;
    let value = fields.take(der::OCTET_STRING)?.content;
    fields.end()?;
    Ok(Extension {
        oid,
        critical: critical.is_some_and(|flag| flag.content == [0xff]),
        writes_default: critical.is_some_and(|flag| flag.content == [0x00]),
        value,
    })
}

fn basic_constraints(mut value: Reader<'_>) -> Result<BasicConstraints, Fault> {
    let mut fields = value.take(der::SEQUENCE)?.inside();
    value.end()?;
    let ca = fields.optional(der::BOOLEAN)?;
    let path_len = match fields.optional(der::INTEGER)? {
        Some(number) => Some(small_number(number.content)?),
        None => None,
    };
    fields.end()?;
    Ok(BasicConstraints {
        ca: ca.is_some_and(|flag| flag.content == [0xff]),
        path_len,
        writes_default: ca.is_some_and(|flag| flag.content == [0x00]),
    })
}

/// A number from 0 to 2^56, as a path length needs.
fn small_number(content: &[u8]) -> Result<u64, Fault> {
    match content {
        [first, ..] if first & 0x80 != 0 => Err("has a negative path length"),
        [] => Err("has an empty path length"),
        octets if octets.len() > 7 => Err("has a path length beyond all reason"),
        octets => Ok(octets
            .iter()
            .fold(0, |value, octet| (value << 8) | u64::from(*octet))),
    }
}

/// The set bits, number 0 lowest; DER counts from the highest bit of the first octet.
fn key_usage(mut value: Reader<'_>) -> Result<u16, Fault> {
    let bits = value.take(der::BIT_STRING)?.content;
    value.end()?;
    let octets = match bits {
        [_, octets @ ..] if octets.len() <= 2 => octets,
        _ => return Err("has a keyUsage of other than one or two octets"),
    };
    let spread = octets.iter().enumerate().map(|(index, octet)| {
        let reversed = u16::from(octet.reverse_bits());
        if index == 0 { reversed } else { reversed << 8 }
    });
    Ok(spread.fold(0, |all, part| all | part))
}

/// The purposes that the DER of extKeyUsage lists.
pub(super) fn read_purposes(value: &[u8]) -> Result<Vec<&[u8]>, Fault> {
    purposes(Reader(value))
}

fn purposes(mut value: Reader<'_>) -> Result<Vec<&[u8]>, Fault> {
    let list = value.take(der::SEQUENCE)?;
    value.end()?;
    elements(list)?
        .into_iter()
        .map(|tlv| match tlv.tag {
            der::OID => Ok(tlv.content),
            _ => Err("has an extKeyUsage that lists something other than purposes"),
        })
        .collect()
}

/// The elements of a list.
pub(super) fn elements(list: Tlv<'_>) -> Result<Vec<Tlv<'_>>, Fault> {
    let mut reader = list.inside();
    let mut all = Vec::with_capacity(8);
    while let Some(tlv) = reader.next()? {
        all.push(tlv);
    }
    Ok(all)
}
