//! Resource policies of an authority: which are accepted (PutPolicy).
//!
//! User guide, "Resource-based policies": a policy allows other accounts to use the authority, by
//! actions of a fixed set, on the authority itself. What it allows is decided like every other policy's.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::arn::AccountId;
use crate::error::{Error, ErrorKind, Result};

/// Accepts the policy `text` for the authority `arn`; refuses with [`ErrorKind::InvalidPolicy`].
pub fn check(text: &str, arn: &str) -> Result<()> {
    let document: Value =
        serde_json::from_str(text).map_err(|fault| refused(&format!("it is not JSON: {fault}")))?;
    let document = document
        .as_object()
        .ok_or_else(|| refused("it is not an object"))?;
    if let Some(version) = document.get("Version")
        && !matches!(version.as_str(), Some("2012-10-17" | "2008-10-17"))
    {
        return Err(refused("its Version is neither 2012-10-17 nor 2008-10-17"));
    }
    let statements = one_or_many(document.get("Statement"));
    if statements.is_empty() {
        return Err(refused("it has no Statement"));
    }
    statements
        .into_iter()
        .try_for_each(|statement| check_statement(statement, arn))?;
    let named = accounts(text).len();
    if named > MAX_ACCOUNTS {
        return Err(refused(&format!(
            "it names {named} accounts, where at most {MAX_ACCOUNTS} are allowed"
        )));
    }
    Ok(())
}

/// The accounts that a policy names as principals, by their number or in an ARN.
pub fn accounts(text: &str) -> BTreeSet<AccountId> {
    let document: Value = serde_json::from_str(text).unwrap_or_default();
    let statements = one_or_many(document.get("Statement"));
    let principals = statements.into_iter().flat_map(|statement| {
        one_or_many(statement.get("Principal").and_then(|who| who.get("AWS")))
    });
    principals
        .filter_map(Value::as_str)
        .map(|text| text.split(':').nth(4).unwrap_or(text))
        .filter_map(|account| AccountId::parse(account).ok())
        .collect()
}

fn check_statement(statement: &Value, arn: &str) -> Result<()> {
    let member = |name: &str| statement.get(name);
    if member("Effect").and_then(Value::as_str) != Some("Allow") {
        return Err(refused("a statement's Effect is not Allow"));
    }
    if !member("Principal").is_some_and(names_somebody) {
        return Err(refused("a statement names no Principal"));
    }
    let actions = one_or_many(member("Action"));
    let known = |action: &&Value| action.as_str().is_some_and(|name| ACTIONS.contains(&name));
    if actions.is_empty() || !actions.iter().all(known) {
        return Err(refused(&format!(
            "a statement's Action is not among {}",
            ACTIONS.join(", ")
        )));
    }
    let resources = one_or_many(member("Resource"));
    if resources.is_empty()
        || resources
            .iter()
            .any(|resource| resource.as_str() != Some(arn))
    {
        return Err(refused(&format!("a statement's Resource is not {arn}")));
    }
    match member("Condition") {
        Some(condition) if !condition.is_object() => {
            Err(refused("a statement's Condition is not an object"))
        }
        _ => Ok(()),
    }
}

/// `"*"`, or `{"AWS": text or texts}`, or another kind of principal in the same form.
fn names_somebody(principal: &Value) -> bool {
    match principal {
        Value::String(text) => text == "*",
        Value::Object(kinds) => {
            let texts = |value: &Value| {
                let all = one_or_many(Some(value));
                !all.is_empty()
                    && all
                        .iter()
                        .all(|text| text.as_str().is_some_and(|t| !t.is_empty()))
            };
            !kinds.is_empty() && kinds.values().all(texts)
        }
        _ => false,
    }
}

/// IAM JSON: a list of one may be written without its brackets.
fn one_or_many(value: Option<&Value>) -> Vec<&Value> {
    match value {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(all)) => all.iter().collect(),
        Some(one) => vec![one],
    }
}

fn refused(what: &str) -> Error {
    Error::new(
        ErrorKind::InvalidPolicy,
        format!("The resource policy is invalid or is missing a required statement: {what}."),
    )
}

