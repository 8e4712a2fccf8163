//! Tags of keys.

use keystead_core::Result;
use keystead_core::kms::{Command, Key};
use keystead_core::tags::{self, Tags};
use keystead_wire::kms as wire;

use super::change::change;
use super::find::{self, Ask, Names};
use crate::access::{Act, Resource};
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
        |record, _| tags::add(&mut record.key.tags, pairs(input.tags.clone())),
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
            record
                .key
                .tags
                .retain(|name, _| !input.tag_keys.contains(name));
            Ok(())
        },
    )
    .await?;
    Ok(wire::UntagResourceResponse)
}

/// ListResourceTags, in the order of their keys.
pub async fn list_resource_tags(
    ctx: &Ctx,
    input: wire::ListResourceTagsRequest,
) -> Result<wire::ListResourceTagsResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let scope = format!("ListResourceTags {}", found.arn);
    let after = input
        .marker
        .map(|marker| cursor::resume(ctx, &scope, &marker));
    let after = after.transpose()?;
    let size = input.limit.and_then(|limit| usize::try_from(limit).ok());
    let size = size.unwrap_or(tags::MAX_TAGS);
    let mut rest = found
        .record
        .key
        .tags
        .iter()
        .filter(|(name, _)| after.as_ref().is_none_or(|after| *name > after))
        .peekable();
    let page: Vec<_> = rest.by_ref().take(size).collect();
    let last = page.last().filter(|_| rest.peek().is_some());
    let next_marker = last.map(|(name, _)| cursor::token(ctx, &scope, name));
    Ok(wire::ListResourceTagsResponse {
        tags: Some(page.into_iter().map(shown).collect()),
        truncated: Some(next_marker.is_some()),
        next_marker,
    })
}

/// The tags that a key is made with, if the caller may tag it ("Required permissions: kms:TagResource", CreateKey).
pub(super) fn of_new(ctx: &Ctx, key: &Key, asked: Option<Vec<wire::Tag>>) -> Result<Tags> {
    let mut own = Tags::new();
    let asked = asked.unwrap_or_default();
    if asked.is_empty() {
        return Ok(own);
    }
    let arn = key.arn();
    let act = Act::Also("kms:TagResource");
    ctx.allow_as(act, &Resource::new(&arn, key.account.as_str()))?;
    tags::add(&mut own, pairs(asked))?;
    Ok(own)
}

/// The tags as the model has them.
pub(super) fn list(tags: &Tags) -> Vec<wire::Tag> {
    tags.iter().map(shown).collect()
}

fn shown((name, value): (&String, &String)) -> wire::Tag {
    wire::Tag {
        tag_key: name.clone(),
        tag_value: value.clone(),
    }
}

fn pairs(tags: Vec<wire::Tag>) -> impl Iterator<Item = (String, String)> {
    tags.into_iter().map(|tag| (tag.tag_key, tag.tag_value))
}
