//! Inline policies of users, groups and roles: one way for all three.

use keystead_core::iam::Kind;
use keystead_core::iam::quota::{self, Quota};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::iam as wire;

use super::document;
use super::list::{Listing, Page};
use super::record::{Entity, Group, Identity, Role, User, change, load};
use super::roles::must_be_ours;
use super::shown;
use crate::Ctx;

/// Stores the document under this name, in place of what was there.
async fn put<I: Identity>(
    ctx: &Ctx,
    name: &str,
    policy: &str,
    text: &str,
    may: impl Fn(&I) -> Result<()>,
) -> Result<()> {
    document::parse(text, keystead_policy::Kind::Identity)?;
    change(ctx, name, |identity: &mut I, _| {
        may(identity)?;
        let entity = identity.entity_mut();
        entity.inline.insert(policy.to_owned(), text.to_owned());
        fits(I::KIND, entity)
    })
    .await
}

/// The quota is on all inline policies together; white space does not count.
fn fits(kind: Kind, entity: &Entity) -> Result<()> {
    let sizes = entity.inline.values();
    let size: usize = sizes.map(|text| keystead_policy::size(text)).sum();
    let Quota { most, .. } = match kind {
        Kind::User => quota::INLINE_OF_USER,
        Kind::Group => quota::INLINE_OF_GROUP,
        Kind::Role => quota::INLINE_OF_ROLE,
    };
    if size <= most {
        return Ok(());
    }
    let (kind, name) = (kind.as_str(), &entity.name);
    Err(Error::new(
        ErrorKind::LimitExceeded,
        format!("Maximum policy size of {most} bytes exceeded for {kind} {name}"),
    ))
}

/// The names of identity and policy as they were given once, and the document as answers show it.
async fn get<I: Identity>(ctx: &Ctx, name: &str, policy: &str) -> Result<(String, String)> {
    let found = load::<I>(ctx, name).await?.value;
    let entity = found.entity();
    let text = entity.inline.get(policy);
    let text = text.ok_or_else(|| missing::<I>(policy))?;
    Ok((entity.name.clone(), shown::document(text)))
}

async fn delete<I: Identity>(
    ctx: &Ctx,
    name: &str,
    policy: &str,
    may: impl Fn(&I) -> Result<()>,
) -> Result<()> {
    change(ctx, name, |identity: &mut I, _| {
        may(identity)?;
        let removed = identity.entity_mut().inline.remove(policy);
        removed.map(drop).ok_or_else(|| missing::<I>(policy))
    })
    .await
}

/// The names of its inline policies.
async fn list<I: Identity>(ctx: &Ctx, name: &str, listing: Listing) -> Result<Page<String>> {
    let found = load::<I>(ctx, name).await?.value;
    listing.cut(ctx, found.entity().inline.keys().cloned().collect())
}

fn missing<I: Identity>(policy: &str) -> Error {
    let kind = I::KIND.as_str();
    Error::new(
        ErrorKind::NotFound,
        format!("The {kind} policy with name {policy} cannot be found."),
    )
}

/// The operations of each kind, by the member of their requests that names it.
macro_rules! operations {
    ($($identity:ty, $named:ident, $may:expr =>
        $put:ident($put_request:ident) -> $put_response:ident,
        $get:ident($get_request:ident) -> $get_response:ident,
        $delete:ident($delete_request:ident) -> $delete_response:ident,
        $list:ident($list_request:ident) -> $list_response:ident;)*) => {$(
        #[doc = concat!("`iam:", stringify!($put), "`.")]
        pub(crate) async fn $put(
            ctx: &Ctx,
            input: wire::$put_request,
        ) -> Result<wire::$put_response> {
            let (policy, text) = (&input.policy_name, &input.policy_document);
            put::<$identity>(ctx, &input.$named, policy, text, $may).await?;
            Ok(wire::$put_response)
        }

        #[doc = concat!("`iam:", stringify!($get), "`.")]
        pub(crate) async fn $get(
            ctx: &Ctx,
            input: wire::$get_request,
        ) -> Result<wire::$get_response> {
            let (name, document) = get::<$identity>(ctx, &input.$named, &input.policy_name).await?;
            Ok(wire::$get_response {
                $named: name,
                policy_name: input.policy_name,
                policy_document: document,
            })
        }

        #[doc = concat!("`iam:", stringify!($delete), "`.")]
        pub(crate) async fn $delete(
            ctx: &Ctx,
            input: wire::$delete_request,
        ) -> Result<wire::$delete_response> {
            delete::<$identity>(ctx, &input.$named, &input.policy_name, $may).await?;
            Ok(wire::$delete_response)
        }

        #[doc = concat!("`iam:", stringify!($list), "`.")]
        pub(crate) async fn $list(
            ctx: &Ctx,
            input: wire::$list_request,
        ) -> Result<wire::$list_response> {
            let name = &input.$named;
            let scope = format!("{} {name}", stringify!($list));
            let listing = Listing::new(scope, input.marker, input.max_items);
            let page = list::<$identity>(ctx, name, listing).await?;
            Ok(wire::$list_response {
                is_truncated: page.is_truncated(),
                policy_names: page.items,
                marker: page.marker,
            })
        }
    )*};
}

operations! {
    User, user_name, |_| Ok(()) =>
        put_user_policy(PutUserPolicyRequest) -> PutUserPolicyResponse,
        get_user_policy(GetUserPolicyRequest) -> GetUserPolicyResponse,
        delete_user_policy(DeleteUserPolicyRequest) -> DeleteUserPolicyResponse,
        list_user_policies(ListUserPoliciesRequest) -> ListUserPoliciesResponse;
    Group, group_name, |_| Ok(()) =>
        put_group_policy(PutGroupPolicyRequest) -> PutGroupPolicyResponse,
        get_group_policy(GetGroupPolicyRequest) -> GetGroupPolicyResponse,
        delete_group_policy(DeleteGroupPolicyRequest) -> DeleteGroupPolicyResponse,
        list_group_policies(ListGroupPoliciesRequest) -> ListGroupPoliciesResponse;
    Role, role_name, must_be_ours =>
        put_role_policy(PutRolePolicyRequest) -> PutRolePolicyResponse,
        get_role_policy(GetRolePolicyRequest) -> GetRolePolicyResponse,
        delete_role_policy(DeleteRolePolicyRequest) -> DeleteRolePolicyResponse,
        list_role_policies(ListRolePoliciesRequest) -> ListRolePoliciesResponse;
}
