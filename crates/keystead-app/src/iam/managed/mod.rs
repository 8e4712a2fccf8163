//! Managed policies: those that the account made, with up to five versions, and those that come from AWS.
//!
//! A policy is named by its ARN. Its record is found by the ARN's last part, as names are unique in an
//! account whatever their paths; a wrong path is refused all the same. What uses a policy is not
//! counted in its record but read from the indexes [`ATTACHMENTS`] and [`BOUNDARIES`]. Who adds a use also
//! stores the policy again as it was read ([`Managed::hold`]): so of one who attaches it and one who
//! removes it at the same time, one has to start again.

pub(super) mod aws;
mod entities;
mod policies;
mod versions;

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::iam;
use keystead_core::tags::Tags;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_policy::{Kind, Policy};
use keystead_store::{Batch, Collection, MAX_PAGE, Store, Stored, Versioned};
use keystead_wire::iam as wire;
use serde::{Deserialize, Serialize};

pub(crate) use self::aws::AwsPolicy;
pub(crate) use self::entities::list_entities_for_policy;
pub(in crate::iam) use self::policies::candidates;
pub(crate) use self::policies::{
    create_policy, delete_policy, get_policy, list_policies, list_policy_tags, tag_policy,
    untag_policy,
};
pub(crate) use self::versions::{
    create_policy_version, delete_policy_version, get_policy_version, list_policy_versions,
    set_default_policy_version,
};
use super::account::Counted;
use super::list::chunk;
use super::record::{self, ATTACHMENTS, BOUNDARIES, Resource, policy_key};
use super::shown::{self, Detail};
use crate::Ctx;

/// A policy that the account made.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManagedPolicy {
    /// The name, in the case that it was given.
    pub(crate) name: String,
    /// The path.
    pub(crate) path: String,
    /// The unique id (`ANPA...`).
    pub(crate) id: String,
    /// What it is for; never changed.
    pub(crate) description: Option<String>,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When its versions or its default were last changed.
    pub(crate) updated: Timestamp,
    /// Its tags.
    pub(crate) tags: Tags,
    /// Its versions, the oldest first; never empty.
    pub(crate) versions: Vec<Version>,
    /// The number of the version in force.
    pub(crate) default: u32,
    /// The highest number that a version was ever given.
    pub(crate) last: u32,
}

/// A version of a policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Version {
    /// Its number, from 1; never given again.
    pub(crate) number: u32,
    /// The document, as it was given.
    pub(crate) document: String,
    /// When it was made.
    pub(crate) created: Timestamp,
}

impl Versioned for ManagedPolicy {
    const MARKER: &'static str = "iam.policy/1";
}

impl Resource for ManagedPolicy {
    const COLLECTION: Collection = Collection("iam.policy");
    const COUNTED: Counted = Counted::Policies;

    fn missing(account: &AccountId, name: &str) -> Error {
        missing(&iam::arn(account, "policy", "/", name).to_string())
    }

    fn taken(name: &str) -> Error {
        Error::new(
            ErrorKind::AlreadyExists,
            format!("A policy called {name} already exists. Duplicate names are not allowed."),
        )
    }

    fn path(&self) -> &str {
        &self.path
    }

    fn tags_mut(&mut self) -> &mut Tags {
        &mut self.tags
    }
}

impl ManagedPolicy {
    /// The version of this number.
    pub(crate) fn version(&self, number: u32) -> Option<&Version> {
        let mut versions = self.versions.iter();
        versions.find(|version| version.number == number)
    }

    /// The document in force.
    fn document(&self) -> Result<&str> {
        let version = self.version(self.default);
        let document = version.map(|version| version.document.as_str());
        document
            .ok_or_else(|| internal(format!("the policy {} has no version in force", self.name)))
    }
}

