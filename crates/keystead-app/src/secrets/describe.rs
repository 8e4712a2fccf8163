//! DescribeSecret.

use keystead_core::Result;
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
        replication_status: shown::replicas(&found.secret),
        cross_account_primary: cross::primary(&found.secret),
        cross_account_replicas: cross::replicas(&found.secret),
    })
}
