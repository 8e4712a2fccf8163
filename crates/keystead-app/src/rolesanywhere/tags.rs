//! Tags of every kind, by ARN.

use keystead_core::tags::{self, Tags};
use keystead_core::{Arn, Error, ErrorKind, Result};
use keystead_wire::rolesanywhere as wire;
use keystead_wire::value::Sensitive;

use super::record::{self, Crl, Profile, Record, Subject, TrustAnchor};
use crate::Ctx;

/// `rolesanywhere:TagResource`.
pub(crate) async fn tag_resource(
    ctx: &Ctx,
    input: wire::TagResourceRequest,
) -> Result<wire::TagResourceResponse> {
    let added = pairs(input.tags);
    change(ctx, &input.resource_arn, |tags| {
        tags::add(tags, added.clone())
    })
    .await?;
    Ok(wire::TagResourceResponse)
}

/// `rolesanywhere:UntagResource`.
pub(crate) async fn untag_resource(
    ctx: &Ctx,
    input: wire::UntagResourceRequest,
) -> Result<wire::UntagResourceResponse> {
    let keys = input
        .tag_keys
        .iter()
        .map(|key| (key.expose().clone(), None));
    let keys: Vec<_> = keys.collect();
    change(ctx, &input.resource_arn, |tags| {
        tags::remove(tags, keys.clone());
        Ok(())
    })
    .await?;
    Ok(wire::UntagResourceResponse)
}

/// `rolesanywhere:ListTagsForResource`.
pub(crate) async fn list_tags_for_resource(
    ctx: &Ctx,
    input: wire::ListTagsForResourceRequest,
) -> Result<wire::ListTagsForResourceResponse> {
    let arn = &input.resource_arn;
    let tags = match kind_of(arn)?.as_str() {
        TrustAnchor::NAME => of::<TrustAnchor>(ctx, arn).await?,
        Profile::NAME => of::<Profile>(ctx, arn).await?,
        Crl::NAME => of::<Crl>(ctx, arn).await?,
        Subject::NAME => of::<Subject>(ctx, arn).await?,
        _ => return Err(no_resource(arn)),
    };
    let shown = tags.into_iter().map(|(key, value)| wire::Tag {
        key: Sensitive::new(key),
        value: Sensitive::new(value),
    });
    Ok(wire::ListTagsForResourceResponse {
        tags: Some(shown.collect()),
    })
}

/// Tags of a request.
pub(super) fn pairs(tags: Vec<wire::Tag>) -> Vec<(String, String)> {
    let pair = |tag: wire::Tag| (tag.key.expose().clone(), tag.value.expose().clone());
    tags.into_iter().map(pair).collect()
}

async fn change(ctx: &Ctx, arn: &str, how: impl Fn(&mut Tags) -> Result<()>) -> Result<()> {
    match kind_of(arn)?.as_str() {
        TrustAnchor::NAME => changed::<TrustAnchor>(ctx, arn, how).await,
        Profile::NAME => changed::<Profile>(ctx, arn, how).await,
        Crl::NAME => changed::<Crl>(ctx, arn, how).await,
        Subject::NAME => changed::<Subject>(ctx, arn, how).await,
        _ => Err(no_resource(arn)),
    }
}

async fn changed<K: Record + Clone>(
    ctx: &Ctx,
    arn: &str,
    how: impl Fn(&mut Tags) -> Result<()>,
) -> Result<()> {
    record::change::<K>(ctx, arn, |value| how(value.tags_mut())).await?;
    Ok(())
}

async fn of<K: Record>(ctx: &Ctx, arn: &str) -> Result<Tags> {
    let found = record::find::<K>(ctx, arn).await?;
    Ok(found.value.tags().clone())
}

/// The kind that an ARN names.
fn kind_of(arn: &str) -> Result<String> {
    let Arn { resource, .. } = Arn::parse(arn)?;
    let resource = resource.strip_prefix("alias/").unwrap_or(&resource);
    Ok(resource.split('/').next().unwrap_or_default().to_owned())
}

fn no_resource(arn: &str) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!("'{arn}' is not the ARN of a trust anchor, a profile, a CRL or a subject."),
    )
}
