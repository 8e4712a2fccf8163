//! What a caller passes through into a certificate (`ApiPassthrough`).

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_core::Result;
use keystead_core::pca::{ApiPassthrough, purpose};
use keystead_core::x509::{Extension, ExtensionValue, GeneralName, Oid};
use keystead_wire::acm_pca as wire;

use super::convert::{self, invalid};

/// The parameter as the core knows it.
pub(super) fn read(parameter: wire::ApiPassthrough) -> Result<ApiPassthrough> {
    let extensions = parameter.extensions.unwrap_or_default();
    let custom = extensions.custom_extensions.unwrap_or_default();
    Ok(ApiPassthrough {
        subject: parameter.subject.map(convert::subject).transpose()?,
        key_usage: extensions.key_usage.as_ref().map(convert::key_usage),
        purposes: all(extensions.extended_key_usage, purpose_of)?,
        alternative_names: all(extensions.subject_alternative_names, general_name)?,
        policies: all(extensions.certificate_policies, policy)?,
        custom: custom
            .into_iter()
            .map(custom_extension)
            .collect::<Result<_>>()?,
    })
}

fn all<T, U>(list: Option<Vec<T>>, read: impl Fn(T) -> Result<U>) -> Result<Option<Vec<U>>> {
    list.map(|list| list.into_iter().map(read).collect())
        .transpose()
}

fn purpose_of(usage: wire::ExtendedKeyUsage) -> Result<Oid> {
    match (
        usage.extended_key_usage_type,
        usage.extended_key_usage_object_identifier,
    ) {
        (Some(known), None) => purpose::of_type(known.as_str())
            .ok_or_else(|| invalid("The extended key usage is not supported.")),
        (None, Some(custom)) => Ok(Oid(custom)),
        _ => Err(invalid(
            "An extended key usage needs either ExtendedKeyUsageType or ExtendedKeyUsageObjectIdentifier.",
        )),
    }
}

fn policy(information: wire::PolicyInformation) -> Result<(Oid, Vec<String>)> {
    let qualifiers = information.policy_qualifiers.unwrap_or_default();
    let addresses = qualifiers
        .into_iter()
        .map(|qualifier| match qualifier.policy_qualifier_id {
            wire::PolicyQualifierId::Cps => qualifier.qualifier.cps_uri,
        });
    Ok((Oid(information.cert_policy_id), addresses.collect()))
}

fn custom_extension(extension: wire::CustomExtension) -> Result<Extension> {
    let value = STANDARD.decode(&extension.value).map_err(|fault| {
        invalid(format!(
            "The value of the custom extension {} is not base64: {fault}.",
            extension.object_identifier
        ))
    })?;
    Ok(Extension {
        oid: Oid(extension.object_identifier),
        critical: extension.critical.unwrap_or(false),
        value: ExtensionValue::Der(value),
    })
}

/// One name. Model, `GeneralName`: "Providing more than one option results in an
/// InvalidArgsException error."
fn general_name(name: wire::GeneralName) -> Result<GeneralName> {
    let mut given: Vec<Result<GeneralName>> = Vec::new();
    given.extend(name.rfc822_name.map(|text| Ok(GeneralName::Email(text))));
    given.extend(name.dns_name.map(|text| Ok(GeneralName::Dns(text))));
    given.extend(
        name.uniform_resource_identifier
            .map(|text| Ok(GeneralName::Uri(text))),
    );
    given.extend(
        name.registered_id
            .map(|text| Ok(GeneralName::RegisteredId(Oid(text)))),
    );
    given.extend(name.ip_address.map(|text| address(&text)));
    given.extend(name.directory_name.map(|subject| {
        let subject = convert::subject(subject)?;
        Ok(GeneralName::Directory(subject.name().clone()))
    }));
    given.extend(name.other_name.map(other_name));
    given.extend(name.edi_party_name.map(edi_party));
    match (given.pop(), given.is_empty()) {
        (Some(name), true) => name,
        _ => Err(invalid("A general name needs exactly one of its options.")),
    }
}

/// Neither part may be empty (RFC 5280 appendix A.1, DirectoryString: SIZE (1..MAX)).
fn edi_party(name: wire::EdiPartyName) -> Result<GeneralName> {
    let assigner = name.name_assigner;
    if name.party_name.is_empty() || assigner.as_deref() == Some("") {
        return Err(invalid("A part of an EdiPartyName is empty."));
    }
    Ok(GeneralName::EdiParty(assigner, name.party_name))
}

