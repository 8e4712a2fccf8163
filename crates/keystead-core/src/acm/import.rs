//! What may be imported, and what may replace an imported certificate.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::acm::facts::Facts;
use crate::error::{Error, ErrorKind, Result};

/// What the caller found out by cryptography about what is to be imported.
#[derive(Clone, Debug)]
pub struct Evidence {
    /// The private key belongs to the certificate.
    pub key_matches: bool,
    /// The certificate and those of its chain that are judged are signed in ways that are known here.
    pub signatures_known: bool,
    /// The certificate's signature verifies under its own key.
    pub self_signed: bool,
    /// For each certificate of the chain, whether it signed the one before (the first: the
    /// certificate itself); `None` when no chain came.
    pub chain: Option<Vec<bool>>,
}

/// Refuses what ACM doesn't import (ACM user guide, "Prerequisites for importing" and "Certificate
/// import problems"; the texts are the service's where it is known to have said them).
pub fn check(facts: &Facts, evidence: &Evidence, now: Timestamp) -> Result<()> {
    if now > facts.not_after {
        return Err(invalid("The certificate has expired, is not valid."));
    }
    if now < facts.not_before {
        return Err(invalid(
            "The certificate is not in effect yet, is not valid.",
        ));
    }
    if facts.issuer.is_empty() {
        return Err(invalid(
            "The certificate has no issuer. The issuer field must not be empty.",
        ));
    }
    if !evidence.key_matches {
        return Err(invalid("The private key does not match the certificate."));
    }
    if !evidence.signatures_known {
        return Err(invalid(
            "The certificate or its chain is signed by an algorithm that is not supported: expected RSA, ECDSA or Ed25519 with SHA-256 or better.",
        ));
    }
    match &evidence.chain {
        None if evidence.self_signed => Ok(()),
        None => Err(invalid(
            "Provided certificate is not a valid self signed. Please provide either a valid self-signed certificate or certificate chain.",
        )),
        Some(links) => check_chain(links),
    }
}

/// Refuses a replacement that drops what users of the certificate may rely on (ACM user guide,
/// "Reimport a certificate").
pub fn check_replacement(old: &Facts, new: &Facts) -> Result<()> {
    if new.key_algorithm != old.key_algorithm {
        return Err(invalid(format!(
            "The key type and size of an imported certificate can't change: it is {}, and the new one is {}.",
            old.key_algorithm.model_name(),
            new.key_algorithm.model_name()
        )));
    }
    if new.all_names().is_empty() && !old.all_names().is_empty() {
        return Err(invalid(
            "All domain names can't be removed from a certificate.",
        ));
    }
    if let Some(lost) = old
        .key_usages
        .iter()
        .find(|usage| !new.key_usages.contains(usage))
    {
        return Err(invalid(format!(
            "The new certificate lacks the key usage {lost:?} of the one that it replaces."
        )));
    }
    let purposes: BTreeSet<_> = new.extended_key_usages.iter().collect();
    if let Some(lost) = old
        .extended_key_usages
        .iter()
        .find(|oid| !purposes.contains(oid))
    {
        return Err(invalid(format!(
            "The new certificate lacks the extended key usage {} of the one that it replaces.",
            lost.0
        )));
    }
    Ok(())
}

/// Refuses whoever brings tags with a replacement.
pub fn refuse_tags_on_replacement(has_tags: bool) -> Result<()> {
    if has_tags {
        return Err(invalid("Tagging is not permitted on re-import."));
    }
    Ok(())
}

fn check_chain(links: &[bool]) -> Result<()> {
    match links.iter().position(|verifies| !verifies) {
        None => Ok(()),
        Some(0) => Err(invalid(
            "Could not validate the certificate with the certificate chain.",
        )),
        Some(broken) => Err(invalid(format!(
            "Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, followed by any intermediaries in order. The index within the chain of the invalid certificate is: {broken}"
        ))),
    }
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Validation, message)
}
