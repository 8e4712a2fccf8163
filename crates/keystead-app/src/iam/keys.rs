//! Access keys: of users, and of the account's root user.

use jiff::Timestamp;
use keystead_core::iam::quota;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, Stored};
use keystead_wire::iam as wire;

use super::account::{Ledger, root_name};
use super::last_used::LAST_USES;
use super::list::Listing;
use super::record::{User, load, retrying, save};
use super::users::must_name_user;
use crate::Ctx;
use crate::credentials::{ACCESS_KEYS, AccessKey};
use crate::ctx::PrincipalKind;

/// `iam:CreateAccessKey`: the only answer that ever shows its secret.
pub(crate) async fn create_access_key(
    ctx: &Ctx,
    input: wire::CreateAccessKeyRequest,
) -> Result<wire::CreateAccessKeyResponse> {
    let named = input.user_name.as_deref();
    retrying(|| async move {
        let mut holder = Holder::load(ctx, named).await?;
        quota::ACCESS_KEYS.admits_one_more(holder.keys().len())?;
        let (id, key) = AccessKey::generate(ctx.account(), holder.user(), ctx.now)?;
        holder.keys_mut().push(id.clone());
        let mut batch = Batch::new();
        batch.put(ACCESS_KEYS, id.as_str(), &key, Expect::Absent);
        holder.save(&mut batch);
        ctx.app.store.commit(batch).await?;
        Ok(wire::CreateAccessKeyResponse {
            access_key: wire::AccessKey {
                user_name: holder.name(),
                access_key_id: id,
                status: status(&key),
                secret_access_key: key.secret(),
                create_date: key.created,
            },
        })
    })
    .await
}

/// `iam:ListAccessKeys`.
pub(crate) async fn list_access_keys(
    ctx: &Ctx,
    input: wire::ListAccessKeysRequest,
) -> Result<wire::ListAccessKeysResponse> {
    let holder = Holder::load(ctx, input.user_name.as_deref()).await?;
    let mut keys = Vec::with_capacity(holder.keys().len());
    for id in holder.keys() {
        // One that was deleted meanwhile is not listed.
        if let Some(key) = ctx.app.store.get::<AccessKey>(ACCESS_KEYS, id).await? {
            keys.push(wire::AccessKeyMetadata {
                user_name: Some(holder.name()),
                access_key_id: Some(id.clone()),
                status: Some(status(&key.value)),
                create_date: Some(key.value.created.unwrap_or(Timestamp::UNIX_EPOCH)),
            });
        }
    }
    let scope = format!("ListAccessKeys {}", holder.name());
    let page = Listing::new(scope, input.marker, input.max_items).cut(ctx, keys)?;
    Ok(wire::ListAccessKeysResponse {
        is_truncated: page.is_truncated(),
        access_key_metadata: page.items,
        marker: page.marker,
    })
}

