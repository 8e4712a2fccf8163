//! What a certificate says: the template, what the caller passes through, what the request asks.
//!
//! User guide, "AWS Private CA template order of operations": for each extension the template
//! comes first, then the API passthrough, then the request. Subject and subject alternative names
//! come from the request even where it passes nothing else through; the API goes before it.

use super::api::{ApiPassthrough, purpose};
use super::subject::Subject;
use super::template::{Body, Template};
use crate::error::{Error, ErrorKind, Result};
use crate::x509::{Extension, ExtensionValue, KeyUsageBit, Oid};

/// What a certificate signing request says.
#[derive(Clone, Copy, Debug)]
pub struct CsrContent<'a> {
    /// Whether its subject has no attribute.
    pub subject_is_empty: bool,
    /// The extensions it asks for.
    pub extensions: &'a [Extension],
    /// Whether its key can encipher other keys, as only RSA can (`lint::is_rsa_key`).
    pub key_enciphers: bool,
}

/// What the certificate is going to say.
#[derive(Clone, Debug, PartialEq)]
pub struct Composition {
    /// Whose certificate it is.
    pub subject: SubjectSource,
    /// The extensions, in their order.
    pub extensions: Vec<Extension>,
}

/// Where the subject comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum SubjectSource {
    /// The request's, byte for byte.
    Csr,
    /// The caller's.
    Api(Subject),
}

/// Puts a certificate together; `authority_key_id` is the issuer's subject key identifier.
///
/// Refuses with [`ErrorKind::MalformedCsr`] a request without subject and alternative names (model,
/// `IssueCertificateRequest`).
pub fn compose(
    template: Template,
    csr: &CsrContent<'_>,
    api: Option<&ApiPassthrough>,
    authority_key_id: &[u8],
) -> Result<Composition> {
    // Model: without an API passthrough template "this parameter is ignored".
    let api = api.filter(|_| template.passthrough.api);
    let subject = match api.and_then(|api| api.subject.clone()) {
        Some(subject) => SubjectSource::Api(subject),
        None => SubjectSource::Csr,
    };
    let nameless = subject == SubjectSource::Csr && csr.subject_is_empty;
    let mut extensions = fixed(template.body, csr.key_enciphers, authority_key_id);
    if let Some(names) = alternative_names(csr, api, nameless) {
        extensions.push(names);
    } else if nameless {
        return Err(Error::new(
            ErrorKind::MalformedCsr,
            "The certificate signing request has neither a subject nor a subject alternative name.",
        ));
    }
    for extension in api.map(from_api).unwrap_or_default() {
        add(&mut extensions, extension);
    }
    if template.passthrough.csr {
        for extension in csr.extensions {
            add(&mut extensions, extension.clone());
        }
    }
    Ok(Composition {
        subject,
        extensions,
    })
}

/// What the template itself puts in.
fn fixed(body: Body, key_enciphers: bool, authority_key_id: &[u8]) -> Vec<Extension> {
    use KeyUsageBit as K;
    let ca = |path_len| constraints(true, true, path_len);
    let leaf = |critical| constraints(critical, false, None);
    // AWS's definitions say "key encipherment" whatever the key, but other keys than RSA's must not
    // (RFC 8813 section 3, RFC 9881 section 5).
    let mut tls = vec![K::DigitalSignature];
    if key_enciphers {
        tls.push(K::KeyEncipherment);
    }
    let signing = vec![K::DigitalSignature];
    let issuing = vec![K::DigitalSignature, K::KeyCertSign, K::CrlSign];
    let both: &[&str] = &[purpose::SERVER_AUTH, purpose::CLIENT_AUTH];
    let (basic_constraints, usage, purposes, purposes_critical): (_, _, &[&str], _) = match body {
        Body::EndEntity => (leaf(false), Some(tls), both, false),
        Body::ClientAuth => (leaf(false), Some(tls), &[purpose::CLIENT_AUTH], false),
        Body::ServerAuth => (leaf(false), Some(tls), &[purpose::SERVER_AUTH], false),
        Body::CodeSigning => (leaf(false), Some(signing), &[purpose::CODE_SIGNING], true),
        Body::OcspSigning => (leaf(false), Some(signing), &[purpose::OCSP_SIGNING], true),
        Body::Root => (ca(None), Some(issuing), &[], false),
        Body::Subordinate { path_len } => (ca(Some(path_len)), Some(issuing), &[], false),
        Body::BlankEndEntity {
            critical_basic_constraints,
        } => (leaf(critical_basic_constraints), None, &[], false),
        Body::BlankRoot { path_len } => (ca(path_len), None, &[], false),
        Body::BlankSubordinate { path_len } => (ca(Some(path_len)), None, &[], false),
    };
    let mut extensions = vec![
        basic_constraints,
        extension(
            oid::AUTHORITY_KEY_ID,
            false,
            ExtensionValue::AuthorityKeyId(authority_key_id.to_vec()),
        ),
        extension(oid::SUBJECT_KEY_ID, false, ExtensionValue::SubjectKeyId),
    ];
    if let Some(bits) = usage {
        extensions.push(extension(
            oid::KEY_USAGE,
            true,
            ExtensionValue::KeyUsage(bits),
        ));
    }
    if !purposes.is_empty() {
        let purposes = purposes.iter().map(|dotted| Oid::new(dotted)).collect();
        extensions.push(extension(
            oid::EXTENDED_KEY_USAGE,
            purposes_critical,
            ExtensionValue::ExtendedKeyUsage(purposes),
        ));
    }
    extensions
}

