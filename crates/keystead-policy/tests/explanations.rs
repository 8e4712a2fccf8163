//! What a refusal says, and what the policy simulator needs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test stops where it cannot go on"
)]

use std::sync::Arc;

use keystead_policy::{
    Caller, CallerKind, Context, Decision, Explanation, Kind, Policies, Policy, Position, Request,
    Rule, Source, explain, size,
};

const ALICE: Caller<'_> = Caller {
    account: "111122223333",
    arn: "arn:aws:iam::111122223333:user/alice",
    kind: CallerKind::User,
};

fn source(label: &str, kind: Kind, text: &str) -> Source {
    Source {
        label: label.to_owned(),
        policy: Arc::new(Policy::parse(text, kind).expect(text)),
    }
}

/// A policy of one statement that does something to every resource.
fn all(label: &str, kind: Kind, effect: &str, action: &str) -> Source {
    let rest = match kind {
        Kind::Identity => r#""Resource":"*""#,
        Kind::Resource | Kind::Key => r#""Resource":"*","Principal":"*""#,
        Kind::Trust => r#""Principal":{"AWS":"*"}"#,
    };
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"{effect}","Action":"{action}",{rest}}}}}"#
    );
    source(label, kind, &text)
}

#[derive(Default)]
struct Given {
    identity: Vec<Source>,
    boundary: Option<Source>,
    session: Option<Vec<Source>>,
    resource: Option<Source>,
    first: bool,
    context: Context,
}

fn explained(action: &str, given: &Given) -> Explanation {
    let request = Request {
        action,
        resource: "*",
        caller: ALICE,
        context: &given.context,
    };
    let policies = Policies {
        identity: &given.identity,
        boundary: given.boundary.as_ref(),
        session: given.session.as_deref(),
        resource: given.resource.as_ref(),
        resource_account: "111122223333",
        rule: if given.first {
            Rule::ResourceFirst
        } else {
            Rule::Usual
        },
        grant: None,
    };
    explain(&request, &policies)
}

fn reason(action: &str, given: &Given) -> String {
    match explained(action, given).decision {
        Decision::Deny(reason) => reason.to_string(),
        Decision::Allow(ground) => format!("{ground:?}"),
    }
}

/// IAM user guide, "Troubleshoot access denied error messages".
#[test]
fn refusals_speak_aws_words() {
    let full = || all("Full", Kind::Identity, "Allow", "*");
    let deny = |kind| all("No", kind, "Deny", "kms:*");
    let other = |kind| all("Other", kind, "Allow", "s3:*");
    let allowed = || Given {
        identity: vec![full()],
        ..Given::default()
    };
    let trust = |effect| Given {
        resource: Some(all("Trust", Kind::Trust, effect, "sts:TagSession")),
        first: true,
        ..Given::default()
    };
    let decrypt = [
        (
            "because no identity-based policy allows the kms:Decrypt action",
            Given::default(),
        ),
        (
            "with an explicit deny in an identity-based policy",
            Given {
                identity: vec![full(), deny(Kind::Identity)],
                ..Given::default()
            },
        ),
        (
            "because no permissions boundary allows the kms:Decrypt action",
            Given {
                boundary: Some(other(Kind::Identity)),
                ..allowed()
            },
        ),
        (
            "with an explicit deny in a permissions boundary",
            Given {
                boundary: Some(deny(Kind::Identity)),
                ..allowed()
            },
        ),
        (
            "because no session policy allows the kms:Decrypt action",
            Given {
                session: Some(vec![other(Kind::Identity)]),
                ..allowed()
            },
        ),
        (
            "with an explicit deny in a session policy",
            Given {
                session: Some(vec![deny(Kind::Identity)]),
                ..allowed()
            },
        ),
        (
            "because no resource-based policy allows the kms:Decrypt action",
            Given {
                resource: Some(other(Kind::Resource)),
                first: true,
                ..allowed()
            },
        ),
        (
            "with an explicit deny in a resource-based policy",
            Given {
                resource: Some(deny(Kind::Resource)),
                ..allowed()
            },
        ),
    ];
    for (words, given) in decrypt {
        assert_eq!(reason("kms:Decrypt", &given), words);
    }
    assert_eq!(
        reason("sts:AssumeRole", &trust("Allow")),
        "because the role trust policy does not allow the sts:AssumeRole action"
    );
    assert_eq!(
        reason("sts:TagSession", &trust("Deny")),
        "with an explicit deny in the role trust policy"
    );
}

#[test]
fn a_refusal_says_what_would_have_allowed_it() {
    let text = r#"{"Version":"2012-10-17","Statement":[
        {"Sid":"Team","Effect":"Allow","Action":"kms:Decrypt","Resource":"*",
         "Condition":{"StringEquals":{"aws:PrincipalTag/team":"red"},"Bool":{"aws:SecureTransport":"true"}}},
        {"Effect":"Allow","Action":"kms:Encrypt","Resource":"*"}]}"#;
    let mut given = Given {
        identity: vec![source("inline Keys of user/alice", Kind::Identity, text)],
        ..Given::default()
    };
    given.context.set("aws:SecureTransport", "true");
    assert_eq!(
        explained("kms:Decrypt", &given).remedies(),
        [
            "allow kms:Decrypt on this resource in an identity-based policy",
            "statement Team of an identity-based policy inline Keys of user/alice would allow it if \
             StringEquals aws:PrincipalTag/team held",
        ]
    );
    given
        .identity
        .push(all("Stop", Kind::Identity, "Deny", "*"));
    assert_eq!(
        explained("kms:Encrypt", &given).remedies(),
        ["remove or narrow statement 1 of an identity-based policy Stop"]
    );
}

