//! Principals that grants and key policies name: whether they are there, and who they are.
//!
//! "The principals in the key policy must exist" (API reference, PutKeyPolicy), and so must those of a grant. The world has
//! the accounts of this installation.

use keystead_core::iam::{self, Kind};
use keystead_core::kms::grant::{Party, identity_key};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_store::Store;

use crate::accounts;
use crate::iam::record::{self, Identity, Role, User};
use crate::{App, Principal, PrincipalKind};

/// Whom this text names; `None` where there is nobody of that name.
///
/// It is an account's number, or the ARN of an account's root, a user, a role, a session of a role or a federated user.
pub(super) async fn resolve(app: &App, text: &str) -> Result<Option<Party>> {
    if let Ok(account) = AccountId::parse(text) {
        let there = accounts::exists(app, &account).await?;
        return Ok(there.then_some(Party::Account(account)));
    }
    let Some((arn, account)) = identity(text) else {
        return Ok(None);
    };
    let store = &app.store;
    let id = match (arn.service.as_str(), arn.resource.split_once('/')) {
        ("iam", None) if arn.resource == "root" => {
            let there = accounts::exists(app, &account).await?;
            return Ok(there.then_some(Party::Account(account)));
        }
        ("iam", Some(("user", _))) => of_path::<User>(store, &account, &arn).await?,
        ("iam", Some(("role", _))) => of_path::<Role>(store, &account, &arn).await?,
        ("sts", Some(("assumed-role", rest))) => match rest.split_once('/') {
            Some((role, session)) if !session.is_empty() => {
                let found = record::find::<Role>(store, &account, role).await?;
                found.map(|found| format!("{}:{session}", found.value.entity.id))
            }
            _ => None,
        },
        ("sts", Some(("federated-user", name))) if !name.is_empty() => {
            let there = accounts::exists(app, &account).await?;
            let arn = text.to_owned();
            let id = None;
            return Ok(there.then_some(Party::Identity { arn, account, id }));
        }
        _ => None,
    };
    Ok(id.map(|id| Party::Identity {
        arn: text.to_owned(),
        account,
        id: Some(id),
    }))
}

/// Whether there is somebody of this name.
pub(crate) async fn exists(app: &App, text: &str) -> Result<bool> {
    Ok(resolve(app, text).await?.is_some())
}

/// Whom this text names.
///
/// # Errors
/// [`ErrorKind::InvalidArn`] where there is nobody of that name, in AWS's words.
pub(super) async fn named(app: &App, text: &str) -> Result<Party> {
    resolve(app, text).await?.ok_or_else(|| {
        let message = format!("ARN does not refer to a valid principal: {text}");
        Error::new(ErrorKind::InvalidArn, message)
    })
}

/// The keys of all parties that the caller is or belongs to ([`Party::key`]), and the account's own key last where there is
/// one.
pub(super) fn keys_of(principal: &Principal) -> Vec<String> {
    let account = Party::Account(principal.account.clone()).key();
    let unique = principal.user_id.split(':').next();
    match &principal.kind {
        PrincipalKind::Root => vec![account],
        PrincipalKind::User { .. } => vec![identity_key(&principal.arn, unique), account],
        PrincipalKind::Role { arn, .. } => vec![
            identity_key(&principal.arn, Some(&principal.user_id)),
            identity_key(arn, unique),
            account,
        ],
        PrincipalKind::FederatedUser {
            user,
            user_arn,
            user_id,
        } => {
            let mut keys = vec![identity_key(&principal.arn, None)];
            keys.extend(user.as_ref().map(|_| identity_key(user_arn, Some(user_id))));
            keys.push(account);
            keys
        }
        PrincipalKind::Workload(_)
        | PrincipalKind::WebIdentity(_)
        | PrincipalKind::XksProxy(_)
        | PrincipalKind::Service(_) => Vec::new(),
    }
}

fn identity(text: &str) -> Option<(Arn, AccountId)> {
    let arn = Arn::parse(text).ok()?;
    let account = AccountId::parse(&arn.account).ok()?;
    arn.region.is_empty().then_some((arn, account))
}

/// The unique id of the user or role of this ARN; its path is part of its name there.
async fn of_path<I: Identity>(
    store: &Store,
    account: &AccountId,
    arn: &Arn,
) -> Result<Option<String>> {
    let name = arn.resource.rsplit('/').next().unwrap_or_default();
    let found = record::find::<I>(store, account, name).await?;
    let entity = found.map(|found| found.value.entity().clone());
    let exact = entity.filter(|entity| {
        let kind: Kind = I::KIND;
        iam::arn(account, kind.as_str(), &entity.path, &entity.name).resource == arn.resource
    });
    Ok(exact.map(|entity| entity.id))
}
