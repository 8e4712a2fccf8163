//! Tags: by the operations for certificates, and by the general ones, which mean the same here.

use keystead_core::Result;
use keystead_core::acm::tags::{self, CertificateTags, Tag};
use keystead_wire::acm as wire;

use super::{change, find};
use crate::Ctx;

/// `acm:AddTagsToCertificate`.
pub(crate) async fn add_tags_to_certificate(
    ctx: &Ctx,
    input: wire::AddTagsToCertificateRequest,
) -> Result<wire::AddTagsToCertificateResponse> {
    add(ctx, &input.certificate_arn, input.tags).await?;
    Ok(wire::AddTagsToCertificateResponse {})
}

/// `acm:RemoveTagsFromCertificate`.
pub(crate) async fn remove_tags_from_certificate(
    ctx: &Ctx,
    input: wire::RemoveTagsFromCertificateRequest,
) -> Result<wire::RemoveTagsFromCertificateResponse> {
    remove(ctx, &input.certificate_arn, pairs(Some(input.tags))).await?;
    Ok(wire::RemoveTagsFromCertificateResponse {})
}

/// `acm:ListTagsForCertificate`.
pub(crate) async fn list_tags_for_certificate(
    ctx: &Ctx,
    input: wire::ListTagsForCertificateRequest,
) -> Result<wire::ListTagsForCertificateResponse> {
    let found = find(ctx, &input.certificate_arn).await?;
    Ok(wire::ListTagsForCertificateResponse {
        tags: Some(shown(found.into_inner().certificate.tags)),
    })
}

/// `acm:TagResource`.
pub(crate) async fn tag_resource(
    ctx: &Ctx,
    input: wire::TagResourceRequest,
) -> Result<wire::TagResourceResponse> {
    add(ctx, &input.resource_arn, input.tags).await?;
    Ok(wire::TagResourceResponse {})
}

/// `acm:UntagResource`.
pub(crate) async fn untag_resource(
    ctx: &Ctx,
    input: wire::UntagResourceRequest,
) -> Result<wire::UntagResourceResponse> {
    let keys = input.tag_keys.into_iter().map(|key| (key, None));
    remove(ctx, &input.resource_arn, keys.collect()).await?;
    Ok(wire::UntagResourceResponse {})
}

/// `acm:ListTagsForResource`.
pub(crate) async fn list_tags_for_resource(
    ctx: &Ctx,
    input: wire::ListTagsForResourceRequest,
) -> Result<wire::ListTagsForResourceResponse> {
    let found = find(ctx, &input.resource_arn).await?;
    Ok(wire::ListTagsForResourceResponse {
        tags: Some(shown(found.into_inner().certificate.tags)),
    })
}

async fn add(ctx: &Ctx, arn: &str, added: Vec<wire::Tag>) -> Result<()> {
    let added = pairs(Some(added));
    change(ctx, arn, |certificate| {
        tags::add(&mut certificate.tags, added.clone())
    })
    .await
}

async fn remove(ctx: &Ctx, arn: &str, removed: Vec<Tag>) -> Result<()> {
    change(ctx, arn, |certificate| {
        tags::remove(&mut certificate.tags, &removed)
    })
    .await
}

/// Tags of a request.
pub(super) fn pairs(tags: Option<Vec<wire::Tag>>) -> Vec<Tag> {
    tags.into_iter()
        .flatten()
        .map(|tag| (tag.key, tag.value))
        .collect()
}

/// Tags as decisions look at them; without a value is with an empty one.
pub(super) fn described(tags: &CertificateTags) -> Vec<(&str, &str)> {
    tags.iter()
        .map(|(key, value)| (key.as_str(), value.as_deref().unwrap_or_default()))
        .collect()
}

fn shown(tags: CertificateTags) -> Vec<wire::Tag> {
    tags.into_iter()
        .map(|(key, value)| wire::Tag { key, value })
        .collect()
}
