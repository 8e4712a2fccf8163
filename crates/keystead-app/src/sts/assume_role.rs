//! Becoming a role for a while.

use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::sts as wire;

use super::given::{Given, pairs};
use super::target::{Target, Terms};
use super::{refuse_mfa, session_refused};
use crate::access::Act;
use crate::{Ctx, PrincipalKind};

/// `sts:AssumeRole`: the role's trust policy must let the caller, and in another account the caller's own policies
/// as well. Tags and a source identity are actions of their own.
///
/// AWS refuses the root user here; in Keystead the trust policy decides, since an installation begins with the root
/// user alone.
pub(crate) async fn assume_role(
    ctx: &Ctx,
    input: wire::AssumeRoleRequest,
) -> Result<wire::AssumeRoleResponse> {
    if matches!(ctx.principal.kind, PrincipalKind::FederatedUser { .. }) {
        return Err(session_refused("AssumeRole"));
    }
    refuse_mfa(input.serial_number.as_ref(), input.token_code.as_ref())?;
    if input.provided_contexts.is_some() {
        return Err(Error::new(
            ErrorKind::Validation,
            "The provider of the trusted context is not known: expected no ProvidedContexts.",
        ));
    }
    let caller = ctx.principal.session.as_deref();
    let transitive = input.transitive_tag_keys.unwrap_or_default();
    let given = Given::default()
        .tagged(caller, pairs(input.tags), transitive)?
        .called(caller, input.source_identity)?;
    let target = Target::find(ctx, input.role_arn).await?;
    ctx.allow(&target.resource())?;
    if !given.tags.is_empty() {
        ctx.allow_as(Act::Also("sts:TagSession"), &target.resource())?;
    }
    if given.source_identity.is_some() {
        ctx.allow_as(Act::Also("sts:SetSourceIdentity"), &target.resource())?;
    }
    let chained = matches!(ctx.principal.kind, PrincipalKind::Role { .. });
    let terms = Terms {
        session: input.role_session_name,
        seconds: input.duration_seconds,
        chained,
        given,
        limits: (input.policy, input.policy_arns),
        web_identity: None,
        at_least: input.minimum_session_token_size,
    };
    let begun = target.begin(ctx, terms).await?;
    let issued = begun.issued;
    Ok(wire::AssumeRoleResponse {
        credentials: Some(issued.credentials),
        assumed_role_user: Some(begun.user),
        packed_policy_size: issued.packed,
        source_identity: begun.source_identity,
        session_token_utilization: issued.utilization,
        session_token_size: issued.size,
    })
}
