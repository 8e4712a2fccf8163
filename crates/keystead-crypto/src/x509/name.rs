//! Distinguished names.

use keystead_core::x509::{Name, NameAttribute, Oid};

use crate::CryptoError;
use crate::der::{self, Element, Reader, Writer, tag};

/// Attribute types whose syntax is PrintableString (RFC 5280 appendix A.1): country, serial number,
/// DN qualifier.
const PRINTABLE: [&str; 3] = ["2.5.4.6", "2.5.4.5", "2.5.4.46"];
/// Attribute types whose syntax is IA5String (RFC 5280 appendix A.1): domain component, e-mail
/// address.
const IA5: [&str; 2] = ["0.9.2342.19200300.100.1.25", "1.2.840.113549.1.9.1"];

/// RFC 4514 section 3.
const SHORT_NAMES: [(&str, &str); 9] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.6", "C"),
    ("2.5.4.9", "STREET"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
];

/// Most attributes that a name that is read may have; no authority issues names with more than
/// about a dozen.
const MAX_ATTRIBUTES: usize = 64;

/// The DER of a name: one attribute a relative name; PrintableString or IA5String where the
/// attribute's type demands it, else UTF8String (RFC 5280 section 4.1.2.4).
///
/// # Errors
/// [`CryptoError::Malformed`] when a type is no object identifier or a value does not fit its type.
pub fn encode_name(name: &Name) -> Result<Vec<u8>, CryptoError> {
    let mut writer = Writer::new();
    write_name(&mut writer, name)?;
    Ok(writer.finish())
}

pub(super) fn write_name(writer: &mut Writer, name: &Name) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        name.attributes.iter().try_for_each(|attribute| {
            writer.nest(tag::SET, |writer| {
                writer.sequence(|writer| {
                    writer.oid(&attribute.oid)?;
                    write_value(writer, attribute)
                })
            })
        })
    })
}

fn write_value(writer: &mut Writer, attribute: &NameAttribute) -> Result<(), CryptoError> {
    let (oid, value) = (attribute.oid.0.as_str(), attribute.value.as_str());
    if PRINTABLE.contains(&oid) {
        writer.printable_string(value)
    } else if IA5.contains(&oid) {
        writer.ascii(tag::IA5_STRING, value)
    } else {
        writer.utf8_string(value);
        Ok(())
    }
}

/// A name from its DER, for people to read and rules to judge. To compare or reissue a name, keep
/// its DER: relative names with several attributes come out as if each stood alone, and a value
/// that is not text as `#` and the hexadecimal of its DER (RFC 4514 section 2.4).
///
/// # Errors
/// [`CryptoError::Malformed`] when it is not a name.
pub fn parse_name(der: &[u8]) -> Result<Name, CryptoError> {
    let mut outer = Reader::new(der);
    let mut relative_names = outer.enter(tag::SEQUENCE)?;
    outer.finish()?;
    let mut attributes = Vec::new();
    while !relative_names.is_empty() {
        let mut set = relative_names.enter(tag::SET)?;
        if set.is_empty() {
            return Err(CryptoError::Malformed(
                "a relative distinguished name is empty".into(),
            ));
        }
        while !set.is_empty() {
            if attributes.len() == MAX_ATTRIBUTES {
                return Err(CryptoError::Malformed(format!(
                    "a name has more than {MAX_ATTRIBUTES} attributes"
                )));
            }
            attributes.push(parse_attribute(set.enter(tag::SEQUENCE)?)?);
        }
    }
    Ok(Name { attributes })
}

/// A name for people, from its DER, after RFC 4514: the last relative name first, the attribute types of its section 3 by
/// their short names, every other as its identifier with the DER of its value in hexadecimal.
///
/// # Errors
/// [`CryptoError::Malformed`] when it is not a name.
pub fn name_text(der: &[u8]) -> Result<String, CryptoError> {
    let mut outer = Reader::new(der);
    let mut relative_names = outer.enter(tag::SEQUENCE)?;
    outer.finish()?;
    let mut texts = Vec::new();
    while !relative_names.is_empty() {
        let mut set = relative_names.enter(tag::SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            attributes.push(attribute_text(set.enter(tag::SEQUENCE)?)?);
        }
        texts.push(attributes.join("+"));
    }
    texts.reverse();
    Ok(texts.join(","))
}

fn attribute_text(mut reader: Reader<'_>) -> Result<String, CryptoError> {
    let oid: Oid = der::oid(reader.expect(tag::OID)?.content)?;
    let element = reader.element()?;
    reader.finish()?;
    let short = SHORT_NAMES.iter().find(|(dotted, _)| *dotted == oid.0);
    Ok(match (short, der::text(&element)?) {
        (Some((_, short)), Some(value)) => format!("{short}={}", escaped(&value)),
        (Some((_, short)), None) => format!("{short}={}", hexadecimal(&element)),
        (None, _) => format!("{}={}", oid.0, hexadecimal(&element)),
    })
}

