//! The policy simulator: what policies would decide, without any call being made; and which condition keys
//! they look at.
//!
//! One result is answered for an action, with one for each resource inside it (IAM API reference,
//! EvaluationResult). What an entry of the request can be named by is named by its place in it, as AWS does:
//! `PolicyInputList.1`.

mod entity;
mod evaluate;
mod exclude;
mod input;

use keystead_core::Result;
use keystead_wire::iam as wire;

use self::entity::Named;
use self::evaluate::Simulation;
use self::exclude::Exclusion;
use super::list::Listing;
use crate::Ctx;

/// `iam:SimulateCustomPolicy`.
pub(crate) async fn simulate_custom_policy(
    ctx: &Ctx,
    input: wire::SimulateCustomPolicyRequest,
) -> Result<wire::SimulatePolicyResponse> {
    let organizations = input.ordered_organization_policy_input_list.as_deref();
    input::unsupported(organizations, input.resource_handling_option.as_deref())?;
    let identity = input::policies("PolicyInputList", &input.policy_input_list)?;
    let caller = match &input.caller_arn {
        Some(arn) => Some(Named::parse("CallerArn", arn)?),
        None => None,
    };
    let resource = input::resource_policy(input.resource_policy.as_deref())?;
    if resource.is_some() && caller.is_none() {
        return Err(input::invalid(
            "CallerArn is required where there is a ResourcePolicy, whose Principal names callers.",
        ));
    }
    let boundary = input::boundary(input.permissions_boundary_policy_input_list)?;
    let mut context = input::known(ctx, caller.as_ref(), None);
    input::add(&mut context, input.context_entries)?;
    let simulation = Simulation {
        identity,
        boundary,
        resource,
        caller: caller.unwrap_or_else(|| Named::nobody(ctx.account())),
        owner: input::owner(input.resource_owner.as_deref())?,
        resources: input::resources(input.resource_arns)?,
        context,
    };
    let listing = Listing::new("SimulateCustomPolicy", input.marker, input.max_items);
    let page = simulation.page(ctx, listing, input.action_names).await?;
    Ok(wire::SimulatePolicyResponse {
        is_truncated: page.is_truncated(),
        evaluation_results: Some(page.items),
        marker: page.marker,
    })
}

/// `iam:SimulatePrincipalPolicy`.
pub(crate) async fn simulate_principal_policy(
    ctx: &Ctx,
    input: wire::SimulatePrincipalPolicyRequest,
) -> Result<wire::SimulatePolicyResponse> {
    input::unsupported(None, input.resource_handling_option.as_deref())?;
    let principal = Named::parse("PolicySourceArn", &input.policy_source_arn)?;
    let mut effective = principal.effective(ctx).await?;
    let exclusion = Exclusion::parse(input.policy_exclusion_list)?;
    exclusion.apply(&mut effective);
    let more = input.policy_input_list.unwrap_or_default();
    let mut identity = effective.identity;
    identity.extend(input::policies("PolicyInputList", &more)?);
    let boundary = input::boundary(input.permissions_boundary_policy_input_list)?;
    let caller = match &input.caller_arn {
        Some(arn) => Named::parse("CallerArn", arn)?,
        None => principal.clone(),
    };
    let mut context = input::known(ctx, Some(&caller), Some(&effective.tags));
    input::add(&mut context, input.context_entries)?;
    let simulation = Simulation {
        identity,
        boundary: boundary.or(effective.boundary),
        resource: input::resource_policy(input.resource_policy.as_deref())?,
        caller,
        owner: input::owner(input.resource_owner.as_deref())?,
        resources: input::resources(input.resource_arns)?,
        context,
    };
    let scope = format!("SimulatePrincipalPolicy {}", input.policy_source_arn);
    let listing = Listing::new(scope, input.marker, input.max_items);
    let page = simulation.page(ctx, listing, input.action_names).await?;
    Ok(wire::SimulatePolicyResponse {
        is_truncated: page.is_truncated(),
        evaluation_results: Some(page.items),
        marker: page.marker,
    })
}

/// `iam:GetContextKeysForCustomPolicy`.
pub(crate) async fn get_context_keys_for_custom_policy(
    _: &Ctx,
    input: wire::GetContextKeysForCustomPolicyRequest,
) -> Result<wire::GetContextKeysForPolicyResponse> {
    let policies = input::policies("PolicyInputList", &input.policy_input_list)?;
    Ok(wire::GetContextKeysForPolicyResponse {
        context_key_names: Some(input::keys(&policies)),
    })
}

/// `iam:GetContextKeysForPrincipalPolicy`.
pub(crate) async fn get_context_keys_for_principal_policy(
    ctx: &Ctx,
    input: wire::GetContextKeysForPrincipalPolicyRequest,
) -> Result<wire::GetContextKeysForPolicyResponse> {
    let principal = Named::parse("PolicySourceArn", &input.policy_source_arn)?;
    let mut policies = principal.effective(ctx).await?.identity;
    let more = input.policy_input_list.unwrap_or_default();
    policies.extend(input::policies("PolicyInputList", &more)?);
    Ok(wire::GetContextKeysForPolicyResponse {
        context_key_names: Some(input::keys(&policies)),
    })
}
