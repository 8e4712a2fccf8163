//! What of a certificate becomes session tags: `x509Subject/CN`, `x509Issuer/O`, `x509SAN/DNS` and so on.
//!
//! Source: Roles Anywhere user guide, "Certificate attribute mapping" and "Trust model". A field has rules, each a
//! specifier: an attribute of a name by its short name or its object identifier, or `*` for all that have a short
//! name; of the alternative names `DNS`, `URI`, and an attribute of the directory name behind `Name/`. Where there are
//! several values of an attribute, all count, with slashes between; of the alternative names the first does.
//!
//! The guide says that a value which no tag can have is ignored; what people report is that the session is refused
//! (AWS's credential helper, issues 77 and 188). We refuse.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::hex;
use crate::tags::Tags;
use crate::x509::{GeneralName, Name};

/// The rules of each field, by the field's name.
pub type Mappings = BTreeMap<String, BTreeSet<String>>;

/// The subject.
pub const SUBJECT: &str = "x509Subject";
/// The issuer.
pub const ISSUER: &str = "x509Issuer";
/// The alternative names.
pub const SAN: &str = "x509SAN";

/// The rules of a new profile.
pub fn default() -> Mappings {
    let rules = |specifiers: &[&str]| specifiers.iter().map(|&text| text.to_owned()).collect();
    Mappings::from([
        (ISSUER.to_owned(), rules(&["*"])),
        (SAN.to_owned(), rules(&["DNS", "Name/*", "URI"])),
        (SUBJECT.to_owned(), rules(&["*"])),
    ])
}

/// Gives `field` these rules in place of those it has.
///
/// Refuses with [`ErrorKind::Validation`] a specifier that the field has not, one twice, and none.
pub fn put(mappings: &mut Mappings, field: &str, specifiers: Vec<String>) -> Result<()> {
    let mut rules = BTreeSet::new();
    if specifiers.is_empty() {
        return Err(refused("expected at least one mapping rule".to_owned()));
    }
    for specifier in specifiers {
        let specifier = match (field, specifier.as_str()) {
            (SAN, "Name" | "Name/") => "Name/*".to_owned(),
            _ => specifier,
        };
        let fits = match field {
            SAN => match specifier.strip_prefix("Name/") {
                Some(attribute) => names_attribute(attribute),
                None => matches!(specifier.as_str(), "DNS" | "URI"),
            },
            _ => names_attribute(&specifier),
        };
        if !fits {
            return Err(refused(format!("'{specifier}' is no specifier of {field}")));
        }
        if let Some(twice) = rules.replace(specifier) {
            return Err(refused(format!("'{twice}' is there twice")));
        }
    }
    mappings.insert(field.to_owned(), rules);
    Ok(())
}

/// Takes these rules from `field`, or all of them where none are named.
///
/// Refuses with [`ErrorKind::NotFound`] what the field has not.
pub fn delete(mappings: &mut Mappings, field: &str, specifiers: Option<&[String]>) -> Result<()> {
    let missing = |what: &str| {
        let message = format!("The profile has no mapping rule {what}.");
        Error::new(ErrorKind::NotFound, message)
    };
    let rules = mappings.get_mut(field).ok_or_else(|| missing(field))?;
    let Some(specifiers) = specifiers else {
        mappings.remove(field);
        return Ok(());
    };
    if let Some(unknown) = specifiers.iter().find(|text| !rules.contains(*text)) {
        return Err(missing(&format!("{field}/{unknown}")));
    }
    rules.retain(|rule| !specifiers.contains(rule));
    if rules.is_empty() {
        mappings.remove(field);
    }
    Ok(())
}

/// The session tags of a certificate.
///
/// Refuses with [`ErrorKind::AccessDenied`] a value that no tag can have.
pub fn tags(
    mappings: &Mappings,
    subject: &Name,
    issuer: &Name,
    alternatives: &[GeneralName],
) -> Result<Tags> {
    let mut tags = Tags::new();
    let mut failed: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (field, rules) in mappings {
        let found = rules.iter().flat_map(|rule| match field.as_str() {
            SUBJECT => attributes(subject, rule),
            ISSUER => attributes(issuer, rule),
            _ => alternative(alternatives, rule),
        });
        for (specifier, value) in found {
            if !fits_tag(&value) {
                failed.entry(field.as_str()).or_default().push(specifier);
            } else if !value.is_empty() {
                tags.insert(format!("{field}/{specifier}"), value);
            }
        }
    }
    if failed.is_empty() {
        return Ok(tags);
    }
    let named = |field| {
        failed
            .get(field)
            .map(|names| names.join(", "))
            .unwrap_or_default()
    };
    Err(Error::new(
        ErrorKind::AccessDenied,
        format!(
            "Some attributes failed to be mapped into session tags. Issuer: [ {} ]; Subject: [ {} ]; SAN: [ {} ]",
            named(ISSUER),
            named(SUBJECT),
            named(SAN),
        ),
    ))
}

