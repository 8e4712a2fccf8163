//! What a certificate says, as far as ACM shows it, and how ACM writes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::acm::KeyAlgorithm;
use crate::x509::{GeneralName, KeyUsageBit, Name, Oid};

/// A certificate's contents, taken from its DER when it came in, so that no listing parses one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The serial number as ACM writes it; see [`serial`].
    pub serial: String,
    /// The subject as ACM writes it; see [`distinguished_name`].
    pub subject: String,
    /// The subject's common name, if it has one.
    pub common_name: Option<String>,
    /// The issuer as ACM writes it; see [`issuer_label`].
    pub issuer: String,
    /// The DNS names of the subject alternative name extension, in its order.
    pub dns_names: Vec<String>,
    /// First second of validity.
    pub not_before: Timestamp,
    /// Last second of validity.
    pub not_after: Timestamp,
    /// The kind of the subject's key.
    pub key_algorithm: KeyAlgorithm,
    /// How it is signed, for instance `SHA256WITHRSA`.
    pub signature_algorithm: String,
    /// The bits of keyUsage; empty without the extension.
    pub key_usages: Vec<KeyUsageBit>,
    /// The purposes of extKeyUsage; empty without the extension.
    pub extended_key_usages: Vec<Oid>,
    /// The subject, part by part; empty in what was stored before there was this field.
    #[serde(default)]
    pub subject_name: Name,
    /// The issuer, likewise.
    #[serde(default)]
    pub issuer_name: Name,
    /// The alternative names that are no DNS names.
    #[serde(default)]
    pub other_names: Vec<GeneralName>,
}

impl Facts {
    /// What ACM calls the certificate's domain name: the common name, else the first DNS name (common
    /// names are optional since the CA/Browser Forum's baseline requirements, section 7.1.4.3).
    pub fn domain_name(&self) -> Option<&str> {
        self.common_name
            .as_deref()
            .or_else(|| self.dns_names.first().map(String::as_str))
    }

    /// All names ACM shows: the common name, then the DNS names, none twice.
    pub fn all_names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.common_name.iter().chain(&self.dns_names) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }
}

/// A serial number as ACM writes it: the bytes of its DER value in lower-case hex, with colons
/// (`03:e9`).
pub fn serial(bytes: &[u8]) -> String {
    let pairs: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(":")
}

/// A distinguished name as ACM writes it: in the order of the encoding, `C=AU,O=Example,CN=localhost`.
pub fn distinguished_name(name: &Name) -> String {
    let parts: Vec<_> = name
        .attributes
        .iter()
        .map(|attribute| format!("{}={}", attribute_label(&attribute.oid), attribute.value))
        .collect();
    parts.join(",")
}

/// What ACM calls an issuer: its organization, else its common name, else its whole name. (Recorded
/// answers: `Amazon` for `C=US,O=Amazon,OU=Server CA 1B,CN=Amazon`, and the organization where the
/// common name says something else.)
pub fn issuer_label(name: &Name) -> String {
    attribute(name, ORGANIZATION)
        .or_else(|| attribute(name, COMMON_NAME))
        .map_or_else(|| distinguished_name(name), Into::into)
}

/// The common name of `name`, the last if there are several: the most specific one.
pub fn common_name(name: &Name) -> Option<String> {
    attribute(name, COMMON_NAME).map(Into::into)
}

fn attribute<'a>(name: &'a Name, oid: &str) -> Option<&'a str> {
    name.attributes
        .iter()
        .rev()
        .find(|attribute| attribute.oid.0 == oid)
        .map(|attribute| attribute.value.as_str())
}

/// The model's name of a key usage.
pub fn key_usage_name(bit: KeyUsageBit) -> &'static str {
    match bit {
        KeyUsageBit::DigitalSignature => "DIGITAL_SIGNATURE",
        KeyUsageBit::NonRepudiation => "NON_REPUDIATION",
        KeyUsageBit::KeyEncipherment => "KEY_ENCIPHERMENT",
        KeyUsageBit::DataEncipherment => "DATA_ENCIPHERMENT",
        KeyUsageBit::KeyAgreement => "KEY_AGREEMENT",
        KeyUsageBit::KeyCertSign => "CERTIFICATE_SIGNING",
        KeyUsageBit::CrlSign => "CRL_SIGNING",
        KeyUsageBit::EncipherOnly => "ENCIPHER_ONLY",
        KeyUsageBit::DecipherOnly => "DECIPHER_ONLY",
    }
}

