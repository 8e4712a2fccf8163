//! Who uses a managed policy.

use keystead_core::Result;
use keystead_core::iam::Kind;
use keystead_store::Collection;
use keystead_wire::iam as wire;

use super::{load, same, uses_prefix};
use crate::Ctx;
use crate::iam::list::{CHUNK, Listing, chunk};
use crate::iam::record::{ATTACHMENTS, BOUNDARIES, Entity, Group, Identity, Role, User, find};

/// `iam:ListEntitiesForPolicy`: those that have it attached, then those that have it as a boundary alone;
/// each time by kind and name.
pub(crate) async fn list_entities_for_policy(
    ctx: &Ctx,
    input: wire::ListEntitiesForPolicyRequest,
) -> Result<wire::ListEntitiesForPolicyResponse> {
    let arn = input.policy_arn.as_str();
    load(ctx, arn).await?;
    let path = input.path_prefix.as_deref().unwrap_or("/");
    let (filter, usage) = (&input.entity_filter, &input.policy_usage_filter);
    let scope = format!("ListEntitiesForPolicy {arn} {path} {filter:?} {usage:?}");
    let listing = Listing::new(scope, input.marker, input.max_items);
    let next = |after: Option<String>| async move { uses(ctx, arn, after, usage).await };
    let show = |one: Use| async move {
        let wanted = match filter {
            None => true,
            Some(wire::EntityType::User) => one.kind == Kind::User,
            Some(wire::EntityType::Group) => one.kind == Kind::Group,
            Some(wire::EntityType::Role) => one.kind == Kind::Role,
            // The model has one enumeration for two operations; no policy has a policy attached.
            Some(wire::EntityType::LocalManagedPolicy | wire::EntityType::AwsManagedPolicy) => {
                false
            }
        };
        if !wanted {
            return Ok(None);
        }
        // One that was removed meanwhile uses nothing.
        let entity = one.entity(ctx).await?;
        let entity = entity.filter(|entity| entity.path.starts_with(path));
        // Whoever has it attached was listed already.
        let again = |entity: &Entity| {
            let mut attached = entity.attached.iter();
            one.boundary && usage.is_none() && attached.any(|attached| same(attached, arn))
        };
        Ok(entity
            .filter(|entity| !again(entity))
            .map(|entity| (one.kind, entity)))
    };
    let page = listing.walk(ctx, next, show).await?;
    let (is_truncated, marker) = (page.is_truncated(), page.marker);
    let (mut groups, mut users, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, Entity { name, id, .. }) in page.items {
        let (name, id) = (Some(name), Some(id));
        match kind {
            Kind::Group => groups.push(wire::PolicyGroup {
                group_name: name,
                group_id: id,
            }),
            Kind::User => users.push(wire::PolicyUser {
                user_name: name,
                user_id: id,
            }),
            Kind::Role => roles.push(wire::PolicyRole {
                role_name: name,
                role_id: id,
            }),
        }
    }
    Ok(wire::ListEntitiesForPolicyResponse {
        policy_groups: Some(groups),
        policy_users: Some(users),
        policy_roles: Some(roles),
        is_truncated,
        marker,
    })
}

/// A use of a policy.
struct Use {
    kind: Kind,
    /// In lower case.
    name: String,
    /// Whether it is that of a boundary.
    boundary: bool,
}

impl Use {
    fn new(behind_policy: &str, boundary: bool) -> Option<Self> {
        let (kind, name) = behind_policy.split_once('/')?;
        let kinds = [Kind::User, Kind::Group, Kind::Role];
        Some(Self {
            kind: kinds.into_iter().find(|known| known.as_str() == kind)?,
            name: name.to_owned(),
            boundary,
        })
    }

    async fn entity(&self, ctx: &Ctx) -> Result<Option<Entity>> {
        match self.kind {
            Kind::User => entity::<User>(ctx, &self.name).await,
            Kind::Group => entity::<Group>(ctx, &self.name).await,
            Kind::Role => entity::<Role>(ctx, &self.name).await,
        }
    }
}

async fn entity<I: Identity>(ctx: &Ctx, name: &str) -> Result<Option<Entity>> {
    let found = find::<I>(&ctx.app.store, ctx.account(), name).await?;
    Ok(found.map(|found| found.value.entity().clone()))
}

/// Some of the policy's uses after a key, each with its key.
async fn uses(
    ctx: &Ctx,
    arn: &str,
    after: Option<String>,
    usage: &Option<wire::PolicyUsageType>,
) -> Result<Vec<(String, Use)>> {
    let indexes: &[(&str, Collection)] = match usage {
        None => &[ATTACHED, BOUNDING],
        Some(wire::PolicyUsageType::PermissionsPolicy) => &[ATTACHED],
        Some(wire::PolicyUsageType::PermissionsBoundary) => &[BOUNDING],
    };
    let Some(prefix) = uses_prefix(ctx, arn) else {
        return Ok(Vec::new());
    };
    for (mark, index) in indexes {
        let after = match &after {
            // This index was listed to its end.
            Some(after) if after.as_str() > *mark && !after.starts_with(mark) => continue,
            Some(after) => after.strip_prefix(mark),
            None => None,
        };
        let found = chunk::<()>(ctx, *index, &prefix, after, CHUNK).await?;
        let keyed = found.into_iter().filter_map(|(behind, ())| {
            let one = Use::new(&behind, *index == BOUNDARIES)?;
            Some((format!("{mark}{behind}"), one))
        });
        let keyed: Vec<_> = keyed.collect();
        if !keyed.is_empty() {
            return Ok(keyed);
        }
    }
    Ok(Vec::new())
}

/// The indexes, each with how its keys begin in a listing of both.
const ATTACHED: (&str, Collection) = ("attached/", ATTACHMENTS);
const BOUNDING: (&str, Collection) = ("boundary/", BOUNDARIES);
