//! What a CA is asked for, and the last look before its answer becomes the certificate that is served.

use jiff::Timestamp;

use crate::acm::certificate::Certificate;
use crate::acm::facts::Facts;
use crate::x509::{GeneralName, Name, NameAttribute, Oid};

/// Subject and alternative names of a certificate for these names: the first one is the subject's
/// common name, all of them are alternative names.
pub fn request(names: &[String]) -> (Name, Vec<GeneralName>) {
    let common_name = names.iter().take(1).map(|name| NameAttribute {
        oid: Oid::new("2.5.4.3"),
        value: name.clone(),
    });
    let subject = Name {
        attributes: common_name.collect(),
    };
    (
        subject,
        names.iter().cloned().map(GeneralName::Dns).collect(),
    )
}

/// What the caller found out by cryptography about the CA's answer.
#[derive(Clone, Copy, Debug)]
pub struct Evidence {
    /// The certificate is for the key of the version under way.
    pub key_matches: bool,
    /// The first certificate of the chain signed it, and each next one the one before.
    pub chain_verifies: bool,
}

/// Whether `facts` are what `certificate` asks for; if not, in what they differ.
pub fn check(
    certificate: &Certificate,
    facts: &Facts,
    evidence: Evidence,
    now: Timestamp,
) -> Result<(), &'static str> {
    let mut asked: Vec<_> = certificate.names.iter().collect();
    let mut answered: Vec<_> = facts.dns_names.iter().collect();
    asked.sort_unstable();
    answered.sort_unstable();
    let shorter_lived = certificate
        .current
        .as_ref()
        .is_some_and(|current| facts.not_after < current.facts.not_after);
    if !evidence.key_matches {
        Err("the certificate is for another key")
    } else if !evidence.chain_verifies {
        Err("the chain does not verify the certificate")
    } else if facts.common_name.as_ref() != Some(&certificate.domain_name) || asked != answered {
        Err("the certificate has other names")
    } else if facts.key_algorithm != certificate.key_algorithm {
        Err("the certificate has another kind of key")
    } else if now < facts.not_before || now > facts.not_after {
        Err("the certificate is not valid now")
    } else if shorter_lived {
        Err("the certificate ends earlier than the one it is to replace")
    } else {
        Ok(())
    }
}
