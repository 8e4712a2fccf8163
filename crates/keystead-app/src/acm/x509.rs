//! What a certificate says, member by member, as SearchCertificates shows it.

use std::net::{Ipv4Addr, Ipv6Addr};

use keystead_core::acm::{Certificate, Facts};
use keystead_core::hex;
use keystead_core::x509::{GeneralName, Name, NameAttribute, Oid};
use keystead_wire::acm as wire;

use super::describe::{extended_key_usages, key_usages};

/// The attributes of the current version; of a request, what is known of it.
pub(super) fn attributes(certificate: &Certificate) -> wire::X509Attributes {
    let facts = certificate.current.as_ref().map(|current| &current.facts);
    let dns_names = facts.map_or(&certificate.names, |facts| &facts.dns_names);
    let dns_names = dns_names.iter().cloned().map(GeneralName::Dns);
    let others = facts.map_or(&[][..], |facts| &facts.other_names);
    let names = dns_names.chain(others.iter().cloned());
    let purposes = extended_key_usages(facts).into_iter();
    let usages = key_usages(facts).into_iter();
    wire::X509Attributes {
        issuer: facts.map(issuer),
        subject: Some(subject(certificate, facts)),
        subject_alternative_names: Some(names.filter_map(|name| general_name(&name)).collect()),
        extended_key_usages: Some(purposes.filter_map(|purpose| purpose.name).collect()),
        key_algorithm: wire::KeyAlgorithm::parse(certificate.key_algorithm.model_name()),
        key_usages: Some(usages.filter_map(|usage| usage.name).collect()),
        serial_number: facts.map(|facts| facts.serial.clone()),
        not_after: facts.map(|facts| facts.not_after),
        not_before: facts.map(|facts| facts.not_before),
    }
}

fn issuer(facts: &Facts) -> wire::DistinguishedName {
    if facts.issuer_name.attributes.is_empty() {
        // Stored before its parts were.
        return wire::DistinguishedName {
            common_name: Some(facts.issuer.clone()),
            ..wire::DistinguishedName::default()
        };
    }
    distinguished_name(&facts.issuer_name)
}

fn subject(certificate: &Certificate, facts: Option<&Facts>) -> wire::DistinguishedName {
    match facts {
        Some(facts) if !facts.subject_name.attributes.is_empty() => {
            distinguished_name(&facts.subject_name)
        }
        Some(facts) => wire::DistinguishedName {
            common_name: facts.common_name.clone(),
            ..wire::DistinguishedName::default()
        },
        None => wire::DistinguishedName {
            common_name: Some(certificate.domain_name.clone()),
            ..wire::DistinguishedName::default()
        },
    }
}

/// A name by its parts. What has no member of its own, or has one that is taken, is a custom attribute.
fn distinguished_name(name: &Name) -> wire::DistinguishedName {
    let mut shown = wire::DistinguishedName::default();
    for NameAttribute { oid, value } in &name.attributes {
        let member = match oid.0.as_str() {
            "2.5.4.3" => &mut shown.common_name,
            "2.5.4.4" => &mut shown.surname,
            "2.5.4.5" => &mut shown.serial_number,
            "2.5.4.6" => &mut shown.country,
            "2.5.4.7" => &mut shown.locality,
            "2.5.4.8" => &mut shown.state,
            "2.5.4.10" => &mut shown.organization,
            "2.5.4.11" => &mut shown.organizational_unit,
            "2.5.4.12" => &mut shown.title,
            "2.5.4.42" => &mut shown.given_name,
            "2.5.4.43" => &mut shown.initials,
            "2.5.4.44" => &mut shown.generation_qualifier,
            "2.5.4.46" => &mut shown.distinguished_name_qualifier,
            "2.5.4.65" => &mut shown.pseudonym,
            DOMAIN_COMPONENT => {
                let components = shown.domain_components.get_or_insert_default();
                components.push(value.clone());
                continue;
            }
            _ => {
                custom(&mut shown, oid, value);
                continue;
            }
        };
        match member {
            None => *member = Some(value.clone()),
            Some(_) => custom(&mut shown, oid, value),
        }
    }
    shown
}

fn custom(shown: &mut wire::DistinguishedName, oid: &Oid, value: &str) {
    let attributes = shown.custom_attributes.get_or_insert_default();
    attributes.push(wire::CustomAttribute {
        object_identifier: Some(oid.0.clone()),
        value: Some(value.into()),
    });
}

/// A name; `None` for an address that is neither of IPv4 nor of IPv6, and for an ediPartyName, of which ACM shows none.
fn general_name(name: &GeneralName) -> Option<wire::GeneralName> {
    let mut shown = wire::GeneralName::default();
    match name {
        GeneralName::Email(text) => shown.rfc822_name = Some(text.clone()),
        GeneralName::Dns(text) => shown.dns_name = Some(text.clone()),
        GeneralName::Uri(text) => shown.uniform_resource_identifier = Some(text.clone()),
        GeneralName::Ip(bytes) => shown.ip_address = Some(address(bytes)?),
        GeneralName::Directory(name) => shown.directory_name = Some(distinguished_name(name)),
        GeneralName::EdiParty(..) => return None,
        GeneralName::RegisteredId(oid) => shown.registered_id = Some(oid.0.clone()),
        GeneralName::Other(oid, der) => {
            shown.other_name = Some(wire::OtherName {
                object_identifier: Some(oid.0.clone()),
                value: Some(hex(der)),
            });
        }
    }
    Some(shown)
}

fn address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(Ipv6Addr::from(sixteen).to_string())
}

const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";
