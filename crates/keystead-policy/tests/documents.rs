//! Which documents are policies, and in which words the others are refused.

#![allow(clippy::unwrap_used, reason = "a test stops where it cannot go on")]

use keystead_policy::{Fault, Kind, Policy};

fn statement(inside: &str) -> String {
    format!(r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow",{inside}}}}}"#)
}

#[test]
fn a_key_that_stands_twice_is_refused_with_its_place() {
    let text = "{\n \"Version\": \"2012-10-17\",\n \"Statement\": [\n  {\"Effect\": \"Allow\", \"Effect\": \"Deny\"}\n ]\n}";
    let malformed = Policy::parse(text, Kind::Identity).unwrap_err();
    assert_eq!(malformed.fault, Fault::Syntax);
    assert_eq!(malformed.place, "Statement[0], line 4, column 3");
}

#[test]
fn an_identity_policy_names_no_principal_and_a_resource_policy_must() {
    let named = statement(r#""Principal":"*","Action":"kms:*","Resource":"*""#);
    let unnamed = statement(r#""Action":"kms:*","Resource":"*""#);
    let message = |text: &str, kind| Policy::parse(text, kind).unwrap_err().message;
    assert_eq!(
        message(&named, Kind::Identity),
        "Policy document should not specify a principal."
    );
    assert_eq!(
        message(&unnamed, Kind::Resource),
        "Missing required field Principal"
    );
    assert!(Policy::parse(&named, Kind::Resource).is_ok());
    assert!(Policy::parse(&unnamed, Kind::Identity).is_ok());
}
