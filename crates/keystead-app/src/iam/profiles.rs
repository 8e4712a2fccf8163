//! Instance profiles: what hands a role to a machine.

use keystead_core::iam::{self, fold, quota, tags};
use keystead_core::tags::Tags;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::iam as wire;

use super::list::{Listing, Page};
use super::record::{
    InstanceProfile, PROFILES_OF_ROLES, Role, create, delete, find, load, retrying, save,
};
use super::roles::must_be_ours;
use super::shown::{self, Detail};
use crate::{Ctx, ids};

/// `iam:CreateInstanceProfile`.
pub(crate) async fn create_instance_profile(
    ctx: &Ctx,
    input: wire::CreateInstanceProfileRequest,
) -> Result<wire::CreateInstanceProfileResponse> {
    let mut profile = InstanceProfile {
        name: input.instance_profile_name,
        path: input.path.unwrap_or_else(|| "/".into()),
        id: ids::iam(iam::id::Prefix::InstanceProfile)?,
        created: ctx.now,
        tags: Tags::new(),
        role: None,
    };
    tags::add(&mut profile.tags, shown::pairs(input.tags))?;
    create(ctx, &profile.name, &profile, |_, _| {}).await?;
    Ok(wire::CreateInstanceProfileResponse {
        instance_profile: with_role(ctx, profile, Detail::Full).await?,
    })
}

/// `iam:GetInstanceProfile`.
pub(crate) async fn get_instance_profile(
    ctx: &Ctx,
    input: wire::GetInstanceProfileRequest,
) -> Result<wire::GetInstanceProfileResponse> {
    let found = load::<InstanceProfile>(ctx, &input.instance_profile_name).await?;
    let mut instance_profile = with_role(ctx, found.value, Detail::Full).await?;
    // Alone of all that show tags, it shows that there are none.
    instance_profile.tags.get_or_insert_default();
    Ok(wire::GetInstanceProfileResponse { instance_profile })
}

/// `iam:ListInstanceProfiles`.
pub(crate) async fn list_instance_profiles(
    ctx: &Ctx,
    input: wire::ListInstanceProfilesRequest,
) -> Result<wire::ListInstanceProfilesResponse> {
    let listing = Listing::new("ListInstanceProfiles", input.marker, input.max_items);
    let page = listing
        .by_path(ctx, input.path_prefix, |profile: InstanceProfile| profile)
        .await?;
    let is_truncated = page.is_truncated();
    let mut instance_profiles = Vec::with_capacity(page.items.len());
    for profile in page.items {
        instance_profiles.push(with_role(ctx, profile, Detail::Listed).await?);
    }
    Ok(wire::ListInstanceProfilesResponse {
        instance_profiles,
        is_truncated,
        marker: page.marker,
    })
}

/// `iam:ListInstanceProfilesForRole`.
pub(crate) async fn list_instance_profiles_for_role(
    ctx: &Ctx,
    input: wire::ListInstanceProfilesForRoleRequest,
) -> Result<wire::ListInstanceProfilesForRoleResponse> {
    load::<Role>(ctx, &input.role_name).await?;
    let scope = format!("ListInstanceProfilesForRole {}", fold(&input.role_name));
    let listing = Listing::new(scope, input.marker, input.max_items);
    let page = holding(ctx, &input.role_name, listing).await?;
    Ok(wire::ListInstanceProfilesForRoleResponse {
        is_truncated: page.is_truncated(),
        instance_profiles: page.items,
        marker: page.marker,
    })
}

/// `iam:DeleteInstanceProfile`.
pub(crate) async fn delete_instance_profile(
    ctx: &Ctx,
    input: wire::DeleteInstanceProfileRequest,
) -> Result<wire::DeleteInstanceProfileResponse> {
    let name = &input.instance_profile_name;
    delete(ctx, name, |profile: &InstanceProfile, _, _| {
        match profile.role {
            Some(_) => Err(iam::in_use("remove roles from instance profile")),
            None => Ok(()),
        }
    })
    .await?;
    Ok(wire::DeleteInstanceProfileResponse)
}

