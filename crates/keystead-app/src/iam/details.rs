//! All identities and policies of an account with what hangs on them, in one listing.

use keystead_core::Result;
use keystead_core::iam::Kind;
use keystead_wire::iam as wire;

use super::list::{CHUNK, Listing, chunk};
use super::managed::{Managed, candidates};
use super::record::{Entity, Group, Identity, Role, User, group_of_id};
use super::shown::{self, Detail};
use super::{attach, profiles, roles};
use crate::Ctx;

/// `iam:GetAccountAuthorizationDetails`: users, groups, roles and policies, in this order, each by name.
pub(crate) async fn get_account_authorization_details(
    ctx: &Ctx,
    input: wire::GetAccountAuthorizationDetailsRequest,
) -> Result<wire::GetAccountAuthorizationDetailsResponse> {
    let filter = input.filter.unwrap_or_default();
    let scope = format!("GetAccountAuthorizationDetails {filter:?}");
    let listing = Listing::new(scope, input.marker, input.max_items);
    let filter = &filter;
    let next = |after: Option<String>| async move { next(ctx, filter, after.as_deref()).await };
    let show = |found: Found| async move { Ok(Some(found.shown(ctx).await?)) };
    let page = listing.walk(ctx, next, show).await?;
    let (is_truncated, marker) = (page.is_truncated(), page.marker);
    let (mut users, mut groups) = (Vec::new(), Vec::new());
    let (mut roles, mut policies) = (Vec::new(), Vec::new());
    for item in page.items {
        match item {
            Shown::User(user) => users.push(user),
            Shown::Group(group) => groups.push(group),
            Shown::Role(role) => roles.push(*role),
            Shown::Policy(policy) => policies.push(policy),
        }
    }
    Ok(wire::GetAccountAuthorizationDetailsResponse {
        user_detail_list: Some(users),
        group_detail_list: Some(groups),
        role_detail_list: Some(roles),
        policies: Some(policies),
        is_truncated,
        marker,
    })
}

/// A record of the listing.
enum Found {
    User(User),
    Group(Group),
    Role(Box<Role>),
    Policy(Managed),
}

/// As it is answered.
enum Shown {
    User(wire::UserDetail),
    Group(wire::GroupDetail),
    Role(Box<wire::RoleDetail>),
    Policy(wire::ManagedPolicyDetail),
}

/// The parts of the listing, each with how its keys begin there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Users,
    Groups,
    Roles,
    Policies,
}

impl Part {
    const ALL: [Self; 4] = [Self::Users, Self::Groups, Self::Roles, Self::Policies];

    fn mark(self) -> &'static str {
        match self {
            Self::Users => "user/",
            Self::Groups => "group/",
            Self::Roles => "role/",
            Self::Policies => "policy/",
        }
    }

    /// Which of the account's and of AWS's are wanted; for other parts than policies they are the same.
    fn wanted(self, filter: &[wire::EntityType]) -> (bool, bool) {
        let has = |wanted| filter.is_empty() || filter.contains(&wanted);
        let both = |wanted| (wanted, wanted);
        match self {
            Self::Users => both(has(wire::EntityType::User)),
            Self::Groups => both(has(wire::EntityType::Group)),
            Self::Roles => both(has(wire::EntityType::Role)),
            Self::Policies => (
                has(wire::EntityType::LocalManagedPolicy),
                has(wire::EntityType::AwsManagedPolicy),
            ),
        }
    }
}

/// Some of what comes after a key of the listing, each with its key.
async fn next(
    ctx: &Ctx,
    filter: &[wire::EntityType],
    after: Option<&str>,
) -> Result<Vec<(String, Found)>> {
    let current = |part: &Part| after.is_some_and(|after| after.starts_with(part.mark()));
    let current = Part::ALL.into_iter().find(current);
    for part in Part::ALL {
        let (own, aws) = part.wanted(filter);
        if Some(part) < current || !(own || aws) {
            continue;
        }
        let after = after.and_then(|after| after.strip_prefix(part.mark()));
        let found = match part {
            Part::Users => records(ctx, after, Found::User).await?,
            Part::Groups => records(ctx, after, Found::Group).await?,
            Part::Roles => records(ctx, after, |role| Found::Role(Box::new(role))).await?,
            Part::Policies => {
                let found = candidates(ctx, after, own, aws).await?.into_iter();
                let found = found.map(|(key, policy)| (key, Found::Policy(policy)));
                found.collect()
            }
        };
        if !found.is_empty() {
            let mark = part.mark();
            let keyed = found.into_iter();
            return Ok(keyed
                .map(|(key, found)| (format!("{mark}{key}"), found))
                .collect());
        }
    }
    Ok(Vec::new())
}

