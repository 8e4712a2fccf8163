//! Any text as a policy of every kind; what parses decides a few requests, explained and not.
#![no_main]

use std::sync::Arc;

use keystead_policy::{
    Caller, CallerKind, Context, Kind, Policies, Policy, Request, Rule, Source, decide, explain,
    size,
};
use libfuzzer_sys::fuzz_target;

const ACCOUNT: &str = "111122223333";
const CALLERS: [(&str, CallerKind<'_>); 6] = [
    ("arn:aws:iam::111122223333:root", CallerKind::Root),
    ("arn:aws:iam::111122223333:user/bob", CallerKind::User),
    (
        "arn:aws:sts::444455556666:assumed-role/app/s",
        CallerKind::Session {
            role_arn: "arn:aws:iam::444455556666:role/app",
        },
    ),
    ("", CallerKind::Service("ecs.amazonaws.com")),
    (
        "",
        CallerKind::Federated {
            provider: "accounts.google.com",
        },
    ),
    ("", CallerKind::Anonymous),
];

fuzz_target!(|text: &str| {
    let _ = size(text);
    for kind in [Kind::Identity, Kind::Resource, Kind::Trust] {
        if let Ok(policy) = Policy::parse(text, kind) {
            let _ = policy.is_public();
            let source = Source {
                label: "fuzzed".to_owned(),
                policy: Arc::new(policy),
            };
            ask(&source);
        }
    }
});

fn ask(source: &Source) {
    let mut context = Context::new();
    context.set("aws:username", "bob");
    // Whatever the policy looks at is there, now with one value, now with several.
    for (at, key) in source.policy.context_keys().enumerate() {
        match at % 3 {
            0 => context.set(key.to_owned(), "203.0.113.7"),
            1 => context.set_all(key.to_owned(), vec!["1".to_owned(), String::new()]),
            _ => {}
        }
    }
    let sources = std::slice::from_ref(source);
    for (arn, kind) in CALLERS {
        let request = Request {
            action: "kms:Decrypt",
            resource: "arn:aws:kms:us-east-1:111122223333:key/k",
            caller: Caller {
                account: arn.split(':').nth(4).unwrap_or_default(),
                arn,
                kind,
            },
            context: &context,
        };
        let policies = Policies {
            identity: sources,
            boundary: Some(source),
            session: Some(sources),
            resource: Some(source),
            resource_account: ACCOUNT,
            rule: Rule::ResourceFirst,
            grant: None,
        };
        let decision = decide(&request, &policies);
        let explanation = explain(&request, &policies);
        assert_eq!(explanation.decision, decision);
        assert_eq!(explanation.remedies().is_empty(), decision.is_allowed());
    }
}
