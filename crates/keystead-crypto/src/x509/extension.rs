//! Extensions: written from, and read into, the vocabulary of the core.

use keystead_core::x509::{Extension, ExtensionValue, KeyUsageBit, Oid};

use super::general_name::{parse_general_name, write_general_name, write_uri};
use super::public_key::key_identifier;
use crate::CryptoError;
use crate::der::{self, Element, Reader, Writer, tag};

/// subjectKeyIdentifier (RFC 5280 section 4.2.1.2).
pub(super) const SUBJECT_KEY_ID: &str = "2.5.29.14";
const KEY_USAGE: &str = "2.5.29.15";
const SUBJECT_ALT_NAME: &str = "2.5.29.17";
const BASIC_CONSTRAINTS: &str = "2.5.29.19";
const AUTHORITY_KEY_ID: &str = "2.5.29.35";
const EXTENDED_KEY_USAGE: &str = "2.5.29.37";

/// Most extensions that are read of one certificate or request; real ones have about ten.
const MAX_EXTENSIONS: usize = 64;

/// Every bit of keyUsage, at its number.
const KEY_USAGE_BITS: [KeyUsageBit; 9] = [
    KeyUsageBit::DigitalSignature,
    KeyUsageBit::NonRepudiation,
    KeyUsageBit::KeyEncipherment,
    KeyUsageBit::DataEncipherment,
    KeyUsageBit::KeyAgreement,
    KeyUsageBit::KeyCertSign,
    KeyUsageBit::CrlSign,
    KeyUsageBit::EncipherOnly,
    KeyUsageBit::DecipherOnly,
];

/// Writes `Extensions` (RFC 5280 section 4.1). `spki_der` is the subject's, for its key identifier.
pub(super) fn write_extensions(
    writer: &mut Writer,
    extensions: &[Extension],
    spki_der: &[u8],
) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        extensions.iter().try_for_each(|extension| {
            writer.sequence(|writer| {
                writer.oid(&extension.oid)?;
                if extension.critical {
                    // DEFAULT FALSE is not written (X.690 section 11.5).
                    writer.boolean(true);
                }
                writer.nest(tag::OCTET_STRING, |writer| {
                    write_value(writer, &extension.value, spki_der)
                })
            })
        })
    })
}

fn write_value(
    writer: &mut Writer,
    value: &ExtensionValue,
    spki_der: &[u8],
) -> Result<(), CryptoError> {
    use ExtensionValue as E;
    match value {
        E::BasicConstraints { ca, path_len } => writer.sequence(|writer| {
            if *ca {
                writer.boolean(true);
            }
            if let Some(path_len) = path_len {
                writer.small_integer(u32::from(*path_len));
            }
            Ok(())
        }),
        E::KeyUsage(bits) => {
            writer.named_bits(bits.iter().map(|bit| *bit as u8));
            Ok(())
        }
        E::ExtendedKeyUsage(purposes) => {
            writer.sequence(|writer| purposes.iter().try_for_each(|oid| writer.oid(oid)))
        }
        E::SubjectAltName(names) => writer.sequence(|writer| {
            names
                .iter()
                .try_for_each(|name| write_general_name(writer, name))
        }),
        E::SubjectKeyId => {
            writer.octet_string(&key_identifier(spki_der)?);
            Ok(())
        }
        E::AuthorityKeyId(id) => writer.sequence(|writer| {
            writer.tlv(tag::context(0), id);
            Ok(())
        }),
        E::CrlDistributionPoints(uris) => writer.sequence(|writer| {
            uris.iter().try_for_each(|uri| {
                // DistributionPoint, distributionPoint [0], fullName [0].
                writer.sequence(|writer| {
                    writer.nest(tag::context_constructed(0), |writer| {
                        writer.nest(tag::context_constructed(0), |writer| write_uri(writer, uri))
                    })
                })
            })
        }),
        E::AuthorityInfoAccess(entries) => writer.sequence(|writer| {
            entries.iter().try_for_each(|(method, uri)| {
                writer.sequence(|writer| {
                    writer.oid(method)?;
                    write_uri(writer, uri)
                })
            })
        }),
        E::CertificatePolicies(policies) => writer.sequence(|writer| {
            policies
                .iter()
                .try_for_each(|(policy, cps)| write_policy(writer, policy, cps))
        }),
        E::Der(der) => {
            writer.raw(der);
            Ok(())
        }
    }
}

