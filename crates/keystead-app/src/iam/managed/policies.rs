//! Managed policies as a whole.

use keystead_core::iam::{id, quota, tags};
use keystead_core::tags::Tags;
use keystead_core::{Error, ErrorKind, Result};
use keystead_policy::Kind;
use keystead_store::{Batch, Expect};
use keystead_wire::iam as wire;

use super::{Managed, ManagedPolicy, Version, aws, changeable, count, load};
use crate::Ctx;
use crate::iam::account::{Counted, Ledger};
use crate::iam::list::{CHUNK, Listing};
use crate::iam::record::{ATTACHMENTS, BOUNDARIES, Resource, create, retrying};
use crate::iam::shown::{self, Detail};
use crate::iam::{document, tags as tagging};

/// `iam:CreatePolicy`: with version `v1`.
pub(crate) async fn create_policy(
    ctx: &Ctx,
    input: wire::CreatePolicyRequest,
) -> Result<wire::CreatePolicyResponse> {
    document::check(&input.policy_document, Kind::Identity, quota::POLICY_SIZE)?;
    let mut given = Tags::new();
    tags::add(&mut given, shown::pairs(input.tags))?;
    let policy = ManagedPolicy {
        name: input.policy_name,
        path: input.path.unwrap_or_else(|| "/".into()),
        id: crate::ids::iam(id::Prefix::Policy)?,
        description: input.description,
        created: ctx.now,
        updated: ctx.now,
        tags: given,
        versions: vec![Version {
            number: 1,
            document: input.policy_document,
            created: ctx.now,
        }],
        default: 1,
        last: 1,
    };
    create(ctx, &policy.name, &policy, |ledger, _| {
        ledger.account.policy_versions += 1;
    })
    .await?;
    let arn = shown::arn(ctx, "policy", &policy.path, &policy.name);
    let made = load(ctx, &arn).await?.shown(ctx, Detail::Full).await?;
    // This answer alone lacks the description, and tags where there are none.
    let made = wire::Policy {
        description: None,
        tags: made.tags.filter(|tags| !tags.is_empty()),
        ..made
    };
    Ok(wire::CreatePolicyResponse { policy: Some(made) })
}

/// `iam:GetPolicy`.
pub(crate) async fn get_policy(
    ctx: &Ctx,
    input: wire::GetPolicyRequest,
) -> Result<wire::GetPolicyResponse> {
    let policy = load(ctx, &input.policy_arn).await?;
    Ok(wire::GetPolicyResponse {
        policy: Some(policy.shown(ctx, Detail::Full).await?),
    })
}

/// `iam:ListPolicies`: the account's by name, then AWS's by name.
pub(crate) async fn list_policies(
    ctx: &Ctx,
    input: wire::ListPoliciesRequest,
) -> Result<wire::ListPoliciesResponse> {
    let scope = input.scope.unwrap_or(wire::PolicyScopeType::All);
    let prefix = input.path_prefix.as_deref().unwrap_or("/");
    let (attached, usage) = (
        input.only_attached == Some(true),
        &input.policy_usage_filter,
    );
    let name = format!("ListPolicies {scope:?} {prefix} {attached} {usage:?}");
    let listing = Listing::new(name, input.marker, input.max_items);
    let scope = &scope;
    let next = |after: Option<String>| async move {
        let own = *scope != wire::PolicyScopeType::Aws;
        let aws = *scope != wire::PolicyScopeType::Local;
        candidates(ctx, after.as_deref(), own, aws).await
    };
    let show = |policy: Managed| async move {
        if !policy.path().starts_with(prefix) {
            return Ok(None);
        }
        let shown = policy.shown(ctx, Detail::Listed).await?;
        let used = |count: Option<i32>| count.is_some_and(|count| count > 0);
        let wanted = match usage {
            Some(wire::PolicyUsageType::PermissionsPolicy) => used(shown.attachment_count),
            Some(wire::PolicyUsageType::PermissionsBoundary) => {
                used(shown.permissions_boundary_usage_count)
            }
            None => true,
        };
        let wanted = wanted && (!attached || used(shown.attachment_count));
        Ok(wanted.then_some(shown))
    };
    let page = listing.walk(ctx, next, show).await?;
    Ok(wire::ListPoliciesResponse {
        is_truncated: page.is_truncated(),
        policies: Some(page.items),
        marker: page.marker,
    })
}

