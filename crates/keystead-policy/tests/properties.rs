//! What holds for every decision, whatever the policies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test stops where it cannot go on"
)]

use std::sync::Arc;

use keystead_policy::{
    Caller, CallerKind, Context, Decision, Grant, Kind, Outcome, Policies, Policy, Request, Rule,
    Source, decide,
};
use proptest::prelude::*;
use serde_json::{Value, json};

const ACCOUNTS: [&str; 2] = ["111122223333", "444455556666"];
const ACTIONS: [&str; 3] = ["kms:Encrypt", "kms:Decrypt", "s3:GetObject"];
const RESOURCES: [&str; 2] = [
    "arn:aws:kms:us-east-1:111122223333:key/a",
    "arn:aws:kms:us-east-1:111122223333:key/b",
];

/// The policies of a request, as statements.
#[derive(Clone, Debug, Default)]
struct Set {
    identity: Vec<Value>,
    boundary: Option<Vec<Value>>,
    session: Option<Vec<Value>>,
    resource: Option<Vec<Value>>,
}

#[derive(Clone, Debug)]
struct Asked {
    action: &'static str,
    resource: &'static str,
    account: &'static str,
    kind: u8,
    rule: bool,
    grant: bool,
    tagged: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let action = proptest::sample::select(&ACTIONS);
    let resource = proptest::sample::select(&RESOURCES);
    let account = proptest::sample::select(&ACCOUNTS);
    let rest = (0_u8..7, any::<bool>(), any::<bool>(), any::<bool>());
    (action, resource, account, rest).prop_map(
        |(action, resource, account, (kind, rule, grant, tagged))| Asked {
            action,
            resource,
            account,
            kind,
            rule,
            grant,
            tagged,
        },
    )
}

fn statement(effect: &'static str, principal: bool) -> impl Strategy<Value = Value> {
    let action = prop_oneof![
        Just(json!({"Action": "*"})),
        Just(json!({"Action": "kms:*"})),
        Just(json!({"Action": ["kms:Encrypt", "s3:Get*"]})),
        Just(json!({"NotAction": "kms:Decrypt"})),
    ];
    let resource = prop_oneof![
        Just(json!({"Resource": "*"})),
        Just(json!({"Resource": "arn:aws:kms:*:*:key/${aws:PrincipalTag/key}"})),
        Just(json!({"NotResource": RESOURCES[1]})),
    ];
    let condition = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({"Condition": {"StringEquals": {"aws:PrincipalTag/key": "a"}}})),
        1 => Just(json!({"Condition": {"StringNotLike": {"aws:PrincipalTag/key": "?"}}})),
    ];
    let names = prop_oneof![
        Just(json!("*")),
        Just(json!({"AWS": ACCOUNTS[0]})),
        Just(json!({"AWS": ACCOUNTS[1]})),
        Just(json!({"AWS": "arn:aws:iam::111122223333:user/bob"})),
        Just(json!({"AWS": "arn:aws:iam::111122223333:role/app"})),
        Just(json!({"AWS": "arn:aws:sts::444455556666:assumed-role/app/s"})),
        Just(json!({"Service": "ecs.amazonaws.com"})),
    ];
    (action, resource, condition, names).prop_map(move |(action, resource, condition, names)| {
        let mut whole = json!({"Effect": effect});
        let parts = [action, resource, condition];
        let fields = whole.as_object_mut().unwrap();
        for part in parts {
            fields.extend(part.as_object().unwrap().clone());
        }
        if principal {
            fields.insert("Principal".into(), names);
        }
        whole
    })
}

fn statements(principal: bool) -> impl Strategy<Value = Vec<Value>> {
    let one = prop_oneof![3 => statement("Allow", principal), 1 => statement("Deny", principal)];
    proptest::collection::vec(one, 1..4)
}

fn set() -> impl Strategy<Value = Set> {
    use proptest::option::of;
    let inner = (
        statements(false),
        of(statements(false)),
        of(statements(false)),
    );
    (inner, of(statements(true))).prop_map(|((identity, boundary, session), resource)| Set {
        identity,
        boundary,
        session,
        resource,
    })
}

/// Parses one policy for all statements, or one for each.
fn sources(statements: &[Value], kind: Kind, apart: bool) -> Vec<Source> {
    let size = if apart { 1 } else { statements.len().max(1) };
    let policies = statements.chunks(size).map(|statements| {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        Source {
            label: "p".to_owned(),
            policy: Arc::new(Policy::parse(&document, kind).unwrap()),
        }
    });
    policies.collect()
}

