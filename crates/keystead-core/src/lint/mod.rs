//! Lints: what a certificate must satisfy before a CA signs it.
//!
//! The rules judge the exact bytes that would be signed, read once by a strict reader of DER, so
//! that neither a template, a request nor an encoder can slip something past them. Each rule is a
//! function with an id, its source and a test that makes it fail; a rule without such a test
//! breaks the build. The word of the authority is RFC 5280 unless the rule names another.
//!
//! Pure and quick (microseconds a certificate): linting is part of every issuance.

mod ca;
mod der;
mod extensions;
mod facts;
mod fields;
mod key;
mod names;
mod oid;
mod san;
mod time;

#[cfg(test)]
mod tests;

use facts::Facts;

use crate::x509::SignatureAlgorithm;

/// What is known of the CA that is going to sign. For a self-signed certificate: the CA itself.
#[derive(Clone, Copy, Debug)]
pub struct Issuer<'a> {
    /// DER of its subject's name.
    pub subject_der: &'a [u8],
    /// Its subject key identifier, as in its certificate.
    pub key_id: &'a [u8],
    /// Last second of its certificate's validity (Unix time); `None` when it signs itself.
    pub not_after: Option<i64>,
    /// How many authorities may follow it, if its certificate limits that.
    pub path_len: Option<u8>,
    /// How it is going to sign.
    pub signature: SignatureAlgorithm,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The rule's id, for instance `rfc5280_4_1_2_2_serial_positive`.
    pub rule: &'static str,
    /// What is wrong, as a sentence without a full stop.
    pub message: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.message, self.rule)
    }
}

/// Judges the DER of a TBSCertificate that `issuer` is about to sign; answers every rule it breaks.
pub fn lint_tbs(der: &[u8], issuer: &Issuer<'_>) -> Result<(), Vec<Finding>> {
    let structure = |fault: &str| {
        vec![Finding {
            rule: STRUCTURE,
            message: format!("the certificate {fault}"),
        }]
    };
    let facts = Facts::read(der, issuer).map_err(structure)?;
    let findings: Vec<Finding> = GROUPS
        .iter()
        .flat_map(|group| group.iter())
        .filter_map(|rule| {
            let message = (rule.check)(&facts).err()?;
            Some(Finding {
                rule: rule.id,
                message,
            })
        })
        .collect();
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

/// Judges the DER of a signed certificate: its to-be-signed part as [`lint_tbs`] does, and that it
/// names the same signature algorithm inside and outside. Does not verify the signature.
pub fn lint_certificate(der: &[u8], issuer: &Issuer<'_>) -> Result<(), Vec<Finding>> {
    let tbs = fields::unwrap(der).map_err(|message| {
        vec![Finding {
            rule: fields::ALGORITHMS_MATCH,
            message,
        }]
    })?;
    lint_tbs(tbs, issuer)
}

/// The TBSCertificate within the DER of a certificate, for comparing with what was meant to be signed.
/// `None` unless the certificate is well-formed on the outside and names the same signature
/// algorithm inside and outside.
pub fn signed_part(certificate: &[u8]) -> Option<&[u8]> {
    fields::unwrap(certificate).ok()
}

/// Whether a SubjectPublicKeyInfo holds an RSA key (rsaEncryption, RFC 3279 section 2.3.1): the only
/// kind that can encipher another key.
pub fn is_rsa_key(spki_der: &[u8]) -> bool {
    key::is_rsa(spki_der)
}

/// One rule: its id and the function that answers what is wrong.
struct Rule {
    id: &'static str,
    check: fn(&Facts<'_>) -> Result<(), String>,
}

/// Every rule, by group.
const GROUPS: &[&[Rule]] = &[
    fields::RULES,
    key::RULES,
    time::RULES,
    names::RULES,
    san::RULES,
    extensions::RULES,
    ca::RULES,
];

/// RFC 5280 section 4.1: the bytes are a TBSCertificate at all.
const STRUCTURE: &str = "rfc5280_4_1_structure";

/// `Err(message())` unless `holds`.
fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
