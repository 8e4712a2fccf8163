//! Tags of keys.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// TagResource.
pub async fn tag_resource(
    ctx: &Ctx,
    input: wire::TagResourceRequest,
) -> Result<wire::TagResourceResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// UntagResource.
pub async fn untag_resource(
    ctx: &Ctx,
    input: wire::UntagResourceRequest,
) -> Result<wire::UntagResourceResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListResourceTags.
pub async fn list_resource_tags(
    ctx: &Ctx,
    input: wire::ListResourceTagsRequest,
) -> Result<wire::ListResourceTagsResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
