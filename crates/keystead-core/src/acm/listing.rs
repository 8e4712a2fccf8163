//! Which certificates a listing shows (API reference, ListCertificates and `Filters`).

use jiff::Timestamp;

use crate::acm::KeyAlgorithm;
use crate::acm::certificate::{Certificate, Origin};
use crate::acm::facts::{extended_key_usage_name, key_usage_name};

/// What a listing asks for, in the model's words. An empty list asks for nothing in particular.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Any of these statuses.
    pub statuses: Vec<String>,
    /// Any of these kinds of key; without any, [`KeyAlgorithm::listed_by_default`].
    pub key_types: Vec<KeyAlgorithm>,
    /// At least one of these key usages.
    pub key_usages: Vec<String>,
    /// At least one of these extended key usages.
    pub extended_key_usages: Vec<String>,
    /// Whether it may be exported.
    pub export: Option<bool>,
    /// Managed by this service of AWS. None manages any here.
    pub managed_by: Option<String>,
    /// Any of these origins of the key pair; without any, all that Keystead has.
    pub key_pair_origins: Vec<String>,
}

impl Filter {
    /// Whether the listing shows `certificate`.
    pub fn shows(&self, certificate: &Certificate, now: Timestamp) -> bool {
        let facts = certificate.current.as_ref().map(|current| &current.facts);
        let usages = facts.map_or(&[][..], |facts| &facts.key_usages);
        let purposes = facts.map_or(&[][..], |facts| &facts.extended_key_usages);
        self.shows_key(certificate)
            && any(&self.statuses, [certificate.status(now).as_str()])
            && any(
                &self.key_usages,
                usages.iter().map(|bit| key_usage_name(*bit)),
            )
            && any(
                &self.extended_key_usages,
                purposes.iter().map(extended_key_usage_name),
            )
            && any(&self.key_pair_origins, [key_pair_origin(certificate)])
            && self
                .export
                .is_none_or(|export| certificate.options.export == export)
            && self.managed_by.is_none()
    }

    fn shows_key(&self, certificate: &Certificate) -> bool {
        if self.key_types.is_empty() {
            // "that have at least one domain"
            certificate.key_algorithm.listed_by_default() && !certificate.names.is_empty()
        } else {
            self.key_types.contains(&certificate.key_algorithm)
        }
    }
}

/// Who made the key (the API's `CertificateKeyPairOrigin`).
pub fn key_pair_origin(certificate: &Certificate) -> &'static str {
    match certificate.origin {
        Origin::Imported { .. } => "CUSTOMER_PROVIDED",
        Origin::Private { .. } | Origin::Public { .. } => "AWS_MANAGED",
    }
}

fn any<'a>(wanted: &[String], has: impl IntoIterator<Item = &'a str>) -> bool {
    wanted.is_empty()
        || has
            .into_iter()
            .any(|value| wanted.iter().any(|w| w == value))
}
