//! Users.

use keystead_core::Result;
use keystead_core::iam::{Kind, tags};
use keystead_wire::iam as wire;

use super::account::root_user;
use super::list::Listing;
use super::record::{Entity, User, create, load};
use super::shown::{self, Detail};
use crate::Ctx;
use crate::ctx::PrincipalKind;

/// `iam:CreateUser`.
pub(crate) async fn create_user(
    ctx: &Ctx,
    input: wire::CreateUserRequest,
) -> Result<wire::CreateUserResponse> {
    let mut entity = Entity::new(ctx, Kind::User, input.user_name, input.path)?;
    tags::add(&mut entity.tags, shown::pairs(input.tags))?;
    entity.boundary = input.permissions_boundary;
    let user = User {
        entity,
        groups: Vec::new(),
        access_keys: Vec::new(),
    };
    create(ctx, &user.entity.name, &user, |_| {}).await?;
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
    };
    let found = load::<User>(ctx, name).await?;
    Ok(wire::GetUserResponse {
        user: shown::user(ctx, found.value, Detail::Full),
    })
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
