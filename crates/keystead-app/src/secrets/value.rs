//! GetSecretValue.

use keystead_core::Result;
use keystead_core::secrets::Select;
use keystead_wire::secretsmanager as wire;

use super::accesses;
use super::change::ATTEMPTS;
use super::find::{self, Ask, Found};
use super::seal;
use crate::Ctx;
use crate::retry::retrying;

/// GetSecretValue.
pub async fn get_secret_value(
    ctx: &Ctx,
    input: wire::GetSecretValueRequest,
) -> Result<wire::GetSecretValueResponse> {
    let select = Select {
        id: input.version_id.as_deref(),
        label: input.version_stage.as_deref(),
    };
    let entry = retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        found.secret.check_live()?;
        read(ctx, &found, select).await
    })
    .await?;
    Ok(wire::GetSecretValueResponse {
        arn: entry.arn,
        name: entry.name,
        version_id: entry.version_id,
        secret_binary: entry.secret_binary,
        secret_string: entry.secret_string,
        version_stages: entry.version_stages,
        created_date: entry.created_date,
    })
}

/// The value of a version of a secret that the caller may read.
pub(super) async fn read(
    ctx: &Ctx,
    found: &Found,
    select: Select<'_>,
) -> Result<wire::SecretValueEntry> {
    let version = found.secret.select(select)?;
    let stored = find::value(ctx, found, &version.id).await?;
    let value = seal::open(ctx, &found.secret, &version.id, &stored).await?;
    accesses::note(ctx, found, version);
    let (secret_string, secret_binary) = value.shown()?;
    Ok(wire::SecretValueEntry {
        arn: Some(found.arn.clone()),
        name: Some(found.secret.name.clone()),
        version_id: Some(version.id.clone()),
        secret_binary,
        secret_string,
        version_stages: Some(version.labels.clone()).filter(|labels| !labels.is_empty()),
        created_date: Some(version.created_at),
    })
}
