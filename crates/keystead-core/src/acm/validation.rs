//! How the owner of a name is asked to show that it is his: requests for public certificates.

use std::collections::BTreeMap;

use crate::acm::names::covers;
use crate::error::{Error, ErrorKind, Result};
use crate::hex;

/// A CNAME record to be made in the domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRecord {
    /// Where, with a final dot.
    pub name: String,
    /// What it points to, with a final dot.
    pub value: String,
}

/// The record that shows who owns `domain`, shaped like AWS's: the same for a wildcard and its base.
///
/// `digest` is a hash of what makes it unique (the account, and [`base`] of the domain); the same
/// account sees the same record for a name every time, so that one record serves every renewal.
pub fn dns_record(domain: &str, digest: &[u8; 32]) -> DnsRecord {
    let (name, value) = digest.split_at(16);
    let letters: String = name
        .iter()
        .zip(value)
        .take(ZONE_LABEL_LETTERS)
        .map(|(left, right)| char::from(b'a' + (left ^ right) % 26))
        .collect();
    DnsRecord {
        name: format!("_{}.{}.", hex(name), base(domain)),
        value: format!("_{}.{letters}.acm-validations.aws.", hex(value)),
    }
}

/// The name itself, or what a wildcard covers.
pub fn base(domain: &str) -> &str {
    domain.strip_prefix("*.").unwrap_or(domain)
}

/// The validation domains of a request, by name; refuses one that isn't the name or above it, and one
/// for a name that wasn't requested.
pub fn domains(
    names: &[String],
    options: impl IntoIterator<Item = (String, String)>,
) -> Result<BTreeMap<String, String>> {
    let mut domains = BTreeMap::new();
    for (name, at) in options {
        let name = name.to_ascii_lowercase();
        if !names.contains(&name) {
            return Err(Error::new(
                ErrorKind::InvalidDomainValidationOptions,
                format!(
                    "The domain validation options name {name}, which the request does not: give options for the requested domain names only."
                ),
            ));
        }
        if !covers(&at, &name) {
            return Err(Error::new(
                ErrorKind::InvalidDomainValidationOptions,
                format!("The validation domain {at} is neither {name} nor a superdomain of it."),
            ));
        }
        domains.insert(name, at.to_ascii_lowercase());
    }
    Ok(domains)
}

/// The zones under `acm-validations.aws` that AWS points to have ten letters.
const ZONE_LABEL_LETTERS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_has_awss_shape_and_is_the_wildcards_too() {
        let digest: [u8; 32] = std::array::from_fn(|i| u8::try_from(i * 7).unwrap_or(255));
        let record = dns_record("www.example.com", &digest);
        let (label, rest) = record.name.split_once('.').expect("a label");
        assert_eq!(rest, "www.example.com.");
        assert!(label.len() == 33 && label.starts_with('_'));
        let parts: Vec<_> = record.value.split('.').collect();
        assert_eq!(parts[0].len(), 33);
        assert!(parts[1].len() == 10 && parts[1].bytes().all(|b| b.is_ascii_lowercase()));
        assert_eq!(parts[2..], ["acm-validations", "aws", ""]);
        assert_eq!(dns_record("*.www.example.com", &digest), record);
    }

    #[test]
    fn options_must_be_of_requested_names_and_above_them() {
        let names = vec!["a.example.com".to_owned(), "*.example.org".to_owned()];
        let pair = |name: &str, at: &str| vec![(name.to_owned(), at.to_owned())];
        let accepted = domains(&names, pair("A.example.com", "Example.com"));
        assert_eq!(
            accepted.map(|map| map["a.example.com"].clone()),
            Ok("example.com".into())
        );
        assert!(domains(&names, pair("*.example.org", "example.org")).is_ok());
        for (name, at) in [
            ("b.example.com", "example.com"),
            ("a.example.com", "example.org"),
        ] {
            let refused = domains(&names, pair(name, at)).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::InvalidDomainValidationOptions));
        }
    }
}
