//! General names (RFC 5280 section 4.2.1.6).

use keystead_core::x509::GeneralName;

use super::name::{parse_name, write_name};
use crate::CryptoError;
use crate::der::{self, Element, Reader, Writer, encode_oid, tag};

// The numbers of GeneralName's alternatives.
const OTHER: u8 = 0;
const EMAIL: u8 = 1;
const DNS: u8 = 2;
const DIRECTORY: u8 = 4;
const EDI_PARTY: u8 = 5;
const URI: u8 = 6;
const IP: u8 = 7;
const REGISTERED_ID: u8 = 8;

pub(super) fn write_general_name(
    writer: &mut Writer,
    name: &GeneralName,
) -> Result<(), CryptoError> {
    match name {
        GeneralName::Email(text) => writer.ascii(tag::context(EMAIL), text),
        GeneralName::Dns(text) => writer.ascii(tag::context(DNS), text),
        GeneralName::Uri(text) => write_uri(writer, text),
        GeneralName::Ip(bytes) => {
            if !matches!(bytes.len(), 4 | 16) {
                return Err(CryptoError::Malformed(format!(
                    "an IP address has {} bytes; IPv4 has 4 and IPv6 16",
                    bytes.len()
                )));
            }
            writer.tlv(tag::context(IP), bytes);
            Ok(())
        }
        // Explicit, because a Name is a CHOICE.
        GeneralName::Directory(name) => writer
            .nest(tag::context_constructed(DIRECTORY), |writer| {
                write_name(writer, name)
            }),
        // Both members explicit, because a DirectoryString is a CHOICE; RFC 5280 wants new ones in UTF-8.
        GeneralName::EdiParty(assigner, party) => {
            writer.nest(tag::context_constructed(EDI_PARTY), |writer| {
                for (number, text) in [(0, assigner.as_ref()), (1, Some(party))] {
                    let Some(text) = text else { continue };
                    writer.nest(tag::context_constructed(number), |writer| {
                        writer.utf8_string(text);
                        Ok(())
                    })?;
                }
                Ok(())
            })
        }
        GeneralName::RegisteredId(oid) => {
            writer.tlv(tag::context(REGISTERED_ID), &encode_oid(oid)?);
            Ok(())
        }
        GeneralName::Other(oid, value) => writer.nest(tag::context_constructed(OTHER), |writer| {
            writer.oid(oid)?;
            writer.nest(tag::context_constructed(0), |writer| {
                writer.raw(value);
                Ok(())
            })
        }),
    }
}

/// uniformResourceIdentifier.
pub(super) fn write_uri(writer: &mut Writer, uri: &str) -> Result<(), CryptoError> {
    writer.ascii(tag::context(URI), uri)
}

/// `None` for x400Address and ediPartyName, which nobody uses: who asks for them gets the bytes as they are.
pub(super) fn parse_general_name(
    element: &Element<'_>,
) -> Result<Option<GeneralName>, CryptoError> {
    const OTHER_TAG: u8 = tag::context_constructed(OTHER);
    const EMAIL_TAG: u8 = tag::context(EMAIL);
    const DNS_TAG: u8 = tag::context(DNS);
    const DIRECTORY_TAG: u8 = tag::context_constructed(DIRECTORY);
    const URI_TAG: u8 = tag::context(URI);
    const IP_TAG: u8 = tag::context(IP);
    const REGISTERED_ID_TAG: u8 = tag::context(REGISTERED_ID);
    let content = element.content;
    Ok(Some(match element.tag {
        EMAIL_TAG => GeneralName::Email(ascii(content)?),
        DNS_TAG => GeneralName::Dns(ascii(content)?),
        URI_TAG => GeneralName::Uri(ascii(content)?),
        IP_TAG if matches!(content.len(), 4 | 16) => GeneralName::Ip(content.into()),
        IP_TAG => {
            return Err(CryptoError::Malformed(
                "an IP address has neither 4 nor 16 bytes".into(),
            ));
        }
        DIRECTORY_TAG => GeneralName::Directory(parse_name(content)?),
        REGISTERED_ID_TAG => GeneralName::RegisteredId(der::oid(content)?),
        OTHER_TAG => {
            let mut reader = element.reader();
            let oid = der::oid(reader.expect(tag::OID)?.content)?;
            let value = reader.expect(tag::context_constructed(0))?.content;
            reader.finish()?;
            let mut inner = Reader::new(value);
            inner.element()?;
            inner.finish()?;
            GeneralName::Other(oid, value.into())
        }
        _ => return Ok(None),
    }))
}

fn ascii(content: &[u8]) -> Result<String, CryptoError> {
    match std::str::from_utf8(content) {
        Ok(text) if text.is_ascii() => Ok(text.into()),
        _ => Err(CryptoError::Malformed(
            "a name contains characters outside ASCII".into(),
        )),
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::x509::Oid;

    use super::*;

    /// RFC 5280 appendix A.2: `EDIPartyName ::= SEQUENCE { nameAssigner [0] DirectoryString OPTIONAL, partyName [1]
    /// DirectoryString }`, itself an implicit `[5]`.
    #[test]
    fn edi_party_names() {
        for (name, expected) in [
            (
                GeneralName::EdiParty(None, "p".into()),
                &b"\xa5\x05\xa1\x03\x0c\x01p"[..],
            ),
            (
                GeneralName::EdiParty(Some("a".into()), "p".into()),
                b"\xa5\x0a\xa0\x03\x0c\x01a\xa1\x03\x0c\x01p",
            ),
        ] {
            let mut writer = Writer::new();
            write_general_name(&mut writer, &name).unwrap();
            assert_eq!(writer.finish(), expected);
        }
    }

    #[test]
    fn names_that_cannot_be_written_are_refused() {
        for name in [
            GeneralName::Dns("bücher.example".into()),
            GeneralName::Ip(vec![1, 2, 3]),
            GeneralName::RegisteredId(Oid::new("x")),
        ] {
            let mut writer = Writer::new();
            assert!(write_general_name(&mut writer, &name).is_err());
        }
    }
}
