//! Lints: what a certificate must satisfy before a CA signs it.
//!
//! The rules judge the exact bytes that would be signed, read once by a strict reader of DER, so
//! that neither a template, a request nor an encoder can slip something past them. Each rule is a
//! function with an id, its source and a test that makes it fail; a rule without such a test
//! breaks the build. The word of the authority is RFC 5280 unless the rule names another.
//!
//! Rules about a key alone also judge the keys that come in from elsewhere ([`lint_key`]), and
//! [`KnownKeys`] those whose private half is known. A point of a curve is not computed here: whoever
//! brings a key has proved to have its private half, by a signature that `keystead-crypto` verified.
//!
//! Pure and quick (microseconds a certificate): linting is part of every issuance.

mod access;
mod baseline;
mod bounds;
mod ca;
mod constraints;
mod crl;
mod der;
mod extensions;
mod facts;
mod fields;
mod international;
mod key;
mod known;
mod names;
mod ocsp;
mod oid;
mod policies;
mod san;
mod subtree;
mod time;
mod uses;
mod weak;

#[cfg(test)]
mod tests;

pub use bounds::Bounds;
pub use crl::{CrlIssuer, lint_crl_tbs};
pub use known::{KeyPrints, KnownKeys, Unreadable};
pub use ocsp::{OcspSigner, lint_ocsp_data};

use facts::{Facts, Key};

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
    /// What its certificate and those above it leave to what it signs; `None` where nothing is above.
    pub bounds: Option<&'a Bounds>,
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

/// All findings in one line, for a message.
pub fn listed(findings: &[Finding]) -> String {
    let each: Vec<String> = findings.iter().map(ToString::to_string).collect();
    each.join("; ")
}

/// Judges the DER of a TBSCertificate that `issuer` is about to sign; answers every rule it breaks.
pub fn lint_tbs(der: &[u8], issuer: &Issuer<'_>) -> Result<(), Vec<Finding>> {
    judge(der, Some(issuer))
}

/// Judges the DER of a certificate that somebody else has signed, for a key of ours: what [`lint_tbs`]
/// asks of every certificate, without what it asks of the one who signs. Verifies no signature.
pub fn lint_foreign(certificate: &[u8]) -> Result<(), Vec<Finding>> {
    judge(unwrap(certificate)?, None)
}

/// Remarks on the DER of a certificate that is to be a server's on the public web, by the CA/Browser Forum's
/// Baseline Requirements, beyond what [`lint_foreign`] asks. They stop nothing that a private CA issues.
pub fn lint_public(certificate: &[u8]) -> Result<(), Vec<Finding>> {
    let facts = read(unwrap(certificate)?, None)?;
    none(broken(&facts, baseline::RULES).collect())
}

fn judge(der: &[u8], issuer: Option<&Issuer<'_>>) -> Result<(), Vec<Finding>> {
    let facts = read(der, issuer)?;
    let of_certificate = GROUPS.iter().flat_map(|group| broken(&facts, group));
    none(judge_key(&facts.key).chain(of_certificate).collect())
}

fn read<'a>(der: &'a [u8], issuer: Option<&'a Issuer<'a>>) -> Result<Facts<'a>, Vec<Finding>> {
    Facts::read(der, issuer).map_err(|fault| one(STRUCTURE, format!("the certificate {fault}")))
}

fn broken(facts: &Facts<'_>, rules: &[Rule]) -> impl Iterator<Item = Finding> {
    found(rules.iter().map(|rule| (rule.id, (rule.check)(facts))))
}

/// What rules find, given what each answers.
fn found(
    answers: impl Iterator<Item = (&'static str, Result<(), String>)>,
) -> impl Iterator<Item = Finding> {
    answers.filter_map(|(rule, answer)| {
        let message = answer.err()?;
        Some(Finding { rule, message })
    })
}

/// The one finding where no other can be looked for.
fn one(rule: &'static str, message: String) -> Vec<Finding> {
    vec![Finding { rule, message }]
}

/// Judges the DER of a SubjectPublicKeyInfo by itself: a key that comes in a request or an import, or
/// one that a token has made. Part of [`lint_tbs`].
pub fn lint_key(spki_der: &[u8]) -> Result<(), Vec<Finding>> {
    let key = facts::read_key(spki_der)
        .map_err(|fault| one(STRUCTURE, format!("the public key {fault}")))?;
    none(judge_key(&key).collect())
}

fn judge_key(key: &Key<'_>) -> impl Iterator<Item = Finding> {
    let rules = KEY_GROUPS.iter().copied().flatten();
    found(rules.map(|rule| (rule.id, (rule.check)(key))))
}

fn none(findings: Vec<Finding>) -> Result<(), Vec<Finding>> {
    if findings.is_empty() {
        Ok(())
    } else {
        Err(findings)
    }
}

/// Judges the DER of a signed certificate: its to-be-signed part as [`lint_tbs`] does, and that it
/// names the same signature algorithm inside and outside. Does not verify the signature.
pub fn lint_certificate(der: &[u8], issuer: &Issuer<'_>) -> Result<(), Vec<Finding>> {
    lint_tbs(unwrap(der)?, issuer)
}

fn unwrap(certificate: &[u8]) -> Result<&[u8], Vec<Finding>> {
    fields::unwrap(certificate).map_err(|message| one(fields::ALGORITHMS_MATCH, message))
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

/// A rule about a key alone, wherever it comes from.
struct KeyRule {
    id: &'static str,
    check: fn(&Key<'_>) -> Result<(), String>,
}

/// Every rule about keys, by group.
const KEY_GROUPS: &[&[KeyRule]] = &[key::KEY_RULES, weak::RULES];

/// Every rule about certificates, by group.
const GROUPS: &[&[Rule]] = &[
    fields::RULES,
    key::RULES,
    time::RULES,
    names::RULES,
    san::RULES,
    international::RULES,
    extensions::RULES,
    uses::RULES,
    access::RULES,
    policies::RULES,
    ca::RULES,
    constraints::RULES,
    bounds::RULES,
];

/// RFC 5280 section 4.1: the bytes are a TBSCertificate at all.
const STRUCTURE: &str = "rfc5280_4_1_structure";

/// `Err(message())` unless `holds`.
fn require(holds: bool, message: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(message()) }
}