/// PolicyInformation (RFC 5280 section 4.2.1.4).
fn write_policy(writer: &mut Writer, policy: &Oid, cps: &[String]) -> Result<(), CryptoError> {
    writer.sequence(|writer| {
        writer.oid(policy)?;
        if cps.is_empty() {
            return Ok(());
        }
        writer.sequence(|writer| {
            cps.iter().try_for_each(|uri| {
                writer.sequence(|writer| {
                    // id-qt-cps
                    writer.oid(&Oid::new("1.3.6.1.5.5.7.2.1"))?;
                    writer.ascii(tag::IA5_STRING, uri)
                })
            })
        })
    })
}

/// Extensions as they were read. Those whose contents are understood are taken apart; the rest, and
/// any subjectKeyIdentifier, are `Der`.
pub(super) fn parse_extensions(mut reader: Reader<'_>) -> Result<Vec<Extension>, CryptoError> {
    let mut extensions: Vec<Extension> = Vec::new();
    while !reader.is_empty() {
        if extensions.len() == MAX_EXTENSIONS {
            return Err(CryptoError::Malformed(format!(
                "there are more than {MAX_EXTENSIONS} extensions"
            )));
        }
        let extension = parse_extension(reader.enter(tag::SEQUENCE)?)?;
        if extensions.iter().any(|other| other.oid == extension.oid) {
            // RFC 5280 section 4.2.
            return Err(CryptoError::Malformed(format!(
                "the extension {} appears twice",
                extension.oid.0
            )));
        }
        extensions.push(extension);
    }
    Ok(extensions)
}

fn parse_extension(mut reader: Reader<'_>) -> Result<Extension, CryptoError> {
    let oid = der::oid(reader.expect(tag::OID)?.content)?;
    // An explicit FALSE is not DER, but some authorities write it and everybody reads it.
    let critical = match reader.optional(tag::BOOLEAN)? {
        Some(element) => der::boolean(element.content)?,
        None => false,
    };
    let content = reader.expect(tag::OCTET_STRING)?.content;
    reader.finish()?;
    let value = parse_value(&oid, content).map_err(|error| {
        CryptoError::Malformed(format!("the extension {} is malformed: {error}", oid.0))
    })?;
    Ok(Extension {
        oid,
        critical,
        value,
    })
}

fn parse_value(oid: &Oid, content: &[u8]) -> Result<ExtensionValue, CryptoError> {
    let parse = match oid.0.as_str() {
        BASIC_CONSTRAINTS => parse_basic_constraints,
        KEY_USAGE => parse_key_usage,
        EXTENDED_KEY_USAGE => parse_extended_key_usage,
        SUBJECT_ALT_NAME => parse_alt_names,
        AUTHORITY_KEY_ID => parse_authority_key_id,
        _ => return Ok(ExtensionValue::Der(content.into())),
    };
    let mut outer = Reader::new(content);
    let element = outer.element()?;
    outer.finish()?;
    parse(&element)
}

fn sequence<'a>(element: &Element<'a>) -> Result<Reader<'a>, CryptoError> {
    Reader::new(element.whole).enter(tag::SEQUENCE)
}

fn parse_basic_constraints(element: &Element<'_>) -> Result<ExtensionValue, CryptoError> {
    let mut reader = sequence(element)?;
    let ca = match reader.optional(tag::BOOLEAN)? {
        Some(element) => der::boolean(element.content)?,
        None => false,
    };
    let path_len = match reader.optional(tag::INTEGER)? {
        // A chain is never longer than 255, so a larger limit means the same.
        Some(element) => {
            Some(u8::try_from(der::small_integer(element.content)?).unwrap_or(u8::MAX))
        }
        None => None,
    };
    reader.finish()?;
    Ok(ExtensionValue::BasicConstraints { ca, path_len })
}

