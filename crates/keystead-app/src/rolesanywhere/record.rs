//! What is stored, and the one way in which every kind of it is found, changed and deleted.
//!
//! A record's key is `account/region/id`. An alias is a record of its own, which makes it unique.

use jiff::Timestamp;
use keystead_core::rolesanywhere::MOST_OF_A_KIND;
use keystead_core::rolesanywhere::mapping::Mappings;
use keystead_core::tags::Tags;
use keystead_core::{Arn, Error, ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect, Stored, Versioned};
use serde::{Deserialize, Serialize};

use crate::access::{Act, Allowed, Resource};
use crate::retry::retrying;
use crate::{Ctx, cursor};

/// The ids that aliases stand for, by `account/region/kind/alias`.
const ALIASES: Collection = Collection("rolesanywhere.alias");

/// What trust anchors, profiles and revocation lists have in common.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// Its id, a UUID.
    pub(crate) id: String,
    /// Its name, which need not be unique.
    pub(crate) name: String,
    /// Whether it counts.
    pub(crate) enabled: bool,
    /// Its alias, unique among its kind in the account and region.
    pub(crate) alias: Option<String>,
    /// Its tags.
    pub(crate) tags: Tags,
    /// When it was made.
    pub(crate) created: Timestamp,
    /// When it was changed last.
    pub(crate) updated: Timestamp,
}

/// Whose certificates are trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrustAnchor {
    /// What every kind has.
    pub(crate) head: Head,
    /// Where the trusted certificates are.
    pub(crate) source: Source,
    /// The ids of its revocation lists, as their quota is small.
    pub(crate) crls: Vec<String>,
}

/// Where the certificates of a trust anchor are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Source {
    /// Those of this private CA, by its ARN.
    PrivateCa(String),
    /// These, in PEM as they were given.
    Bundle(String),
}

/// Which roles certificates may become, and what limits them then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Profile {
    /// What every kind has.
    pub(crate) head: Head,
    /// The account that made it.
    pub(crate) created_by: String,
    /// The roles.
    pub(crate) role_arns: Vec<String>,
    /// A policy that limits the sessions: its text.
    pub(crate) session_policy: Option<String>,
    /// Managed policies that limit the sessions.
    pub(crate) managed_policy_arns: Vec<String>,
    /// How long sessions last, in seconds.
    pub(crate) duration: i32,
    /// Whether a workload may name its session.
    pub(crate) accept_role_session_name: bool,
    /// Kept for AWS, which has no use for it yet.
    pub(crate) require_instance_properties: bool,
    /// What of a certificate becomes session tags.
    pub(crate) mappings: Mappings,
}

/// Which certificates of a trust anchor are trusted no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Crl {
    /// What every kind has.
    pub(crate) head: Head,
    /// The id of the trust anchor.
    pub(crate) trust_anchor: String,
    /// The list, as it was given.
    #[serde(with = "serde_bytes")]
    pub(crate) data: Vec<u8>,
}

/// Whom certificates have named when they were used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    /// Its id, a UUID that is made of the name.
    pub(crate) id: String,
    /// The name in text, for instance `CN=workload,O=Example`.
    pub(crate) x509_subject: String,
    /// Its tags.
    pub(crate) tags: Tags,
    /// When it was seen first.
    pub(crate) created: Timestamp,
    /// When it was seen last.
    pub(crate) last_seen: Timestamp,
    /// The certificates that were used last, the newest first.
    pub(crate) credentials: Vec<Seen>,
}

/// A certificate that was used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// When, last.
    pub(crate) at: Timestamp,
    /// Its serial number in decimal.
    pub(crate) serial: String,
    /// Its issuer in text.
    pub(crate) issuer: String,
    /// The certificate in PEM.
    pub(crate) pem: String,
    /// Whether that ended in a refusal.
    pub(crate) failed: bool,
}

impl Subject {
    /// Notes that this certificate was used.
    pub(crate) fn note(&mut self, seen: Seen) {
        self.last_seen = seen.at;
        self.credentials.retain(|known| known.pem != seen.pem);
        self.credentials.insert(0, seen);
        self.credentials.truncate(MOST_SEEN);
    }
}

