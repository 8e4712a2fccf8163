//! Multi-Region keys: brothers in other regions of this installation.

use keystead_core::kms::{Key, Origin, Own};
use keystead_core::{Error, ErrorKind, Region, Result};
use keystead_wire::kms as wire;

use super::change::ATTEMPTS;
use super::deletion::DELETE;
use super::family::Family;
use super::find::{self, Ask, Names};
use super::record::{KeyRecord, key_of};
use super::{keys, policies, shown, tags};
use crate::Ctx;
use crate::access::Act;
use crate::retry::retrying;

/// ReplicateKey: on the primary here, and as CreateKey in the other region ("Required permissions").
pub async fn replicate_key(
    ctx: &Ctx,
    input: wire::ReplicateKeyRequest,
) -> Result<wire::ReplicateKeyResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let there = in_region(ctx, &input.replica_region)?;
    let own = Own {
        description: input.description.unwrap_or_default(),
        tags: tags::of_new(input.tags)?,
        policy: match &input.policy {
            Some(policy) => policy.clone(),
            None => policies::default(ctx.account(), &there.region),
        },
    };
    let replicate = |key: &mut Key| key.replicate(&there.region, own.clone(), ctx.now);
    let replica = replicate(&mut found.record.key.clone())?;
    keys::allow(&there, Act::Also("kms:CreateKey"), &replica)?;
    if let Some(policy) = &input.policy {
        let bypass = input.bypass_policy_lockout_safety_check;
        policies::check(&there, policy, bypass, &replica).await?;
    }
    let replica = retrying(ATTEMPTS, || async {
        let mut family = Family::of(ctx, &found).await?;
        check_place(ctx, &replica).await?;
        let primary = &mut family.own.record;
        let mut replica = KeyRecord {
            key: replicate(&mut primary.key)?,
            ..primary.clone()
        };
        // "AWS KMS doesn't replicate the imported key material" (ReplicateKey).
        if replica.key.origin == Origin::External {
            replica.held.clear();
            replica.public_key = None;
        }
        for other in &mut family.others {
            other.record.key.gain(&there.region);
        }
        let key = replica.key.clone();
        family.add(replica);
        family.settle_pending();
        family.commit(&ctx.app.store).await?;
        Ok(key)
    })
    .await?;
    Ok(wire::ReplicateKeyResponse {
        replica_key_metadata: Some(shown::metadata(&replica)),
        replica_tags: Some(tags::list(&replica.tags)),
        replica_policy: Some(replica.policy),
    })
}

/// UpdatePrimaryRegion: on the primary here and on the replica that becomes it, in its region ("Required permissions").
pub async fn update_primary_region(
    ctx: &Ctx,
    input: wire::UpdatePrimaryRegionRequest,
) -> Result<wire::UpdatePrimaryRegionResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    let key = &found.record.key;
    let there = in_region(ctx, &input.primary_region)?;
    let to = &there.region;
    key.check_hand_over(to)?;
    find::admit(&there, &key.account, to, &key.id, Ask::OWN).await?;
    retrying(ATTEMPTS, || async {
        let mut family = Family::of(ctx, &found).await?;
        family.own.record.key.check_hand_over(to)?;
        for other in &family.others {
            if other.record.key.region == *to {
                other.record.key.check_successor()?;
            }
        }
        for member in family.members() {
            member.record.key.hand_over(to);
        }
        family.settle_pending();
        family.commit(&ctx.app.store).await
    })
    .await?;
    Ok(wire::UpdatePrimaryRegionResponse)
}

/// Whether a replica can come to its place: one that was there before has to be gone with its grants, which would be
/// the new one's. Read behind the family, which no longer has the old one.
async fn check_place(ctx: &Ctx, replica: &Key) -> Result<()> {
    let at = key_of(&replica.account, &replica.region, &replica.id);
    let store = &ctx.app.store;
    if store.queued::<()>(DELETE, &at).await?.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidState,
        format!("{} is being deleted: try again later.", replica.arn()),
    ))
}

/// The call as it would be in another region.
fn in_region(ctx: &Ctx, region: &str) -> Result<Ctx> {
    Ok(Ctx {
        region: Region::parse(region)?,
        ..ctx.clone()
    })
}
