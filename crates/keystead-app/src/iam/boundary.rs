//! Permissions boundaries of users and roles.

use keystead_core::iam::Kind;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::iam as wire;

use super::managed::{self, Managed};
use super::record::{BOUNDARIES, Entity, Identity, User, change, load, retrying, save, use_key};
use super::roles::must_be_ours;
use crate::Ctx;

/// `iam:PutUserPermissionsBoundary`.
pub(crate) async fn put_user_permissions_boundary(
    ctx: &Ctx,
    input: wire::PutUserPermissionsBoundaryRequest,
) -> Result<wire::PutUserPermissionsBoundaryResponse> {
    put::<User>(ctx, &input.user_name, &input.permissions_boundary, |_| {
        Ok(())
    })
    .await?;
    Ok(wire::PutUserPermissionsBoundaryResponse)
}

/// `iam:DeleteUserPermissionsBoundary`.
pub(crate) async fn delete_user_permissions_boundary(
    ctx: &Ctx,
    input: wire::DeleteUserPermissionsBoundaryRequest,
) -> Result<wire::DeleteUserPermissionsBoundaryResponse> {
    remove::<User>(ctx, &input.user_name, |_| Ok(())).await?;
    Ok(wire::DeleteUserPermissionsBoundaryResponse)
}

/// `iam:PutRolePermissionsBoundary`: "You cannot set the boundary for a service-linked role" (model).
pub(crate) async fn put_role_permissions_boundary(
    ctx: &Ctx,
    input: wire::PutRolePermissionsBoundaryRequest,
) -> Result<wire::PutRolePermissionsBoundaryResponse> {
    let (name, arn) = (&input.role_name, &input.permissions_boundary);
    put(ctx, name, arn, must_be_ours).await?;
    Ok(wire::PutRolePermissionsBoundaryResponse)
}

/// `iam:DeleteRolePermissionsBoundary`.
pub(crate) async fn delete_role_permissions_boundary(
    ctx: &Ctx,
    input: wire::DeleteRolePermissionsBoundaryRequest,
) -> Result<wire::DeleteRolePermissionsBoundaryResponse> {
    remove(ctx, &input.role_name, must_be_ours).await?;
    Ok(wire::DeleteRolePermissionsBoundaryResponse)
}

/// The managed policy that is to be a boundary.
pub(super) async fn find(ctx: &Ctx, arn: &str) -> Result<Managed> {
    let found = managed::find(&ctx.app.store, ctx.account(), arn).await?;
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("Scope ARN: {arn} does not exist or is not attachable."),
        )
    })
}

/// Adds to the batch that the identity has this boundary and no other.
fn set(ctx: &Ctx, batch: &mut Batch, kind: Kind, entity: &mut Entity, boundary: Option<String>) {
    let key = |arn: &str| use_key(ctx.account(), arn, kind, &entity.name);
    if let Some(key) = entity.boundary.as_deref().and_then(key) {
        batch.delete(BOUNDARIES, key, Expect::Any);
    }
    if let Some(key) = boundary.as_deref().and_then(key) {
        batch.put(BOUNDARIES, key, &(), Expect::Any);
    }
    entity.boundary = boundary;
}

async fn put<I: Identity>(
    ctx: &Ctx,
    name: &str,
    arn: &str,
    may: impl Fn(&I) -> Result<()>,
) -> Result<()> {
    let may = &may;
    retrying(|| async move {
        let mut identity = load::<I>(ctx, name).await?;
        may(&identity.value)?;
        let mut batch = Batch::new();
        find(ctx, arn).await?.hold(&mut batch);
        let boundary = Some(arn.to_owned());
        let entity = identity.value.entity_mut();
        set(ctx, &mut batch, I::KIND, entity, boundary);
        save(&mut batch, &identity);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

async fn remove<I: Identity>(ctx: &Ctx, name: &str, may: impl Fn(&I) -> Result<()>) -> Result<()> {
    change(ctx, name, |identity: &mut I, batch| {
        may(identity)?;
        set(ctx, batch, I::KIND, identity.entity_mut(), None);
        Ok(())
    })
    .await
}