fn answer(asked: &Asked, set: &Set, apart: bool) -> Decision {
    let account = asked.account;
    let role_arn = format!("arn:aws:iam::{account}:role/app");
    let user_arn = format!("arn:aws:iam::{account}:user/bob");
    let (kind, arn) = match asked.kind {
        0 => (CallerKind::Root, format!("arn:aws:iam::{account}:root")),
        1 => (CallerKind::User, user_arn.clone()),
        2 => (
            CallerKind::Session {
                role_arn: &role_arn,
            },
            format!("arn:aws:sts::{account}:assumed-role/app/s"),
        ),
        3 => (
            CallerKind::FederatedUser {
                user_arn: &user_arn,
            },
            format!("arn:aws:sts::{account}:federated-user/bob"),
        ),
        4 => (CallerKind::Service("ecs.amazonaws.com"), String::new()),
        5 => (
            CallerKind::Federated {
                provider: "accounts.google.com",
            },
            String::new(),
        ),
        _ => (CallerKind::Anonymous, String::new()),
    };
    let mut context = Context::new();
    if asked.tagged {
        context.set("aws:PrincipalTag/key", "a");
    }
    let identity = sources(&set.identity, Kind::Identity, apart);
    let of = |statements: &Option<Vec<Value>>, kind| {
        statements
            .as_ref()
            .map(|statements| sources(statements, kind, false))
    };
    let boundary = of(&set.boundary, Kind::Identity);
    let session = set
        .session
        .as_ref()
        .map(|session| sources(session, Kind::Identity, apart));
    let resource = of(&set.resource, Kind::Resource);
    let request = Request {
        action: asked.action,
        resource: asked.resource,
        caller: Caller {
            account: if arn.is_empty() { "" } else { account },
            arn: &arn,
            kind,
        },
        context: &context,
    };
    let policies = Policies {
        identity: &identity,
        boundary: boundary.as_deref().and_then(<[Source]>::first),
        session: session.as_deref(),
        resource: resource.as_deref().and_then(<[Source]>::first),
        resource_account: ACCOUNTS[0],
        rule: if asked.rule {
            Rule::ResourceFirst
        } else {
            Rule::Usual
        },
        grant: asked.grant.then_some(Grant {
            id: "g",
            to_account: false,
        }),
    };
    decide(&request, &policies)
}

/// One of the places where a statement may stand.
fn place(set: &mut Set, at: u8) -> &mut Vec<Value> {
    match at {
        0 => &mut set.identity,
        1 => set.boundary.get_or_insert_default(),
        2 => set.session.get_or_insert_default(),
        _ => set.resource.get_or_insert_default(),
    }
}

proptest! {
    #[test]
    fn an_explicit_deny_wins_wherever_it_stands(asked in asked(), mut set in set(), at in 0_u8..4) {
        let mut deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        if at == 3 {
            deny["Principal"] = json!("*");
        }
        place(&mut set, at).push(deny);
        prop_assert_eq!(answer(&asked, &set, false).outcome(), Outcome::ExplicitDeny);
    }

    #[test]
    fn another_allow_takes_nothing_away(
        asked in asked(),
        mut set in set(),
        at in 0_u8..4,
        more in statement("Allow", true),
    ) {
        let before = answer(&asked, &set, false).is_allowed();
        // A boundary or session policy that is new is a limit, not an allow.
        prop_assume!(at == 0 || at == 3 || (at == 1 && set.boundary.is_some()) || (at == 2 && set.session.is_some()));
        let mut more = more;
        if at != 3 {
            more.as_object_mut().unwrap().remove("Principal");
        }
        place(&mut set, at).push(more);
        prop_assert!(!before || answer(&asked, &set, false).is_allowed());
    }

    #[test]
    fn order_and_division_into_policies_do_not_matter(asked in asked(), set in set()) {
        let mut reversed = set.clone();
        for at in 0..4 {
            let there = [true, set.boundary.is_some(), set.session.is_some(), set.resource.is_some()];
            if there[usize::from(at)] {
                place(&mut reversed, at).reverse();
            }
        }
        let outcome = answer(&asked, &set, false).outcome();
        prop_assert_eq!(answer(&asked, &reversed, false).outcome(), outcome);
        prop_assert_eq!(answer(&asked, &set, true).outcome(), outcome);
    }

    #[test]
    fn without_an_allow_only_the_owner_gets_in(asked in asked(), mut set in set()) {
        for at in 0..4 {
            place(&mut set, at).retain(|statement| statement["Effect"] == "Deny");
        }
        // A policy has at least one statement.
        for at in 0..4 {
            let mut deny = json!({"Effect": "Deny", "Action": "x:y", "Resource": "*"});
            if at == 3 {
                deny["Principal"] = json!("*");
            }
            place(&mut set, at).push(deny);
        }
        set.boundary = None;
        set.session = None;
        let allowed = answer(&asked, &set, false).is_allowed();
        let owner = asked.kind == 0 && asked.account == ACCOUNTS[0] && !asked.rule;
        prop_assert!(!allowed || owner || asked.grant);
    }

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,200}") {
        let _ = Policy::parse(&text, Kind::Identity);
    }

    #[test]
    fn any_json_is_parsed_or_refused(document in shaped()) {
        for kind in [Kind::Identity, Kind::Resource, Kind::Trust] {
            if let Err(malformed) = Policy::parse(&document.to_string(), kind) {
                prop_assert!(!malformed.message.is_empty() && !malformed.place.is_empty());
            }
        }
    }
}

/// JSON that has the elements of a policy in likely and unlikely places.
fn shaped() -> impl Strategy<Value = Value> {
    let word = proptest::sample::select(vec![
        "Allow",
        "Deny",
        "*",
        "",
        "kms:*",
        "arn:aws:kms:*:*:key/${aws:username",
        "2012-10-17",
        "é:ü",
        "arn:aws:iam::111122223333:root",
        "2020-01-01T00:00:00Z",
        "${",
        "::::::",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    let key = proptest::sample::select(vec![
        "Version",
        "Id",
        "Statement",
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
        "AWS",
        "StringLike",
        "DateLessThan",
        "ForAllValues:Null",
        "aws:username",
    ]);
    leaf.prop_recursive(5, 60, 8, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..8).prop_map(|members| {
                members
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            }),
        ]
    })
}
