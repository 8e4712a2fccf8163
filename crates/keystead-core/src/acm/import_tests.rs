//! What may be imported, table by table.

use super::import::{Evidence, check, check_replacement};
use super::*;
use crate::x509::{KeyUsageBit, Oid};
use jiff::Timestamp;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(secs).expect("in range")
}

fn facts() -> Facts {
    Facts {
        serial: "01".into(),
        subject: String::new(),
        common_name: None,
        issuer: "Example".into(),
        dns_names: vec!["a.example.com".into()],
        not_before: at(100),
        not_after: at(200),
        key_algorithm: KeyAlgorithm::Rsa2048,
        signature_algorithm: "SHA256WITHRSA".into(),
        key_usages: vec![KeyUsageBit::DigitalSignature],
        extended_key_usages: vec![Oid::new("1.3.6.1.5.5.7.3.1")],
        subject_name: Default::default(),
        issuer_name: Default::default(),
        other_names: Vec::new(),
    }
}

fn evidence(chain: Option<&[bool]>) -> Evidence {
    Evidence {
        key_matches: true,
        signatures_known: true,
        self_signed: false,
        chain: chain.map(<[bool]>::to_vec),
    }
}

fn text(result: Result<(), crate::Error>) -> String {
    result.err().map(|error| error.message).unwrap_or_default()
}

#[test]
fn validity_counts_to_the_second() {
    let chain = evidence(Some(&[true]));
    for (now, refusal) in [
        (99, "not in effect"),
        (100, ""),
        (200, ""),
        (201, "has expired"),
    ] {
        let message = text(check(&facts(), &chain, at(now)));
        assert!(
            message.contains(refusal) && message.is_empty() == refusal.is_empty(),
            "{now}: {message}"
        );
    }
}

#[test]
fn the_key_and_the_chain_must_belong_to_it() {
    let check = |evidence: &Evidence| text(check(&facts(), evidence, at(150)));
    assert_eq!(check(&evidence(Some(&[true, true]))), "");
    assert!(check(&evidence(None)).starts_with("Provided certificate is not a valid self signed."));
    let mut alone = evidence(None);
    alone.self_signed = true;
    assert_eq!(check(&alone), "");
    alone.key_matches = false;
    assert!(check(&alone).contains("private key does not match"));
    assert!(
        check(&evidence(Some(&[false, true]))).starts_with("Could not validate the certificate")
    );
    let broken = check(&evidence(Some(&[true, true, false])));
    assert!(
        broken.starts_with("Unable to validate certificate chain.") && broken.ends_with(": 2"),
        "{broken}"
    );
}

#[test]
fn an_empty_issuer_is_refused() {
    let mut nobody = facts();
    nobody.issuer.clear();
    assert!(text(check(&nobody, &evidence(Some(&[true])), at(150))).contains("issuer"));
}

#[test]
fn a_replacement_may_add_and_must_not_drop() {
    let old = facts();
    let with = |change: fn(&mut Facts)| {
        let mut new = facts();
        change(&mut new);
        check_replacement(&old, &new).is_ok()
    };
    assert!(with(|_| ()));
    assert!(with(|new| new.dns_names = vec!["other.example.org".into()]));
    assert!(with(|new| new
        .key_usages
        .push(KeyUsageBit::KeyEncipherment)));
    assert!(!with(|new| new.key_usages.clear()));
    assert!(!with(|new| new.extended_key_usages.clear()));
    assert!(!with(|new| new.dns_names.clear()));
    assert!(!with(|new| new.key_algorithm = KeyAlgorithm::Rsa4096));
}

#[test]
fn a_signature_of_an_unknown_kind_is_refused_by_that_name() {
    let mut unknown = evidence(Some(&[false]));
    unknown.signatures_known = false;
    let message = text(check(&facts(), &unknown, at(150)));
    assert!(message.contains("signed by an algorithm"), "{message}");
}