fn parse_key_usage(element: &Element<'_>) -> Result<ExtensionValue, CryptoError> {
    let bits = Reader::new(element.whole).expect(tag::BIT_STRING)?.content;
    let bits = der::named_bits(bits)?
        .into_iter()
        .filter_map(|number| KEY_USAGE_BITS.get(usize::from(number)).copied())
        .collect();
    Ok(ExtensionValue::KeyUsage(bits))
}

fn parse_extended_key_usage(element: &Element<'_>) -> Result<ExtensionValue, CryptoError> {
    let mut reader = sequence(element)?;
    let mut purposes = Vec::new();
    while !reader.is_empty() {
        purposes.push(der::oid(reader.expect(tag::OID)?.content)?);
    }
    Ok(ExtensionValue::ExtendedKeyUsage(purposes))
}

fn parse_alt_names(element: &Element<'_>) -> Result<ExtensionValue, CryptoError> {
    let mut reader = sequence(element)?;
    let mut names = Vec::new();
    while !reader.is_empty() {
        match parse_general_name(&reader.element()?)? {
            Some(name) => names.push(name),
            // x400Address and ediPartyName, which nobody uses: the whole is kept as it is.
            None => return Ok(ExtensionValue::Der(element.whole.into())),
        }
    }
    Ok(ExtensionValue::SubjectAltName(names))
}

fn parse_authority_key_id(element: &Element<'_>) -> Result<ExtensionValue, CryptoError> {
    let mut reader = sequence(element)?;
    let id = reader.optional(tag::context(0))?;
    Ok(match id {
        Some(id) if reader.is_empty() => ExtensionValue::AuthorityKeyId(id.content.into()),
        // It names the issuer's certificate by name and serial as well.
        _ => ExtensionValue::Der(element.whole.into()),
    })
}

