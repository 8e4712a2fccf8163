//! What a decision costs, on one thread, beside the least that it could cost: comparing the action with every action
//! that the policies name, in the same moment (this machine's cores drift).
//!
//! `cargo bench -p keystead-policy`

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark says what it measures, and stops where it cannot"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_policy::{
    Caller, CallerKind, Context, Kind, Policies, Policy, Request, Rule, Source, decide, explain,
};
use serde_json::{Value, json};

/// How long each step is repeated.
const EACH: Duration = Duration::from_millis(300);
/// Steps in a batch.
const BATCH: u32 = 256;
/// A set that people have: so many policies of so many statements (the quotas are 10 managed policies a role).
const POLICIES: usize = 10;
const STATEMENTS: usize = 5;
const SERVICES: [&str; 6] = [
    "kms",
    "secretsmanager",
    "acm",
    "acm-pca",
    "rolesanywhere",
    "sts",
];
const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";

fn main() {
    let documents: Vec<String> = (0..POLICIES).map(|at| document(at).to_string()).collect();
    let named: Vec<String> = documents.iter().flat_map(|text| actions(text)).collect();
    let report = |what: &str, each: Duration| {
        report(what, each, measured(|| least(&named, "kms:decrypt")));
    };
    decisions(&documents, &report);
    report("Context of 14 keys", measured(context));
    let text = documents.first().unwrap();
    let parse = || Policy::parse(text, Kind::Identity).unwrap();
    report("Policy::parse of 5 statements", measured(parse));
}

fn decisions(documents: &[String], report: &dyn Fn(&str, Duration)) {
    let identity: Vec<Source> = documents
        .iter()
        .map(|text| source(text, Kind::Identity))
        .collect();
    let full = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    let full = json!({"Version": "2012-10-17", "Statement": full}).to_string();
    let limit = source(&full, Kind::Identity);
    let own = json!({"Effect": "Allow", "Principal": {"AWS": "111122223333"}, "Action": "kms:*", "Resource": "*"});
    let own = json!({"Version": "2012-10-17", "Statement": own}).to_string();
    let key_policy = source(&own, Kind::Resource);
    let context = context();
    let request = |action| Request {
        action,
        resource: KEY,
        caller: Caller {
            account: "111122223333",
            arn: "arn:aws:sts::111122223333:assumed-role/app/i-0123456789abcdef0",
            kind: CallerKind::Session {
                role_arn: "arn:aws:iam::111122223333:role/app",
            },
        },
        context: &context,
    };
    let usual = Policies {
        identity: &identity,
        boundary: None,
        session: None,
        resource: None,
        resource_account: "111122223333",
        rule: Rule::Usual,
        grant: None,
    };
    let session = [limit.clone()];
    let every = Policies {
        boundary: Some(&limit),
        session: Some(&session),
        resource: Some(&key_policy),
        rule: Rule::ResourceFirst,
        ..usual
    };
    for (what, action, policies, allowed) in [
        ("allowed, 10 policies of 5", "kms:Decrypt", &usual, true),
        ("refused, 10 policies of 5", "kms:CreateKey", &usual, false),
        ("a service no policy names", "s3:GetObject", &usual, false),
        (
            "with boundary, session and key policy",
            "kms:Decrypt",
            &every,
            true,
        ),
    ] {
        assert_eq!(decide(&request(action), policies).is_allowed(), allowed);
        report(what, measured(|| decide(&request(action), policies)));
    }
    let explained = || explain(&request("kms:CreateKey"), &usual);
    report("explain, refused", measured(explained));
}

/// A policy of the set: five statements of several actions, two of them with conditions and variables.
fn document(at: usize) -> Value {
    let statement = |number: usize| {
        let service = SERVICES.iter().cycle().nth(at + number).unwrap();
        let actions = [
            format!("{service}:Get*"),
            format!("{service}:List*"),
            format!("{service}:Describe*"),
            format!("{service}:Decrypt"),
        ];
        let mut statement = json!({
            "Sid": format!("S{number}"),
            "Effect": "Allow",
            "Action": actions,
            "Resource": format!("arn:aws:{service}:*:111122223333:*"),
        });
        match number {
            3 => {
                statement["Condition"] = json!({
                    "StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"},
                    "IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "2001:db8::/32"]},
                });
            }
            4 => {
                statement["Effect"] = json!("Deny");
                statement["Condition"] = json!({"Bool": {"aws:SecureTransport": "false"}});
            }
            _ => {}
        }
        statement
    };
    let statements: Vec<Value> = (0..STATEMENTS).map(statement).collect();
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn source(text: &str, kind: Kind) -> Source {
    Source {
        label: "arn:aws:iam::111122223333:policy/p".to_owned(),
        policy: Arc::new(Policy::parse(text, kind).unwrap()),
    }
}

/// What a signed request brings along.
fn context() -> Context {
    let mut context = Context::new();
    for (key, value) in [
        ("aws:PrincipalArn", "arn:aws:iam::111122223333:role/app"),
        ("aws:PrincipalAccount", "111122223333"),
        ("aws:PrincipalType", "AssumedRole"),
        ("aws:userid", "AROAIOSFODNN7EXAMPLE:i-0123456789abcdef0"),
        ("aws:SourceIp", "203.0.113.7"),
        ("aws:CurrentTime", "2026-01-01T00:00:00Z"),
        ("aws:EpochTime", "1767225600"),
        ("aws:SecureTransport", "true"),
        ("aws:RequestedRegion", "us-east-1"),
        ("aws:TokenIssueTime", "2026-01-01T00:00:00Z"),
        ("aws:UserAgent", "aws-cli/2.31"),
        ("aws:ViaAWSService", "false"),
        ("aws:PrincipalTag/team", "red"),
        ("aws:ResourceTag/team", "red"),
    ] {
        context.set(key, value);
    }
    context
}

/// Every action that a document names, in lower case.
fn actions(text: &str) -> Vec<String> {
    let document: Value = serde_json::from_str(text).unwrap();
    let statements = document["Statement"].as_array().unwrap().clone();
    let listed = statements
        .iter()
        .flat_map(|statement| statement["Action"].as_array().unwrap());
    listed
        .map(|action| action.as_str().unwrap().to_ascii_lowercase())
        .collect()
}

fn least(named: &[String], action: &str) -> usize {
    let action = black_box(action);
    named.iter().filter(|name| name.as_str() == action).count()
}

/// The time of one step, in the best of many short batches: what others do to the machine at the same time only ever
/// adds.
fn measured<T>(mut step: impl FnMut() -> T) -> Duration {
    let mut best = Duration::MAX;
    let until = Instant::now() + EACH;
    while Instant::now() < until {
        let started = Instant::now();
        for _ in 0..BATCH {
            black_box(step());
        }
        best = best.min(started.elapsed() / BATCH);
    }
    best
}

fn report(what: &str, each: Duration, least: Duration) {
    println!(
        "{what:38} {:>9.3} us = {:>7.1} x the {:.3} us of comparing every action",
        each.as_secs_f64() * 1e6,
        each.as_secs_f64() / least.as_secs_f64(),
        least.as_secs_f64() * 1e6,
    );
}
