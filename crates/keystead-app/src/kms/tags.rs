//! Tags of keys.

use keystead_core::Result;
use keystead_core::kms::Command;
use keystead_core::tags::{self, Tags};
use keystead_wire::kms as wire;

use super::change::change;
use super::find::{self, Ask, Names};
use super::page_size_of;
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
            tags::add(&mut record.key.tags, pairs(input.tags.clone()))
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
    let size = page_size_of(input.limit, tags::MAX_TAGS, tags::MAX_TAGS);
    let all = &found.record.key.tags;
    let mut rest = all
        .iter()
        .filter(|(key, _)| after.as_ref().is_none_or(|after| *key > after));
    let tags: Vec<wire::Tag> = rest.by_ref().take(size).map(shown).collect();
    let last = tags.last().filter(|_| rest.next().is_some());
    let next = last.map(|last| cursor::token(ctx, &scope, &last.tag_key));
    Ok(wire::ListResourceTagsResponse {
        truncated: Some(next.is_some()),
        tags: Some(tags),
        next_marker: next,
    })
}

/// The tags that a new key is asked to have.
pub(super) fn of_new(asked: Option<Vec<wire::Tag>>) -> Result<Tags> {
    let mut tags = Tags::new();
    tags::add(&mut tags, pairs(asked.unwrap_or_default()))?;
    Ok(tags)
}

/// The tags as the model has them.
pub(super) fn list(tags: &Tags) -> Vec<wire::Tag> {
    tags.iter().map(shown).collect()
}

fn pairs(tags: Vec<wire::Tag>) -> impl Iterator<Item = (String, String)> {
    tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value))
}

fn shown((key, value): (&String, &String)) -> wire::Tag {
    wire::Tag {
        tag_key: key.clone(),
        tag_value: value.clone(),
    }
}
