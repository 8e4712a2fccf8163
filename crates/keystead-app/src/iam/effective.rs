//! The policies that a principal acts under.

use std::sync::Arc;

use keystead_core::tags::Tags;
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_policy::Source;
use keystead_store::Store;

use super::managed;
use super::record::{Entity, Group, Identity, Role, User, find, group_of_id};
use crate::{App, Principal, PrincipalKind};

/// All that is attached to a user or role, compiled. The root user has nothing: it needs none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Effective {
    /// Its own policies, and for a user those of its groups.
    pub(crate) identity: Vec<Source>,
    /// The permissions boundary.
    pub(crate) boundary: Option<Source>,
    /// The tags: `aws:PrincipalTag/...`.
    pub(crate) tags: Tags,
}

/// What applies to the principal.
///
/// Costs a read for the identity, for each of its groups and for each managed policy, and compiles
/// every document. Refuses with [`ErrorKind::NotFound`] where the identity is gone, and with
/// [`ErrorKind::Internal`] where a policy that it has can't be had: without it one could allow too much.
pub(crate) async fn effective(app: &App, principal: &Principal) -> Result<Effective> {
    match &principal.kind {
        PrincipalKind::Root
        | PrincipalKind::WebIdentity(_)
        | PrincipalKind::Workload(_)
        | PrincipalKind::XksProxy(_)
        | PrincipalKind::Service(_) => Ok(Effective::default()),
        PrincipalKind::User { name }
        | PrincipalKind::FederatedUser {
            user: Some(name), ..
        } => of_user(app, &principal.account, name).await,
        PrincipalKind::FederatedUser { user: None, .. } => of_root_federated(),
        PrincipalKind::Role { name, .. } => of_role(app, &principal.account, name).await,
    }
}

/// What the root user may, whom only session policies limit in a federated session.
fn of_root_federated() -> Result<Effective> {
    let label = "what the root user may".to_owned();
    let everything = r#"{
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]
    }"#;
    let policy = Arc::new(managed::compile(&label, everything)?);
    Ok(Effective {
        identity: vec![Source { label, policy }],
        ..Effective::default()
    })
}

/// What applies to a user.
pub(crate) async fn of_user(app: &App, account: &AccountId, name: &str) -> Result<Effective> {
    let user: User = identity(app, account, name).await?;
    let mut effective = own(&app.store, account, &user).await?;
    for id in &user.groups {
        // One that was left and removed meanwhile adds nothing.
        if let Some(group) = group_of_id(&app.store, account, id).await? {
            let more = sources(&app.store, account, &group.value).await?;
            effective.identity.extend(more);
        }
    }
    Ok(effective)
}

/// What applies to a session of a role, session policies aside.
pub(crate) async fn of_role(app: &App, account: &AccountId, name: &str) -> Result<Effective> {
    let role: Role = identity(app, account, name).await?;
    own(&app.store, account, &role).await
}

/// What a group gives its users.
pub(crate) async fn of_group(app: &App, account: &AccountId, name: &str) -> Result<Effective> {
    let group: Group = identity(app, account, name).await?;
    own(&app.store, account, &group).await
}

async fn identity<I: Identity>(app: &App, account: &AccountId, name: &str) -> Result<I> {
    let found = find::<I>(&app.store, account, name).await?;
    found
        .map(|found| found.value)
        .ok_or_else(|| I::missing(account, name))
}

/// What the identity brings along itself.
async fn own<I: Identity>(store: &Store, account: &AccountId, identity: &I) -> Result<Effective> {
    let entity = identity.entity();
    let boundary = match &entity.boundary {
        Some(arn) => Some(attached(store, account, arn).await?),
        None => None,
    };
    Ok(Effective {
        identity: sources(store, account, identity).await?,
        boundary,
        tags: entity.tags.clone(),
    })
}

/// Its inline policies by name, then what is attached to it, in the order of attaching.
pub(super) async fn sources<I: Identity>(
    store: &Store,
    account: &AccountId,
    identity: &I,
) -> Result<Vec<Source>> {
    let entity = identity.entity();
    let mut sources = Vec::with_capacity(entity.inline.len() + entity.attached.len());
    for (name, document) in &entity.inline {
        let label = inline_label::<I>(name, entity);
        let policy = Arc::new(managed::compile(&label, document)?);
        sources.push(Source { label, policy });
    }
    for arn in &entity.attached {
        sources.push(attached(store, account, arn).await?);
    }
    Ok(sources)
}

/// What a decision calls an inline policy.
fn inline_label<I: Identity>(name: &str, entity: &Entity) -> String {
    format!(
        "inline policy {name} of {}/{}",
        I::KIND.as_str(),
        entity.name
    )
}

async fn attached(store: &Store, account: &AccountId, arn: &str) -> Result<Source> {
    let found = managed::find(store, account, arn).await?;
    let found = found.ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            format!("the policy {arn} is in use in account {account}, but not there"),
        )
    })?;
    Ok(Source {
        label: arn.to_owned(),
        policy: found.compiled()?,
    })
}