/// AWS CLI reference, simulate-custom-policy, example 1.
#[test]
fn a_statement_outside_a_list_begins_inside_its_brace() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"dynamodb:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2018-08-16T12:00:00Z"}}}}"#;
    let mut given = Given {
        identity: vec![source("PolicyInputList.1", Kind::Identity, text)],
        ..Given::default()
    };
    given.context.set("aws:CurrentTime", "2019-04-25T11:00:00Z");
    let explanation = explained("dynamodb:CreateBackup", &given);
    let [matched] = explanation.matched.as_slice() else {
        unreachable!("{explanation:?}");
    };
    let column = |column| Position { line: 1, column };
    assert_eq!((matched.start, matched.end), (column(38), column(167)));
    assert_eq!(matched.statement.label, "PolicyInputList.1");
    assert!(explanation.missing_keys.is_empty());
}

/// What SimulatePrincipalPolicy was seen to answer for AdministratorAccess: from (3, 17) to (8, 6).
#[test]
fn a_statement_in_a_list_begins_after_what_precedes_it() {
    let text = "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [\n    {\n      \"Effect\": \"Allow\",\n      \
                \"Action\": \"*\",\n      \"Resource\": \"*\"\n    },\n    {\"Effect\": \"Allow\", \"Action\": \"a:b\", \"Resource\": \"*\"}\n  ]\n}";
    let given = Given {
        identity: vec![source("AdministratorAccess", Kind::Identity, text)],
        ..Given::default()
    };
    let matched = explained("a:b", &given).matched;
    let span = |at: usize| {
        let (start, end) = (matched[at].start, matched[at].end);
        ((start.line, start.column), (end.line, end.column))
    };
    assert_eq!(span(0), ((3, 17), (8, 6)));
    assert_eq!(span(1), ((8, 6), (9, 58)));
}

#[test]
fn the_simulator_learns_what_is_missing_and_what_the_boundary_says() {
    let text = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b/${aws:username}/${AWS:UserName}","Condition":{"StringEquals":{"s3:prefix":"${aws:PrincipalTag/team}"}}}}"#;
    let given = Given {
        identity: vec![source("p", Kind::Identity, text)],
        boundary: Some(all("b", Kind::Identity, "Allow", "s3:*")),
        ..Given::default()
    };
    let explanation = explained("s3:GetObject", &given);
    let keys = ["s3:prefix", "aws:PrincipalTag/team", "aws:username"];
    assert_eq!(explanation.missing_keys, keys);
    assert!(given.identity[0].policy.context_keys().eq(keys));
    assert_eq!(explanation.boundary_allows, Some(true));
    assert_eq!(
        explained("kms:Decrypt", &given).boundary_allows,
        Some(false)
    );
}

#[test]
fn quotas_count_without_white_space() {
    assert_eq!(size("{ \"a\":\n\t\"é b\" }"), 10);
}

#[test]
fn a_policy_is_public_when_no_condition_narrows_everyone() {
    let public = |text: &str| Policy::parse(text, Kind::Resource).expect(text).is_public();
    let with = |principal: &str, effect: &str, condition: &str| {
        format!(
            r#"{{"Statement":{{"Effect":"{effect}","Principal":{principal},"Action":"kms:*","Resource":"*","Condition":{{{condition}}}}}}}"#
        )
    };
    assert!(public(&with(r#""*""#, "Allow", "")));
    assert!(public(&with(
        r#"{"AWS":["111122223333","*"]}"#,
        "Allow",
        ""
    )));
    assert!(!public(&with(r#""*""#, "Deny", "")));
    assert!(!public(&with(r#"{"AWS":"111122223333"}"#, "Allow", "")));
    for narrow in [
        r#""StringEquals":{"aws:SourceVpc":"vpc-1"}"#,
        r#""StringLike":{"AWS:principalorgid":["o-1","o-2"]}"#,
        r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/*"}"#,
        r#""IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8::/32"]}"#,
        r#""Bool":{"aws:SecureTransport":"true"},"StringEquals":{"kms:CallerAccount":"111122223333"}"#,
    ] {
        assert!(!public(&with(r#""*""#, "Allow", narrow)), "{narrow}");
    }
    for wide in [
        r#""Bool":{"aws:SecureTransport":"true"}"#,
        r#""StringNotEquals":{"aws:SourceVpc":"vpc-1"}"#,
        r#""StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}"#,
        r#""ForAllValues:StringEquals":{"aws:SourceVpc":"vpc-1"}"#,
        r#""StringLike":{"aws:PrincipalOrgID":"o-*"}"#,
        r#""ArnLike":{"aws:PrincipalArn":"arn:aws:iam::*:role/admin"}"#,
        r#""IpAddress":{"aws:SourceIp":["192.0.2.0/24","0.0.0.0/1"]}"#,
    ] {
        assert!(public(&with(r#""*""#, "Allow", wide)), "{wide}");
    }
}