/// A policy of either owner.
#[derive(Clone, Debug)]
pub(crate) enum Managed {
    /// One of AWS's.
    Aws(&'static AwsPolicy),
    /// One of the account's, as it is stored.
    Own(Box<Stored<ManagedPolicy>>),
}

impl Managed {
    /// The name.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Aws(policy) => &policy.name,
            Self::Own(stored) => &stored.value.name,
        }
    }

    /// The path.
    pub(crate) fn path(&self) -> &str {
        match self {
            Self::Aws(policy) => &policy.path,
            Self::Own(stored) => &stored.value.path,
        }
    }

    /// The ARN, in the partition of the call.
    pub(crate) fn arn(&self, ctx: &Ctx) -> String {
        match self {
            Self::Aws(policy) => policy.arn(ctx.region.partition()),
            Self::Own(stored) => shown::arn(ctx, "policy", &stored.value.path, &stored.value.name),
        }
    }

    /// Whether callers may attach it: what belongs to a service's own roles they may not.
    pub(crate) fn attachable(&self) -> bool {
        matches!(self, Self::Own(_)) || !self.path().starts_with("/aws-service-role/")
    }

    /// The document in force, compiled.
    pub(crate) fn compiled(&self) -> Result<Arc<Policy>> {
        match self {
            Self::Aws(policy) => Ok(Arc::clone(&policy.compiled)),
            Self::Own(stored) => compile(&stored.key, stored.value.document()?).map(Arc::new),
        }
    }

    /// Adds to the batch that the policy is still as it was read, so that it is not removed while
    /// something begins to use it.
    pub(crate) fn hold(&self, batch: &mut Batch) {
        if let Self::Own(stored) = self {
            record::save(batch, stored);
        }
    }

    /// As answers show it. Listings leave out tags and description; other answers show tags even where there
    /// are none.
    pub(crate) async fn shown(&self, ctx: &Ctx, detail: Detail) -> Result<wire::Policy> {
        let (id, description, number, created, updated, tags) = match self {
            Self::Aws(policy) => (
                &policy.id,
                Some(&policy.description),
                policy.version,
                policy.created,
                policy.updated,
                Tags::new(),
            ),
            Self::Own(stored) => {
                let policy = &stored.value;
                let tags = policy.tags.clone();
                let description = policy.description.as_ref();
                let (created, updated) = (policy.created, policy.updated);
                (
                    &policy.id,
                    description,
                    policy.default,
                    created,
                    updated,
                    tags,
                )
            }
        };
        let arn = self.arn(ctx);
        let full = detail == Detail::Full;
        Ok(wire::Policy {
            policy_name: Some(self.name().into()),
            policy_id: Some(id.clone()),
            path: Some(self.path().into()),
            default_version_id: Some(version_id(number)),
            attachment_count: Some(count(ctx, ATTACHMENTS, &arn).await?),
            permissions_boundary_usage_count: Some(count(ctx, BOUNDARIES, &arn).await?),
            is_attachable: Some(self.attachable()),
            description: description.filter(|_| full).cloned(),
            create_date: Some(created),
            update_date: Some(updated),
            tags: full.then(|| shown::tag_list(tags)),
            arn: Some(arn),
        })
    }
}

/// How a version is called: `v1`.
pub(crate) fn version_id(number: u32) -> String {
    format!("v{number}")
}

/// The policy with this ARN, if the account can see it.
pub(crate) async fn find(store: &Store, account: &AccountId, arn: &str) -> Result<Option<Managed>> {
    let Some(named) = Named::parse(arn) else {
        return Ok(None);
    };
    if named.account == "aws" {
        return Ok(aws::find(named.path_and_name).map(Managed::Aws));
    }
    if named.account != account.as_str() {
        return Ok(None);
    }
    let found = record::find::<ManagedPolicy>(store, account, named.name()).await?;
    let found = found.filter(|found| named.is(&found.value.path, &found.value.name));
    Ok(found.map(|found| Managed::Own(Box::new(found))))
}

/// The policy with this ARN; refuses with [`ErrorKind::NotFound`].
pub(crate) async fn load(ctx: &Ctx, arn: &str) -> Result<Managed> {
    let found = find(&ctx.app.store, ctx.account(), arn).await?;
    found.ok_or_else(|| missing(arn))
}

/// The policy with this ARN, to be attached or made a boundary.
pub(crate) async fn usable(ctx: &Ctx, arn: &str) -> Result<Managed> {
    let found = find(&ctx.app.store, ctx.account(), arn).await?;
    let found = found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("Policy {arn} does not exist or is not attachable."),
        )
    })?;
    if found.attachable() {
        return Ok(found);
    }
    Err(Error::new(
        ErrorKind::NotAttachable,
        "Cannot attach a Service Role Policy to a Customer Role.",
    ))
}

