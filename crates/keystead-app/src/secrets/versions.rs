//! Versions: listed, and their staging labels moved.

use keystead_core::Result;
use keystead_core::secrets::Version;
use keystead_wire::secretsmanager as wire;

use super::change::change;
use super::find::{self, Ask};
use crate::{Ctx, cursor};

/// ListSecretVersionIds: those that have a value, and where nothing else is asked for, a label.
pub async fn list_secret_version_ids(
    ctx: &Ctx,
    input: wire::ListSecretVersionIdsRequest,
) -> Result<wire::ListSecretVersionIdsResponse> {
    let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
    let deprecated = input.include_deprecated == Some(true);
    let scope = format!("ListSecretVersionIds {} {deprecated}", found.arn);
    let after = input.next_token.as_deref();
    let after = after.map(|token| cursor::resume(ctx, &scope, token));
    let after = after.transpose()?;
    let size = cursor::size(input.max_results, PAGE).min(PAGE);
    let mut listed = found
        .secret
        .versions
        .iter()
        .filter(|version| version.has_value && (deprecated || !version.labels.is_empty()));
    if let Some(after) = &after {
        // What was dropped or lost its label meanwhile is looked for in vain: then the listing is at its end.
        listed.by_ref().find(|version| version.id == *after);
    }
    let page: Vec<&Version> = listed.by_ref().take(size).collect();
    let more = listed.next().is_some();
    let last = page.last().filter(|_| more);
    Ok(wire::ListSecretVersionIdsResponse {
        next_token: last.map(|last| cursor::token(ctx, &scope, &last.id)),
        versions: Some(page.into_iter().map(shown).collect()),
        arn: Some(found.arn.clone()),
        name: Some(found.secret.name.clone()),
    })
}

/// UpdateSecretVersionStage.
pub async fn update_secret_version_stage(
    ctx: &Ctx,
    input: wire::UpdateSecretVersionStageRequest,
) -> Result<wire::UpdateSecretVersionStageResponse> {
    let (from, to) = (&input.remove_from_version_id, &input.move_to_version_id);
    let after = change(ctx, &input.secret_id, Ask::OWN, |secret| {
        secret.check_untied()?;
        let label = &input.version_stage;
        secret.relabel(label, from.as_deref(), to.as_deref(), ctx.now)
    })
    .await?;
    Ok(wire::UpdateSecretVersionStageResponse {
        arn: Some(after.arn()),
        name: Some(after.name),
    })
}

fn shown(version: &Version) -> wire::SecretVersionsListEntry {
    let key = version.kms_key.clone();
    wire::SecretVersionsListEntry {
        version_id: Some(version.id.clone()),
        version_stages: Some(version.labels.clone()).filter(|labels| !labels.is_empty()),
        last_accessed_date: version.accessed_on,
        created_date: Some(version.created_at),
        kms_key_ids: Some(vec![key.unwrap_or_else(|| "DefaultEncryptionKey".into())]),
    }
}

/// Versions of one answer (API reference, `MaxResults`).
const PAGE: usize = 100;
