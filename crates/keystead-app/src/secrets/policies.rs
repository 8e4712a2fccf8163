//! Resource policies of secrets.

use std::collections::BTreeSet;

use keystead_core::secrets::{Fault, Secret};
use keystead_core::{Error, ErrorKind, Result};
use keystead_policy::{Kind, Policy};
use keystead_wire::secretsmanager as wire;

use super::change::change;
use super::find::{self, Ask};
use crate::access::{Act, Resource};
use crate::{Ctx, cursor, kms};

/// GetResourcePolicy.
pub async fn get_resource_policy(
    ctx: &Ctx,
    input: wire::GetResourcePolicyRequest,
) -> Result<wire::GetResourcePolicyResponse> {
    let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
    found.secret.check_live()?;
    if let Some(name) = input.policy_name.filter(|name| name != NAME) {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("Secrets Manager can't find the resource policy {name}."),
        ));
    }
    Ok(wire::GetResourcePolicyResponse {
        arn: Some(found.arn.clone()),
        name: Some(found.secret.name.clone()),
        resource_policy: found.secret.policy.clone(),
        policy_name: Some(NAME.into()),
    })
}

/// PutResourcePolicy.
pub async fn put_resource_policy(
    ctx: &Ctx,
    input: wire::PutResourcePolicyRequest,
) -> Result<wire::PutResourcePolicyResponse> {
    let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
    // Before the policy is looked at: what a secret is not for counts more than how it was asked.
    found.secret.check_primary()?;
    found.secret.check_live()?;
    check_name(input.policy_name.as_deref())?;
    let text = &input.resource_policy;
    let policy = parse(ctx, text).await?;
    if input.block_public_policy == Some(true) && policy.is_public() {
        return Err(Fault::PublicPolicy.error(PUBLIC));
    }
    check_lockout(ctx, &found.secret, text)?;
    let after = change(ctx, &input.secret_id, Ask::OWN, |secret| {
        secret.policy = Some(text.clone());
        secret.changed_at = ctx.now;
        Ok(())
    })
    .await?;
    Ok(wire::PutResourcePolicyResponse {
        arn: Some(after.arn()),
        name: Some(after.name),
        policy_name: Some(NAME.into()),
    })
}

/// DeleteResourcePolicy.
pub async fn delete_resource_policy(
    ctx: &Ctx,
    input: wire::DeleteResourcePolicyRequest,
) -> Result<wire::DeleteResourcePolicyResponse> {
    let after = change(ctx, &input.secret_id, Ask::OWN, |secret| {
        check_name(input.policy_name.as_deref())?;
        secret.policy = None;
        secret.changed_at = ctx.now;
        Ok(())
    })
    .await?;
    Ok(wire::DeleteResourcePolicyResponse {
        arn: Some(after.arn()),
        name: Some(after.name),
        policy_name: Some(NAME.into()),
    })
}

/// ListResourcePolicies: a secret has the one policy, or none.
pub async fn list_resource_policies(
    ctx: &Ctx,
    input: wire::ListResourcePoliciesRequest,
) -> Result<wire::ListResourcePoliciesResponse> {
    let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
    found.secret.check_live()?;
    if let Some(token) = input.next_token {
        // No answer was cut short, so that no token was given.
        cursor::resume(ctx, &format!("ListResourcePolicies {}", found.arn), &token)?;
    }
    let summary = |_: &String| wire::ResourcePolicySummary {
        policy_name: Some(NAME.into()),
    };
    Ok(wire::ListResourcePoliciesResponse {
        resource_policies: found.secret.policy.iter().map(summary).collect(),
        next_token: None,
    })
}

/// ValidateResourcePolicy: the syntax, which is an error; that not everybody is let in; and that the caller, who could put the
/// policy, could put another one after it.
pub async fn validate_resource_policy(
    ctx: &Ctx,
    input: wire::ValidateResourcePolicyRequest,
) -> Result<wire::ValidateResourcePolicyResponse> {
    let put = Act::Also("secretsmanager:PutResourcePolicy");
    let secret = match &input.secret_id {
        Some(id) => {
            let found = find::secret(ctx, id, Ask::OWN).await?;
            find::secret(
                ctx,
                id,
                Ask {
                    act: put,
                    ..Ask::OWN
                },
            )
            .await?;
            found.secret.check_live()?;
            Some(found.secret.clone())
        }
        None => {
            let any = Resource::new("*", ctx.account().as_str());
            ctx.allow(&any)?;
            ctx.allow_as(put, &any)?;
            None
        }
    };
    let policy = parse(ctx, &input.resource_policy).await?;
    let mut errors = Vec::new();
    let mut fails = |check: &str, message: &str| {
        errors.push(wire::ValidationErrorsEntry {
            check_name: Some(check.into()),
            error_message: Some(message.into()),
        });
    };
    if policy.is_public() {
        fails("BlockPublicPolicy", PUBLIC);
    }
    if let Some(secret) = secret
        && let Err(error) = check_lockout(ctx, &secret, &input.resource_policy)
    {
        fails("LockoutPolicy", &error.message);
    }
    Ok(wire::ValidateResourcePolicyResponse {
        policy_validation_passed: Some(errors.is_empty()),
        validation_errors: Some(errors),
    })
}

/// The policy, if it is one and everybody whom it names is there.
async fn parse(ctx: &Ctx, text: &str) -> Result<Policy> {
    let policy = Policy::parse(text, Kind::Resource).map_err(|malformed| {
        Error::new(ErrorKind::InvalidPolicy, malformed.message).at(malformed.place)
    })?;
    let named: BTreeSet<&str> = policy.named_principals().collect();
    for principal in named {
        if !kms::principal_exists(&ctx.app, principal).await? {
            let message = "This resource policy contains an unsupported principal.";
            return Err(Error::new(ErrorKind::InvalidPolicy, message).at(principal));
        }
    }
    Ok(policy)
}

/// Whoever puts a policy could put another one after it.
fn check_lockout(ctx: &Ctx, secret: &Secret, text: &str) -> Result<()> {
    let after = Secret {
        policy: Some(text.to_owned()),
        ..secret.clone()
    };
    match find::could(ctx, "secretsmanager:PutResourcePolicy", &after)? {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::InvalidParameter,
            "The new resource policy will not allow you to manage this secret in the future.",
        )),
    }
}

/// Nobody puts or deletes a policy of another name.
fn check_name(name: Option<&str>) -> Result<()> {
    match name {
        Some(name) if name != NAME => Err(Error::new(
            ErrorKind::InvalidParameter,
            format!("The resource policy {name} can't be changed: only {NAME} can."),
        )),
        _ => Ok(()),
    }
}

/// "If you don't specify this field, Secrets Manager uses default" (API reference, `PolicyName`).
const NAME: &str = "default";

const PUBLIC: &str = "The resource policy grants broad access to the secret: it allows everybody and no condition narrows that down.";
