//! What keys need by themselves: key material that rotates when its time has come, and imported key material and keys that
//! end.
//!
//! A key is in each queue under its record key, at most once, and whoever changes when something is due of it calls
//! [`queue`] in the same commit.

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::Result;
use keystead_core::kms::{Key, Origin, RotationType, Turn};
use keystead_store::{Batch, Lease};

use super::deletion::DELETE;
use super::family::Family;
use super::{import, rotation};
use crate::App;

/// Automatic rotations.
pub(crate) const ROTATE: &str = "kms.rotate";
/// Ends of imported key material.
pub(crate) const EXPIRE: &str = "kms.expire";

/// Queues what is due of a key, or takes it out where nothing is any more.
pub(super) fn queue(batch: &mut Batch, at: &str, key: &Key) {
    match key.deletion_due() {
        Some(due) => batch.enqueue(DELETE, at, due, &()),
        None => batch.cancel(DELETE, at),
    };
    let (queue, due) = match key.origin {
        Origin::AwsKms => (ROTATE, key.rotation_due()),
        Origin::External => (EXPIRE, key.next_expiry()),
        // Their key material is not here to be rotated or to end.
        Origin::AwsCloudHsm | Origin::ExternalKeyStore => return,
    };
    match due {
        Some(due) => batch.enqueue(queue, at, due, &()),
        None => batch.cancel(queue, at),
    };
}

/// Rotates a key whose time has come. A key that was switched off, for instance, is left alone: the change that makes it
/// due again queues it.
pub(crate) async fn rotate(app: &Arc<App>, lease: &Lease) -> Result<()> {
    let now = app.env.now();
    let Some(mut family) = Family::read(&app.store, lease.id()).await? else {
        return again(app, lease, None).await;
    };
    let due = family.own.record.key.rotation_due();
    if due.is_none_or(|due| due > now) {
        return again(app, lease, due).await;
    }
    rotation::turn(app, &mut family, Turn::Fresh, RotationType::Automatic, now).await?;
    let key = &family.own.record.key;
    tracing::info!(key = key.arn(), "a key was rotated, as its schedule says");
    Ok(())
}

/// Removes the key material whose time is over from a key.
pub(crate) async fn expire(app: &Arc<App>, lease: &Lease) -> Result<()> {
    let now = app.env.now();
    let Some(mut family) = Family::read(&app.store, lease.id()).await? else {
        return again(app, lease, None).await;
    };
    let key = &family.own.record.key;
    let over = key.expired(now);
    if over.is_empty() {
        return again(app, lease, key.next_expiry()).await;
    }
    import::remove(app, &mut family, &over).await?;
    let key = &family.own.record.key;
    tracing::info!(
        key = key.arn(),
        count = over.len(),
        "imported key material has expired and was removed"
    );
    Ok(())
}

/// Nothing is due yet, or any more. Who changes the key meanwhile has queued what follows, and ends this lease.
pub(super) async fn again(app: &App, lease: &Lease, due: Option<Timestamp>) -> Result<()> {
    let mut batch = Batch::new();
    match due {
        Some(due) => batch.reschedule(lease, due, &()),
        None => batch.finish(lease),
    };
    app.store.commit(batch).await?;
    Ok(())
}