/// User guide, "Resource-based policies": what a customer-managed permission may combine.
const ACTIONS: [&str; 7] = [
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:GetCertificate",
    "acm-pca:GetCertificateAuthorityCertificate",
    "acm-pca:IssueCertificate",
    "acm-pca:ListPermissions",
    "acm-pca:ListTags",
    "acm-pca:RevokeCertificate",
];

/// Each has an entry in the index of what is shared, and one commit puts and takes them all. AWS's limit is the size of
/// the policy alone (`AWSPolicy`, 20,480 characters), which holds some more.
const MAX_ACCOUNTS: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    const ARN: &str = "arn:aws:acm-pca:us-east-1:000000000000:certificate-authority/x";

    fn policy(effect: &str, principal: &str, action: &str, resource: &str) -> String {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Sid":"1","Effect":{effect},"Principal":{principal},"Action":{action},"Resource":{resource},"Condition":{{"StringEquals":{{"acm-pca:TemplateArn":"x"}}}}}}]}}"#
        )
    }

    #[test]
    fn sharing_policies_are_accepted() {
        let own = format!("\"{ARN}\"");
        for (principal, action) in [
            (
                r#"{"AWS":"012345678901"}"#,
                r#"["acm-pca:IssueCertificate"]"#,
            ),
            (
                r#"{"AWS":["111111111111","222222222222"]}"#,
                r#""acm-pca:ListTags""#,
            ),
            (
                r#""*""#,
                r#"["acm-pca:GetCertificate","acm-pca:ListPermissions"]"#,
            ),
        ] {
            assert_eq!(
                check(&policy("\"Allow\"", principal, action, &own), ARN),
                Ok(())
            );
        }
        let single = r#"{"Statement":{"Effect":"Allow","Principal":{"AWS":"1"},"Action":"acm-pca:ListTags","Resource":"RESOURCE"}}"#;
        assert_eq!(check(&single.replace("RESOURCE", ARN), ARN), Ok(()));
    }

    #[test]
    fn accounts_are_named_by_number_or_arn() {
        let policy = policy(
            "\"Allow\"",
            r#"{"AWS":["222222222222","arn:aws:iam::111111111111:user/x","arn:aws:iam::222222222222:root","*"]}"#,
            r#""acm-pca:ListTags""#,
            "\"x\"",
        );
        let named: Vec<String> = accounts(&policy).iter().map(ToString::to_string).collect();
        assert_eq!(named, ["111111111111", "222222222222"]);
        assert!(accounts("{").is_empty());
        let everybody = policy.replace(r#"{"AWS":"#, r#"{"Service":"#);
        assert!(accounts(&everybody).is_empty());
    }

    #[test]
    fn a_policy_names_so_many_accounts() {
        let with = |count: usize| {
            let all: Vec<String> = (0..count).map(|n| format!("\"{n:012}\"")).collect();
            let who = format!(r#"{{"AWS":[{}]}}"#, all.join(","));
            let own = format!("\"{ARN}\"");
            check(
                &policy("\"Allow\"", &who, r#""acm-pca:ListTags""#, &own),
                ARN,
            )
        };
        assert_eq!(with(MAX_ACCOUNTS), Ok(()));
        assert!(with(MAX_ACCOUNTS + 1).is_err());
    }

    #[test]
    fn others_are_refused() {
        let own = format!("\"{ARN}\"");
        let (allow, who, what) = ("\"Allow\"", r#"{"AWS":"1"}"#, r#""acm-pca:ListTags""#);
        for text in [
            "not json".to_string(),
            "[]".into(),
            "{}".into(),
            r#"{"Statement":[]}"#.into(),
            r#"{"Version":"2020-01-01","Statement":[{}]}"#.into(),
            policy("\"Deny\"", who, what, &own),
            policy(allow, "{}", what, &own),
            policy(allow, "\"somebody\"", what, &own),
            policy(allow, who, r#""acm-pca:*""#, &own),
            policy(allow, who, r#""acm-pca:DeleteCertificateAuthority""#, &own),
            policy(allow, who, "[]", &own),
            policy(allow, who, what, "\"*\""),
            policy(allow, who, what, "[]"),
            "[".repeat(100_000),
        ] {
            let refused = check(&text, ARN).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::InvalidPolicy), "{text:.80}");
        }
    }
}
