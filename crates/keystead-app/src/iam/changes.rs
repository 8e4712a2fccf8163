//! Reading and changing records: found by name, created and counted, changed as they were read or not at
//! all, and tried again where somebody else was quicker.

use std::future::Future;

use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, Store, Stored};

use super::account::Ledger;
use super::record::{GROUP_NAMES, Group, GroupName, Resource, key};
use crate::Ctx;

/// The `R` with this name, if there is one.
pub(crate) async fn find<R: Resource>(
    store: &Store,
    account: &AccountId,
    name: &str,
) -> Result<Option<Stored<R>>> {
    Ok(store.get(R::COLLECTION, &key::<R>(account, name)).await?)
}

/// The `R` with this name in the caller's account; refuses with [`ErrorKind::NotFound`].
pub(crate) async fn load<R: Resource>(ctx: &Ctx, name: &str) -> Result<Stored<R>> {
    let found = find(&ctx.app.store, ctx.account(), name).await?;
    found.ok_or_else(|| R::missing(ctx.account(), name))
}

/// The group of this id, which a user's record names; `None` where it is gone.
pub(crate) async fn group_of_id(
    store: &Store,
    account: &AccountId,
    id: &str,
) -> Result<Option<Stored<Group>>> {
    // It may be renamed between the two reads; then the first one is outdated.
    retrying(|| async move {
        let key = format!("{account}/{id}");
        let Some(name) = store.get::<GroupName>(GROUP_NAMES, &key).await? else {
            return Ok(None);
        };
        match find::<Group>(store, account, &name.value.0).await? {
            Some(group) if group.value.entity.id == id => Ok(Some(group)),
            _ => Err(Error::new(
                ErrorKind::ConcurrentModification,
                format!("the group {id} is being renamed"),
            )),
        }
    })
    .await
}

/// Stores a new `R` and counts it, with whatever else `also` counts or stores; refuses where there is one
/// of this name, and beyond the quota.
pub(crate) async fn create<R: Resource>(
    ctx: &Ctx,
    name: &str,
    record: &R,
    also: impl Fn(&mut Ledger, &mut Batch),
) -> Result<()> {
    retrying(|| create_once(ctx, name, record, &also)).await
}

/// One attempt at [`create`].
pub(crate) async fn create_once<R: Resource>(
    ctx: &Ctx,
    name: &str,
    record: &R,
    also: impl Fn(&mut Ledger, &mut Batch),
) -> Result<()> {
    if find::<R>(&ctx.app.store, ctx.account(), name)
        .await?
        .is_some()
    {
        return Err(R::taken(name));
    }
    let mut ledger = Ledger::load(ctx).await?;
    ledger.add(R::COUNTED)?;
    let mut batch = Batch::new();
    let key = key::<R>(ctx.account(), name);
    batch.put(R::COLLECTION, key, record, Expect::Absent);
    also(&mut ledger, &mut batch);
    ledger.save(&mut batch);
    ctx.app.store.commit(batch).await?;
    Ok(())
}

/// Removes the `R` with this name if `check` finds nothing against it, with whatever else `check` adds to
/// the batch.
pub(crate) async fn delete<R: Resource>(
    ctx: &Ctx,
    name: &str,
    check: impl Fn(&R, &mut Ledger, &mut Batch) -> Result<()>,
) -> Result<()> {
    let check = &check;
    retrying(|| async move {
        let found = load::<R>(ctx, name).await?;
        let mut ledger = Ledger::load(ctx).await?;
        ledger.remove(R::COUNTED);
        let mut batch = Batch::new();
        check(&found.value, &mut ledger, &mut batch)?;
        ledger.save(&mut batch);
        let expect = Expect::Version(found.version);
        batch.delete(R::COLLECTION, found.key, expect);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

/// Changes the `R` with this name as `decide` says, with whatever else `decide` adds to the batch; once
/// more from the beginning where somebody else was quicker.
pub(crate) async fn change<R: Resource, T>(
    ctx: &Ctx,
    name: &str,
    decide: impl Fn(&mut R, &mut Batch) -> Result<T>,
) -> Result<T> {
    let decide = &decide;
    retrying(|| async move {
        let mut found = load::<R>(ctx, name).await?;
        let mut batch = Batch::new();
        let outcome = decide(&mut found.value, &mut batch)?;
        save(&mut batch, &found);
        ctx.app.store.commit(batch).await?;
        Ok(outcome)
    })
    .await
}

/// Adds to `batch` that the record, which was changed, takes the place of the one that was read.
pub(crate) fn save<R: Resource>(batch: &mut Batch, stored: &Stored<R>) {
    let expect = Expect::Version(stored.version);
    batch.put(R::COLLECTION, stored.key.as_str(), &stored.value, expect);
}

/// Does it again, from its reads on, where somebody else changed a record in between.
pub(crate) async fn retrying<T, F>(attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    crate::retry::retrying(ATTEMPTS, attempt).await
}

/// Of those who collide one gets through every time, so this many callers at once are all served.
const ATTEMPTS: usize = 32;
