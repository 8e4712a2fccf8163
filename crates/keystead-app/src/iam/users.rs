//! Users.

use keystead_core::iam::{self, Kind, tags};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::iam as wire;

use super::account::root_user;
use super::identity::{make, removable, rename};
use super::list::Listing;
use super::record::{Entity, MEMBERS, User, delete, load, member_key, retrying};
use super::shown::{self, Detail};
use crate::Ctx;
use crate::credentials::{ACCESS_KEYS, AccessKey};
use crate::ctx::PrincipalKind;

/// `iam:CreateUser`.
pub(crate) async fn create_user(
    ctx: &Ctx,
    input: wire::CreateUserRequest,
) -> Result<wire::CreateUserResponse> {
    let mut entity = Entity::new(ctx, Kind::User, input.user_name, input.path)?;
    tags::add(&mut entity.tags, shown::pairs(input.tags))?;
    let user = User {
        entity,
        groups: Vec::new(),
        access_keys: Vec::new(),
    };
    let user = make(ctx, user, input.permissions_boundary, |_| {}).await?;
    Ok(wire::CreateUserResponse {
        user: Some(shown::user(ctx, user, Detail::Full)),
    })
}

/// `iam:GetUser`: without a name, the caller.
pub(crate) async fn get_user(
    ctx: &Ctx,
    input: wire::GetUserRequest,
) -> Result<wire::GetUserResponse> {
    let name = match (&input.user_name, &ctx.principal.kind) {
        (Some(name), _) | (None, PrincipalKind::User { name }) => name,
        (None, PrincipalKind::Root) => {
            return Ok(wire::GetUserResponse {
                user: root_user(ctx).await?,
            });
        }
        (None, _) => return Err(must_name_user()),
    };
    let found = load::<User>(ctx, name).await?;
    Ok(wire::GetUserResponse {
        user: shown::user(ctx, found.value, Detail::Full),
    })
}

/// A session of a role is no user, and has to name one.
pub(super) fn must_name_user() -> Error {
    Error::new(
        ErrorKind::Validation,
        "Must specify userName when calling with non-User credentials",
    )
}

/// `iam:ListUsers`.
pub(crate) async fn list_users(
    ctx: &Ctx,
    input: wire::ListUsersRequest,
) -> Result<wire::ListUsersResponse> {
    let listing = Listing::new("ListUsers", input.marker, input.max_items);
    let page = listing
        .by_path(ctx, input.path_prefix, |user: User| {
            shown::user(ctx, user, Detail::Listed)
        })
        .await?;
    Ok(wire::ListUsersResponse {
        is_truncated: page.is_truncated(),
        users: page.items,
        marker: page.marker,
    })
}

/// `iam:UpdateUser`: what hangs on the user goes with it.
pub(crate) async fn update_user(
    ctx: &Ctx,
    input: wire::UpdateUserRequest,
) -> Result<wire::UpdateUserResponse> {
    let input = &input;
    let keys = retrying(|| update(ctx, input)).await?;
    ctx.app.forget_credentials(&keys);
    Ok(wire::UpdateUserResponse)
}

/// Answers the ids of its access keys, whose principal is another one now.
async fn update(ctx: &Ctx, input: &wire::UpdateUserRequest) -> Result<Vec<String>> {
    let store = &ctx.app.store;
    let found = load::<User>(ctx, &input.user_name).await?;
    let mut batch = Batch::new();
    let (name, path) = (input.new_user_name.as_deref(), input.new_path.as_deref());
    let user = rename(ctx, &mut batch, &found, name, path).await?;
    let (before, after) = (&found.value.entity.name, &user.entity.name);
    for group in &user.groups {
        let key = |name| member_key(ctx.account(), group, name);
        batch.delete(MEMBERS, key(before), Expect::Any);
        batch.put(MEMBERS, key(after), &(), Expect::Any);
    }
    for id in &user.access_keys {
        // Stored even if only the path is new, so that every server hears that the principal changed.
        if let Some(mut key) = store.get::<AccessKey>(ACCESS_KEYS, id).await? {
            key.value.user = Some(after.clone());
            let expect = Expect::Version(key.version);
            batch.put(ACCESS_KEYS, id.as_str(), &key.value, expect);
        }
    }
    store.commit(batch).await?;
    Ok(user.access_keys)
}

/// `iam:DeleteUser`.
pub(crate) async fn delete_user(
    ctx: &Ctx,
    input: wire::DeleteUserRequest,
) -> Result<wire::DeleteUserResponse> {
    delete(ctx, &input.user_name, |user: &User, _, batch| {
        if !user.access_keys.is_empty() {
            return Err(iam::in_use("delete access keys"));
        }
        if !user.groups.is_empty() {
            return Err(iam::in_use("remove users from group"));
        }
        removable(ctx, batch, user)
    })
    .await?;
    Ok(wire::DeleteUserResponse)
}
