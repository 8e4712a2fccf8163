//! Temporary credentials for oneself, and for others in one's own name.

use keystead_core::Result;
use keystead_wire::sts as wire;

use super::caller::in_partition;
use super::given::{Given, pairs};
use super::session::{Named, Who, federated_arn};
use super::tokens::{self, Order};
use super::{refuse_mfa, session_refused};
use crate::access::{Act, Resource};
use crate::{Ctx, PrincipalKind};

/// `sts:GetSessionToken`: needs no permission (API reference), but long-term credentials.
pub(crate) async fn get_session_token(
    ctx: &Ctx,
    input: wire::GetSessionTokenRequest,
) -> Result<wire::GetSessionTokenResponse> {
    let user = caller(ctx, "GetSessionToken")?;
    refuse_mfa(input.serial_number.as_ref(), input.token_code.as_ref())?;
    let seconds = lifetime(user.as_ref(), input.duration_seconds);
    let order = Order {
        account: ctx.account().clone(),
        who: user.map_or(Who::Root, Who::User),
        given: Given::default(),
        seconds,
        at_least: input.minimum_session_token_size,
    };
    let issued = tokens::issue(ctx, order)?;
    Ok(wire::GetSessionTokenResponse {
        credentials: Some(issued.credentials),
        session_token_utilization: issued.utilization,
        session_token_size: issued.size,
    })
}

/// `sts:GetFederationToken`: the session may do what both its policies and the user's allow; without any policy,
/// nothing.
pub(crate) async fn get_federation_token(
    ctx: &Ctx,
    input: wire::GetFederationTokenRequest,
) -> Result<wire::GetFederationTokenResponse> {
    let user = caller(ctx, "GetFederationToken")?;
    let account = ctx.account().clone();
    let name = input.name;
    let arn = federated_arn(&account, &name);
    // Policies name who may be made (IAM user guide, "Permissions for GetFederationToken").
    let resource = Resource::new(&arn, account.as_str());
    ctx.allow(&resource)?;
    let given = Given::default().tagged(None, pairs(input.tags), Vec::new())?;
    if !given.tags.is_empty() {
        ctx.allow_as(Act::Also("sts:TagSession"), &resource)?;
    }
    let given = given
        .limited(&ctx.app.store, &account, input.policy, input.policy_arns)
        .await?;
    let federated_user = wire::FederatedUser {
        federated_user_id: format!("{account}:{name}"),
        arn: in_partition(&arn, ctx.region.partition()),
    };
    let seconds = lifetime(user.as_ref(), input.duration_seconds);
    let order = Order {
        account,
        who: Who::Federated { name, user },
        given,
        seconds,
        at_least: input.minimum_session_token_size,
    };
    let issued = tokens::issue(ctx, order)?;
    Ok(wire::GetFederationTokenResponse {
        credentials: Some(issued.credentials),
        federated_user: Some(federated_user),
        packed_policy_size: issued.packed,
        session_token_utilization: issued.utilization,
        session_token_size: issued.size,
    })
}

/// The user who asks, `None` for the root user; refuses sessions.
fn caller(ctx: &Ctx, operation: &str) -> Result<Option<Named>> {
    match &ctx.principal.kind {
        PrincipalKind::Root if ctx.principal.session.is_none() => Ok(None),
        PrincipalKind::User { name } if ctx.principal.session.is_none() => Ok(Some(Named {
            name: name.clone(),
            id: ctx.principal.user_id.clone(),
        })),
        _ => Err(session_refused(operation)),
    }
}

/// Twelve hours, or what is asked; for the root user an hour at most (API reference, `DurationSeconds`).
fn lifetime(user: Option<&Named>, asked: Option<i32>) -> i32 {
    let seconds = asked.unwrap_or(43_200);
    match user {
        Some(_) => seconds,
        None => seconds.min(3600),
    }
}
