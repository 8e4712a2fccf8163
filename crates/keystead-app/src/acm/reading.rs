//! What a parsed certificate says, in ACM's terms.

use jiff::Timestamp;
use keystead_core::acm::{Facts, KeyAlgorithm, facts};
use keystead_core::x509::{GeneralName, KeySpec};
use keystead_crypto::x509::Certificate;

/// What `certificate` says; `None` if ACM has no name for its kind of key, or it is valid at times
/// beyond the calendar.
pub(super) fn facts_of(certificate: &Certificate) -> Option<Facts> {
    let (mut dns_names, mut other_names) = (Vec::new(), Vec::new());
    for name in certificate.alt_names() {
        match name {
            GeneralName::Dns(name) => dns_names.push(name.clone()),
            other => other_names.push(other.clone()),
        }
    }
    Some(Facts {
        serial: facts::serial(&certificate.serial),
        subject: facts::distinguished_name(&certificate.subject),
        common_name: facts::common_name(&certificate.subject),
        issuer: facts::issuer_label(&certificate.issuer),
        dns_names,
        not_before: Timestamp::from_second(certificate.not_before).ok()?,
        not_after: Timestamp::from_second(certificate.not_after).ok()?,
        key_algorithm: key_algorithm(certificate.key_spec?)?,
        signature_algorithm: certificate
            .signature_algorithm()
            .map_or(OTHER_SIGNATURE, |algorithm| algorithm.pca_name())
            .into(),
        key_usages: certificate.key_usage().unwrap_or_default().to_vec(),
        extended_key_usages: certificate
            .extended_key_usage()
            .unwrap_or_default()
            .to_vec(),
        subject_name: certificate.subject.clone(),
        issuer_name: certificate.issuer.clone(),
        other_names,
    })
}

/// ACM's name of a kind of key, if it has one.
fn key_algorithm(spec: KeySpec) -> Option<KeyAlgorithm> {
    KeyAlgorithm::from_model_name(spec.pca_name())
}

/// The member is free text; certificates with other signatures (Ed25519) come by import only.
const OTHER_SIGNATURE: &str = "OTHER";