/// Who a session was begun by: the subject's common name behind `CN=`, where it fits; without one the serial number in
/// hexadecimal behind `ID=` (user guide, "Source identity rules").
pub fn source_identity(subject: &Name, serial: &[u8]) -> String {
    let common_name = subject
        .attributes
        .iter()
        .find(|attribute| attribute.oid.0 == COMMON_NAME);
    match common_name.map(|attribute| attribute.value.as_str()) {
        Some(name) if name.chars().count() <= 61 => format!("CN={name}"),
        Some(name) => name.to_owned(),
        None => format!("ID={}", hex(serial)),
    }
}

/// A name in text, the most special part first (RFC 4514 without escapes, as nothing reads it back).
pub fn text(name: &Name) -> String {
    let parts = name.attributes.iter().rev().map(|attribute| {
        let oid = &attribute.oid.0;
        format!("{}={}", short(oid).unwrap_or(oid), attribute.value)
    });
    parts.collect::<Vec<_>>().join(",")
}

/// The values of each attribute that the specifier names, in their order with slashes between.
fn attributes(name: &Name, specifier: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for attribute in &name.attributes {
        let oid = attribute.oid.0.as_str();
        let key = match (specifier, short(oid)) {
            ("*", Some(short)) => short,
            (wanted, Some(short)) if wanted == short => short,
            (wanted, _) if wanted == oid => oid,
            _ => continue,
        };
        match found.iter_mut().find(|(known, _)| known == key) {
            Some((_, values)) => {
                values.push('/');
                values.push_str(&attribute.value);
            }
            None => found.push((key.to_owned(), attribute.value.clone())),
        }
    }
    found
}

fn alternative(names: &[GeneralName], specifier: &str) -> Vec<(String, String)> {
    if let Some(attribute) = specifier.strip_prefix("Name/") {
        let directory = names.iter().find_map(|name| match name {
            GeneralName::Directory(name) => Some(name),
            _ => None,
        });
        let found = directory.map(|name| attributes(name, attribute));
        let found = found.unwrap_or_default().into_iter();
        return found
            .map(|(key, value)| (format!("Name/{key}"), value))
            .collect();
    }
    let first = names.iter().find_map(|name| match name {
        GeneralName::Dns(name) if specifier == "DNS" => Some(name),
        GeneralName::Uri(name) if specifier == "URI" => Some(name),
        _ => None,
    });
    first
        .map(|value| (specifier.to_owned(), value.clone()))
        .into_iter()
        .collect()
}

fn names_attribute(specifier: &str) -> bool {
    let is_oid = || {
        let arcs: Vec<_> = specifier.split('.').collect();
        let number = |arc: &&str| !arc.is_empty() && arc.bytes().all(|byte| byte.is_ascii_digit());
        arcs.len() > 2 && arcs.iter().all(number)
    };
    specifier == "*" || SHORT.iter().any(|(_, short)| *short == specifier) || is_oid()
}

/// What a session tag's value may be (STS API reference, `Tag`, in ASCII, and its length).
fn fits_tag(value: &str) -> bool {
    let fits = |letter: char| letter.is_alphanumeric() || " _.:/=+-@".contains(letter);
    value.chars().count() <= 256 && value.chars().all(fits)
}

fn short(oid: &str) -> Option<&'static str> {
    let known = SHORT.iter().find(|(known, _)| *known == oid);
    known.map(|(_, short)| *short)
}

fn refused(why: String) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("The mapping rules are not valid: {why}."),
    )
}

const COMMON_NAME: &str = "2.5.4.3";