fn address(text: &str) -> Result<GeneralName> {
    match text.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => Ok(GeneralName::Ip(address.octets().to_vec())),
        Ok(IpAddr::V6(address)) => Ok(GeneralName::Ip(address.octets().to_vec())),
        Err(_) => Err(invalid(format!("'{text}' is not an IP address."))),
    }
}

/// The value is text; it becomes a UTF8String, as the names that use this (Microsoft's user
/// principal name first of all) demand.
fn other_name(name: wire::OtherName) -> Result<GeneralName> {
    let text = name.value.into_bytes();
    let length =
        u16::try_from(text.len()).map_err(|_| invalid("The value of an OtherName is too long."))?;
    let mut der = vec![UTF8_STRING];
    match length.to_be_bytes() {
        [0, short] if short < 0x80 => der.push(short),
        [0, long] => der.extend([0x81, long]),
        [high, low] => der.extend([0x82, high, low]),
    }
    der.extend(text);
    Ok(GeneralName::Other(Oid(name.type_id), der))
}

/// X.690: universal, primitive, 12.
const UTF8_STRING: u8 = 0x0c;

#[cfg(test)]
mod tests {
    use keystead_core::ErrorKind;

    use super::*;

    fn refused<T: std::fmt::Debug>(result: Result<T>) {
        assert_eq!(result.unwrap_err().kind, ErrorKind::InvalidArgs);
    }

    #[test]
    fn every_kind_of_name() {
        let names = [
            (
                wire::GeneralName {
                    dns_name: Some("a.test".into()),
                    ..Default::default()
                },
                GeneralName::Dns("a.test".into()),
            ),
            (
                wire::GeneralName {
                    ip_address: Some("192.0.2.1".into()),
                    ..Default::default()
                },
                GeneralName::Ip(vec![192, 0, 2, 1]),
            ),
            (
                wire::GeneralName {
                    other_name: Some(wire::OtherName {
                        type_id: "1.3.6.1.4.1.311.20.2.3".into(),
                        value: "u@a".into(),
                    }),
                    ..Default::default()
                },
                GeneralName::Other(Oid::new("1.3.6.1.4.1.311.20.2.3"), b"\x0c\x03u@a".to_vec()),
            ),
            (
                wire::GeneralName {
                    edi_party_name: Some(wire::EdiPartyName {
                        party_name: "x".into(),
                        name_assigner: Some("y".into()),
                    }),
                    ..Default::default()
                },
                GeneralName::EdiParty(Some("y".into()), "x".into()),
            ),
        ];
        for (given, expected) in names {
            assert_eq!(general_name(given), Ok(expected));
        }
        refused(general_name(wire::GeneralName::default()));
        refused(general_name(wire::GeneralName {
            dns_name: Some("a.test".into()),
            ip_address: Some("192.0.2.1".into()),
            ..Default::default()
        }));
        refused(general_name(wire::GeneralName {
            edi_party_name: Some(wire::EdiPartyName {
                party_name: "x".into(),
                name_assigner: Some(String::new()),
            }),
            ..Default::default()
        }));
        refused(address("300.0.0.1"));
    }

    #[test]
    fn long_other_names_have_long_lengths() {
        for (length, header) in [
            (127, vec![0x0c, 127]),
            (128, vec![0x0c, 0x81, 128]),
            (256, vec![0x0c, 0x82, 1, 0]),
        ] {
            let name = wire::OtherName {
                type_id: "1.2.3".into(),
                value: "x".repeat(length),
            };
            let Ok(GeneralName::Other(_, der)) = other_name(name) else {
                panic!("refused")
            };
            assert_eq!(&der[..header.len()], header);
            assert_eq!(der.len(), header.len() + length);
        }
    }

    #[test]
    fn a_purpose_is_said_in_one_way() {
        let usage = |known, custom: Option<&str>| wire::ExtendedKeyUsage {
            extended_key_usage_type: known,
            extended_key_usage_object_identifier: custom.map(Into::into),
        };
        assert_eq!(
            purpose_of(usage(None, Some("1.2.3"))),
            Ok(Oid::new("1.2.3"))
        );
        refused(purpose_of(usage(None, None)));
        refused(purpose_of(usage(
            Some(wire::ExtendedKeyUsageType::ServerAuth),
            Some("1.2.3"),
        )));
        for known in wire::ExtendedKeyUsageType::ALL {
            assert!(purpose_of(usage(Some(*known), None)).is_ok(), "{known}");
        }
    }
}
