//! A session: what it is beside its principal, and whom it stands for.

use jiff::Timestamp;
use keystead_core::iam::Kind;
use keystead_core::tags::Tags;
use keystead_core::{AccountId, Result};
use keystead_policy::{Context, Source};
use serde::{Deserialize, Serialize};

use crate::iam::record::{self, Role, User};
use crate::{App, PrincipalKind};

/// What temporary credentials bring along beside their principal.
#[derive(Debug)]
pub struct Session {
    /// When it began.
    pub(crate) issued: Timestamp,
    /// The policies that limit it, if any were given.
    pub(crate) policies: Option<Vec<Source>>,
    /// Its tags, which come before those of its role or user.
    pub(crate) tags: Tags,
    /// The keys of those that its own sessions inherit.
    pub(crate) transitive: Vec<String>,
    /// The name that whoever began the chain of sessions gave, for good.
    pub(crate) source_identity: Option<String>,
    /// Who was vouched for, where an identity provider did.
    pub(crate) web_identity: Option<WebIdentity>,
}

/// Somebody whom an identity provider vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebIdentity {
    /// The account that trusts the provider.
    pub(crate) account: AccountId,
    /// The ARN of the issuer's record.
    pub(crate) provider_arn: String,
    /// The audience that the token is for, one that the provider's record names.
    pub(crate) audience: String,
    /// Who, as the issuer knows him.
    pub(crate) subject: String,
    /// How he proved it to the issuer (OpenID Connect Core section 2, `amr`).
    pub(crate) amr: Vec<String>,
    /// The tags that the issuer gives him.
    pub(crate) tags: Tags,
}

impl WebIdentity {
    /// As CloudTrail names him: by issuer, audience and subject.
    pub(crate) fn principal_id(&self) -> String {
        format!("{}:{}:{}", self.provider_arn, self.audience, self.subject)
    }

    /// Tells what policies can ask about who is to assume a role (IAM user guide, "Available keys for AWS OIDC
    /// federation").
    pub(crate) fn describe(&self, context: &mut Context) {
        let issuer = self.provider_arn.split_once(":oidc-provider/");
        let issuer = issuer.map_or("", |(_, issuer)| issuer);
        let key = |name: &str| format!("{issuer}:{name}");
        context.set(key("aud"), self.audience.as_str());
        context.set(key("sub"), self.subject.as_str());
        context.set_all(key("amr"), self.amr.clone());
        context.set("aws:FederatedProvider", self.provider_arn.as_str());
        for (tag, value) in &self.tags {
            context.set(format!("aws:RequestTag/{tag}"), value.as_str());
        }
        context.set_all("aws:TagKeys", self.tags.keys().cloned().collect());
    }
}

impl Session {
    /// Tells what policies can ask about a session (IAM user guide, "AWS global condition context keys").
    pub(crate) fn describe(&self, context: &mut Context) {
        context.set("aws:TokenIssueTime", self.issued.to_string());
        context.set("aws:MultiFactorAuthPresent", "false");
        if let Some(name) = &self.source_identity {
            context.set("aws:SourceIdentity", name.as_str());
        }
        if let Some(identity) = &self.web_identity {
            context.set("aws:FederatedProvider", identity.provider_arn.as_str());
        }
        for (tag, value) in &self.tags {
            context.set(format!("aws:PrincipalTag/{tag}"), value.as_str());
        }
    }
}

/// Whom a session stands for.
#[derive(Clone, Serialize, Deserialize)]
pub(super) enum Who {
    /// The root user (GetSessionToken).
    Root,
    /// A user (GetSessionToken).
    User(Named),
    /// A role.
    Role {
        role: Named,
        session: String,
        web_identity: Option<WebIdentity>,
    },
    /// A federated user, of a user or of the root user.
    Federated { name: String, user: Option<Named> },
}

/// An identity by name, and by the id that no other will have.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) id: String,
}

/// A session's principal: its name, its unique id, its kind.
pub(super) type Standing = (String, String, PrincipalKind);

impl Who {
    /// The principal, if what it is of is still there and still the same.
    pub(super) async fn stands(&self, app: &App, account: &AccountId) -> Result<Option<Standing>> {
        match self {
            Self::Root => {
                let (arn, id) = (root_arn(account), account.to_string());
                Ok(Some((arn, id, PrincipalKind::Root)))
            }
            Self::User(user) => {
                let name = user.name.clone();
                let found = user_arn(app, account, user).await?;
                Ok(found.map(|arn| (arn, user.id.clone(), PrincipalKind::User { name })))
            }
            Self::Role { role, session, .. } => {
                let found = record::find::<Role>(&app.store, account, &role.name).await?;
                let found = found.filter(|found| found.value.entity.id == role.id);
                Ok(found.map(|found| {
                    let entity = found.value.entity;
                    let arn = role_session_arn(account, &entity.name, session);
                    let kind = PrincipalKind::Role {
                        arn: entity.arn(account, Kind::Role),
                        name: entity.name,
                    };
                    (arn, format!("{}:{session}", entity.id), kind)
                }))
            }
            Self::Federated { name, user } => {
                let found = match user {
                    None => Some(root_arn(account)),
                    Some(user) => user_arn(app, account, user).await?,
                };
                let id = user.as_ref().map(|user| user.id.clone());
                Ok(found.map(|user_arn| {
                    let kind = PrincipalKind::FederatedUser {
                        user: user.as_ref().map(|user| user.name.clone()),
                        user_arn,
                        user_id: id.unwrap_or_else(|| account.to_string()),
                    };
                    (
                        federated_arn(account, name),
                        format!("{account}:{name}"),
                        kind,
                    )
                }))
            }
        }
    }
}

/// The name of a session of a role; its path is not in it (IAM user guide, "IAM identifiers").
pub(super) fn role_session_arn(account: &AccountId, role: &str, session: &str) -> String {
    format!("arn:aws:sts::{account}:assumed-role/{role}/{session}")
}

/// The name of a federated user.
pub(super) fn federated_arn(account: &AccountId, name: &str) -> String {
    format!("arn:aws:sts::{account}:federated-user/{name}")
}

fn root_arn(account: &AccountId) -> String {
    format!("arn:aws:iam::{account}:root")
}

async fn user_arn(app: &App, account: &AccountId, user: &Named) -> Result<Option<String>> {
    let found = record::find::<User>(&app.store, account, &user.name).await?;
    let found = found.filter(|found| found.value.entity.id == user.id);
    Ok(found.map(|found| found.value.entity.arn(account, Kind::User)))
}
