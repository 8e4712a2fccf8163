//! Which documents are policies, and in which words the others are refused.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it cannot go on"
)]

use std::sync::Arc;

use keystead_policy::{
    Caller, CallerKind, Context, Fault, Kind, Policies, Policy, Request, Rule, Source, decide,
};
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

#[test]
fn a_statement_of_a_key_policy_that_lacks_an_element_has_no_effect() {
    let decided = |element: &str| {
        let text = statement(&format!(r#""Principal":"*",{element}"#));
        let policy = Policy::parse(&text, Kind::Key).expect(&text);
        let source = Source {
            label: "key".into(),
            policy: Arc::new(policy),
        };
        let context = Context::new();
        let request = Request {
            action: "kms:Encrypt",
            resource: "arn:aws:kms:us-east-1:111122223333:key/1",
            caller: Caller {
                account: "111122223333",
                arn: "arn:aws:iam::111122223333:user/bob",
                kind: CallerKind::User,
            },
            context: &context,
        };
        let policies = Policies {
            identity: &[],
            boundary: None,
            session: None,
            resource: Some(&source),
            resource_account: "111122223333",
            rule: Rule::ResourceFirst,
            grant: None,
        };
        decide(&request, &policies).is_allowed()
    };
    assert!(decided(r#""Action":"kms:*","Resource":"*""#));
    for lacking in [
        r#""Action":"kms:*""#,
        r#""Resource":"*""#,
        r#""Action":[],"Resource":"*""#,
        r#""Action":"kms:*","Resource":[]"#,
        r#""NotAction":[],"Resource":"*""#,
        r#""Action":"kms:*","NotResource":[]"#,
    ] {
        assert!(!decided(lacking), "{lacking}");
    }
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
