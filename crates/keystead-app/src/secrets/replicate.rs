//! Replicas in other regions of the installation.
//!
//! A replica is a secret of its own, sealed under a key of its own region, that follows its primary: whoever changes the
//! primary changes its replicas in the same commit, so that none is ever behind. Their keys are used in the name of that
//! caller. What a replica's key refuses makes that replica `Failed`: it stays as it was, the primary goes on, and the next
//! change, or ReplicateSecretToRegions, brings it up.

use std::sync::Arc;

use keystead_core::secrets::{Replica, Replication, Secret, Status, Tie};
use keystead_core::{Error, ErrorKind, Region, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::secretsmanager as wire;

use super::change::ATTEMPTS;
use super::deletion::remove_in;
use super::find::{self, Ask, Found};
use super::record::{self, VALUES, ValueRecord, value_of};
use super::seal::{self, Value};
use super::shown;
use super::{create, cross};
use crate::Ctx;
use crate::access::Act;
use crate::kms::deletion::scrub_then;
use crate::retry::retrying;

/// ReplicateSecretToRegions: a commit for each region.
pub async fn replicate_secret_to_regions(
    ctx: &Ctx,
    input: wire::ReplicateSecretToRegionsRequest,
) -> Result<wire::ReplicateSecretToRegionsResponse> {
    let names = names(&input.add_replica_regions);
    let ask = Ask {
        lists: &[("secretsmanager:AddReplicaRegions", &names)],
        ..Ask::OWN
    };
    let found = find::secret(ctx, &input.secret_id, ask).await?;
    found.secret.check_primary()?;
    found.secret.check_untied()?;
    found.secret.check_live()?;
    let wanted = wanted(ctx, &input.add_replica_regions)?;
    let overwrite = input.force_overwrite_replica_secret == Some(true);
    let mut last = found.secret.clone();
    for replica in wanted {
        last = retrying(ATTEMPTS, || async {
            let found = find::secret(ctx, &input.secret_id, ask).await?;
            let found = found.into_inner();
            let mut after = found.secret.clone();
            let mut batch = Batch::new();
            after.add_replica(replica.clone())?;
            let follow = Follow {
                fresh: None,
                only: Some(&replica.region),
                overwrite,
            };
            follow
                .all(ctx, Some(&found), &mut after, &mut batch)
                .await?;
            commit_alone(ctx, &found, &mut after, batch).await?;
            Ok(after)
        })
        .await?;
    }
    Ok(wire::ReplicateSecretToRegionsResponse {
        arn: Some(last.arn()),
        replication_status: shown::replicas(&last),
    })
}

/// Adds to the commit that makes a secret its replicas; `fresh` is its first value.
pub(super) async fn begin(
    ctx: &Ctx,
    secret: &mut Secret,
    fresh: Option<(&str, &Value)>,
    overwrite: bool,
    batch: &mut Batch,
) -> Result<()> {
    let follow = Follow {
        fresh,
        only: None,
        overwrite,
    };
    follow.all(ctx, None, secret, batch).await
}

/// RemoveRegionsFromReplication: the replicas there are deleted.
pub async fn remove_regions_from_replication(
    ctx: &Ctx,
    input: wire::RemoveRegionsFromReplicationRequest,
) -> Result<wire::RemoveRegionsFromReplicationResponse> {
    let after = retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        let found = found.into_inner();
        let mut after = found.secret.clone();
        after.check_primary()?;
        let mut batch = Batch::new();
        for name in &input.remove_replica_regions {
            let region = Region::parse(name)?;
            if region == after.region {
                return Err(invalid_region());
            }
            if let Some(replica) = replica_of(ctx, &after, &region).await? {
                let expect = Expect::Version(replica.version);
                remove_in(&mut batch, &replica.secret, expect, ctx.now);
            }
            after.lose_replica(&region);
        }
        commit_alone(ctx, &found, &mut after, batch).await?;
        Ok(after)
    })
    .await?;
    Ok(wire::RemoveRegionsFromReplicationResponse {
        arn: Some(after.arn()),
        replication_status: Some(shown::replicas(&after).unwrap_or_default()),
    })
}