/// Some of the policies after the key `after`, each with its key: first the account's, then AWS's.
pub(in crate::iam) async fn candidates(
    ctx: &Ctx,
    after: Option<&str>,
    own: bool,
    aws: bool,
) -> Result<Vec<(String, Managed)>> {
    let in_own = after.is_none_or(|after| after.starts_with(OWN));
    if own && in_own {
        let after = after.and_then(|after| after.strip_prefix(OWN));
        let (collection, prefix) = (ManagedPolicy::COLLECTION, format!("{}/", ctx.account()));
        let after = after.map(|after| format!("{prefix}{after}"));
        let store = &ctx.app.store;
        let found = store
            .scan::<ManagedPolicy>(collection, &prefix, after.as_deref(), CHUNK)
            .await?;
        if !found.is_empty() {
            let keyed = found.into_iter().map(|stored| {
                let name = stored.key.strip_prefix(&prefix).unwrap_or_default();
                (format!("{OWN}{name}"), Managed::Own(Box::new(stored)))
            });
            return Ok(keyed.collect());
        }
    }
    if !aws {
        return Ok(Vec::new());
    }
    let after = after.and_then(|after| after.strip_prefix(AWS));
    let keyed =
        aws::after(after).map(|policy| (format!("{AWS}{}", policy.name), Managed::Aws(policy)));
    Ok(keyed.collect())
}

/// `iam:DeletePolicy`: refused while something uses it, and while it has more than one version.
pub(crate) async fn delete_policy(
    ctx: &Ctx,
    input: wire::DeletePolicyRequest,
) -> Result<wire::DeletePolicyResponse> {
    let arn = input.policy_arn.as_str();
    retrying(|| async move {
        let stored = changeable(ctx, "iam:DeletePolicy", arn).await?;
        let uses = count(ctx, ATTACHMENTS, arn).await? + count(ctx, BOUNDARIES, arn).await?;
        removable(&stored.value, uses)?;
        let mut ledger = Ledger::load(ctx).await?;
        ledger.remove(Counted::Policies);
        let versions = &mut ledger.account.policy_versions;
        *versions = versions.saturating_sub(stored.value.versions.len());
        let mut batch = Batch::new();
        ledger.save(&mut batch);
        let expect = Expect::Version(stored.version);
        batch.delete(ManagedPolicy::COLLECTION, stored.key.as_str(), expect);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    Ok(wire::DeletePolicyResponse)
}

fn removable(policy: &ManagedPolicy, uses: i32) -> Result<()> {
    let reason = if uses > 0 {
        "Cannot delete a policy attached to entities."
    } else if policy.versions.len() > 1 {
        "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The default version is deleted with the policy."
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::ResourceInUse, reason))
}

/// `iam:TagPolicy`.
pub(crate) async fn tag_policy(
    ctx: &Ctx,
    input: wire::TagPolicyRequest,
) -> Result<wire::TagPolicyResponse> {
    let name = changeable(ctx, "iam:TagPolicy", &input.policy_arn)
        .await?
        .value
        .name;
    tagging::tag::<ManagedPolicy>(ctx, &name, input.tags).await?;
    Ok(wire::TagPolicyResponse)
}

/// `iam:UntagPolicy`.
pub(crate) async fn untag_policy(
    ctx: &Ctx,
    input: wire::UntagPolicyRequest,
) -> Result<wire::UntagPolicyResponse> {
    let name = changeable(ctx, "iam:UntagPolicy", &input.policy_arn)
        .await?
        .value
        .name;
    tagging::untag::<ManagedPolicy>(ctx, &name, &input.tag_keys).await?;
    Ok(wire::UntagPolicyResponse)
}

/// `iam:ListPolicyTags`: AWS's policies have none.
pub(crate) async fn list_policy_tags(
    ctx: &Ctx,
    input: wire::ListPolicyTagsRequest,
) -> Result<wire::ListPolicyTagsResponse> {
    let tags = match load(ctx, &input.policy_arn).await? {
        Managed::Own(stored) => stored.value.tags,
        Managed::Aws(_) => Tags::new(),
    };
    let scope = format!("ListPolicyTags {}", input.policy_arn);
    let page =
        Listing::new(scope, input.marker, input.max_items).cut(ctx, shown::tag_list(tags))?;
    Ok(wire::ListPolicyTagsResponse {
        is_truncated: page.is_truncated(),
        tags: page.items,
        marker: page.marker,
    })
}

/// How the keys of the account's policies begin where both kinds are listed.
const OWN: &str = "own/";
/// How those of AWS's begin.
const AWS: &str = "aws/";