/// `iam:UpdateAccessKey`: what is inactive signs nothing from now on.
pub(crate) async fn update_access_key(
    ctx: &Ctx,
    input: wire::UpdateAccessKeyRequest,
) -> Result<wire::UpdateAccessKeyResponse> {
    let active = match input.status {
        wire::StatusType::Active => true,
        wire::StatusType::Inactive => false,
        wire::StatusType::Expired => {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                "An access key can be made Active or Inactive; keys of this kind do not expire.",
            ));
        }
    };
    let (named, id) = (input.user_name.as_deref(), &input.access_key_id);
    retrying(|| async move {
        Holder::load(ctx, named).await?.must_hold(id)?;
        let found = ctx.app.store.get::<AccessKey>(ACCESS_KEYS, id).await?;
        let mut key = found.ok_or_else(|| missing(id))?;
        key.value.active = active;
        let mut batch = Batch::new();
        let expect = Expect::Version(key.version);
        batch.put(ACCESS_KEYS, id.as_str(), &key.value, expect);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    ctx.app.forget_credentials([id]);
    Ok(wire::UpdateAccessKeyResponse)
}

/// `iam:DeleteAccessKey`.
pub(crate) async fn delete_access_key(
    ctx: &Ctx,
    input: wire::DeleteAccessKeyRequest,
) -> Result<wire::DeleteAccessKeyResponse> {
    let (named, id) = (input.user_name.as_deref(), &input.access_key_id);
    retrying(|| async move {
        let mut holder = Holder::load(ctx, named).await?;
        holder.must_hold(id)?;
        holder.keys_mut().retain(|held| held != id);
        let mut batch = Batch::new();
        batch.delete(ACCESS_KEYS, id.as_str(), Expect::Any);
        batch.delete(LAST_USES, id.as_str(), Expect::Any);
        holder.save(&mut batch);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await?;
    ctx.app.forget_credentials([id]);
    ctx.app.last_uses.forget(id);
    Ok(wire::DeleteAccessKeyResponse)
}

/// `iam:GetAccessKeyLastUsed`.
pub(crate) async fn get_access_key_last_used(
    ctx: &Ctx,
    input: wire::GetAccessKeyLastUsedRequest,
) -> Result<wire::GetAccessKeyLastUsedResponse> {
    let id = &input.access_key_id;
    let found = ctx.app.store.get::<AccessKey>(ACCESS_KEYS, id).await?;
    let key = found
        .map(|found| found.value)
        .filter(|key| key.account == *ctx.account())
        .ok_or_else(|| missing(id))?;
    let user_name = match key.user {
        Some(name) => name,
        None => root_name(&Ledger::load(ctx).await?.account),
    };
    let used = ctx.app.last_uses.of(&ctx.app.store, id).await?;
    let used = match used {
        Some(used) => wire::AccessKeyLastUsed {
            last_used_date: Some(used.at),
            service_name: used.service,
            region: used.region,
        },
        None => wire::AccessKeyLastUsed {
            last_used_date: None,
            service_name: NEVER.into(),
            region: NEVER.into(),
        },
    };
    Ok(wire::GetAccessKeyLastUsedResponse {
        user_name: Some(user_name),
        access_key_last_used: Some(used),
    })
}

/// Whose record names the keys.
enum Holder {
    /// The root user: the account.
    Root(Ledger),
    User(Stored<User>),
}

impl Holder {
    /// The user of this name; without a name, the caller.
    async fn load(ctx: &Ctx, name: Option<&str>) -> Result<Self> {
        match (name, &ctx.principal.kind) {
            (Some(name), _) => Ok(Self::User(load(ctx, name).await?)),
            (None, PrincipalKind::User { name }) => Ok(Self::User(load(ctx, name).await?)),
            (None, PrincipalKind::Root) => Ok(Self::Root(Ledger::load(ctx).await?)),
            (None, _) => Err(must_name_user()),
        }
    }

    fn keys(&self) -> &[String] {
        match self {
            Self::Root(ledger) => &ledger.account.root_keys,
            Self::User(user) => &user.value.access_keys,
        }
    }

    fn keys_mut(&mut self) -> &mut Vec<String> {
        match self {
            Self::Root(ledger) => &mut ledger.account.root_keys,
            Self::User(user) => &mut user.value.access_keys,
        }
    }

    fn must_hold(&self, id: &str) -> Result<()> {
        match self.keys().iter().any(|held| held == id) {
            true => Ok(()),
            false => Err(missing(id)),
        }
    }

    /// What its keys say of whom they belong to.
    fn user(&self) -> Option<String> {
        match self {
            Self::Root(_) => None,
            Self::User(user) => Some(user.value.entity.name.clone()),
        }
    }

    /// What answers call it.
    fn name(&self) -> String {
        match self {
            Self::Root(ledger) => root_name(&ledger.account),
            Self::User(user) => user.value.entity.name.clone(),
        }
    }

    fn save(&self, batch: &mut Batch) {
        match self {
            Self::Root(ledger) => ledger.save(batch),
            Self::User(user) => save(batch, user),
        }
    }
}

fn status(key: &AccessKey) -> wire::StatusType {
    match key.active {
        true => wire::StatusType::Active,
        false => wire::StatusType::Inactive,
    }
}

fn missing(id: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("The Access Key with id {id} cannot be found."),
    )
}

/// Model, `AccessKeyLastUsed`: what service and region are of a key that was never used.
const NEVER: &str = "N/A";
