//! Aliases: names that stand for keys.
//!
//! An alias is a record of its own, which leads to the key; the key's record names its aliases, for conditions and quotas.
//! Both change in one commit.

use std::num::NonZeroUsize;
use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::kms::alias::{PREFIX, check_name, check_own, check_room, check_successor};
use keystead_core::kms::{Command, Fault, Key, Manager};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_store::{Batch, ChangeCount, Collection, Expect, Store, Stored, Versioned};
use keystead_wire::kms as wire;
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::conditions::Call;
use super::find::{self, Ask, Found, Names};
use super::page_size;
use super::record::KEYS;
use crate::access::Resource;
use crate::retry::retrying;
use crate::{Ctx, cursor};

/// Aliases, by `account/region/alias/NAME`.
const ALIASES: Collection = Collection("kms.alias");

/// An alias.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Alias {
    /// The id of the key that it stands for.
    target: String,
    /// When it was made.
    created_at: Timestamp,
    /// When it was last given another key.
    updated_at: Timestamp,
}

impl Versioned for Alias {
    const MARKER: &'static str = "kms.alias/1";
}

/// The aliases that were used last.
pub(super) struct Known {
    changes: ChangeCount,
    targets: Mutex<LruCache<String, (u64, String)>>,
}

impl Known {
    /// Follows what is stored of aliases.
    pub(super) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(&[ALIASES]),
            targets: Mutex::new(LruCache::new(AT_HAND)),
        }
    }
}