/// `iam:AddRoleToInstanceProfile`.
pub(crate) async fn add_role_to_instance_profile(
    ctx: &Ctx,
    input: wire::AddRoleToInstanceProfileRequest,
) -> Result<wire::AddRoleToInstanceProfileResponse> {
    let add = |profile: &mut InstanceProfile, role: &mut Role| {
        must_be_ours(role)?;
        let held = usize::from(profile.role.is_some());
        quota::ROLES_OF_PROFILE.admits_one_more(held)?;
        profile.role = Some(fold(&role.entity.name));
        role.profiles += 1;
        Ok(())
    };
    change(ctx, &input.instance_profile_name, &input.role_name, add).await?;
    Ok(wire::AddRoleToInstanceProfileResponse)
}

/// `iam:RemoveRoleFromInstanceProfile`.
pub(crate) async fn remove_role_from_instance_profile(
    ctx: &Ctx,
    input: wire::RemoveRoleFromInstanceProfileRequest,
) -> Result<wire::RemoveRoleFromInstanceProfileResponse> {
    let remove = |profile: &mut InstanceProfile, role: &mut Role| {
        must_be_ours(role)?;
        let name = &role.entity.name;
        if profile.role.take().is_none_or(|held| held != fold(name)) {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("Role {name} cannot be found."),
            ));
        }
        role.profiles = role.profiles.saturating_sub(1);
        Ok(())
    };
    change(ctx, &input.instance_profile_name, &input.role_name, remove).await?;
    Ok(wire::RemoveRoleFromInstanceProfileResponse)
}

/// Changes which role the profile holds.
async fn change(
    ctx: &Ctx,
    profile: &str,
    role: &str,
    decide: impl Fn(&mut InstanceProfile, &mut Role) -> Result<()>,
) -> Result<()> {
    let decide = &decide;
    retrying(|| async move {
        let mut profile = load::<InstanceProfile>(ctx, profile).await?;
        let mut role = load::<Role>(ctx, role).await?;
        decide(&mut profile.value, &mut role.value)?;
        let key = of_role(ctx, &role.value.entity.name, &profile.value.name);
        let mut batch = Batch::new();
        save(&mut batch, &profile);
        save(&mut batch, &role);
        match profile.value.role {
            Some(_) => batch.put(PROFILES_OF_ROLES, key, &(), Expect::Any),
            None => batch.delete(PROFILES_OF_ROLES, key, Expect::Any),
        };
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

/// The profiles that hold the role, at most a hundred.
pub(super) async fn of(ctx: &Ctx, role: &str) -> Result<Vec<wire::InstanceProfile>> {
    let listing = Listing::new("", None, None);
    Ok(holding(ctx, role, listing).await?.items)
}

/// A page of the profiles that hold the role.
async fn holding(ctx: &Ctx, role: &str, listing: Listing) -> Result<Page<wire::InstanceProfile>> {
    let prefix = of_role(ctx, role, "");
    let page = listing
        .scan(ctx, PROFILES_OF_ROLES, &prefix, |name, ()| {
            Some(name.to_owned())
        })
        .await?;
    let mut items = Vec::with_capacity(page.items.len());
    for name in &page.items {
        // One that was removed meanwhile holds nothing.
        let found = find::<InstanceProfile>(&ctx.app.store, ctx.account(), name).await?;
        if let Some(found) = found {
            items.push(with_role(ctx, found.value, Detail::Listed).await?);
        }
    }
    Ok(Page {
        items,
        marker: page.marker,
    })
}

fn of_role(ctx: &Ctx, role: &str, profile: &str) -> String {
    format!("{}/{}/{}", ctx.account(), fold(role), fold(profile))
}

/// A profile as answers show it, with its role.
async fn with_role(
    ctx: &Ctx,
    profile: InstanceProfile,
    detail: Detail,
) -> Result<wire::InstanceProfile> {
    let role = match &profile.role {
        Some(name) => find::<Role>(&ctx.app.store, ctx.account(), name).await?,
        None => None,
    };
    let role = role.map(|role| shown::role(ctx, role.value, Detail::Listed, None));
    let tags = shown::tags(profile.tags).filter(|_| detail == Detail::Full);
    let (path, name) = (profile.path, profile.name);
    Ok(wire::InstanceProfile {
        arn: shown::arn(ctx, "instance-profile", &path, &name),
        path,
        instance_profile_name: name,
        instance_profile_id: profile.id,
        create_date: profile.created,
        roles: role.into_iter().collect(),
        tags,
    })
}