async fn records<I: Identity>(
    ctx: &Ctx,
    after: Option<&str>,
    found: impl Fn(I) -> Found,
) -> Result<Vec<(String, Found)>> {
    let prefix = format!("{}/", ctx.account());
    let records = chunk::<I>(ctx, I::COLLECTION, &prefix, after, CHUNK).await?;
    let keyed = records.into_iter();
    Ok(keyed.map(|(key, record)| (key, found(record))).collect())
}

impl Found {
    async fn shown(self, ctx: &Ctx) -> Result<Shown> {
        Ok(match self {
            Self::User(user) => Shown::User(self::user(ctx, user).await?),
            Self::Group(group) => Shown::Group(self::group(ctx, group.entity)),
            Self::Role(role) => Shown::Role(Box::new(self::role(ctx, *role).await?)),
            Self::Policy(policy) => Shown::Policy(self::policy(ctx, &policy).await?),
        })
    }
}

async fn user(ctx: &Ctx, user: User) -> Result<wire::UserDetail> {
    let mut groups = Vec::with_capacity(user.groups.len());
    for id in &user.groups {
        let found = group_of_id(&ctx.app.store, ctx.account(), id).await?;
        groups.extend(found.map(|found| found.value.entity.name));
    }
    let entity = user.entity;
    Ok(wire::UserDetail {
        user_policy_list: Some(inline(&entity)),
        attached_managed_policies: Some(attached(&entity)),
        arn: Some(arn(ctx, Kind::User, &entity)),
        path: Some(entity.path),
        user_name: Some(entity.name),
        user_id: Some(entity.id),
        create_date: Some(entity.created),
        group_list: Some(groups),
        permissions_boundary: entity.boundary.map(shown::boundary),
        tags: shown::tags(entity.tags),
    })
}

fn group(ctx: &Ctx, entity: Entity) -> wire::GroupDetail {
    wire::GroupDetail {
        group_policy_list: Some(inline(&entity)),
        attached_managed_policies: Some(attached(&entity)),
        arn: Some(arn(ctx, Kind::Group, &entity)),
        path: Some(entity.path),
        group_name: Some(entity.name),
        group_id: Some(entity.id),
        create_date: Some(entity.created),
    }
}

async fn role(ctx: &Ctx, role: Role) -> Result<wire::RoleDetail> {
    let entity = role.entity;
    Ok(wire::RoleDetail {
        role_policy_list: Some(inline(&entity)),
        attached_managed_policies: Some(attached(&entity)),
        arn: Some(arn(ctx, Kind::Role, &entity)),
        instance_profile_list: Some(profiles::of(ctx, &entity.name).await?),
        role_last_used: Some(roles::last_used(ctx, &entity.id).await?),
        assume_role_policy_document: Some(shown::document(&role.trust)),
        path: Some(entity.path),
        role_name: Some(entity.name),
        role_id: Some(entity.id),
        create_date: Some(entity.created),
        permissions_boundary: entity.boundary.map(shown::boundary),
        tags: shown::tags(entity.tags),
    })
}

async fn policy(ctx: &Ctx, policy: &Managed) -> Result<wire::ManagedPolicyDetail> {
    let shown = policy.shown(ctx, Detail::Full).await?;
    Ok(wire::ManagedPolicyDetail {
        policy_name: shown.policy_name,
        policy_id: shown.policy_id,
        arn: shown.arn,
        path: shown.path,
        default_version_id: shown.default_version_id,
        attachment_count: shown.attachment_count,
        permissions_boundary_usage_count: shown.permissions_boundary_usage_count,
        is_attachable: shown.is_attachable,
        description: shown.description,
        create_date: shown.create_date,
        update_date: shown.update_date,
        policy_version_list: Some(policy.versions()),
    })
}

fn arn(ctx: &Ctx, kind: Kind, entity: &Entity) -> String {
    shown::arn(ctx, kind.as_str(), &entity.path, &entity.name)
}

fn inline(entity: &Entity) -> Vec<wire::PolicyDetail> {
    let shown = |(name, text): (&String, &String)| wire::PolicyDetail {
        policy_name: Some(name.clone()),
        policy_document: Some(shown::document(text)),
    };
    entity.inline.iter().map(shown).collect()
}

fn attached(entity: &Entity) -> Vec<wire::AttachedPolicy> {
    entity
        .attached
        .iter()
        .map(|arn| attach::shown(arn))
        .collect()
}
