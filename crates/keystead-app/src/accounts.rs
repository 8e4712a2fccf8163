//! The accounts of an installation: the one that it was made for, and those that it makes beside it.
//!
//! An account is a namespace with a root user of its own; nothing of one account is reached from another unless
//! policies on both sides say so. AWS has Organizations for this; here it takes one call, by whoever may in the
//! installation's first account. These operations are Keystead's own (`models/keystead.json`).

use jiff::Timestamp;
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect, StoreError, Stored, Versioned};
use keystead_wire::keystead as wire;
use serde::{Deserialize, Serialize};

use crate::credentials::{ACCESS_KEYS, AccessKey, installation};
use crate::iam::account::root_user_of;
use crate::{App, Ctx, cursor};

/// Accounts that were made beside the first one, by their number.
const ACCOUNTS: Collection = Collection("account");

#[derive(Serialize, Deserialize)]
struct Account {
    created: Timestamp,
}

impl Versioned for Account {
    const MARKER: &'static str = "account/1";
}

/// Whether this installation has the account.
pub(crate) async fn exists(app: &App, account: &AccountId) -> Result<bool> {
    if *account == app.account {
        return Ok(true);
    }
    let found = app.store.get::<Account>(ACCOUNTS, account.as_str()).await?;
    Ok(found.is_some())
}

/// `keystead:CreateAccount`: the account and its root user's access key, which is shown this once.
pub(crate) async fn create_account(
    ctx: &Ctx,
    input: wire::CreateAccountRequest,
) -> Result<wire::CreateAccountResponse> {
    first_account_only(ctx)?;
    let account = AccountId::parse(&input.account_id)?;
    let taken = || {
        Error::new(
            ErrorKind::AlreadyExists,
            format!("Account {account} exists already."),
        )
    };
    if account == ctx.app.account {
        return Err(taken());
    }
    let (id, key) = AccessKey::generate(&account, None, ctx.now)?;
    let mut batch = Batch::new();
    let record = Account { created: ctx.now };
    batch.put(ACCOUNTS, account.as_str(), &record, Expect::Absent);
    batch.put(ACCESS_KEYS, id.as_str(), &key, Expect::Absent);
    root_user_of(&mut batch, &account, &id);
    match ctx.app.store.commit(batch).await {
        Ok(_) => Ok(wire::CreateAccountResponse {
            account_id: account.to_string(),
            access_key_id: id,
            secret_access_key: key.secret(),
        }),
        Err(StoreError::Conflict { .. }) => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

/// `keystead:ListAccounts`: the first account, then the others by their numbers.
pub(crate) async fn list_accounts(
    ctx: &Ctx,
    input: wire::ListAccountsRequest,
) -> Result<wire::ListAccountsResponse> {
    first_account_only(ctx)?;
    let limit = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = match &input.next_token {
        Some(token) => Some(cursor::resume(ctx, SCOPE, token)?),
        None => None,
    };
    let mut accounts = Vec::new();
    if after.is_none() {
        accounts.push(wire::Account {
            account_id: ctx.app.account.to_string(),
            created_at: installation(ctx).await?.created(),
        });
    }
    let room = limit.saturating_sub(accounts.len());
    let mut found: Vec<Stored<Account>> = ctx
        .app
        .store
        .scan(ACCOUNTS, "", after.as_deref(), room.saturating_add(1))
        .await?;
    let more = found.len() > room;
    found.truncate(room);
    // Where the page ends: the first account stands before every number.
    let last = found.last().map_or("", |last| last.key.as_str());
    let next_token = more.then(|| cursor::token(ctx, SCOPE, last));
    accounts.extend(found.into_iter().map(|stored| wire::Account {
        account_id: stored.key,
        created_at: stored.value.created,
    }));
    Ok(wire::ListAccountsResponse {
        accounts,
        next_token,
    })
}

/// The other accounts see neither each other nor what belongs to the installation.
pub(crate) fn first_account_only(ctx: &Ctx) -> Result<()> {
    ctx.allow_own("*")?;
    if *ctx.account() == ctx.app.account {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AccessDenied,
        format!(
            "User: {} is not authorized to administer the installation: only its first account may",
            ctx.principal.arn
        ),
    ))
}

/// What a listing's tokens are bound to.
const SCOPE: &str = "ListAccounts";

/// A page where the caller names no size.
const DEFAULT_PAGE: usize = 100;
