//! Which documents are policies, and in which words the others are refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it cannot go on"
)]

use keystead_policy::{Fault, Kind, Policy};
use serde_json::Value;

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

/// The documents of a file, each as the text that a client sends.
fn recorded(file: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(file).unwrap();
    file["documents"].as_array().unwrap().clone()
}

#[test]
fn refusals_are_in_the_words_of_iam() {
    for case in recorded(include_str!("documents/refused.json")) {
        let text = case["document"].to_string();
        let malformed = Policy::parse(&text, Kind::Identity).expect_err(&text);
        assert_eq!(
            malformed.message,
            case["message"].as_str().unwrap(),
            "{text}"
        );
        assert!(malformed.place.contains("line 1, column"), "{malformed}");
    }
}

#[test]
fn what_iam_stores_is_accepted() {
    for document in recorded(include_str!("documents/accepted.json")) {
        let text = document.to_string();
        if let Err(malformed) = Policy::parse(&text, Kind::Identity) {
            panic!("{malformed}: {text}");
        }
    }
}