/// StopReplicationToReplica: the replica goes on by itself.
pub async fn stop_replication_to_replica(
    ctx: &Ctx,
    input: wire::StopReplicationToReplicaRequest,
) -> Result<wire::StopReplicationToReplicaResponse> {
    let arn = retrying(ATTEMPTS, || async {
        let found = find::secret(ctx, &input.secret_id, Ask::OWN).await?;
        let found = found.into_inner();
        found.secret.check_live()?;
        let mut after = found.secret.clone();
        let mut batch = Batch::new();
        match &found.secret.replication {
            Replication::Replica { primary } => leave(ctx, &after, primary, &mut batch).await?,
            _ if found.secret.tied_primary().is_some() => {
                // Its policy goes, which let the primary's account in.
                let both = Ask {
                    act: Act::Also("secretsmanager:DeleteResourcePolicy"),
                    ..Ask::OWN
                };
                find::secret(ctx, &input.secret_id, both).await?;
                cross::untie(ctx, &mut after, &mut batch).await?;
            }
            _ => {
                return Err(Error::new(
                    ErrorKind::InvalidRequest,
                    format!("Secret {} is not a replica.", found.arn),
                ));
            }
        }
        after.replication = match after.replication {
            Replication::Replica { .. } => Replication::None,
            own => own,
        };
        commit_alone(ctx, &found, &mut after, batch).await?;
        Ok(after.arn())
    })
    .await?;
    Ok(wire::StopReplicationToReplicaResponse { arn: Some(arn) })
}

/// Tells a replica's primary that it no longer follows.
async fn leave(ctx: &Ctx, replica: &Secret, primary: &Region, batch: &mut Batch) -> Result<()> {
    let found = find::at_hand(ctx, &replica.account, primary, &replica.name).await?;
    if let Some(found) = found {
        let mut after = found.secret.clone();
        after.lose_replica(&replica.region);
        let expect = Expect::Version(found.version);
        record::put(batch, Some(&found.secret), &after, expect);
    }
    Ok(())
}

/// The regions of a request, for conditions.
pub(super) fn names(asked: &[wire::ReplicaRegionType]) -> Vec<String> {
    asked.iter().filter_map(|one| one.region.clone()).collect()
}

/// The replicas that a request asks for.
///
/// # Errors
/// [`ErrorKind::InvalidParameter`], in AWS's words.
pub(super) fn wanted(ctx: &Ctx, asked: &[wire::ReplicaRegionType]) -> Result<Vec<Replica>> {
    let mut wanted: Vec<Replica> = Vec::new();
    for one in asked {
        let name = one.region.as_deref().ok_or_else(invalid_region)?;
        let region = Region::parse(name).map_err(|_| invalid_region())?;
        if region == ctx.region || wanted.iter().any(|known| known.region == region) {
            return Err(invalid_region());
        }
        wanted.push(Replica {
            region,
            kms_key: create::key(one.kms_key_id.as_deref()),
            status: Status::InProgress,
            message: None,
        });
    }
    Ok(wanted)
}

fn invalid_region() -> Error {
    Error::new(ErrorKind::InvalidParameter, "Invalid replica region.")
}

/// How replicas follow a change of their primary.
#[derive(Clone, Copy, Default)]
pub(super) struct Follow<'a> {
    /// A version whose value the change brings along, with that value.
    pub(super) fresh: Option<(&'a str, &'a Value)>,
    /// Only the one there.
    pub(super) only: Option<&'a Region>,
    /// Another secret of the name makes room.
    pub(super) overwrite: bool,
}

/// What a replica is to be.
struct Target<'a> {
    /// What is there.
    before: Option<&'a Secret>,
    /// What is to be there; without the keys of its values.
    secret: Secret,
    /// The values that it does not have yet, sealed.
    values: Vec<(String, ValueRecord)>,
}