/// A kind of record.
pub(crate) trait Record: Versioned + Send + Sync {
    /// Where they are kept.
    const COLLECTION: Collection;
    /// What stands before the id in their ARNs.
    const NAME: &'static str;

    /// Its id.
    fn id(&self) -> &str;
    /// Its tags.
    fn tags(&self) -> &Tags;
    /// Its tags, to be changed.
    fn tags_mut(&mut self) -> &mut Tags;
}

/// A kind of record with a name, an alias and a switch.
pub(crate) trait Headed: Record {
    /// What it has in common with the others.
    fn head(&self) -> &Head;
    /// The same, to be changed.
    fn head_mut(&mut self) -> &mut Head;
}

macro_rules! kinds {
    ($($kind:ident, $name:literal, $collection:literal, $marker:literal $(, $head:ident)?;)*) => {$(
        impl Versioned for $kind {
            const MARKER: &'static str = $marker;
        }

        impl Record for $kind {
            const COLLECTION: Collection = Collection($collection);
            const NAME: &'static str = $name;

            fn id(&self) -> &str {
                &self$(.$head)?.id
            }

            fn tags(&self) -> &Tags {
                &self$(.$head)?.tags
            }

            fn tags_mut(&mut self) -> &mut Tags {
                &mut self$(.$head)?.tags
            }
        }

        $(impl Headed for $kind {
            fn head(&self) -> &Head {
                &self.$head
            }

            fn head_mut(&mut self) -> &mut Head {
                &mut self.$head
            }
        })?
    )*};
}

kinds! {
    TrustAnchor, "trust-anchor", "rolesanywhere.trust-anchor", "rolesanywhere.trust-anchor/1", head;
    Profile, "profile", "rolesanywhere.profile", "rolesanywhere.profile/1", head;
    Crl, "crl", "rolesanywhere.crl", "rolesanywhere.crl/1", head;
    Subject, "subject", "rolesanywhere.subject", "rolesanywhere.subject/1";
}

/// An id that an alias stands for.
#[derive(Serialize, Deserialize)]
struct Alias(String);

impl Versioned for Alias {
    const MARKER: &'static str = "rolesanywhere.alias/1";
}

/// A record after a change.
pub(crate) struct Changed<K> {
    /// As it is now.
    pub(crate) value: K,
    /// The alias that it had before, if it has another now, or none.
    pub(crate) previous_alias: Option<String>,
}

/// The ARN of a record of the caller's account and region.
pub(crate) fn arn<K: Record>(ctx: &Ctx, id: &str) -> String {
    ctx.arn("rolesanywhere", format!("{}/{id}", K::NAME))
        .to_string()
}

/// The record that the caller names by id, ARN or the ARN of its alias, if the call may touch it.
pub(crate) async fn find<K: Record>(ctx: &Ctx, identifier: &str) -> Result<Allowed<Stored<K>>> {
    let id = id_of::<K>(ctx, identifier).await?;
    let found = ctx.app.store.get::<K>(K::COLLECTION, &ctx.key(&id)).await?;
    let name = arn::<K>(ctx, &id);
    let found = ctx.admit(Act::Own, &name, found, |found, resource| {
        resource.tagged(found.value.tags())
    })?;
    found.ok_or_else(|| missing::<K>(identifier))
}

