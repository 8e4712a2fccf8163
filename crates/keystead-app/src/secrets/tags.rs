//! Tags of secrets.

use keystead_core::secrets::Secret;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::secretsmanager as wire;

use super::change::change;
use super::find::{self, Ask};
use crate::Ctx;

/// TagResource.
pub async fn tag_resource(
    ctx: &Ctx,
    input: wire::TagResourceRequest,
) -> Result<wire::TagResourceResponse> {
    let added = pairs(Some(input.tags))?;
    change(ctx, &input.secret_id, Ask::OWN, |secret| {
        secret.tag(added.clone())?;
        secret.changed_at = ctx.now;
        check_kept(ctx, secret, "secretsmanager:TagResource")
    })
    .await?;
    Ok(wire::TagResourceResponse)
}

/// UntagResource.
pub async fn untag_resource(
    ctx: &Ctx,
    input: wire::UntagResourceRequest,
) -> Result<wire::UntagResourceResponse> {
    change(ctx, &input.secret_id, Ask::OWN, |secret| {
        secret.untag(input.tag_keys.clone());
        secret.changed_at = ctx.now;
        check_kept(ctx, secret, "secretsmanager:UntagResource")
    })
    .await?;
    Ok(wire::UntagResourceResponse)
}

/// "If successfully completing this operation would result in you losing your permissions for this secret, then the operation
/// is blocked" (API reference): who changes tags could do so again.
fn check_kept(ctx: &Ctx, after: &Secret, action: &str) -> Result<()> {
    if find::could(ctx, action, after)? {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AccessDenied,
        format!(
            "User: {} is not authorized to perform: {action} on resource: {} because the tags would take that permission away",
            ctx.principal.arn,
            after.arn()
        ),
    ))
}

/// The tags that a request gives.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`] where one has no key.
pub(super) fn pairs(tags: Option<Vec<wire::Tag>>) -> Result<Vec<(String, String)>> {
    let pair = |tag: wire::Tag| match tag.key {
        Some(key) => Ok((key, tag.value.unwrap_or_default())),
        None => Err(Error::new(
            ErrorKind::InvalidParameter,
            "A tag must have a key.",
        )),
    };
    tags.unwrap_or_default().into_iter().map(pair).collect()
}
