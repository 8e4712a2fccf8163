//! What is told of a certificate that nears its end, or came to it (ACM user guide, "Amazon EventBridge
//! support for ACM").

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::acm::certificate::{Certificate, Origin, ValidationMethod};

/// The detail type of [`approaching`].
pub const APPROACHING: &str = "ACM Certificate Approaching Expiration";

/// The detail type of [`expired`].
pub const EXPIRED: &str = "ACM Certificate Expired";

/// That the end is near: the whole days until then. `None` if there is nothing that could end.
pub fn approaching(certificate: &Certificate, now: Timestamp) -> Option<Value> {
    let current = certificate.current.as_ref()?;
    let left = current.facts.not_after.duration_since(now).as_secs();
    Some(json!({
        "DaysToExpiry": left.max(0) / DAY_SECS,
        "CommonName": certificate.domain_name,
    }))
}

/// That the end has come. AWS does not tell of imported certificates.
pub fn expired(certificate: &Certificate) -> Option<Value> {
    let current = certificate.current.as_ref()?;
    let (kind, method) = match &certificate.origin {
        Origin::Imported { .. } => return None,
        Origin::Private { .. } => ("PRIVATE", None),
        Origin::Public { method, .. } => match method {
            ValidationMethod::Dns => ("AMAZON_ISSUED", Some("DNS")),
            ValidationMethod::Email => ("AMAZON_ISSUED", Some("EMAIL")),
        },
    };
    let mut detail = json!({
        "CertificateType": kind,
        "CommonName": certificate.domain_name,
        "CertificateCreatedDate": seconds(certificate.created_at),
        "CertificateExpirationDate": seconds(current.facts.not_after),
        "InUse": certificate.uses > 0,
        "Exported": certificate.exported_version.is_some(),
    });
    if let (Some(method), Some(members)) = (method, detail.as_object_mut()) {
        members.insert("DomainValidationMethod".into(), method.into());
    }
    Some(detail)
}

fn seconds(at: Timestamp) -> String {
    format!("{at:.0}")
}

const DAY_SECS: i64 = 24 * 60 * 60;
