//! Managed policies: those that the account made, with up to five versions, and those that come from AWS.
//!
//! A policy is named by its ARN. Its record is found by the ARN's last part, as names are unique in an
//! account whatever their paths; a wrong path is refused all the same. What uses a policy is not
//! counted in its record but read from the indexes [`ATTACHMENTS`](super::record::ATTACHMENTS) and
//! [`BOUNDARIES`](super::record::BOUNDARIES). Who adds a use also stores the policy again as it was read
//! ([`Managed::hold`]): so a policy that is removed meanwhile makes one of the two start again.

pub(super) mod aws;

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::iam;
use keystead_core::tags::Tags;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_policy::{Kind, Policy};
use keystead_store::{Batch, Collection, Store, Stored, Versioned};
use serde::{Deserialize, Serialize};

use self::aws::AwsPolicy;
use super::account::Counted;
use super::record::{self, Resource};

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
    /// Its ARN.
    pub(crate) fn arn(&self, account: &AccountId) -> String {
        iam::arn(account, "policy", &self.path, &self.name).to_string()
    }

    /// The version of this number.
    pub(crate) fn version(&self, number: u32) -> Option<&Version> {
        let mut versions = self.versions.iter();
        versions.find(|version| version.number == number)
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

    /// The version in force, compiled.
    pub(crate) fn compiled(&self) -> Result<Arc<Policy>> {
        match self {
            Self::Aws(policy) => Ok(Arc::clone(&policy.compiled)),
            Self::Own(stored) => {
                let policy = &stored.value;
                let version = policy.version(policy.default).ok_or_else(|| {
                    internal(format!("the policy {} has no version in force", stored.key))
                })?;
                compile(&stored.key, &version.document).map(Arc::new)
            }
        }
    }

    /// Adds to the batch that the policy is still as it was read, so that it is not removed while
    /// something begins to use it.
    pub(crate) fn hold(&self, batch: &mut Batch) {
        if let Self::Own(stored) = self {
            record::save(batch, stored);
        }
    }
}

/// The policy with this ARN, if the account can see it.
pub(crate) async fn find(store: &Store, account: &AccountId, arn: &str) -> Result<Option<Managed>> {
    if let Some(policy) = aws::find(arn) {
        return Ok(Some(Managed::Aws(policy)));
    }
    let Some(name) = name_of(account, arn) else {
        return Ok(None);
    };
    let found = record::find::<ManagedPolicy>(store, account, name).await?;
    let found = found.filter(|found| found.value.arn(account) == arn);
    Ok(found.map(|found| Managed::Own(Box::new(found))))
}

/// A stored document, compiled again; it was checked before it was stored.
pub(crate) fn compile(label: &str, document: &str) -> Result<Policy> {
    Policy::parse(document, Kind::Identity)
        .map_err(|fault| internal(format!("the stored policy {label} can't be read: {fault}")))
}

/// [`ErrorKind::NotFound`] in IAM's words.
pub(crate) fn missing(arn: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("Policy {arn} was not found."))
}

/// The name in the ARN of a policy of this account.
fn name_of<'a>(account: &AccountId, arn: &'a str) -> Option<&'a str> {
    let parsed = Arn::parse(arn).ok()?;
    let ours = parsed.service == "iam" && parsed.account == account.as_str();
    let path = arn.splitn(6, ':').nth(5)?.strip_prefix("policy/")?;
    path.rsplit('/').next().filter(|_| ours)
}

fn internal(message: String) -> Error {
    Error::new(ErrorKind::Internal, message)
}
