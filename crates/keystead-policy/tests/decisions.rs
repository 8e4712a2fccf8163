//! Every decision of the tables under `cases/`, with the statement that decides it.
//!
//! A table is gathered from one page of AWS's documentation, which it names. A caller is written as its ARN; `by` says what
//! decides: `identity Sid` or `identity 1` (the first statement), two of them across accounts, `no identity` where none
//! allows, `root` or `grant ID`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test stops where it cannot go on"
)]

mod tables;

use keystead_policy::{decide, explain};
use tables::{Case, by, cases};

#[test]
fn every_documented_case_is_decided_as_documented() {
    let mut wrong = Vec::new();
    for case in cases() {
        let decision = case.ask(decide);
        let found = (decision.outcome().as_str().to_owned(), by(&decision));
        if found != (case.decision.clone(), case.by.clone()) {
            let Case { source, name, .. } = &case;
            let (decision, by) = (&case.decision, &case.by);
            wrong.push(format!(
                "{source}: {name}: expected {decision} by {by}, found {found:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_tables_are_as_large_as_promised() {
    assert!(cases().len() >= 300);
}

#[test]
fn an_explanation_decides_the_same_and_names_what_decided() {
    for case in cases() {
        let decision = case.ask(decide);
        let explanation = case.ask(explain);
        assert_eq!(explanation.decision, decision, "{}", case.name);
        let named = by(&decision);
        let by_statement =
            named != "root" && !named.starts_with("grant") && !named.starts_with("no ");
        assert!(
            !by_statement || !explanation.matched.is_empty(),
            "{}",
            case.name
        );
        assert_eq!(
            explanation.remedies().is_empty(),
            decision.is_allowed(),
            "{}",
            case.name
        );
    }
}