/// The id that an identifier stands for. What is of another account or region is decided without knowing more of it.
async fn id_of<K: Record>(ctx: &Ctx, identifier: &str) -> Result<String> {
    if !identifier.starts_with("arn:") {
        return Ok(identifier.to_owned());
    }
    let parsed = Arn::parse(identifier)?;
    let alias = parsed.resource.strip_prefix("alias/");
    let name = alias.unwrap_or(&parsed.resource).strip_prefix(K::NAME);
    let name = name.and_then(|rest| rest.strip_prefix('/'));
    let here = parsed.service == "rolesanywhere"
        && parsed.region == ctx.region.as_str()
        && parsed.account == ctx.account().as_str();
    let found = match (name, alias) {
        (Some(id), None) if here => Some(id.to_owned()),
        (Some(alias), Some(_)) if here => {
            let key = alias_key::<K>(ctx, alias);
            let found = ctx.app.store.get::<Alias>(ALIASES, &key).await?;
            found.map(|found| found.value.0)
        }
        _ => None,
    };
    match found {
        Some(id) => Ok(id),
        None => {
            ctx.allow(&Resource::new(identifier, &parsed.account))?;
            Err(missing::<K>(identifier))
        }
    }
}

/// Stores a new record.
///
/// Refuses with [`ErrorKind::LimitExceeded`], and [`ErrorKind::AlreadyExists`] where the alias is taken. `also` adds to
/// the commit.
pub(crate) async fn create<K: Headed>(
    ctx: &Ctx,
    value: &K,
    also: impl FnOnce(&mut Batch),
) -> Result<()> {
    let store = &ctx.app.store;
    let there: Vec<Stored<K>> = store
        .scan(K::COLLECTION, &ctx.prefix(), None, MOST_OF_A_KIND)
        .await?;
    if there.len() >= MOST_OF_A_KIND {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "The account has {MOST_OF_A_KIND} of {} in this region, which is the quota.",
                K::NAME
            ),
        ));
    }
    let mut batch = Batch::new();
    batch.put(K::COLLECTION, ctx.key(value.id()), value, Expect::Absent);
    take_alias(ctx, value, &mut batch).await?;
    also(&mut batch);
    store.commit(batch).await?;
    Ok(())
}

/// Changes the caller's record, again if somebody else changed it meanwhile.
pub(crate) async fn change<K: Record + Clone>(
    ctx: &Ctx,
    identifier: &str,
    how: impl Fn(&mut K) -> Result<()>,
) -> Result<K> {
    let how = &how;
    persevering(identifier, || async move {
        let mut found = find::<K>(ctx, identifier).await?.into_inner();
        how(&mut found.value)?;
        let mut batch = Batch::new();
        let expect = Expect::Version(found.version);
        batch.put(K::COLLECTION, found.key, &found.value, expect);
        ctx.app.store.commit(batch).await?;
        Ok(found.value)
    })
    .await
}

/// As [`change`], where the alias may change, and the time of the last change does.
pub(crate) async fn update<K: Headed + Clone>(
    ctx: &Ctx,
    identifier: &str,
    how: impl Fn(&mut K) -> Result<()>,
) -> Result<Changed<K>> {
    let how = &how;
    persevering(identifier, || async move {
        let mut found = find::<K>(ctx, identifier).await?.into_inner();
        let before = found.value.head().alias.clone();
        how(&mut found.value)?;
        found.value.head_mut().updated = ctx.now;
        let mut batch = Batch::new();
        let previous_alias =
            before.filter(|before| Some(before) != found.value.head().alias.as_ref());
        if let Some(previous) = &previous_alias {
            batch.delete(ALIASES, alias_key::<K>(ctx, previous), Expect::Any);
        }
        take_alias(ctx, &found.value, &mut batch).await?;
        let expect = Expect::Version(found.version);
        batch.put(K::COLLECTION, found.key, &found.value, expect);
        ctx.app.store.commit(batch).await?;
        Ok(Changed {
            value: found.value,
            previous_alias,
        })
    })
    .await
}

