//! What users, groups and roles share beyond their records: being made, renamed, removed.

use keystead_core::Result;
use keystead_core::iam;
use keystead_store::{Batch, Expect, Stored};

use super::boundary;
use super::record::{
    ATTACHMENTS, BOUNDARIES, Entity, Identity, create_once, find, key, retrying, save, use_key,
};
use crate::Ctx;

/// Stores a new one, with its permissions boundary where it has one.
pub(super) async fn make<I: Identity>(
    ctx: &Ctx,
    mut identity: I,
    boundary: Option<String>,
    also: impl Fn(&mut Batch),
) -> Result<I> {
    identity.entity_mut().boundary = boundary;
    let (stored, also) = (&identity, &also);
    retrying(|| async move {
        let Entity { name, boundary, .. } = stored.entity();
        let policy = match boundary {
            Some(arn) => Some(boundary::find(ctx, arn).await?),
            None => None,
        };
        create_once(ctx, name, stored, |_, batch| {
            if let Some(policy) = &policy {
                policy.hold(batch);
            }
            uses(ctx, batch, stored, Use::Stored);
            also(batch);
        })
        .await
    })
    .await?;
    Ok(identity)
}

/// Adds to the batch that the one that was read has another name or path, with all that is stored under
/// its name; answers it as it is then.
pub(super) async fn rename<I: Identity>(
    ctx: &Ctx,
    batch: &mut Batch,
    found: &Stored<I>,
    new_name: Option<&str>,
    new_path: Option<&str>,
) -> Result<I> {
    let mut renamed = found.clone();
    let entity = renamed.value.entity_mut();
    if let Some(path) = new_path {
        entity.path = path.to_owned();
    }
    if let Some(name) = new_name {
        entity.name = name.to_owned();
    }
    let name = entity.name.clone();
    renamed.key = key::<I>(ctx.account(), &name);
    if renamed.key == found.key {
        save(batch, &renamed);
        return Ok(renamed.value);
    }
    if find::<I>(&ctx.app.store, ctx.account(), &name)
        .await?
        .is_some()
    {
        return Err(I::taken(&name));
    }
    let before = Expect::Version(found.version);
    batch.delete(I::COLLECTION, found.key.as_str(), before);
    batch.put(
        I::COLLECTION,
        renamed.key.as_str(),
        &renamed.value,
        Expect::Absent,
    );
    uses(ctx, batch, &found.value, Use::Removed);
    uses(ctx, batch, &renamed.value, Use::Stored);
    Ok(renamed.value)
}

/// Refuses to remove one that has policies; adds to the batch that its boundary is used no more.
pub(super) fn removable<I: Identity>(ctx: &Ctx, batch: &mut Batch, identity: &I) -> Result<()> {
    let entity = identity.entity();
    if !entity.attached.is_empty() {
        return Err(iam::in_use("detach all policies"));
    }
    if !entity.inline.is_empty() {
        return Err(iam::in_use("delete policies"));
    }
    uses(ctx, batch, identity, Use::Removed);
    Ok(())
}

/// What becomes of the records of its uses of managed policies.
#[derive(Clone, Copy)]
enum Use {
    Stored,
    Removed,
}

fn uses<I: Identity>(ctx: &Ctx, batch: &mut Batch, identity: &I, what: Use) {
    let Entity {
        name,
        attached,
        boundary,
        ..
    } = identity.entity();
    let attached = attached.iter().map(|arn| (ATTACHMENTS, arn));
    let boundary = boundary.iter().map(|arn| (BOUNDARIES, arn));
    for (collection, arn) in attached.chain(boundary) {
        let Some(key) = use_key(ctx.account(), arn, I::KIND, name) else {
            continue;
        };
        match what {
            Use::Stored => batch.put(collection, key, &(), Expect::Any),
            Use::Removed => batch.delete(collection, key, Expect::Any),
        };
    }
}