/// The key identifier of an authorityKeyIdentifier, however it was kept.
pub(super) fn authority_key_id(value: &ExtensionValue) -> Option<Vec<u8>> {
    match value {
        ExtensionValue::AuthorityKeyId(id) => Some(id.clone()),
        ExtensionValue::Der(der) => {
            let mut reader = Reader::new(der).enter(tag::SEQUENCE).ok()?;
            let id = reader.optional(tag::context(0)).ok()??;
            Some(id.content.into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use keystead_core::x509::GeneralName;

    use super::*;
    use crate::testing::{hex, name};

    fn encode(value: ExtensionValue) -> Vec<u8> {
        let mut writer = Writer::new();
        write_value(&mut writer, &value, &[]).unwrap();
        writer.finish()
    }

    fn round_trip(oid: &str, value: ExtensionValue) {
        for critical in [false, true] {
            let extension = Extension {
                oid: Oid::new(oid),
                critical,
                value: value.clone(),
            };
            let mut writer = Writer::new();
            write_extensions(&mut writer, std::slice::from_ref(&extension), &[]).unwrap();
            let der = writer.finish();
            let reader = Reader::new(&der).enter(tag::SEQUENCE).unwrap();
            assert_eq!(parse_extensions(reader).unwrap(), [extension]);
        }
    }

    /// Values as OpenSSL writes them for the same words in its configuration.
    #[test]
    fn known_encodings() {
        for (value, expected) in [
            (
                ExtensionValue::BasicConstraints {
                    ca: false,
                    path_len: None,
                },
                "3000",
            ),
            (
                ExtensionValue::BasicConstraints {
                    ca: true,
                    path_len: Some(0),
                },
                "30060101ff020100",
            ),
            (
                ExtensionValue::KeyUsage(vec![
                    KeyUsageBit::DigitalSignature,
                    KeyUsageBit::KeyCertSign,
                    KeyUsageBit::CrlSign,
                ]),
                "03020186",
            ),
            (
                ExtensionValue::ExtendedKeyUsage(vec![Oid::new("1.3.6.1.5.5.7.3.1")]),
                "300a06082b06010505070301",
            ),
            (
                ExtensionValue::SubjectAltName(vec![
                    GeneralName::Dns("a.example".into()),
                    GeneralName::Ip(vec![127, 0, 0, 1]),
                ]),
                "30118209612e6578616d706c6587047f000001",
            ),
            (
                ExtensionValue::CrlDistributionPoints(vec!["http://a/b".into()]),
                "30123010a00ea00c860a687474703a2f2f612f62",
            ),
            (
                ExtensionValue::AuthorityInfoAccess(vec![(
                    Oid::new("1.3.6.1.5.5.7.48.1"),
                    "http://a".into(),
                )]),
                "3016301406082b060105050730018608687474703a2f2f61",
            ),
            (
                ExtensionValue::CertificatePolicies(vec![(
                    Oid::new("1.2.3.4"),
                    vec!["http://a".into()],
                )]),
                "301f301d06032a0304301630140608 2b060105050702011608687474703a2f2f61",
            ),
            (ExtensionValue::AuthorityKeyId(vec![1, 2]), "300480020102"),
        ] {
            assert_eq!(encode(value), hex(&expected.replace(' ', "")));
        }
    }

    #[test]
    fn what_is_understood_comes_back() {
        round_trip(
            BASIC_CONSTRAINTS,
            ExtensionValue::BasicConstraints {
                ca: true,
                path_len: Some(3),
            },
        );
        round_trip(KEY_USAGE, ExtensionValue::KeyUsage(KEY_USAGE_BITS.into()));
        round_trip(
            EXTENDED_KEY_USAGE,
            ExtensionValue::ExtendedKeyUsage(vec![Oid::new("1.2.3"), Oid::new("2.999")]),
        );
        round_trip(
            SUBJECT_ALT_NAME,
            ExtensionValue::SubjectAltName(vec![
                GeneralName::Email("a@example.com".into()),
                GeneralName::Dns("*.example.com".into()),
                GeneralName::Uri("spiffe://example/a".into()),
                GeneralName::Ip(vec![0; 16]),
                GeneralName::Directory(name(&[("2.5.4.3", "a")])),
                GeneralName::RegisteredId(Oid::new("1.2.3")),
                GeneralName::Other(Oid::new("1.3.6.1.4.1.311.20.2.3"), hex("0c0161")),
            ]),
        );
        round_trip(
            AUTHORITY_KEY_ID,
            ExtensionValue::AuthorityKeyId(vec![7; 20]),
        );
        round_trip("1.2.3.4", ExtensionValue::Der(vec![5, 0]));
    }

    #[test]
    fn malformed_and_repeated_extensions_are_refused() {
        for (oid, content) in [
            (BASIC_CONSTRAINTS, "3003010105"),
            (BASIC_CONSTRAINTS, "300000"),
            (KEY_USAGE, "0303"),
            (EXTENDED_KEY_USAGE, "3003020101"),
            (SUBJECT_ALT_NAME, "30058703010203"),
            (SUBJECT_ALT_NAME, "30038201ff"),
        ] {
            assert!(parse_value(&Oid::new(oid), &hex(content)).is_err(), "{oid}");
        }
        let twice = hex("300706032a0304040000").repeat(2);
        assert!(parse_extensions(Reader::new(&twice)).is_err());
        let once = Extension {
            oid: Oid::new("1.2.3.4"),
            critical: false,
            value: ExtensionValue::Der(vec![]),
        };
        let mut writer = Writer::new();
        write_extensions(&mut writer, &[once.clone(), once], &[]).unwrap();
        let der = writer.finish();
        let error = parse_extensions(Reader::new(&der).enter(tag::SEQUENCE).unwrap()).unwrap_err();
        assert!(error.to_string().contains("twice"), "{error}");
    }
}