/// The caller's alternative names, or else the request's. Critical where no subject names the
/// holder (RFC 5280 section 4.2.1.6), and only there.
fn alternative_names(
    csr: &CsrContent<'_>,
    api: Option<&ApiPassthrough>,
    nameless: bool,
) -> Option<Extension> {
    let value = match api.and_then(|api| api.alternative_names.clone()) {
        Some(names) => ExtensionValue::SubjectAltName(names),
        None => {
            let mut asked = csr.extensions.iter();
            let names = asked.find(|extension| extension.oid.0 == oid::SUBJECT_ALT_NAME)?;
            names.value.clone()
        }
    };
    Some(extension(oid::SUBJECT_ALT_NAME, nameless, value))
}

fn from_api(api: &ApiPassthrough) -> Vec<Extension> {
    let mut extensions = Vec::new();
    if let Some(bits) = &api.key_usage {
        let value = ExtensionValue::KeyUsage(bits.clone());
        extensions.push(extension(oid::KEY_USAGE, true, value));
    }
    if let Some(purposes) = &api.purposes {
        let value = ExtensionValue::ExtendedKeyUsage(purposes.clone());
        extensions.push(extension(oid::EXTENDED_KEY_USAGE, false, value));
    }
    if let Some(policies) = &api.policies {
        let value = ExtensionValue::CertificatePolicies(policies.clone());
        extensions.push(extension(oid::CERTIFICATE_POLICIES, false, value));
    }
    extensions.extend(api.custom.iter().cloned());
    extensions
}

/// Adds an extension unless one of its type is there: what came before has the higher rank.
fn add(extensions: &mut Vec<Extension>, added: Extension) {
    if extensions.iter().all(|other| other.oid != added.oid) {
        extensions.push(added);
    }
}

fn constraints(critical: bool, ca: bool, path_len: Option<u8>) -> Extension {
    extension(
        oid::BASIC_CONSTRAINTS,
        critical,
        ExtensionValue::BasicConstraints { ca, path_len },
    )
}

fn extension(oid: &str, critical: bool, value: ExtensionValue) -> Extension {
    Extension {
        oid: Oid::new(oid),
        critical,
        value,
    }
}

/// Extension types (RFC 5280 section 4.2.1).
mod oid {
    pub(super) const SUBJECT_KEY_ID: &str = "2.5.29.14";
    pub(super) const KEY_USAGE: &str = "2.5.29.15";
    pub(super) const SUBJECT_ALT_NAME: &str = "2.5.29.17";
    pub(super) const BASIC_CONSTRAINTS: &str = "2.5.29.19";
    pub(super) const CERTIFICATE_POLICIES: &str = "2.5.29.32";
    pub(super) const AUTHORITY_KEY_ID: &str = "2.5.29.35";
    pub(super) const EXTENDED_KEY_USAGE: &str = "2.5.29.37";
}

#[cfg(test)]
mod tests;