/// RFC 4514 section 2.4.
fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let must = match character {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => at == 0,
            ' ' => at == 0 || at == last,
            _ => false,
        };
        match character {
            '\0' => text.push_str("\\00"),
            _ if must => text.extend(['\\', character]),
            _ => text.push(character),
        }
    }
    text
}

/// `#` and the hexadecimal of its DER (RFC 4514 section 2.4).
fn hexadecimal(element: &Element<'_>) -> String {
    let bytes = element.whole.iter();
    bytes.fold("#".into(), |text: String, byte| format!("{text}{byte:02x}"))
}

fn parse_attribute(mut reader: Reader<'_>) -> Result<NameAttribute, CryptoError> {
    let oid: Oid = der::oid(reader.expect(tag::OID)?.content)?;
    let element = reader.element()?;
    reader.finish()?;
    let value = der::text(&element)?.unwrap_or_else(|| hexadecimal(&element));
    Ok(NameAttribute { oid, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hex, name};

    #[test]
    fn types_choose_their_string() {
        let der = encode_name(&name(&[
            ("2.5.4.6", "DE"),
            ("0.9.2342.19200300.100.1.25", "example"),
            ("2.5.4.3", "Bär"),
        ]))
        .unwrap();
        assert_eq!(
            der,
            hex(concat!(
                "3035",
                "310b3009060355040613024445",
                "31173015060a0992268993f22c64011916076578616d706c65",
                "310d300b06035504030c0442c3a472",
            ))
        );
    }

    #[test]
    fn the_empty_name() {
        assert_eq!(encode_name(&Name::default()).unwrap(), [0x30, 0]);
        assert_eq!(parse_name(&[0x30, 0]).unwrap(), Name::default());
    }

    #[test]
    fn values_that_do_not_fit_their_type_are_refused() {
        for (oid, value) in [
            ("2.5.4.6", "D_"),
            ("2.5.4.5", "é"),
            ("1.2.840.113549.1.9.1", "jürgen@example.com"),
            ("common name", "x"),
        ] {
            assert!(encode_name(&name(&[(oid, value)])).is_err(), "{oid}");
        }
    }

    #[test]
    fn other_encodings_are_read() {
        let mut writer = Writer::new();
        writer
            .sequence(|w| {
                w.nest(tag::SET, |w| {
                    for (value_tag, content) in
                        [(tag::BMP_STRING, &[0, 0xfc][..]), (tag::NULL, &[])]
                    {
                        w.sequence(|w| {
                            w.oid(&Oid::new("2.5.4.3"))?;
                            w.tlv(value_tag, content);
                            Ok(())
                        })?;
                    }
                    Ok(())
                })
            })
            .unwrap();
        assert_eq!(
            parse_name(&writer.finish()).unwrap(),
            name(&[("2.5.4.3", "ü"), ("2.5.4.3", "#0500")])
        );
    }

    /// The examples of RFC 4514 section 4, and a type without a short name.
    #[test]
    fn names_for_people() {
        let text = |attributes: &[(&str, &str)]| {
            name_text(&encode_name(&name(attributes)).unwrap()).unwrap()
        };
        assert_eq!(
            text(&[
                ("2.5.4.6", "US"),
                ("2.5.4.10", "Example, Inc."),
                ("2.5.4.3", " J\\ #1 ")
            ]),
            r"CN=\ J\\ #1\ ,O=Example\, Inc.,C=US"
        );
        assert_eq!(
            text(&[("2.5.4.5", "42"), ("2.5.4.3", "#x")]),
            r"CN=\#x,2.5.4.5=#13023432"
        );
        assert_eq!(text(&[]), "");
        assert!(name_text(&[0x31, 0]).is_err());
        let together = "301c311a300806035504030c0161300e06035504030c07c3bcc39f222b3c";
        assert_eq!(name_text(&hex(together)).unwrap(), "CN=a+CN=üß\\\"\\+\\<");
    }

    #[test]
    fn broken_names_are_refused() {
        for refused in ["", "3000ff", "30023100", "300430023000", "3100"] {
            assert!(parse_name(&hex(refused)).is_err(), "{refused}");
        }
        let many = name(&[("2.5.4.3", "x"); MAX_ATTRIBUTES + 1]);
        assert!(parse_name(&encode_name(&many).unwrap()).is_err());
    }
}
