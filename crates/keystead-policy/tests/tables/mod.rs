//! Reads the tables under `cases/`.

use std::sync::Arc;

use keystead_policy::{
    Caller, CallerKind, Cause, Context, Decision, Grant, Ground, Kind, Match, Policies, Policy,
    PolicyType, Request, Rule, Source,
};
use serde_json::Value;

const FILES: &[&str] = &[
    include_str!("../cases/actions-and-resources.json"),
    include_str!("../cases/boundaries-and-sessions.json"),
    include_str!("../cases/condition-logic.json"),
    include_str!("../cases/condition-operators.json"),
    include_str!("../cases/condition-sets.json"),
    include_str!("../cases/cross-account.json"),
    include_str!("../cases/examples.json"),
    include_str!("../cases/kms.json"),
    include_str!("../cases/principals.json"),
    include_str!("../cases/same-account.json"),
    include_str!("../cases/trust.json"),
    include_str!("../cases/variables.json"),
];

/// One line of a table.
#[derive(Debug)]
pub(crate) struct Case {
    /// The page of the documentation.
    pub(crate) source: String,
    /// What the case shows.
    pub(crate) name: String,
    /// The simulator's word for the outcome.
    pub(crate) decision: String,
    /// What decides.
    pub(crate) by: String,
    /// The policies of each type.
    pub(crate) identity: Vec<Source>,
    boundary: Option<Source>,
    session: Option<Vec<Source>>,
    resource: Option<Source>,
    context: Context,
    line: Value,
}

/// Every case of every table.
pub(crate) fn cases() -> Vec<Case> {
    let read = |file: &&str| {
        let file: Value = serde_json::from_str(file).unwrap();
        let cases = file["cases"].as_array().unwrap().clone();
        cases
            .into_iter()
            .map(move |line| Case::read(line, &file))
            .collect::<Vec<_>>()
    };
    FILES.iter().flat_map(read).collect()
}

impl Case {
    fn read(line: Value, file: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let policies = &line["policies"];
        let parse = |label: &str, kind, document: &Value| {
            // A document is written out, or the name of one that several cases share.
            let document = match document.as_str() {
                Some(name) => &file["documents"][name],
                None => document,
            };
            let policy = Policy::parse(&document.to_string(), kind);
            Source {
                label: label.to_owned(),
                policy: Arc::new(policy.unwrap_or_else(|error| panic!("{error}: {document}"))),
            }
        };
        let list = |name: &str| {
            let documents = policies.get(name)?.as_array().unwrap();
            let sources = documents
                .iter()
                .map(|document| parse(name, Kind::Identity, document));
            Some(sources.collect::<Vec<_>>())
        };
        let one = |name: &str, kind| Some(parse(name, kind, policies.get(name)?));
        let mut context = Context::new();
        for (key, value) in line["context"].as_object().into_iter().flatten() {
            match value.as_array() {
                None => context.set(key.clone(), text(value)),
                Some(values) => context.set_all(key.clone(), values.iter().map(text).collect()),
            }
        }
        Self {
            source: text(&file["source"]),
            name: text(&line["name"]),
            decision: text(&line["decision"]),
            by: text(&line["by"]),
            identity: list("identity").unwrap_or_default(),
            boundary: one("boundary", Kind::Identity),
            session: list("session"),
            resource: one("resource", Kind::Resource).or_else(|| one("trust", Kind::Trust)),
            context,
            line,
        }
    }

    /// Puts the case's request and policies to a function.
    pub(crate) fn ask<T>(&self, ask: impl Fn(&Request<'_>, &Policies<'_>) -> T) -> T {
        let word = |key: &str| self.line[key].as_str();
        let caller = word("caller").unwrap();
        let account = caller.split(':').nth(4).unwrap_or_default();
        let name = caller.split('/').nth(1).unwrap_or_default();
        let behind = |word: Option<&str>, kind: &str| {
            let default = format!("arn:aws:iam::{account}:{kind}/{name}");
            word.map_or(default, ToOwned::to_owned)
        };
        let (role_arn, user_arn) = (behind(word("role"), "role"), behind(word("user"), "user"));
        let kind = match caller {
            "anonymous" => CallerKind::Anonymous,
            _ if caller.starts_with("service:") => {
                CallerKind::Service(caller.trim_start_matches("service:"))
            }
            _ if caller.starts_with("federated:") => CallerKind::Federated {
                provider: caller.trim_start_matches("federated:"),
            },
            _ if caller.ends_with(":root") => CallerKind::Root,
            _ if caller.contains(":assumed-role/") => CallerKind::Session {
                role_arn: &role_arn,
            },
            _ if caller.contains(":federated-user/") => CallerKind::FederatedUser {
                user_arn: &user_arn,
            },
            _ => CallerKind::User,
        };
        let signed = caller.starts_with("arn:");
        let resource = word("resource").unwrap();
        let owner = resource
            .split(':')
            .nth(4)
            .filter(|account| account.len() == 12);
        let owner = word("owner").or(owner).unwrap_or(account);
        let request = Request {
            action: word("action").unwrap(),
            resource,
            caller: Caller {
                account: if signed { account } else { "" },
                arn: if signed { caller } else { "" },
                kind,
            },
            context: &self.context,
        };
        let policies = Policies {
            identity: &self.identity,
            boundary: self.boundary.as_ref(),
            session: self.session.as_deref(),
            resource: self.resource.as_ref(),
            resource_account: owner,
            rule: match word("rule") {
                Some("resource-first") => Rule::ResourceFirst,
                _ => Rule::Usual,
            },
            grant: word("grant").map(|id| Grant {
                id,
                to_account: word("grantee") == Some("account"),
            }),
        };
        ask(&request, &policies)
    }
}

/// What decided, in the words of the tables.
pub(crate) fn by(decision: &Decision) -> String {
    match decision {
        Decision::Allow(Ground::Root) => "root".to_owned(),
        Decision::Allow(Ground::Grant(id)) => format!("grant {id}"),
        Decision::Allow(Ground::Statements(statements)) => statements
            .iter()
            .map(statement)
            .collect::<Vec<_>>()
            .join(" + "),
        Decision::Deny(reason) => match &reason.cause {
            Cause::Denied(denial) => statement(denial),
            Cause::NotAllowed(policy_type) => format!("no {}", word(*policy_type)),
        },
    }
}

fn statement(found: &Match) -> String {
    let number = (found.index + 1).to_string();
    let name = found.sid.as_deref().unwrap_or(&number);
    format!("{} {name}", word(found.policy_type))
}

fn word(policy_type: PolicyType) -> &'static str {
    match policy_type {
        PolicyType::Identity => "identity",
        PolicyType::Boundary => "boundary",
        PolicyType::Session => "session",
        PolicyType::Resource => "resource",
        PolicyType::Trust => "trust",
    }
}
