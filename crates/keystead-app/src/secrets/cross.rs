//! A replica in another account: tied by the owners of both, and followed like one in another region.
//!
//! Both accounts are this installation's. Values and labels follow in the commit of the primary's change, in its caller's
//! name, who therefore needs the use of both keys.

use std::sync::Arc;

use keystead_core::secrets::{Named, Secret, Status, Tie, Tied};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::secretsmanager as wire;
use serde_json::json;

use super::SERVICE;
use super::change::ATTEMPTS;
use super::find::{self, Ask, Found};
use super::record;
use super::replicate::Follow;
use crate::Ctx;
use crate::access::Act;
use crate::retry::retrying;

/// AssociateCrossAccountReplica. "If the association fails, Secrets Manager does not modify either."
pub async fn associate_cross_account_replica(
    ctx: &Ctx,
    input: wire::AssociateCrossAccountReplicaRequest,
) -> Result<wire::AssociateCrossAccountReplicaResponse> {
    if input.replication_role_arn.is_some() {
        return Err(invalid(
            "ReplicationRoleARN is not supported: replication uses the credentials of the caller who updates the primary secret.",
        ));
    }
    let other = &input.cross_account_replica_arn;
    retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        let read = Ask {
            act: Act::Also("secretsmanager:GetSecretValue"),
            ..Ask::OWN
        };
        find::secret(ctx, &input.secret_id, read).await?;
        let found = found.into_inner();
        found.secret.check_primary()?;
        found.secret.check_live()?;
        check_other(ctx, &found.secret, other)?;
        let accept = Ask {
            act: Act::Via {
                action: "secretsmanager:AcceptCrossAccountReplication",
                service: SERVICE,
            },
            ..Ask::OWN
        };
        let replica = find::secret(ctx, other, accept).await?.into_inner();
        replica.secret.check_live()?;
        let mut after = found.secret.clone();
        let mut tied = replica.secret.clone();
        after.associate(&mut tied)?;
        let mut batch = Batch::new();
        let follow = Follow::default();
        follow
            .tied(ctx, &found, &after, (&replica, tied), &mut batch)
            .await?;
        put(ctx, &found, &mut after, &mut batch);
        ctx.app.store.commit(batch).await?;
        Ok(wire::AssociateCrossAccountReplicaResponse {
            arn: Some(found.arn.clone()),
            cross_account_replica_arn: Some(replica.arn.clone()),
            replication_status: Some(wire::StatusType::InSync),
        })
    })
    .await
}

/// DisassociateCrossAccountReplica.
pub async fn disassociate_cross_account_replica(
    ctx: &Ctx,
    input: wire::DisassociateCrossAccountReplicaRequest,
) -> Result<wire::DisassociateCrossAccountReplicaResponse> {
    let other = &input.cross_account_replica_arn;
    retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        let found = found.into_inner();
        let mut after = found.secret.clone();
        if !after.lose_tied(other) {
            return Err(Error::new(
                ErrorKind::InvalidRequest,
                format!("Secret {} has no cross-account replica {other}.", found.arn),
            ));
        }
        let mut batch = Batch::new();
        if let Some(replica) = end(ctx, other).await? {
            let mut tied = replica.secret.clone();
            tied.untied_from(&found.arn);
            put(ctx, &replica, &mut tied, &mut batch);
        }
        put(ctx, &found, &mut after, &mut batch);
        ctx.app.store.commit(batch).await?;
        Ok(wire::DisassociateCrossAccountReplicaResponse {
            arn: Some(found.arn.clone()),
            cross_account_replica_arn: Some(other.clone()),
        })
    })
    .await
}

/// Adds to the commit that ends a replica's tie, from the replica's side, what its primary is told.
pub(super) async fn untie(ctx: &Ctx, replica: &mut Secret, batch: &mut Batch) -> Result<()> {
    let own = replica.arn();
    let Some(primary) = replica.tied_primary().map(|tied| tied.arn.clone()) else {
        return Ok(());
    };
    if let Some(primary) = end(ctx, &primary).await? {
        let mut tied = primary.secret.clone();
        tied.untied_from(&own);
        put(ctx, &primary, &mut tied, batch);
    }
    replica.tie = Tie::None;
    replica.policy = None;
    Ok(())
}

