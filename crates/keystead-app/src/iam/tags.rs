//! Tags: three operations for everything that has them.

use keystead_core::Result;
use keystead_core::iam::tags;
use keystead_wire::iam as wire;

use super::list::{Listing, Page};
use super::record::{InstanceProfile, OidcProvider, Resource, Role, User, change, load};
use super::{oidc, shown};
use crate::Ctx;

/// Adds tags to the `R` with this name.
pub(super) async fn tag<R: Resource>(ctx: &Ctx, name: &str, added: Vec<wire::Tag>) -> Result<()> {
    let added = &added;
    change(ctx, name, |record: &mut R, _| {
        tags::add(record.tags_mut(), shown::pairs(Some(added.clone())))
    })
    .await
}

/// Removes tags from the `R` with this name.
pub(super) async fn untag<R: Resource>(ctx: &Ctx, name: &str, removed: &[String]) -> Result<()> {
    change(ctx, name, |record: &mut R, _| {
        tags::remove(record.tags_mut(), removed);
        Ok(())
    })
    .await
}

/// Lists the tags of the `R` with this name, by key.
pub(super) async fn list<R: Resource>(
    ctx: &Ctx,
    name: &str,
    listing: Listing,
) -> Result<Page<wire::Tag>> {
    let mut found = load::<R>(ctx, name).await?.value;
    let tags = std::mem::take(found.tags_mut());
    listing.cut(ctx, shown::tag_list(tags))
}

/// The three operations of a record, by the member of their requests that names it.
macro_rules! operations {
    ($($record:ty, $named:ident via $name:path:
        $tag:ident($tag_request:ident) -> $tag_response:ident,
        $untag:ident($untag_request:ident) -> $untag_response:ident,
        $list:ident($list_request:ident) -> $list_response:ident;)*) => {$(
        #[doc = concat!("`iam:", stringify!($tag), "`.")]
        pub(crate) async fn $tag(
            ctx: &Ctx,
            input: wire::$tag_request,
        ) -> Result<wire::$tag_response> {
            tag::<$record>(ctx, &$name(ctx, &input.$named)?, input.tags).await?;
            Ok(wire::$tag_response)
        }

        #[doc = concat!("`iam:", stringify!($untag), "`.")]
        pub(crate) async fn $untag(
            ctx: &Ctx,
            input: wire::$untag_request,
        ) -> Result<wire::$untag_response> {
            untag::<$record>(ctx, &$name(ctx, &input.$named)?, &input.tag_keys).await?;
            Ok(wire::$untag_response)
        }

        #[doc = concat!("`iam:", stringify!($list), "`.")]
        pub(crate) async fn $list(
            ctx: &Ctx,
            input: wire::$list_request,
        ) -> Result<wire::$list_response> {
            let name = $name(ctx, &input.$named)?;
            let scope = format!("{} {name}", stringify!($list));
            let listing = Listing::new(scope, input.marker, input.max_items);
            let page = list::<$record>(ctx, &name, listing).await?;
            Ok(wire::$list_response {
                is_truncated: page.is_truncated(),
                tags: page.items,
                marker: page.marker,
            })
        }
    )*};
}

/// A record that is named by its name.
fn itself<'a>(_: &Ctx, name: &'a str) -> Result<&'a str> {
    Ok(name)
}

operations! {
    User, user_name via itself:
        tag_user(TagUserRequest) -> TagUserResponse,
        untag_user(UntagUserRequest) -> UntagUserResponse,
        list_user_tags(ListUserTagsRequest) -> ListUserTagsResponse;
    Role, role_name via itself:
        tag_role(TagRoleRequest) -> TagRoleResponse,
        untag_role(UntagRoleRequest) -> UntagRoleResponse,
        list_role_tags(ListRoleTagsRequest) -> ListRoleTagsResponse;
    InstanceProfile, instance_profile_name via itself:
        tag_instance_profile(TagInstanceProfileRequest) -> TagInstanceProfileResponse,
        untag_instance_profile(UntagInstanceProfileRequest) -> UntagInstanceProfileResponse,
        list_instance_profile_tags(ListInstanceProfileTagsRequest) -> ListInstanceProfileTagsResponse;
    OidcProvider, open_id_connect_provider_arn via oidc::url_of:
        tag_open_id_connect_provider(TagOpenIdConnectProviderRequest)
            -> TagOpenIdConnectProviderResponse,
        untag_open_id_connect_provider(UntagOpenIdConnectProviderRequest)
            -> UntagOpenIdConnectProviderResponse,
        list_open_id_connect_provider_tags(ListOpenIdConnectProviderTagsRequest)
            -> ListOpenIdConnectProviderTagsResponse;
}
