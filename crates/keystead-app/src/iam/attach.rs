//! Managed policies of users, groups and roles: one way for all three.

use keystead_core::iam::Kind;
use keystead_core::iam::quota::{self, Quota};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::iam as wire;

use super::list::{Listing, Page};
use super::managed;
use super::record::{
    ATTACHMENTS, Group, Identity, Role, User, change, load, retrying, save, use_key,
};
use super::roles::must_be_ours;
use crate::Ctx;

/// Attaches the policy; done already is done.
async fn attach<I: Identity>(
    ctx: &Ctx,
    name: &str,
    arn: &str,
    may: impl Fn(&I) -> Result<()>,
) -> Result<()> {
    let may = &may;
    retrying(|| async move {
        let mut found = load::<I>(ctx, name).await?;
        may(&found.value)?;
        let policy = managed::usable(ctx, arn).await?;
        let entity = found.value.entity_mut();
        if entity
            .attached
            .iter()
            .any(|attached| managed::same(attached, arn))
        {
            return Ok(());
        }
        most::<I>().admits_one_more(entity.attached.len())?;
        entity.attached.push(arn.to_owned());
        let mut batch = Batch::new();
        policy.hold(&mut batch);
        if let Some(key) = use_key(ctx.account(), arn, I::KIND, &entity.name) {
            batch.put(ATTACHMENTS, key, &(), Expect::Any);
        }
        save(&mut batch, &found);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

async fn detach<I: Identity>(
    ctx: &Ctx,
    name: &str,
    arn: &str,
    may: impl Fn(&I) -> Result<()>,
) -> Result<()> {
    change(ctx, name, |identity: &mut I, batch| {
        may(identity)?;
        let entity = identity.entity_mut();
        let before = entity.attached.len();
        entity
            .attached
            .retain(|attached| !managed::same(attached, arn));
        if entity.attached.len() == before {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("Policy {arn} was not found."),
            ));
        }
        if let Some(key) = use_key(ctx.account(), arn, I::KIND, &entity.name) {
            batch.delete(ATTACHMENTS, key, Expect::Any);
        }
        Ok(())
    })
    .await
}

/// What is attached, in the order of attaching.
async fn list<I: Identity>(
    ctx: &Ctx,
    name: &str,
    path_prefix: Option<String>,
    listing: Listing,
) -> Result<Page<wire::AttachedPolicy>> {
    let found = load::<I>(ctx, name).await?.value;
    let wanted = path_prefix.as_deref().unwrap_or("/");
    let attached = found.entity().attached.iter();
    let attached = attached.filter(|arn| behind_policy(arn).starts_with(wanted));
    listing.cut(ctx, attached.map(|arn| shown(arn)).collect())
}

/// An attached policy, as answers show it.
pub(super) fn shown(arn: &str) -> wire::AttachedPolicy {
    let name = arn.rsplit('/').next().unwrap_or_default();
    wire::AttachedPolicy {
        policy_name: Some(name.to_owned()),
        policy_arn: Some(arn.to_owned()),
    }
}

/// The path and name in a policy's ARN: `/path/name`.
fn behind_policy(arn: &str) -> &str {
    arn.split_once(":policy").map_or("", |(_, rest)| rest)
}

fn most<I: Identity>() -> Quota {
    match I::KIND {
        Kind::User => quota::POLICIES_OF_USER,
        Kind::Group => quota::POLICIES_OF_GROUP,
        Kind::Role => quota::POLICIES_OF_ROLE,
    }
}

/// The operations of each kind, by the member of their requests that names it.
macro_rules! operations {
    ($($identity:ty, $named:ident, $may:expr =>
        $attach:ident($attach_request:ident) -> $attach_response:ident,
        $detach:ident($detach_request:ident) -> $detach_response:ident,
        $list:ident($list_request:ident) -> $list_response:ident;)*) => {$(
        #[doc = concat!("`iam:", stringify!($attach), "`.")]
        pub(crate) async fn $attach(
            ctx: &Ctx,
            input: wire::$attach_request,
        ) -> Result<wire::$attach_response> {
            attach::<$identity>(ctx, &input.$named, &input.policy_arn, $may).await?;
            Ok(wire::$attach_response)
        }

        #[doc = concat!("`iam:", stringify!($detach), "`.")]
        pub(crate) async fn $detach(
            ctx: &Ctx,
            input: wire::$detach_request,
        ) -> Result<wire::$detach_response> {
            detach::<$identity>(ctx, &input.$named, &input.policy_arn, $may).await?;
            Ok(wire::$detach_response)
        }

        #[doc = concat!("`iam:", stringify!($list), "`.")]
        pub(crate) async fn $list(
            ctx: &Ctx,
            input: wire::$list_request,
        ) -> Result<wire::$list_response> {
            let (name, prefix) = (&input.$named, input.path_prefix);
            let scope = format!("{} {name} {prefix:?}", stringify!($list));
            let listing = Listing::new(scope, input.marker, input.max_items);
            let page = list::<$identity>(ctx, name, prefix, listing).await?;
            Ok(wire::$list_response {
                is_truncated: page.is_truncated(),
                attached_policies: Some(page.items),
                marker: page.marker,
            })
        }
    )*};
}

operations! {
    User, user_name, |_| Ok(()) =>
        attach_user_policy(AttachUserPolicyRequest) -> AttachUserPolicyResponse,
        detach_user_policy(DetachUserPolicyRequest) -> DetachUserPolicyResponse,
        list_attached_user_policies(ListAttachedUserPoliciesRequest)
            -> ListAttachedUserPoliciesResponse;
    Group, group_name, |_| Ok(()) =>
        attach_group_policy(AttachGroupPolicyRequest) -> AttachGroupPolicyResponse,
        detach_group_policy(DetachGroupPolicyRequest) -> DetachGroupPolicyResponse,
        list_attached_group_policies(ListAttachedGroupPoliciesRequest)
            -> ListAttachedGroupPoliciesResponse;
    Role, role_name, must_be_ours =>
        attach_role_policy(AttachRolePolicyRequest) -> AttachRolePolicyResponse,
        detach_role_policy(DetachRolePolicyRequest) -> DetachRolePolicyResponse,
        list_attached_role_policies(ListAttachedRolePoliciesRequest)
            -> ListAttachedRolePoliciesResponse;
}