/// The model's name of an extended key usage; `CUSTOM` for any that it has no name for.
pub fn extended_key_usage_name(oid: &Oid) -> &'static str {
    match oid.0.as_str() {
        "1.3.6.1.5.5.7.3.1" => "TLS_WEB_SERVER_AUTHENTICATION",
        "1.3.6.1.5.5.7.3.2" => "TLS_WEB_CLIENT_AUTHENTICATION",
        "1.3.6.1.5.5.7.3.3" => "CODE_SIGNING",
        "1.3.6.1.5.5.7.3.4" => "EMAIL_PROTECTION",
        "1.3.6.1.5.5.7.3.5" => "IPSEC_END_SYSTEM",
        "1.3.6.1.5.5.7.3.6" => "IPSEC_TUNNEL",
        "1.3.6.1.5.5.7.3.7" => "IPSEC_USER",
        "1.3.6.1.5.5.7.3.8" => "TIME_STAMPING",
        "1.3.6.1.5.5.7.3.9" => "OCSP_SIGNING",
        "2.5.29.37.0" => "ANY",
        _ => "CUSTOM",
    }
}

/// RFC 4519's short names, and those that Java prints for the rest of what AWS can put in a name.
fn attribute_label(oid: &Oid) -> &str {
    match oid.0.as_str() {
        COMMON_NAME => "CN",
        "2.5.4.4" => "SURNAME",
        "2.5.4.5" => "SERIALNUMBER",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.9" => "STREET",
        ORGANIZATION => "O",
        "2.5.4.11" => "OU",
        "2.5.4.12" => "T",
        "2.5.4.42" => "GIVENNAME",
        "2.5.4.43" => "INITIALS",
        "2.5.4.44" => "GENERATION",
        "2.5.4.46" => "DNQ",
        "2.5.4.65" => "PSEUDONYM",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        "1.2.840.113549.1.9.1" => "EMAILADDRESS",
        other => other,
    }
}

const COMMON_NAME: &str = "2.5.4.3";
const ORGANIZATION: &str = "2.5.4.10";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x509::NameAttribute;

    fn name(parts: &[(&str, &str)]) -> Name {
        Name {
            attributes: parts
                .iter()
                .map(|(oid, value)| NameAttribute {
                    oid: Oid::new(oid),
                    value: (*value).into(),
                })
                .collect(),
        }
    }

    #[test]
    fn names_are_written_as_the_recorded_answers_have_them() {
        let recorded = name(&[
            ("2.5.4.6", "AU"),
            ("2.5.4.8", "Some-State"),
            (ORGANIZATION, "Example Org"),
            (COMMON_NAME, "localhost"),
            ("1.2.3", "x"),
        ]);
        assert_eq!(
            distinguished_name(&recorded),
            "C=AU,ST=Some-State,O=Example Org,CN=localhost,1.2.3=x"
        );
        assert_eq!(issuer_label(&recorded), "Example Org");
        assert_eq!(issuer_label(&name(&[(COMMON_NAME, "Root")])), "Root");
        assert_eq!(issuer_label(&name(&[("2.5.4.6", "AU")])), "C=AU");
        assert_eq!(issuer_label(&Name::default()), "");
        assert_eq!(serial(&[0x03, 0xe9]), "03:e9");
    }

    #[test]
    fn a_name_without_common_name_is_known_by_its_first_dns_name() {
        let mut facts = sample();
        assert_eq!(facts.domain_name(), Some("www.example.com"));
        assert_eq!(facts.all_names(), ["www.example.com", "example.com"]);
        facts.common_name = None;
        assert_eq!(facts.domain_name(), Some("example.com"));
        facts.dns_names.clear();
        assert_eq!(facts.domain_name(), None);
        assert!(facts.all_names().is_empty());
    }

    fn sample() -> Facts {
        Facts {
            serial: "01".into(),
            subject: "CN=www.example.com".into(),
            common_name: Some("www.example.com".into()),
            issuer: "Example".into(),
            dns_names: vec!["example.com".into(), "www.example.com".into()],
            not_before: Timestamp::UNIX_EPOCH,
            not_after: Timestamp::MAX,
            key_algorithm: KeyAlgorithm::EcP256,
            signature_algorithm: "SHA256WITHECDSA".into(),
            key_usages: Vec::new(),
            extended_key_usages: Vec::new(),
            subject_name: Name::default(),
            issuer_name: Name::default(),
            other_names: Vec::new(),
        }
    }
}