/// CreateAlias: on the alias and on the key.
pub async fn create_alias(
    ctx: &Ctx,
    input: wire::CreateAliasRequest,
) -> Result<wire::CreateAliasResponse> {
    let (name, target) = (&input.alias_name, &input.target_key_id);
    check_name(name)?;
    retrying(ATTEMPTS, || async move {
        allow(ctx, name)?;
        let found = target_of_request(ctx, target).await?;
        found.record.key.check(Command::Name)?;
        if stored(ctx, name).await?.is_some() {
            let message = format!("An alias with the name {} already exists", arn(ctx, name));
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        check_room(&found.record.key)?;
        let mut batch = Batch::new();
        add(&mut batch, &found, name);
        put(ctx, &mut batch, name, &found, ctx.now, Expect::Absent);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    Ok(wire::CreateAliasResponse)
}

/// UpdateAlias: on the alias, on the key that it stands for and on the one that it is to stand for.
pub async fn update_alias(
    ctx: &Ctx,
    input: wire::UpdateAliasRequest,
) -> Result<wire::UpdateAliasResponse> {
    let (name, target) = (&input.alias_name, &input.target_key_id);
    check_name(name)?;
    retrying(ATTEMPTS, || async move {
        let (alias, from) = standing(ctx, name).await?;
        let to = target_of_request(ctx, target).await?;
        to.record.key.check(Command::Name)?;
        check_successor(&from.record.key, &to.record.key)?;
        let mut batch = Batch::new();
        if from.at != to.at {
            check_room(&to.record.key)?;
            remove(&mut batch, &from, name);
            add(&mut batch, &to, name);
        }
        let before = Expect::Version(alias.version);
        put(ctx, &mut batch, name, &to, alias.value.created_at, before);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    Ok(wire::UpdateAliasResponse)
}

/// DeleteAlias: on the alias and on the key.
pub async fn delete_alias(
    ctx: &Ctx,
    input: wire::DeleteAliasRequest,
) -> Result<wire::DeleteAliasResponse> {
    let name = &input.alias_name;
    if !name.starts_with(PREFIX) {
        return Err(Error::new(ErrorKind::Validation, "Invalid identifier"));
    }
    check_own(name)?;
    retrying(ATTEMPTS, || async move {
        let (alias, found) = standing(ctx, name).await?;
        let mut batch = Batch::new();
        remove(&mut batch, &found, name);
        let before = Expect::Version(alias.version);
        batch.delete(ALIASES, ctx.key(name), before);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    Ok(wire::DeleteAliasResponse)
}

/// ListAliases: of the account and region, or of one key of it.
pub async fn list_aliases(
    ctx: &Ctx,
    input: wire::ListAliasesRequest,
) -> Result<wire::ListAliasesResponse> {
    let call = Call(ctx);
    ctx.allow(&Resource {
        describe: Some(&call),
        ..Resource::new("*", ctx.account().as_str())
    })?;
    let (after, size) = (input.marker.as_deref(), page_size(input.limit));
    let (aliases, next_marker) = match &input.key_id {
        None => {
            let (page, next) =
                cursor::page::<Alias>(ctx, "ListAliases", ALIASES, after, size).await?;
            let prefix = ctx.prefix();
            let shown = page.into_iter().map(|stored| {
                let name = stored.key.strip_prefix(&prefix).unwrap_or_default();
                shown(ctx, name, stored.value)
            });
            (shown.collect(), next)
        }
        Some(name) => of_key(ctx, name, after, size).await?,
    };
    Ok(wire::ListAliasesResponse {
        aliases: Some(aliases),
        truncated: Some(next_marker.is_some()),
        next_marker,
    })
}

async fn of_key(
    ctx: &Ctx,
    name: &str,
    after: Option<&str>,
    size: usize,
) -> Result<(Vec<wire::AliasListEntry>, Option<String>)> {
    let named = find::resolve(ctx, name, Names::Key).await?;
    let own = named.account == *ctx.account();
    let found = match own {
        true => find::at_hand(ctx, &named.account, &named.region, &named.id).await?,
        false => None,
    };
    let arn = find::arn_of(&named.account, &named.region, &named.id);
    let found = found.ok_or_else(|| find::missing(&arn))?;
    let scope = format!("ListAliases {arn}");
    let after = after.map(|marker| cursor::resume(ctx, &scope, marker));
    let after = after.transpose()?.unwrap_or_default();
    let names = found.record.key.aliases.iter();
    let mut names: Vec<_> = names.filter(|name| **name > after).collect();
    let more = names.len() > size;
    names.truncate(size);
    let last = names.last().filter(|_| more);
    let next = last.map(|last| cursor::token(ctx, &scope, last));
    let mut aliases = Vec::new();
    for name in names {
        if let Some(alias) = stored(ctx, name).await? {
            aliases.push(shown(ctx, name, alias.value));
        }
    }
    Ok((aliases, next))
}

/// The id of the key that this alias of the account stands for, in the region of the call.
pub(super) async fn target(ctx: &Ctx, account: &AccountId, alias: &str) -> Result<String> {
    let known = &ctx.app.kms_keys.aliases;
    let as_of = known.changes.get();
    let at = format!("{account}/{}/{alias}", ctx.region);
    if let Some((read_at, target)) = known.targets.lock().get(&at)
        && *read_at == as_of
    {
        return Ok(target.clone());
    }
    let Some(found) = ctx.app.store.get::<Alias>(ALIASES, &at).await? else {
        let arn = Arn::new("kms", &ctx.region, account, alias).to_string();
        return Err(missing(&arn));
    };
    let target = found.value.target;
    known.targets.lock().put(at, (as_of, target.clone()));
    Ok(target)
}

/// Adds to the commit that deletes a key that its aliases stand for nothing any more.
pub(super) fn forget(batch: &mut Batch, key: &Key) {
    for name in &key.aliases {
        let at = format!("{}/{}/{name}", key.account, key.region);
        batch.delete(ALIASES, at, Expect::Any);
    }
}

/// Adds to the commit that makes a service's own key its alias, which the key's record names already.
pub(super) fn own(batch: &mut Batch, key: &Key, name: &str, now: Timestamp) {
    let alias = Alias {
        target: key.id.clone(),
        created_at: now,
        updated_at: now,
    };
    let at = format!("{}/{}/{name}", key.account, key.region);
    batch.put(ALIASES, at, &alias, Expect::Absent);
}

/// An alias with the key that it stands for, if the caller may do this to both.
async fn standing(ctx: &Ctx, name: &str) -> Result<(Stored<Alias>, Arc<Found>)> {
    allow(ctx, name)?;
    let alias = stored(ctx, name).await?;
    let alias = alias.ok_or_else(|| missing(&arn(ctx, name)))?;
    let found = find::key(ctx, &alias.value.target, Names::Key, Ask::OWN).await?;
    Ok((alias, found.into_inner()))
}

/// The key that an alias is to stand for, if the caller may do this to it.
async fn target_of_request(ctx: &Ctx, target: &str) -> Result<Arc<Found>> {
    if target.starts_with(PREFIX) || target.contains(":alias/") {
        return Err(Error::new(
            ErrorKind::Validation,
            "Aliases must refer to keys. Not aliases",
        ));
    }
    let found = find::key(ctx, target, Names::Key, Ask::OWN).await?;
    match found.record.key.manager {
        Manager::Customer => Ok(found.into_inner()),
        Manager::Aws => Err(Fault::ReservedAlias.error("")),
    }
}

fn allow(ctx: &Ctx, name: &str) -> Result<()> {
    let (arn, call) = (arn(ctx, name), Call(ctx));
    ctx.allow(&Resource {
        describe: Some(&call),
        ..Resource::new(&arn, ctx.account().as_str())
    })?;
    Ok(())
}

async fn stored(ctx: &Ctx, name: &str) -> Result<Option<Stored<Alias>>> {
    Ok(ctx.app.store.get(ALIASES, &ctx.key(name)).await?)
}

fn put(
    ctx: &Ctx,
    batch: &mut Batch,
    name: &str,
    target: &Found,
    created_at: Timestamp,
    before: Expect,
) {
    let alias = Alias {
        target: target.record.key.id.clone(),
        created_at,
        updated_at: ctx.now,
    };
    batch.put(ALIASES, ctx.key(name), &alias, before);
}

fn add(batch: &mut Batch, found: &Found, name: &str) {
    let mut record = found.record.clone();
    record.key.aliases.push(name.to_owned());
    record.key.aliases.sort_unstable();
    let before = Expect::Version(found.version);
    batch.put(KEYS, found.at.as_str(), &record, before);
}

fn remove(batch: &mut Batch, found: &Found, name: &str) {
    let mut record = found.record.clone();
    record.key.aliases.retain(|known| known != name);
    let before = Expect::Version(found.version);
    batch.put(KEYS, found.at.as_str(), &record, before);
}

fn shown(ctx: &Ctx, name: &str, alias: Alias) -> wire::AliasListEntry {
    wire::AliasListEntry {
        alias_name: Some(name.to_owned()),
        alias_arn: Some(arn(ctx, name)),
        target_key_id: Some(alias.target),
        creation_date: Some(alias.created_at),
        last_updated_date: Some(alias.updated_at),
    }
}

fn arn(ctx: &Ctx, name: &str) -> String {
    ctx.arn("kms", name).to_string()
}

fn missing(arn: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Alias {arn} is not found."))
}

/// So often a change is made anew because others were quicker; each time one of them got through.
const ATTEMPTS: usize = 16;

/// A hundred bytes each; as many as the keys that are kept at hand.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
