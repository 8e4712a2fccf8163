//! What is stored of identities; [`changes`](super::changes) is the one way to read and change it.
//!
//! IAM is global and its names are told apart without regard to case: a record's key is
//! `account/name` with the name in lower case, and the record keeps the case it was given. What hangs
//! on a user (groups, access keys) is named in its record, as its quota is small; what may be long (the
//! users of a group, the entities of a policy) is a collection of its own, with a count in the record.

use std::collections::BTreeMap;

use jiff::Timestamp;
use keystead_core::iam::{self, Kind};
use keystead_core::tags::Tags;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_store::{Collection, Versioned};
use serde::{Deserialize, Serialize};

use super::account::Counted;
pub(crate) use super::changes::{
    change, create, create_once, delete, find, group_of_id, load, retrying, save,
};
use crate::Ctx;

/// Who is in which group, by `account/group's id/user`; the record is `()`.
pub(crate) const MEMBERS: Collection = Collection("iam.member");

/// The names of groups, by `account/group's id`: a group that is renamed keeps its users without a word
/// to any of them.
pub(crate) const GROUP_NAMES: Collection = Collection("iam.group-name");

/// Which instance profiles hold a role, by `account/role/profile`; the record is `()`.
pub(crate) const PROFILES_OF_ROLES: Collection = Collection("iam.role-profile");

/// What has a managed policy attached, by [`use_key`]; the record is `()`.
pub(crate) const ATTACHMENTS: Collection = Collection("iam.attachment");

/// What has a managed policy as its permissions boundary, by [`use_key`]; the record is `()`.
pub(crate) const BOUNDARIES: Collection = Collection("iam.boundary");

/// What users, groups and roles have in common.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entity {
    /// The name, in the case that it was given.
    pub(crate) name: String,
    /// The path: `/`, or text that begins and ends with a slash.
    pub(crate) path: String,
    /// The unique id, for instance `AIDA...`; never given again.
    pub(crate) id: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its tags (a group has none).
    pub(crate) tags: Tags,
    /// The ARN of the managed policy that is its permissions boundary (a group has none).
    pub(crate) boundary: Option<String>,
    /// Its inline policies: documents by name, as they were given.
    pub(crate) inline: BTreeMap<String, String>,
    /// The ARNs of the managed policies attached to it, in the order of attaching.
    pub(crate) attached: Vec<String>,
}

/// A user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct User {
    /// What it has in common with groups and roles.
    pub(crate) entity: Entity,
    /// The ids of the groups that it is in, in the order of joining: see [`group_of_id`].
    pub(crate) groups: Vec<String>,
    /// The ids of its access keys, the oldest first.
    pub(crate) access_keys: Vec<String>,
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Group {
    /// What it has in common with users and roles.
    pub(crate) entity: Entity,
    /// How many users are in it.
    pub(crate) members: usize,
}

/// What the group of some id is called now.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct GroupName(pub(crate) String);

/// A role.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Role {
    /// What it has in common with users and groups.
    pub(crate) entity: Entity,
    /// Who may assume it: the trust policy's text, as it was given.
    pub(crate) trust: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// The longest session, in seconds.
    pub(crate) max_session: i32,
    /// The service principal that it is linked to; only that service may change it.
    pub(crate) linked_to: Option<String>,
    /// How many instance profiles hold it.
    pub(crate) profiles: usize,
}

/// What hands a role to a machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InstanceProfile {
    /// The name, in the case that it was given.
    pub(crate) name: String,
    /// The path.
    pub(crate) path: String,
    /// The unique id (`AIPA...`).
    pub(crate) id: String,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its tags.
    pub(crate) tags: Tags,
    /// The name of its role in lower case, if it has one.
    pub(crate) role: Option<String>,
}

/// An issuer of web identities that the account trusts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OidcProvider {
    /// The issuer's URL without `https://`: host, port and path.
    pub(crate) url: String,
    /// The audiences that are accepted.
    pub(crate) client_ids: Vec<String>,
    /// SHA-1 fingerprints of the issuer's certificates, in hexadecimal digits.
    pub(crate) thumbprints: Vec<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// Its tags.
    pub(crate) tags: Tags,
}

/// What is kept of the account as a whole: its alias, and how many there are of what, so that a quota
/// is checked and [`GetAccountSummary`](super::get_account_summary) answered without counting.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Account {
    /// Its alias.
    pub(crate) alias: Option<String>,
    /// How many users.
    pub(crate) users: usize,
    /// How many groups.
    pub(crate) groups: usize,
    /// How many roles.
    pub(crate) roles: usize,
    /// How many instance profiles.
    pub(crate) instance_profiles: usize,
    /// How many OpenID Connect providers.
    pub(crate) oidc_providers: usize,
    /// How many customer managed policies.
    pub(crate) policies: usize,
    /// How many versions they have together.
    pub(crate) policy_versions: usize,
    /// The ids of the root user's access keys, the oldest first.
    pub(crate) root_keys: Vec<String>,
}

macro_rules! markers {
    ($($record:ty = $marker:literal;)*) => {
        $(impl Versioned for $record {
            const MARKER: &'static str = $marker;
        })*
    };
}

markers! {
    User = "iam.user/1";
    Group = "iam.group/1";
    GroupName = "iam.group-name/1";
    Role = "iam.role/1";
    InstanceProfile = "iam.instance-profile/1";
    OidcProvider = "iam.oidc-provider/1";
    Account = "iam.account/1";
}

