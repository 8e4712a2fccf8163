//! Groups, and who is in them.

use keystead_core::iam::{self, Kind, quota};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::iam as wire;

use super::identity::{make, removable, rename};
use super::list::{Listing, Page};
use super::record::{
    Entity, GROUP_NAMES, Group, GroupName, MEMBERS, User, delete, find, group_of_id, load,
    member_key, retrying, save,
};
use super::shown::{self, Detail};
use crate::Ctx;

/// `iam:CreateGroup`.
pub(crate) async fn create_group(
    ctx: &Ctx,
    input: wire::CreateGroupRequest,
) -> Result<wire::CreateGroupResponse> {
    let group = Group {
        entity: Entity::new(ctx, Kind::Group, input.group_name, input.path)?,
        members: 0,
    };
    let called = group.clone();
    let group = make(ctx, group, None, |batch| call(ctx, batch, &called)).await?;
    Ok(wire::CreateGroupResponse {
        group: shown::group(ctx, group),
    })
}

/// `iam:GetGroup`: with its users.
pub(crate) async fn get_group(
    ctx: &Ctx,
    input: wire::GetGroupRequest,
) -> Result<wire::GetGroupResponse> {
    let group = load::<Group>(ctx, &input.group_name).await?.value;
    let id = group.entity.id.clone();
    let listing = Listing::new(format!("GetGroup {id}"), input.marker, input.max_items);
    let names: Page<String> = listing
        .scan(
            ctx,
            MEMBERS,
            &member_key(ctx.account(), &id, ""),
            |name, ()| Some(name.to_owned()),
        )
        .await?;
    let mut users = Vec::with_capacity(names.items.len());
    for name in &names.items {
        // One that was removed meanwhile is in no group.
        if let Some(user) = find::<User>(&ctx.app.store, ctx.account(), name).await? {
            users.push(shown::user(ctx, user.value, Detail::Listed));
        }
    }
    Ok(wire::GetGroupResponse {
        group: shown::group(ctx, group),
        users,
        is_truncated: names.is_truncated(),
        marker: names.marker,
    })
}

/// `iam:ListGroups`.
pub(crate) async fn list_groups(
    ctx: &Ctx,
    input: wire::ListGroupsRequest,
) -> Result<wire::ListGroupsResponse> {
    let listing = Listing::new("ListGroups", input.marker, input.max_items);
    let page = listing
        .by_path(ctx, input.path_prefix, |group| shown::group(ctx, group))
        .await?;
    Ok(wire::ListGroupsResponse {
        is_truncated: page.is_truncated(),
        groups: page.items,
        marker: page.marker,
    })
}

/// `iam:UpdateGroup`: its users know it by its id, and stay.
pub(crate) async fn update_group(
    ctx: &Ctx,
    input: wire::UpdateGroupRequest,
) -> Result<wire::UpdateGroupResponse> {
    let input = &input;
    retrying(|| async move {
        let found = load::<Group>(ctx, &input.group_name).await?;
        let (name, path) = (input.new_group_name.as_deref(), input.new_path.as_deref());
        let mut batch = Batch::new();
        let group = rename(ctx, &mut batch, &found, name, path).await?;
        call(ctx, &mut batch, &group);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    Ok(wire::UpdateGroupResponse)
}

/// `iam:DeleteGroup`.
pub(crate) async fn delete_group(
    ctx: &Ctx,
    input: wire::DeleteGroupRequest,
) -> Result<wire::DeleteGroupResponse> {
    delete(ctx, &input.group_name, |group: &Group, _, batch| {
        if group.members > 0 {
            return Err(iam::in_use("remove users from group"));
        }
        let key = format!("{}/{}", ctx.account(), group.entity.id);
        batch.delete(GROUP_NAMES, key, Expect::Any);
        removable(ctx, batch, group)
    })
    .await?;
    Ok(wire::DeleteGroupResponse)
}

/// `iam:AddUserToGroup`: done already is done.
pub(crate) async fn add_user_to_group(
    ctx: &Ctx,
    input: wire::AddUserToGroupRequest,
) -> Result<wire::AddUserToGroupResponse> {
    let join = |user: &mut User, group: &mut Group| {
        let id = &group.entity.id;
        if user.groups.contains(id) {
            return Ok(false);
        }
        quota::GROUPS_OF_USER.admits_one_more(user.groups.len())?;
        user.groups.push(id.clone());
        group.members += 1;
        Ok(true)
    };
    membership(ctx, &input.user_name, &input.group_name, join).await?;
    Ok(wire::AddUserToGroupResponse)
}

/// `iam:RemoveUserFromGroup`.
pub(crate) async fn remove_user_from_group(
    ctx: &Ctx,
    input: wire::RemoveUserFromGroupRequest,
) -> Result<wire::RemoveUserFromGroupResponse> {
    let (user_name, group_name) = (&input.user_name, &input.group_name);
    let leave = |user: &mut User, group: &mut Group| {
        let before = user.groups.len();
        user.groups.retain(|id| *id != group.entity.id);
        if user.groups.len() == before {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("User {user_name} not in group {group_name}"),
            ));
        }
        group.members = group.members.saturating_sub(1);
        Ok(true)
    };
    membership(ctx, user_name, group_name, leave).await?;
    Ok(wire::RemoveUserFromGroupResponse)
}

/// `iam:ListGroupsForUser`: by name.
pub(crate) async fn list_groups_for_user(
    ctx: &Ctx,
    input: wire::ListGroupsForUserRequest,
) -> Result<wire::ListGroupsForUserResponse> {
    let user = load::<User>(ctx, &input.user_name).await?.value;
    let scope = format!("ListGroupsForUser {}", user.entity.id);
    let mut groups = Vec::with_capacity(user.groups.len());
    for id in &user.groups {
        groups.extend(group_of_id(&ctx.app.store, ctx.account(), id).await?);
    }
    groups.sort_by(|one, other| one.key.cmp(&other.key));
    let groups = groups
        .into_iter()
        .map(|group| shown::group(ctx, group.value))
        .collect();
    let page = Listing::new(scope, input.marker, input.max_items).cut(ctx, groups)?;
    Ok(wire::ListGroupsForUserResponse {
        is_truncated: page.is_truncated(),
        groups: page.items,
        marker: page.marker,
    })
}

/// Changes whether the user is in the group; `decide` answers whether it changed anything.
async fn membership(
    ctx: &Ctx,
    user: &str,
    group: &str,
    decide: impl Fn(&mut User, &mut Group) -> Result<bool>,
) -> Result<()> {
    let decide = &decide;
    retrying(|| async move {
        let mut user = load::<User>(ctx, user).await?;
        let mut group = load::<Group>(ctx, group).await?;
        if !decide(&mut user.value, &mut group.value)? {
            return Ok(());
        }
        let mut batch = Batch::new();
        save(&mut batch, &user);
        save(&mut batch, &group);
        let id = &group.value.entity.id;
        let key = member_key(ctx.account(), id, &user.value.entity.name);
        if user.value.groups.contains(id) {
            batch.put(MEMBERS, key, &(), Expect::Any);
        } else {
            batch.delete(MEMBERS, key, Expect::Any);
        }
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

/// Adds to the batch what the group is called.
fn call(ctx: &Ctx, batch: &mut Batch, group: &Group) {
    let key = format!("{}/{}", ctx.account(), group.entity.id);
    let name = GroupName(group.entity.name.clone());
    batch.put(GROUP_NAMES, key, &name, Expect::Any);
}
