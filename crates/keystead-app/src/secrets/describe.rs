//! DescribeSecret.

use keystead_core::secrets::Secret;
use keystead_core::{Region, Result};
use keystead_wire::secretsmanager as wire;

use super::find::{self, Ask};
use super::{cross, shown};
use crate::Ctx;

/// DescribeSecret; also of a secret that waits for its end.
pub async fn describe_secret(
    ctx: &Ctx,
    input: wire::DescribeSecretRequest,
) -> Result<wire::DescribeSecretResponse> {
    let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
    let entry = shown::entry(&found.secret);
    Ok(wire::DescribeSecretResponse {
        arn: entry.arn,
        name: entry.name,
        type_: entry.type_,
        description: entry.description,
        kms_key_id: entry.kms_key_id,
        rotation_enabled: entry.rotation_enabled,
        rotation_lambda_arn: entry.rotation_lambda_arn,
        rotation_rules: entry.rotation_rules,
        external_secret_rotation_metadata: entry.external_secret_rotation_metadata,
        external_secret_rotation_role_arn: entry.external_secret_rotation_role_arn,
        last_rotated_date: entry.last_rotated_date,
        last_changed_date: entry.last_changed_date,
        last_accessed_date: entry.last_accessed_date,
        deleted_date: entry.deleted_date,
        next_rotation_date: entry.next_rotation_date,
        tags: entry.tags,
        version_ids_to_stages: entry.secret_versions_to_stages,
        owning_service: entry.owning_service,
        created_date: entry.created_date,
        primary_region: entry.primary_region,
        replication_status: replicas(ctx, &found.secret).await?,
        cross_account_primary: cross::primary(&found.secret),
        cross_account_replicas: cross::replicas(&found.secret),
    })
}

/// `ReplicationStatus`, with the days on which the replicas were read: each is in the replica's own record.
async fn replicas(ctx: &Ctx, secret: &Secret) -> Result<Option<Vec<wire::ReplicationStatusType>>> {
    let Some(mut shown) = shown::replicas(secret) else {
        return Ok(None);
    };
    for status in &mut shown {
        let Some(Ok(region)) = status.region.as_deref().map(Region::parse) else {
            continue;
        };
        let there = find::at_hand(ctx, &secret.account, &region, &secret.name).await?;
        // Where replication failed there may be another secret of this name.
        let there = there.filter(|there| {
            there.secret.suffix == secret.suffix
                && there.secret.primary_region() == Some(secret.region.as_str())
        });
        status.last_accessed_date = there.and_then(|there| there.secret.accessed_on);
    }
    Ok(Some(shown))
}