/// Does it again where somebody else changed the record in between.
async fn persevering<T, F>(identifier: &str, attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<T>>,
{
    let outcome = retrying(CONFLICT_TRIES, attempt).await;
    outcome.map_err(|error| match error.kind {
        ErrorKind::ConcurrentModification => busy(identifier),
        _ => error,
    })
}

/// Deletes the caller's record; `also` adds to the commit.
pub(crate) async fn delete<K: Headed>(
    ctx: &Ctx,
    identifier: &str,
    also: impl FnOnce(&K, &mut Batch),
) -> Result<K> {
    let found = find::<K>(ctx, identifier).await?.into_inner();
    let mut batch = Batch::new();
    batch.delete(K::COLLECTION, found.key, Expect::Version(found.version));
    if let Some(alias) = &found.value.head().alias {
        batch.delete(ALIASES, alias_key::<K>(ctx, alias), Expect::Any);
    }
    also(&found.value, &mut batch);
    ctx.app.store.commit(batch).await?;
    Ok(found.value)
}

/// A page of the records of the caller's account and region, with the token for the next one.
pub(crate) async fn list<K: Record>(
    ctx: &Ctx,
    token: Option<&str>,
    size: Option<i32>,
) -> Result<(Vec<K>, Option<String>)> {
    ctx.allow_own("*")?;
    let size = match size.map(usize::try_from) {
        None => DEFAULT_PAGE,
        Some(Ok(size)) if (1..=LARGEST_PAGE).contains(&size) => size,
        Some(_) => {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("The pageSize is not valid: expected 1 to {LARGEST_PAGE}."),
            ));
        }
    };
    let (found, next) = cursor::page::<K>(ctx, K::NAME, K::COLLECTION, token, size).await?;
    Ok((found.into_iter().map(|stored| stored.value).collect(), next))
}

/// Adds to the commit that the record has its alias.
async fn take_alias<K: Headed>(ctx: &Ctx, value: &K, batch: &mut Batch) -> Result<()> {
    let Some(alias) = &value.head().alias else {
        return Ok(());
    };
    let key = alias_key::<K>(ctx, alias);
    let expect = match ctx.app.store.get::<Alias>(ALIASES, &key).await? {
        None => Expect::Absent,
        Some(found) if found.value.0 == value.id() => Expect::Version(found.version),
        Some(_) => {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("The alias {alias} is taken by another {}.", K::NAME),
            ));
        }
    };
    batch.put(ALIASES, key, &Alias(value.id().to_owned()), expect);
    Ok(())
}

fn alias_key<K: Record>(ctx: &Ctx, alias: &str) -> String {
    ctx.key(&format!("{}/{alias}", K::NAME))
}

fn missing<K: Record>(identifier: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("Could not find {} {identifier}.", K::NAME),
    )
}

fn busy(identifier: &str) -> Error {
    Error::new(
        ErrorKind::ConcurrentModification,
        format!("{identifier} is being changed by others at the same time; try again."),
    )
}

/// How often a change is tried again because somebody else changed the record meanwhile.
const CONFLICT_TRIES: usize = 8;

/// A page where the caller names no size: as many as all of a kind (AWS names no figure).
const DEFAULT_PAGE: usize = MOST_OF_A_KIND;

/// The largest page; AWS names no figure.
const LARGEST_PAGE: usize = 1000;

/// Certificates that a subject remembers; ours: a workload that renews daily shows three weeks.
const MOST_SEEN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_remembers_each_certificate_once_and_the_newest_alone() {
        let seen = |pem: usize, second: i64| Seen {
            at: Timestamp::from_second(second).unwrap(),
            serial: pem.to_string(),
            issuer: "CN=ca".into(),
            pem: pem.to_string(),
            failed: false,
        };
        let mut subject = Subject {
            id: "id".into(),
            x509_subject: "CN=x".into(),
            tags: Tags::new(),
            created: Timestamp::UNIX_EPOCH,
            last_seen: Timestamp::UNIX_EPOCH,
            credentials: Vec::new(),
        };
        for number in 0..=MOST_SEEN {
            subject.note(seen(number, 1));
        }
        subject.note(seen(5, 9));
        assert_eq!(subject.last_seen.as_second(), 9);
        let kept: Vec<_> = subject
            .credentials
            .iter()
            .map(|seen| seen.pem.as_str())
            .collect();
        assert_eq!(kept.len(), MOST_SEEN);
        assert_eq!(kept[0], "5");
        assert!(!kept.contains(&"0"));
        assert_eq!(kept.iter().filter(|pem| **pem == "5").count(), 1);
    }
}