/// The policy with this ARN, which is the account's own and so can be changed; nobody may do `action` to
/// AWS's ([`ErrorKind::AccessDenied`]).
async fn changeable(ctx: &Ctx, action: &str, arn: &str) -> Result<Box<Stored<ManagedPolicy>>> {
    match load(ctx, arn).await? {
        Managed::Own(stored) => Ok(stored),
        Managed::Aws(_) => Err(Error::new(
            ErrorKind::AccessDenied,
            format!(
                "User: {} is not authorized to perform: {action} on resource: policy {arn}",
                ctx.principal.arn
            ),
        )),
    }
}

/// How many identities use the policy: those that have it attached, or as a boundary.
async fn count(ctx: &Ctx, collection: Collection, arn: &str) -> Result<i32> {
    let Some(prefix) = uses_prefix(ctx, arn) else {
        return Ok(0);
    };
    let mut count = 0_usize;
    let mut after = None;
    loop {
        let found = chunk::<()>(ctx, collection, &prefix, after.as_deref(), MAX_PAGE).await?;
        count += found.len();
        match found.into_iter().last() {
            Some((key, ())) => after = Some(key),
            None => return Ok(i32::try_from(count).unwrap_or(i32::MAX)),
        }
    }
}

/// What the keys of all its uses begin with; behind it comes `user|group|role/name`.
fn uses_prefix(ctx: &Ctx, arn: &str) -> Option<String> {
    Some(format!("{}/{}/", ctx.account(), policy_key(arn)?))
}

/// Whether two ARNs name the same policy: the partition is that of the region in which it was named.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let behind_partition = |arn| str::splitn(arn, 3, ':').nth(2);
    one == other || behind_partition(one) == behind_partition(other)
}

/// A stored document, compiled again; it was checked before it was stored.
pub(crate) fn compile(label: &str, document: &str) -> Result<Policy> {
    Policy::parse(document, Kind::Identity)
        .map_err(|fault| internal(format!("the stored policy {label} can't be read: {fault}")))
}

/// [`ErrorKind::NotFound`] in IAM's words.
fn missing(arn: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Policy {arn} was not found."))
}

fn internal(message: String) -> Error {
    Error::new(ErrorKind::Internal, message)
}

/// The ARN of a managed policy, taken apart.
struct Named<'a> {
    account: &'a str,
    /// Behind `policy`: `/path/name`.
    path_and_name: &'a str,
}

impl<'a> Named<'a> {
    fn parse(arn: &'a str) -> Option<Self> {
        Arn::parse(arn).ok()?;
        let mut parts = arn.splitn(6, ':').skip(2);
        let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
        let path_and_name = parts.next()?.strip_prefix("policy")?;
        let fits = service == "iam" && region.is_empty() && path_and_name.starts_with('/');
        fits.then_some(Self {
            account,
            path_and_name,
        })
    }

    fn name(&self) -> &'a str {
        self.path_and_name.rsplit('/').next().unwrap_or_default()
    }

    fn is(&self, path: &str, name: &str) -> bool {
        self.path_and_name.strip_prefix(path) == Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_names_path_and_name_in_any_partition() {
        let named = Named::parse("arn:aws-cn:iam::123456789012:policy/a/b/Name").unwrap();
        assert_eq!((named.account, named.name()), ("123456789012", "Name"));
        assert!(named.is("/a/b/", "Name"));
        assert!(!named.is("/a/", "Name") && !named.is("/a/b/", "name"));
        let elsewhere = "arn:aws:iam::123456789012:policy/a/b/Name";
        assert!(same(
            elsewhere,
            "arn:aws-cn:iam::123456789012:policy/a/b/Name"
        ));
        assert!(!same(elsewhere, "arn:aws:iam::123456789012:policy/a/Name"));
        for other in [
            "arn:aws:iam::123456789012:role/Name",
            "arn:aws:iam:eu-west-1:123456789012:policy/Name",
            "arn:aws:sts::123456789012:policy/Name",
            "arn:aws:iam::123456789012:policyName",
            "Name",
        ] {
            assert!(Named::parse(other).is_none(), "{other}");
        }
    }
}
