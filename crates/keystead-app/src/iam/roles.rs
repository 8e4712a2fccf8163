//! Roles.

use keystead_core::iam::{self, Kind, quota, tags};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Expect;
use keystead_wire::iam as wire;

use super::document;
use super::identity::{make, removable};
use super::last_used::LAST_USES;
use super::list::Listing;
use super::record::{Entity, Role, change, delete, load};
use super::shown::{self, Detail};
use crate::Ctx;

/// `iam:CreateRole`.
pub(crate) async fn create_role(
    ctx: &Ctx,
    input: wire::CreateRoleRequest,
) -> Result<wire::CreateRoleResponse> {
    check_trust(&input.assume_role_policy_document)?;
    let mut entity = Entity::new(ctx, Kind::Role, input.role_name, input.path)?;
    tags::add(&mut entity.tags, shown::pairs(input.tags))?;
    let role = Role {
        entity,
        trust: input.assume_role_policy_document,
        description: input.description,
        max_session: input.max_session_duration.unwrap_or(DEFAULT_SESSION),
        linked_to: None,
        profiles: 0,
    };
    let role = make(ctx, role, input.permissions_boundary, |_| {}).await?;
    Ok(wire::CreateRoleResponse {
        role: shown::role(ctx, role, Detail::Full, None),
    })
}

/// `iam:GetRole`.
pub(crate) async fn get_role(
    ctx: &Ctx,
    input: wire::GetRoleRequest,
) -> Result<wire::GetRoleResponse> {
    let role = load::<Role>(ctx, &input.role_name).await?.value;
    let used = last_used(ctx, &role.entity.id).await?;
    Ok(wire::GetRoleResponse {
        role: shown::role(ctx, role, Detail::Full, Some(used)),
    })
}

/// When and where the role of this id was last used.
pub(super) async fn last_used(ctx: &Ctx, id: &str) -> Result<wire::RoleLastUsed> {
    let last = ctx.app.last_uses.of(&ctx.app.store, id).await?;
    Ok(wire::RoleLastUsed {
        last_used_date: last.as_ref().map(|last| last.at),
        region: last.map(|last| last.region),
    })
}

/// `iam:ListRoles`.
pub(crate) async fn list_roles(
    ctx: &Ctx,
    input: wire::ListRolesRequest,
) -> Result<wire::ListRolesResponse> {
    let listing = Listing::new("ListRoles", input.marker, input.max_items);
    let page = listing
        .by_path(ctx, input.path_prefix, |role| {
            shown::role(ctx, role, Detail::Listed, None)
        })
        .await?;
    Ok(wire::ListRolesResponse {
        is_truncated: page.is_truncated(),
        roles: page.items,
        marker: page.marker,
    })
}

/// `iam:UpdateRole`: without a duration, "the default value of one hour is applied" (model).
pub(crate) async fn update_role(
    ctx: &Ctx,
    input: wire::UpdateRoleRequest,
) -> Result<wire::UpdateRoleResponse> {
    change(ctx, &input.role_name, |role: &mut Role, _| {
        if input.max_session_duration.is_some() {
            must_be_ours(role)?;
        }
        if let Some(description) = &input.description {
            role.description = Some(description.clone());
        }
        role.max_session = input.max_session_duration.unwrap_or(DEFAULT_SESSION);
        Ok(())
    })
    .await?;
    Ok(wire::UpdateRoleResponse)
}

/// `iam:UpdateRoleDescription`.
pub(crate) async fn update_role_description(
    ctx: &Ctx,
    input: wire::UpdateRoleDescriptionRequest,
) -> Result<wire::UpdateRoleDescriptionResponse> {
    let role = change(ctx, &input.role_name, |role: &mut Role, _| {
        role.description = Some(input.description.clone());
        Ok(role.clone())
    })
    .await?;
    Ok(wire::UpdateRoleDescriptionResponse {
        role: Some(shown::role(ctx, role, Detail::Full, None)),
    })
}

/// `iam:UpdateAssumeRolePolicy`.
pub(crate) async fn update_assume_role_policy(
    ctx: &Ctx,
    input: wire::UpdateAssumeRolePolicyRequest,
) -> Result<wire::UpdateAssumeRolePolicyResponse> {
    check_trust(&input.policy_document)?;
    change(ctx, &input.role_name, |role: &mut Role, _| {
        must_be_ours(role)?;
        role.trust = input.policy_document.clone();
        Ok(())
    })
    .await?;
    Ok(wire::UpdateAssumeRolePolicyResponse)
}

/// `iam:DeleteRole`.
pub(crate) async fn delete_role(
    ctx: &Ctx,
    input: wire::DeleteRoleRequest,
) -> Result<wire::DeleteRoleResponse> {
    delete_if(ctx, &input.role_name, must_be_ours).await?;
    Ok(wire::DeleteRoleResponse)
}

/// Removes the role if it `may` be and nothing hangs on it.
pub(super) async fn delete_if(
    ctx: &Ctx,
    name: &str,
    may: impl Fn(&Role) -> Result<()>,
) -> Result<()> {
    delete(ctx, name, |role: &Role, _, batch| {
        may(role)?;
        if role.profiles > 0 {
            return Err(iam::in_use("remove roles from instance profile"));
        }
        let id = role.entity.id.as_str();
        batch.delete(LAST_USES, id, Expect::Any);
        removable(ctx, batch, role)
    })
    .await
}

/// Refuses to change what belongs to a service.
pub(super) fn must_be_ours(role: &Role) -> Result<()> {
    if role.linked_to.is_none() {
        return Ok(());
    }
    let name = &role.entity.name;
    Err(Error::new(
        ErrorKind::InvalidState,
        format!(
            "Cannot perform the operation on the protected role '{name}' - this role is only modifiable by AWS"
        ),
    ))
}

fn check_trust(text: &str) -> Result<()> {
    document::check(text, keystead_policy::Kind::Trust, quota::TRUST_POLICY).map(drop)
}

/// Model, `MaxSessionDuration`: "the default value of one hour".
pub(super) const DEFAULT_SESSION: i32 = 3600;