/// Makes a new secret one that follows this primary of another account: "The replica must use a customer managed KMS key, and
/// can't include AddReplicaRegions, Description, SecretBinary, SecretString, or Type" (CreateSecret).
pub(super) fn tie(
    ctx: &Ctx,
    input: &wire::CreateSecretRequest,
    primary: &str,
    new: &mut Secret,
) -> Result<()> {
    check_other(ctx, new, primary)?;
    let more = [
        ("SecretString", input.secret_string.is_some()),
        ("SecretBinary", input.secret_binary.is_some()),
        ("Description", input.description.is_some()),
        ("AddReplicaRegions", input.add_replica_regions.is_some()),
        ("Type", input.type_.is_some()),
    ];
    if let Some((member, _)) = more.iter().find(|(_, there)| *there) {
        return Err(invalid(&format!(
            "You can't include {member} together with CrossAccountPrimaryARN."
        )));
    }
    if new.kms_key.is_none() {
        return Err(invalid(
            "A cross-account replica must be encrypted with a customer managed KMS key: specify KmsKeyId.",
        ));
    }
    let account = crate::access::account_of(primary);
    let partition = ctx.region.partition();
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Sid": "AllowCrossAccountReplication",
            "Effect": "Allow",
            "Principal": { "AWS": format!("arn:{partition}:iam::{account}:root") },
            "Action": "secretsmanager:AcceptCrossAccountReplication",
            "Resource": "*",
        }],
    });
    new.policy = Some(policy.to_string());
    new.tie = Tie::Replica(Tied {
        arn: primary.to_owned(),
        status: Status::Pending,
        message: None,
    });
    Ok(())
}

/// `CrossAccountPrimary`.
pub(super) fn primary(secret: &Secret) -> Option<wire::CrossAccountPrimaryType> {
    let tied = secret.tied_primary()?;
    Some(wire::CrossAccountPrimaryType {
        primary_secret_arn: Some(tied.arn.clone()),
        replication_status: Some(super::shown::status(tied.status)),
        status_message: tied.message.clone(),
    })
}

/// `CrossAccountReplicas`.
pub(super) fn replicas(secret: &Secret) -> Option<Vec<wire::CrossAccountReplicaEntry>> {
    let shown = |tied: &Tied| wire::CrossAccountReplicaEntry {
        replica_secret_arn: Some(tied.arn.clone()),
        replication_role_arn: None,
        replication_status: Some(super::shown::status(tied.status)),
        status_message: tied.message.clone(),
    };
    let tied = secret.tied_replicas();
    (!tied.is_empty()).then(|| tied.iter().map(shown).collect())
}

/// The other end of a tie, as it is stored.
pub(super) async fn end(ctx: &Ctx, arn: &str) -> Result<Option<Arc<Found>>> {
    let named = Named::parse(arn);
    let Some((account, _)) = named.as_ref().and_then(|named| named.place.clone()) else {
        return Ok(None);
    };
    for (name, _) in named.iter().flat_map(Named::candidates) {
        let found = find::at_hand(ctx, &account, &ctx.region, name).await?;
        if let Some(found) = found.filter(|found| found.arn == arn) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// "The primary and replica secrets must be in the same Region and partition", and in two accounts.
fn check_other(ctx: &Ctx, own: &Secret, arn: &str) -> Result<()> {
    let named = Named::parse(arn).and_then(|named| named.place);
    let fits = named
        .is_some_and(|(account, region)| account != own.account && region == ctx.region.as_str());
    match fits {
        true => Ok(()),
        false => Err(invalid(&format!(
            "{arn} is not the ARN of a secret of another account in region {}.",
            ctx.region
        ))),
    }
}

fn put(ctx: &Ctx, found: &Found, after: &mut Secret, batch: &mut Batch) {
    after.changed_at = ctx.now;
    let expect = Expect::Version(found.version);
    record::put(batch, Some(&found.secret), after, expect);
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidParameter, message)
}
