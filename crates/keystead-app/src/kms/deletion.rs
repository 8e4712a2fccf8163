//! The end of a key: its record with its key material and everything that belonged to it.
//!
//! The record goes first, in one commit with what its brothers and aliases say of it; from then on the key is gone. Its
//! grants may be too many for a commit and follow, by the same item of the queue. By another one the store's files are
//! cleared of what was removed, as they are whenever key material goes.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keystead_core::{Error, ErrorKind, Region, Result};
use keystead_store::{Batch, Expect, Lease};

use super::family::Family;
use super::last_usage::LAST_USAGES;
use super::record::{Held, KEYS};
use super::{aliases, grants, stores, upkeep};
use crate::App;

/// Keys whose end is due, by their record keys.
pub(crate) const DELETE: &str = "kms.deletion";

/// Ends a key whose time is over.
pub(crate) async fn end(app: &Arc<App>, lease: &Lease) -> Result<()> {
    let (at, now) = (lease.id(), app.env.now());
    if let Some(family) = Family::read(&app.store, at).await? {
        let due = family.own.record.key.deletion_due();
        if due.is_none_or(|due| due > now) {
            return upkeep::again(app, lease, due).await;
        }
        remove(app, family, now).await?;
    }
    let region = region_of(at)?;
    while grants::purge(&app.store, at, &region).await? {}
    upkeep::again(app, lease, None).await
}

/// Adds to a commit which removes key material that the store's files are cleared of it.
pub(crate) fn scrub_then(batch: &mut Batch, now: Timestamp) {
    batch.enqueue(SCRUB, "files", now, &());
}

/// Clears the store's files of what was removed before.
pub(crate) async fn scrub(app: &Arc<App>, lease: &Lease) -> Result<()> {
    let done = app.store.scrub().await?;
    let again = app.env.now().checked_add(SCRUB_AGAIN);
    let again = again.unwrap_or(Timestamp::MAX);
    upkeep::again(app, lease, (!done).then_some(again)).await
}

/// Removes the key from the store, and its key material from memory.
async fn remove(app: &App, mut family: Family, now: Timestamp) -> Result<()> {
    let region = family.own.record.key.region.clone();
    for other in &mut family.others {
        other.record.key.lose(&region, now);
    }
    family.settle_pending();
    let mut batch = family.batch();
    let Family { own, others } = family;
    let at = own.at.as_str();
    // In the version that was read: the family's batch expects it so.
    batch.delete(KEYS, at, Expect::Any);
    batch.delete(LAST_USAGES, at, Expect::Any);
    batch.cancel(upkeep::ROTATE, at);
    batch.cancel(upkeep::EXPIRE, at);
    scrub_then(&mut batch, now);
    aliases::forget(&mut batch, &own.record.key);
    stores::leave(app, &own.record.key, &mut batch).await?;
    app.last_usages.forget(at);
    app.store.commit(batch).await?;
    tracing::info!(
        key = own.record.key.arn(),
        "a key was deleted, as its owner wanted"
    );
    // What a brother goes on with is the same.
    let theirs: Vec<_> = others.iter().flat_map(|other| &other.record.held).collect();
    for Held { material, .. } in own.record.held {
        if theirs.iter().any(|held| held.material == material) {
            continue;
        }
        app.keys.forget(&material);
        // "KMS makes a best effort to delete the key material from the associated cluster" (API reference,
        // ScheduleKeyDeletion): a token that is away does not hold the end of a key up.
        if let Err(error) = app.keys.destroy_material(&material).await {
            let key = own.record.key.arn();
            tracing::error!(key, %error, "a deleted key's material is still in its token: delete it there");
        }
    }
    Ok(())
}

/// One item, for all that was removed.
pub(crate) const SCRUB: &str = "kms.scrub";

/// Until the files are scrubbed where a long reader was in the way, a backup for instance.
const SCRUB_AGAIN: SignedDuration = SignedDuration::from_mins(1);

fn region_of(at: &str) -> Result<Region> {
    let region = at.split('/').nth(1).unwrap_or_default();
    Region::parse(region).map_err(|_| Error::new(ErrorKind::Internal, "an item that is no key"))
}
