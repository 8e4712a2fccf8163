//! Key policies.

use std::collections::BTreeSet;
use std::sync::Arc;

use keystead_core::kms::{Command, Fault, Key};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_policy::{self as policy, Kind, Policy, Rule, Source};
use keystead_wire::kms as wire;

use super::change::change;
use super::conditions;
use super::find::{self, Ask, Names};
use super::principals;
use crate::access::{Describe, OwnPolicy, Resource};
use crate::{Ctx, cursor};

/// GetKeyPolicy.
pub async fn get_key_policy(
    ctx: &Ctx,
    input: wire::GetKeyPolicyRequest,
) -> Result<wire::GetKeyPolicyResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    if input.policy_name.is_some_and(|name| name != NAME) {
        let message = "No such policy exists";
        return Err(Error::new(ErrorKind::NotFound, message));
    }
    Ok(wire::GetKeyPolicyResponse {
        policy: Some(found.record.key.policy.clone()),
        policy_name: Some(NAME.into()),
    })
}

/// PutKeyPolicy.
pub async fn put_key_policy(
    ctx: &Ctx,
    input: wire::PutKeyPolicyRequest,
) -> Result<wire::PutKeyPolicyResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    if input.policy_name.is_some_and(|name| name != NAME) {
        let message = format!("Only the policy named {NAME} is supported.");
        return Err(Fault::UnsupportedOperation.error(message));
    }
    let bypass = input.bypass_policy_lockout_safety_check;
    check(ctx, &input.policy, bypass, &found.record.key).await?;
    change(ctx, &input.key_id, Ask::OWN, Command::Look, |record, _| {
        record.key.policy.clone_from(&input.policy);
        Ok(())
    })
    .await?;
    Ok(wire::PutKeyPolicyResponse)
}

/// ListKeyPolicies: a key has the one policy.
pub async fn list_key_policies(
    ctx: &Ctx,
    input: wire::ListKeyPoliciesRequest,
) -> Result<wire::ListKeyPoliciesResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    if let Some(marker) = input.marker {
        // No answer was cut short, so that no marker was given.
        cursor::resume(ctx, &format!("ListKeyPolicies {}", found.arn), &marker)?;
    }
    Ok(wire::ListKeyPoliciesResponse {
        policy_names: Some(vec![NAME.into()]),
        next_marker: None,
        truncated: Some(false),
    })
}

/// The policy of a key that is made without one ("Default key policy"): the account's policies decide.
pub(super) fn default(account: &AccountId, region: &Region) -> String {
    let partition = region.partition();
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{partition}:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

/// Whether the caller can give the key this policy: it is one, everybody whom it names is there, and unless the caller
/// chose to bypass that, the caller could change it again.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`] where it is too long, [`ErrorKind::InvalidPolicy`].
pub(super) async fn check(ctx: &Ctx, text: &str, bypass: Option<bool>, key: &Key) -> Result<()> {
    if text.len() > LONGEST {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "The policy has {} bytes: a key policy has {LONGEST} at most.",
                text.len()
            ),
        ));
    }
    let policy = Policy::parse(text, Kind::Key).map_err(refused)?;
    let named: BTreeSet<&str> = policy.named_principals().collect();
    for principal in named {
        if principals::resolve(&ctx.app, principal).await?.is_none() {
            let message = "Policy contains a statement with one or more invalid principals.";
            return Err(Error::new(ErrorKind::InvalidPolicy, message).at(principal));
        }
    }
    match bypass {
        Some(true) => Ok(()),
        _ => check_lockout(ctx, policy, key),
    }
}

/// "The key policy must allow the calling principal to make a subsequent PutKeyPolicy request" (API reference,
/// PutKeyPolicy): decided as that request would be.
fn check_lockout(ctx: &Ctx, policy: Policy, key: &Key) -> Result<()> {
    let arn = key.arn();
    let source = Source {
        label: arn.clone(),
        policy: Arc::new(policy),
    };
    let again = Again { ctx, key };
    let resource = Resource {
        policy: Some(OwnPolicy::Compiled(&source)),
        rule: Rule::ResourceFirst,
        describe: Some(&again),
        ..Resource::new(&arn, key.account.as_str()).tagged(&key.tags)
    };
    if ctx.could("kms:PutKeyPolicy", &resource)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidPolicy,
        "The new key policy will not allow you to update the key policy in the future.",
    ))
}

/// The request that the caller could make next.
struct Again<'a> {
    ctx: &'a Ctx,
    key: &'a Key,
}

impl Describe for Again<'_> {
    fn describe(&self, context: &mut policy::Context) {
        let ask = Ask {
            act: crate::access::Act::Also("kms:PutKeyPolicy"),
            ..Ask::OWN
        };
        conditions::describe(self.ctx, self.key, &ask, context);
    }
}

/// In KMS's words where they are known; where the fault is stands beside them.
fn refused(malformed: policy::Malformed) -> Error {
    let message = match malformed.fault {
        policy::Fault::Principal if malformed.message.starts_with("Missing required field") => {
            "Policy contains a statement with no principal.".to_owned()
        }
        policy::Fault::Principal if malformed.message.starts_with("Invalid principal") => {
            "Policy contains a statement with one or more invalid principals.".to_owned()
        }
        _ => malformed.message,
    };
    Error::new(ErrorKind::InvalidPolicy, message).at(malformed.place)
}

/// The name of a key's policy: "The only valid name is default" (API reference, GetKeyPolicy).
const NAME: &str = "default";

/// Bytes of a policy: 32 KB (developer guide, "Resource quotas").
const LONGEST: usize = 32_768;