/// A record that is found by its name in an account.
pub(crate) trait Resource: Versioned + Clone + Sync {
    /// Where such records are.
    const COLLECTION: Collection;

    /// Under what an account counts them.
    const COUNTED: Counted;

    /// The part of the record's key behind the account.
    fn folded(name: &str) -> String {
        iam::fold(name)
    }

    /// The refusal where there is none of this name in the account.
    fn missing(account: &AccountId, name: &str) -> Error;

    /// The refusal to make another one of this name.
    fn taken(name: &str) -> Error;

    /// The path of its ARN, by which listings are filtered.
    fn path(&self) -> &str;

    /// Its tags.
    fn tags_mut(&mut self) -> &mut Tags;
}

/// A record that policies are attached to.
pub(crate) trait Identity: Resource {
    /// Which kind it is.
    const KIND: Kind;

    /// What it has in common with the other kinds.
    fn entity(&self) -> &Entity;

    /// The same, to be changed.
    fn entity_mut(&mut self) -> &mut Entity;
}

macro_rules! identities {
    ($($record:ty, $kind:expr, $counted:expr, $collection:literal;)*) => {
        $(impl Identity for $record {
            const KIND: Kind = $kind;

            fn entity(&self) -> &Entity {
                &self.entity
            }

            fn entity_mut(&mut self) -> &mut Entity {
                &mut self.entity
            }
        }

        impl Resource for $record {
            const COLLECTION: Collection = Collection($collection);
            const COUNTED: Counted = $counted;

            fn missing(_: &AccountId, name: &str) -> Error {
                Self::KIND.missing(name)
            }

            fn taken(name: &str) -> Error {
                Self::KIND.taken(name)
            }

            fn path(&self) -> &str {
                &self.entity.path
            }

            fn tags_mut(&mut self) -> &mut Tags {
                &mut self.entity.tags
            }
        })*
    };
}

identities! {
    User, Kind::User, Counted::Users, "iam.user";
    Group, Kind::Group, Counted::Groups, "iam.group";
    Role, Kind::Role, Counted::Roles, "iam.role";
}

impl Resource for InstanceProfile {
    const COLLECTION: Collection = Collection("iam.instance-profile");
    const COUNTED: Counted = Counted::InstanceProfiles;

    fn missing(_: &AccountId, name: &str) -> Error {
        Error::new(
            ErrorKind::NotFound,
            format!("Instance Profile {name} cannot be found."),
        )
    }

    fn taken(name: &str) -> Error {
        Error::new(
            ErrorKind::AlreadyExists,
            format!("Instance Profile {name} already exists."),
        )
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

/// Found by the issuer's URL without `https://`.
impl Resource for OidcProvider {
    const COLLECTION: Collection = Collection("iam.oidc-provider");
    const COUNTED: Counted = Counted::OidcProviders;

    /// The path of a URL tells cases apart; the host was folded when the record was made.
    fn folded(name: &str) -> String {
        name.to_owned()
    }

    fn missing(account: &AccountId, name: &str) -> Error {
        iam::oidc::missing(&iam::oidc::arn(account, name))
    }

    fn taken(name: &str) -> Error {
        Error::new(
            ErrorKind::AlreadyExists,
            format!("Provider with url https://{name} already exists."),
        )
    }

    fn path(&self) -> &str {
        "/"
    }

    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl Entity {
    /// A fresh one with nothing on it.
    pub(crate) fn new(ctx: &Ctx, kind: Kind, name: String, path: Option<String>) -> Result<Self> {
        Ok(Self {
            name,
            path: path.unwrap_or_else(|| "/".into()),
            id: crate::ids::iam(kind.prefix())?,
            created: ctx.now,
            tags: Tags::new(),
            boundary: None,
            inline: BTreeMap::new(),
            attached: Vec::new(),
        })
    }

    /// Its ARN.
    pub(crate) fn arn(&self, account: &AccountId, kind: Kind) -> String {
        iam::arn(account, kind.as_str(), &self.path, &self.name).to_string()
    }
}

/// The record key for the use of a managed policy by an identity:
/// `account/policy's account or aws/policy/user|group|role/name`, names in lower case. `None` where the
/// ARN names no policy.
pub(crate) fn use_key(
    account: &AccountId,
    policy_arn: &str,
    kind: Kind,
    name: &str,
) -> Option<String> {
    let (kind, name) = (kind.as_str(), iam::fold(name));
    let policy = policy_key(policy_arn)?;
    Some(format!("{account}/{policy}/{kind}/{name}"))
}

/// `account/name` of the managed policy with this ARN, in lower case; the account is `aws` for those of
/// AWS. `None` where the ARN names no policy.
pub(crate) fn policy_key(arn: &str) -> Option<String> {
    let arn = Arn::parse(arn).ok()?;
    let path = arn.resource.strip_prefix("policy/")?;
    let name = path.rsplit('/').next().filter(|name| !name.is_empty())?;
    let is_policy = arn.service == "iam" && arn.region.is_empty() && !arn.account.is_empty();
    is_policy.then(|| format!("{}/{}", arn.account, iam::fold(name)))
}

/// The key of [`MEMBERS`] for a user in the group of this id.
pub(crate) fn member_key(account: &AccountId, group_id: &str, user: &str) -> String {
    format!("{account}/{group_id}/{}", iam::fold(user))
}

/// The record key of the `R` with this name.
pub(crate) fn key<R: Resource>(account: &AccountId, name: &str) -> String {
    format!("{account}/{}", R::folded(name))
}
