//! The end of a grant: retired by those whom it names, revoked by those whom policies let, gone with its key.

use keystead_core::kms::GrantOperation;
use keystead_core::kms::grant::{Party, Request};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_policy as policy;
use keystead_store::{Batch, Expect, Store, Stored};
use keystead_wire::kms as wire;

use super::record::{self, ATTEMPTS, GRANTS, GrantRecord};
use super::token;
use crate::Ctx;
use crate::access::{Describe, Resource};
use crate::kms::conditions;
use crate::kms::find::{self, Ask, Found, Names};
use crate::kms::principals;
use crate::kms::record::{KEYS, key_of};
use crate::kms::usable::unless_tried;
use crate::retry::retrying;

/// RevokeGrant.
pub async fn revoke_grant(
    ctx: &Ctx,
    input: wire::RevokeGrantRequest,
) -> Result<wire::RevokeGrantResponse> {
    let input = &input;
    retrying(ATTEMPTS, || async move {
        let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
        let grant = record::find(&ctx.app.store, &found.at, &input.grant_id).await?;
        let grant = grant.ok_or_else(|| record::missing(&input.grant_id))?;
        unless_tried(input.dry_run)?;
        end(ctx, &found, &grant).await
    })
    .await?;
    Ok(wire::RevokeGrantResponse)
}

/// RetireGrant.
pub async fn retire_grant(
    ctx: &Ctx,
    input: wire::RetireGrantRequest,
) -> Result<wire::RetireGrantResponse> {
    let named = &named(ctx, &input).await?;
    retrying(ATTEMPTS, || async move {
        let Place { account, key, id } = named;
        let region = &ctx.region;
        let found = find::at_hand(ctx, account, region, key).await?;
        let at = key_of(account, region, key);
        let grant = record::find(&ctx.app.store, &at, id).await?;
        let arn = find::arn_of(account, region, key);
        admit(ctx, &arn, account, found.as_deref(), grant.as_ref())?;
        let found = found.ok_or_else(|| find::missing(&arn))?;
        let grant = grant.ok_or_else(|| record::missing(id))?;
        unless_tried(input.dry_run)?;
        end(ctx, &found, &grant).await
    })
    .await?;
    Ok(wire::RetireGrantResponse)
}

/// Removes a part of the grants of a key that is gone, and answers whether there are more.
pub(in crate::kms) async fn purge(store: &Store, at: &str, region: &Region) -> Result<bool> {
    let found = store
        .scan::<GrantRecord>(GRANTS, &format!("{at}/"), None, PART)
        .await?;
    if found.is_empty() {
        return Ok(false);
    }
    let mut batch = Batch::new();
    for grant in &found {
        record::remove(&mut batch, at, region.as_str(), grant);
    }
    store.commit(batch).await?;
    Ok(found.len() == PART)
}

async fn end(ctx: &Ctx, found: &Found, grant: &Stored<GrantRecord>) -> Result<()> {
    let mut key = found.record.clone();
    key.key.grants = key.key.grants.saturating_sub(1);
    let mut batch = Batch::new();
    let before = Expect::Version(found.version);
    batch.put(KEYS, found.at.as_str(), &key, before);
    let region = found.record.key.region.as_str();
    record::remove(&mut batch, &found.at, region, grant);
    ctx.app.store.commit(batch).await?;
    Ok(())
}

/// Which grant is to be retired.
struct Place {
    account: AccountId,
    key: String,
    id: String,
}

async fn named(ctx: &Ctx, input: &wire::RetireGrantRequest) -> Result<Place> {
    match (&input.grant_token, &input.key_id, &input.grant_id) {
        (Some(token), None, None) => {
            let (at, id) = token::open(ctx, token)?;
            let mut parts = at.splitn(3, '/');
            let (account, region, key) = (parts.next(), parts.next(), parts.next());
            let (Some(account), Some(key)) = (account, key) else {
                return Err(Error::new(ErrorKind::Internal, "a grant token of no grant"));
            };
            if region != Some(ctx.region.as_str()) {
                let message = format!("The grant token is of a key that is not in {}.", ctx.region);
                return Err(keystead_core::kms::Fault::InvalidGrantToken.error(message));
            }
            Ok(Place {
                account: AccountId::parse(account)?,
                key: key.to_owned(),
                id,
            })
        }
        (None, Some(key), Some(id)) => {
            let named = find::resolve(ctx, key, Names::Key).await?;
            Ok(Place {
                account: named.account,
                key: named.id,
                id: id.clone(),
            })
        }
        _ => Err(Error::new(
            ErrorKind::Validation,
            "A grant to retire is named either by its GrantToken or by KeyId and GrantId together.",
        )),
    }
}

/// Decides who may retire: whom the grant names as its retiring principal; its grantee, if RetireGrant is among its
/// operations; the account that made it and the account that owns the key, which may leave it to their users by
/// `kms:RetireGrant` in an identity-based policy. A key policy cannot ("Retiring and revoking grants").
fn admit(
    ctx: &Ctx,
    arn: &str,
    owner: &AccountId,
    found: Option<&Found>,
    grant: Option<&Stored<GrantRecord>>,
) -> Result<()> {
    let caller = ctx.account();
    let grant = grant.map(|stored| &stored.value.grant);
    let keys = principals::keys_of(&ctx.principal);
    let request = Request {
        operation: GrantOperation::RetireGrant,
        context: None,
        source_arn: None,
        granting: None,
    };
    let by_grant = grant.and_then(|grant| {
        let grantee = Some(&grant.grantee).filter(|_| grant.terms.permit(&request));
        let named = [grant.retiring.as_ref(), grantee];
        let mine = named.into_iter().flatten();
        let mut mine = mine.filter(|party| keys.contains(&party.key()));
        let whole = |party: &Party| matches!(party, Party::Account(_));
        // One that names the caller itself goes before one that names the account.
        let first = mine.next()?;
        let to_account = whole(first) && mine.all(whole);
        Some(policy::Grant {
            id: &grant.id,
            to_account,
        })
    });
    let has_say = owner == caller
        || grant.is_some_and(|grant| grant.issuing_account == *caller)
        || by_grant.is_some();
    let account = if has_say { caller } else { owner };
    let about = found.map(|found| About { ctx, found });
    let resource = Resource::new(arn, account.as_str());
    let resource = match &about {
        Some(about) => Resource {
            describe: Some(about),
            ..resource.tagged(&about.found.record.key.tags)
        },
        None => resource,
    };
    ctx.allow(&Resource {
        grant: by_grant,
        ..resource
    })?;
    Ok(())
}

struct About<'a> {
    ctx: &'a Ctx,
    found: &'a Found,
}

impl Describe for About<'_> {
    fn describe(&self, context: &mut policy::Context) {
        conditions::describe(self.ctx, &self.found.record.key, &Ask::OWN, context);
    }
}

/// Three steps each; under the store's bound of 1024 a commit, and the writer is free for others soon.
const PART: usize = 256;