impl Follow<'_> {
    /// Adds to the commit of a primary's change what its replicas become by it, and notes how each stands.
    pub(super) async fn all(
        self,
        ctx: &Ctx,
        found: Option<&Arc<Found>>,
        after: &mut Secret,
        batch: &mut Batch,
    ) -> Result<()> {
        let primary = after.clone();
        if let Replication::Primary(replicas) = &mut after.replication {
            let chosen =
                |replica: &&mut Replica| self.only.is_none_or(|only| *only == replica.region);
            for replica in replicas.iter_mut().filter(chosen) {
                let outcome = self.one(ctx, found, &primary, replica, batch).await;
                (replica.status, replica.message) = fate(outcome)?;
            }
        }
        if let (Tie::Primary(replicas), None) = (&mut after.tie, self.only) {
            for replica in replicas.iter_mut() {
                let (Some(found), Status::InSync | Status::Failed) = (found, replica.status) else {
                    continue;
                };
                let outcome = match cross::end(ctx, &replica.arn).await? {
                    Some(there) => {
                        let tied = there.secret.clone();
                        self.tied(ctx, found, &primary, (&there, tied), batch).await
                    }
                    None => Err(find::missing()),
                };
                (replica.status, replica.message) = fate(outcome)?;
            }
        }
        Ok(())
    }

    async fn one(
        self,
        ctx: &Ctx,
        found: Option<&Arc<Found>>,
        primary: &Secret,
        replica: &Replica,
        batch: &mut Batch,
    ) -> Result<()> {
        let region = &replica.region;
        let there = find::at_hand(ctx, &primary.account, region, &primary.name).await?;
        let (own, other) = match there {
            Some(there) if primary.is_followed_by(&there.secret) => (Some(there), None),
            there => (None, there),
        };
        if let Some(other) = &other {
            if !self.overwrite {
                let name = &other.secret.name;
                return Err(Error::new(
                    ErrorKind::AlreadyExists,
                    format!("Secret name {name} already exists in region {region}."),
                ));
            }
            other.secret.check_alone()?;
            other.secret.check_not_followed()?;
        }
        let away = Ctx {
            region: region.clone(),
            ..ctx.clone()
        };
        let before = own.as_ref().map(|own| &own.secret);
        let mut target = Target {
            before,
            secret: primary.replica_in(replica, before),
            values: Vec::new(),
        };
        self.seal((ctx, &away), found, primary, &mut target).await?;
        let expect = match own.as_ref().or(other.as_ref()) {
            Some(there) => Expect::Version(there.version),
            None => Expect::Absent,
        };
        if let Some(other) = &other {
            remove_in(batch, &other.secret, Expect::Any, ctx.now);
        }
        target.put(ctx, expect, batch);
        Ok(())
    }

    /// Adds to the commit of a primary's change what its replica in another account becomes by it.
    pub(super) async fn tied(
        self,
        ctx: &Ctx,
        found: &Arc<Found>,
        primary: &Secret,
        (there, tied): (&Arc<Found>, Secret),
        batch: &mut Batch,
    ) -> Result<()> {
        let mut target = Target {
            before: Some(&there.secret),
            secret: primary.tied_replica_from(&tied),
            values: Vec::new(),
        };
        self.seal((ctx, ctx), Some(found), primary, &mut target)
            .await?;
        target.put(ctx, Expect::Version(there.version), batch);
        Ok(())
    }

    /// Seals the values that a replica does not have yet.
    async fn seal(
        self,
        (home, away): (&Ctx, &Ctx),
        found: Option<&Arc<Found>>,
        primary: &Secret,
        target: &mut Target<'_>,
    ) -> Result<()> {
        let shell = target.secret.clone();
        let versions = target.secret.versions.iter_mut();
        for version in versions.filter(|version| version.has_value) {
            let before = target.before;
            let known = before.and_then(|before| before.version(&version.id));
            if let Some(known) = known.filter(|known| known.has_value) {
                version.kms_key.clone_from(&known.kms_key);
                continue;
            }
            let opened;
            let value = match (self.fresh, found) {
                (Some((id, value)), _) if id == version.id => value,
                (_, Some(found)) => {
                    let stored = find::value(home, found, &version.id).await?;
                    opened = seal::open(home, primary, &version.id, &stored).await?;
                    &opened
                }
                (_, None) => continue,
            };
            let (record, key) = seal::seal(away, &shell, &version.id, value).await?;
            version.kms_key = key;
            target.values.push((version.id.clone(), record));
        }
        Ok(())
    }
}

impl Target<'_> {
    /// Adds it to a commit.
    fn put(self, ctx: &Ctx, expect: Expect, batch: &mut Batch) {
        let lost = self.before.into_iter().flat_map(|before| &before.versions);
        let lost = lost.filter(|one| one.has_value && self.secret.version(&one.id).is_none());
        let mut dropped = false;
        for version in lost {
            batch.delete(VALUES, value_of(&self.secret, &version.id), Expect::Any);
            dropped = true;
        }
        if dropped {
            scrub_then(batch, ctx.now);
        }
        for (id, value) in &self.values {
            batch.put(VALUES, value_of(&self.secret, id), value, Expect::Any);
        }
        record::put(batch, self.before, &self.secret, expect);
    }
}

/// What becomes of a replica, where it is not the call itself that fails.
fn fate(outcome: Result<()>) -> Result<(Status, Option<String>)> {
    match outcome {
        Ok(()) => Ok((Status::InSync, None)),
        Err(error) => match error.kind {
            ErrorKind::AccessDenied
            | ErrorKind::AlreadyExists
            | ErrorKind::NotFound
            | ErrorKind::Secrets(_) => {
                let message = format!("Replication failed: {}", error.message);
                Ok((Status::Failed, Some(message)))
            }
            _ => Err(error),
        },
    }
}

/// A primary's replica in this region.
async fn replica_of(ctx: &Ctx, primary: &Secret, region: &Region) -> Result<Option<Arc<Found>>> {
    let there = find::at_hand(ctx, &primary.account, region, &primary.name).await?;
    Ok(there.filter(|there| primary.is_followed_by(&there.secret)))
}

/// Commits a primary whose replicas need not follow.
async fn commit_alone(
    ctx: &Ctx,
    found: &Arc<Found>,
    after: &mut Secret,
    mut batch: Batch,
) -> Result<()> {
    after.changed_at = ctx.now;
    let expect = Expect::Version(found.version);
    record::put(&mut batch, Some(&found.secret), after, expect);
    ctx.app.store.commit(batch).await?;
    Ok(())
}
