//! What a request of the simulator says.

use std::collections::HashSet;
use std::sync::Arc;

use keystead_core::tags::Tags;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_policy::{Context, Kind, Policy, Source};
use keystead_wire::iam as wire;

use super::entity::Named;
use crate::Ctx;

/// [`ErrorKind::InvalidParameter`].
pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}

/// Refuses what Keystead has nothing of: organizations, and the scenarios of EC2.
pub(super) fn unsupported(
    organizations: Option<&[wire::OrderedOrganizationPolicyType]>,
    scenario: Option<&str>,
) -> Result<()> {
    if organizations.is_some_and(|levels| !levels.is_empty()) {
        return Err(invalid(
            "OrderedOrganizationPolicyInputList is not supported: Keystead has no organizations.",
        ));
    }
    match scenario {
        Some(scenario) => Err(invalid(format!(
            "ResourceHandlingOption {scenario} is not supported: it is for simulations of EC2."
        ))),
        None => Ok(()),
    }
}

/// The policies that are given as texts, each called by its place: `PolicyInputList.1`.
pub(super) fn policies(member: &str, texts: &[String]) -> Result<Vec<Source>> {
    let numbered = texts.iter().zip(1..);
    numbered
        .map(|(text, number)| source(format!("{member}.{number}"), text, Kind::Identity))
        .collect()
}

/// The permissions boundary, if one is given.
pub(super) fn boundary(texts: Option<Vec<String>>) -> Result<Option<Source>> {
    let texts = texts.unwrap_or_default();
    let mut sources = policies("PermissionsBoundaryPolicyInputList", &texts)?;
    match sources.len() {
        0 | 1 => Ok(sources.pop()),
        _ => Err(invalid(
            "You can input only one permissions boundary policy.",
        )),
    }
}

/// The policy of every resource, if one is given.
pub(super) fn resource_policy(text: Option<&str>) -> Result<Option<Source>> {
    text.map(|text| source("ResourcePolicy".into(), text, Kind::Resource))
        .transpose()
}

fn source(label: String, text: &str, kind: Kind) -> Result<Source> {
    let policy = Policy::parse(text, kind).map_err(|fault| invalid(format!("{label}: {fault}")))?;
    Ok(Source {
        label,
        policy: Arc::new(policy),
    })
}

/// The account that owns resources whose ARNs name none: a number, or the ARN of an account.
pub(super) fn owner(text: Option<&str>) -> Result<Option<AccountId>> {
    let Some(text) = text else { return Ok(None) };
    let number = match Arn::parse(text) {
        Ok(arn) if arn.service == "iam" && arn.resource == "root" => arn.account,
        _ => text.to_owned(),
    };
    let refused = |_| {
        invalid(format!(
            "Invalid ResourceOwner {text}: expected the twelve digits of an account, or arn:aws:iam::ACCOUNT:root."
        ))
    };
    AccountId::parse(&number).map(Some).map_err(refused)
}

/// The resources; all of them if none is given.
pub(super) fn resources(arns: Option<Vec<String>>) -> Result<Vec<String>> {
    let arns = arns.unwrap_or_default();
    if arns.is_empty() {
        return Ok(vec![EVERYTHING.into()]);
    }
    for arn in &arns {
        if arn != EVERYTHING && !arn.starts_with("arn:") {
            return Err(invalid(format!(
                "Invalid Resource Arn: {arn}; expected an ARN, or *."
            )));
        }
    }
    Ok(arns)
}

/// A resource that stands for all.
pub(super) const EVERYTHING: &str = "*";

/// What the simulator knows by itself: the time, and who calls.
pub(super) fn known(ctx: &Ctx, caller: Option<&Named>, tags: Option<&Tags>) -> Context {
    let mut context = Context::new();
    context.set("aws:CurrentTime", ctx.now.to_string());
    context.set("aws:EpochTime", ctx.now.as_second().to_string());
    if let Some(caller) = caller {
        context.set("aws:PrincipalAccount", caller.account());
        context.set("aws:PrincipalArn", caller.arn());
        if let Some(name) = caller.user_name() {
            context.set("aws:PrincipalType", "User");
            context.set("aws:username", name);
        }
    }
    for (key, value) in tags.into_iter().flatten() {
        context.set(format!("aws:PrincipalTag/{key}"), value.as_str());
    }
    context
}

/// Adds what the request says of the context; it has the last word.
pub(super) fn add(context: &mut Context, entries: Option<Vec<wire::ContextEntry>>) -> Result<()> {
    for entry in entries.unwrap_or_default() {
        let name = entry
            .context_key_name
            .ok_or_else(|| invalid("A context entry has no ContextKeyName."))?;
        let values = entry.context_key_values.unwrap_or_default();
        let kind = entry
            .context_key_type
            .ok_or_else(|| invalid(format!("The context key {name} has no ContextKeyType.")))?;
        let list = kind.as_str().ends_with("List");
        match <[String; 1]>::try_from(values) {
            Ok([value]) if !list => context.set(name, value),
            Ok(values) => context.set_all(name, values.into()),
            Err(values) if list => context.set_all(name, values),
            Err(_) => {
                return Err(invalid(format!(
                    "The context key {name} of type {} needs exactly one value.",
                    kind.as_str()
                )));
            }
        }
    }
    Ok(())
}

/// The condition keys that the policies look at, each once.
pub(super) fn keys(policies: &[Source]) -> Vec<String> {
    let mut seen = HashSet::new();
    let keys = policies
        .iter()
        .flat_map(|source| source.policy.context_keys());
    keys.filter(|key| seen.insert(key.to_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}
