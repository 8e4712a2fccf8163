//! Tags of keys.

use keystead_core::kms::Command;
use keystead_core::{Result, tags};
use keystead_wire::kms as wire;

use super::change::change;
use super::find::{self, Ask, Names};
use super::page_size;
use crate::{Ctx, cursor};

/// TagResource.
pub async fn tag_resource(
    ctx: &Ctx,
    input: wire::TagResourceRequest,
) -> Result<wire::TagResourceResponse> {
    change(
        ctx,
        &input.key_id,
        Ask::OWN,
        Command::Describe,
        |record, _| {
            record.key.check_customers()?;
            let added = input.tags.iter();
            let added = added.map(|tag| (tag.tag_key.clone(), tag.tag_value.clone()));
            tags::add(&mut record.key.tags, added)
        },
    )
    .await?;
    Ok(wire::TagResourceResponse)
}

/// UntagResource.
pub async fn untag_resource(
    ctx: &Ctx,
    input: wire::UntagResourceRequest,
) -> Result<wire::UntagResourceResponse> {
    change(
        ctx,
        &input.key_id,
        Ask::OWN,
        Command::Describe,
        |record, _| {
            record.key.check_customers()?;
            let removed = input.tag_keys.iter().map(|key| (key.clone(), None));
            tags::remove(&mut record.key.tags, removed);
            Ok(())
        },
    )
    .await?;
    Ok(wire::UntagResourceResponse)
}

/// ListResourceTags.
pub async fn list_resource_tags(
    ctx: &Ctx,
    input: wire::ListResourceTagsRequest,
) -> Result<wire::ListResourceTagsResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let scope = format!("ListResourceTags {}", found.arn);
    let after = input.marker.as_deref();
    let after = after
        .map(|marker| cursor::resume(ctx, &scope, marker))
        .transpose()?;
    let size = page_size(input.limit);
    let all = &found.record.key.tags;
    let mut rest = all
        .iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
    let tags: Vec<wire::Tag> = rest
        .by_ref()
        .take(size)
        .map(|(key, value)| wire::Tag {
            tag_key: key.clone(),
            tag_value: value.clone(),
        })
        .collect();
    let last = tags.last().filter(|_| rest.next().is_some());
    let next = last.map(|last| cursor::token(ctx, &scope, &last.tag_key));
    Ok(wire::ListResourceTagsResponse {
        truncated: Some(next.is_some()),
        tags: Some(tags),
        next_marker: next,
    })
}