/// Attributes with their short names (RFC 4519, RFC 2985; the user guide's list of recognized attributes).
const SHORT: [(&str, &str); 17] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.4", "SURNAME"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.12", "T"),
    ("2.5.4.42", "GIVENNAME"),
    ("2.5.4.43", "INITIALS"),
    ("2.5.4.44", "GENERATION"),
    ("2.5.4.46", "DNQUALIFIER"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("0.9.2342.19200300.100.1.25", "DC"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::{NameAttribute, Oid};

    fn name(attributes: &[(&str, &str)]) -> Name {
        let attribute = |(oid, value): &(&str, &str)| NameAttribute {
            oid: Oid::new(oid),
            value: (*value).to_owned(),
        };
        Name {
            attributes: attributes.iter().map(attribute).collect(),
        }
    }

    fn pairs(tags: &Tags) -> Vec<String> {
        tags.iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect()
    }

    #[test]
    fn a_new_profile_maps_every_attribute_that_has_a_name() {
        let subject = name(&[
            ("2.5.4.10", "Example"),
            ("2.5.4.11", "first"),
            ("2.5.4.11", "second"),
            ("2.5.4.3", "workload"),
            ("1.2.3.4", "unknown"),
        ]);
        let alternatives = [
            GeneralName::Email("nobody@example.com".into()),
            GeneralName::Dns("a.example.com".into()),
            GeneralName::Dns("b.example.com".into()),
            GeneralName::Directory(name(&[("2.5.4.3", "directory")])),
            GeneralName::Uri("spiffe://example.com/x".into()),
        ];
        let issuer = name(&[("2.5.4.3", "ca")]);
        let tags = tags(&default(), &subject, &issuer, &alternatives).unwrap();
        let expected = [
            "x509Issuer/CN=ca",
            "x509SAN/DNS=a.example.com",
            "x509SAN/Name/CN=directory",
            "x509SAN/URI=spiffe://example.com/x",
            "x509Subject/CN=workload",
            "x509Subject/O=Example",
            "x509Subject/OU=first/second",
        ];
        assert_eq!(pairs(&tags), expected);
        assert_eq!(
            text(&subject),
            "1.2.3.4=unknown,CN=workload,OU=second,OU=first,O=Example"
        );
    }

    #[test]
    fn rules_are_put_and_deleted() {
        let mut mappings = default();
        let specifiers = |given: &[&str]| {
            given
                .iter()
                .map(|&text| text.to_owned())
                .collect::<Vec<_>>()
        };
        put(&mut mappings, SUBJECT, specifiers(&["CN", "1.2.3.4"])).unwrap();
        delete(&mut mappings, ISSUER, None).unwrap();
        put(&mut mappings, SAN, specifiers(&["DNS", "Name/", "URI"])).unwrap();
        delete(
            &mut mappings,
            SAN,
            Some(&specifiers(&["DNS", "Name/*", "URI"])),
        )
        .unwrap();
        let subject = name(&[("2.5.4.3", "x"), ("2.5.4.10", "o"), ("1.2.3.4", "y")]);
        let found = tags(&mappings, &subject, &subject, &[]).unwrap();
        assert_eq!(pairs(&found), ["x509Subject/1.2.3.4=y", "x509Subject/CN=x"]);
        let before = mappings.clone();
        for (field, given) in [
            (SUBJECT, specifiers(&["Nonsense"])),
            (SUBJECT, specifiers(&["CN", "CN"])),
            (SUBJECT, specifiers(&["DNS"])),
            (SUBJECT, Vec::new()),
            (SAN, specifiers(&["*"])),
            (SAN, specifiers(&["Name/Nonsense"])),
        ] {
            let refused = put(&mut mappings, field, given).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::Validation));
        }
        for (field, given) in [
            (ISSUER, None),
            (SUBJECT, Some(specifiers(&["OU"]))),
            (SUBJECT, Some(specifiers(&["CN", "OU"]))),
        ] {
            let refused =
                delete(&mut mappings, field, given.as_deref()).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::NotFound));
        }
        assert_eq!(mappings, before);
    }

    #[test]
    fn source_identities() {
        let long = "x".repeat(62);
        for (subject, expected) in [
            (name(&[("2.5.4.3", "workload")]), "CN=workload"),
            (name(&[("2.5.4.3", &long)]), &long),
            (name(&[("2.5.4.10", "o")]), "ID=0123"),
        ] {
            assert_eq!(source_identity(&subject, &[1, 0x23]), expected);
        }
    }

    #[test]
    fn what_no_tag_can_say_is_refused() {
        let subject = name(&[("2.5.4.3", "John (1)")]);
        let wildcard = [GeneralName::Dns("*.example.com".into())];
        let refused = tags(&default(), &subject, &Name::default(), &wildcard).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::AccessDenied);
        let named = "Issuer: [  ]; Subject: [ CN ]; SAN: [ DNS ]";
        assert!(refused.message.ends_with(named), "{}", refused.message);
    }
}
