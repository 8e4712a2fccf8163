//! Making a list: intend, record, act, compare.
//!
//! A step makes one edition: it reads the entries, encodes and lints them, stores the bytes under the next number, signs
//! them, verifies the signature and publishes. Where an edition was intended already, a crash came in between, and the
//! step goes on from there. A list is made by one step at a time; should another server make it too, the first that intends
//! an edition wins, and the parts of each are apart. A revocation that comes while the entries are read makes the list due again by its own
//! commit, so that none is left out for longer than the next step.

use std::collections::HashSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use keystead_core::lint::{CrlIssuer, lint_crl_tbs, listed};
use keystead_core::pca::{Serial, again_at, has_left, next_update, refresh_at};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::x509::{CrlEntries, TbsCrl, encode_crl_tbs};
use keystead_store::{Batch, Expect, Store, StoreError, Stored};
use parking_lot::Mutex;

use super::record::{
    COMPLETE, Edition, LISTS, List, PARTS, Part, Published, REVOKED, Revoked, owner, part_key,
    partition, parts_of,
};
use crate::pca::complete::compare_signature;
use crate::pca::record::{AUTHORITIES, Authority};
use crate::{App, ids};

/// Makes the list of this key anew. Answers when that is due again; `None` where there is no such list.
pub(crate) async fn build(app: &App, key: &str) -> Result<Option<Timestamp>> {
    let Some(list) = app.store.get::<List>(LISTS, key).await? else {
        return Ok(None);
    };
    let found = app.store.get::<Authority>(AUTHORITIES, owner(key).0);
    let Some(authority) = found.await? else {
        // Purged meanwhile: there is no key to sign with.
        return Ok(None);
    };
    let now = app.env.now();
    let soon = now.checked_add(SignedDuration::from_secs(1)).unwrap_or(now);
    let Some(_making) = app.making.begin(key) else {
        return Ok(Some(soon));
    };
    if let (None, Some(published)) = (&list.value.intended, &list.value.published) {
        let took = SignedDuration::from_millis(published.edition.took_ms);
        let again = again_at(published.edition.this_update, took);
        if now < again {
            return Ok(Some(again));
        }
    }
    match edition(app, key, list, &authority.value).await {
        Ok(edition) => Ok(Some(refresh_at(edition.this_update, edition.next_update))),
        // Another server makes it too: whoever comes second looks at what the first has left.
        Err(Failure::Conflict) => Ok(Some(soon)),
        Err(Failure::Other(error)) => Err(error),
    }
}

/// The lists that this server is making. A list that becomes due again while it is made could be taken up twice.
#[derive(Default)]
pub(crate) struct Making(Mutex<HashSet<String>>);

/// That a list is being made, until it is dropped.
struct Begun<'a> {
    making: &'a Making,
    list: &'a str,
}

impl Making {
    /// `None` where it is being made already.
    fn begin<'a>(&'a self, list: &'a str) -> Option<Begun<'a>> {
        let begun = self.0.lock().insert(list.to_owned());
        begun.then_some(Begun { making: self, list })
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        self.making.0.lock().remove(self.list);
    }
}

/// Why there is no new edition.
enum Failure {
    /// Somebody else changed the list.
    Conflict,
    Other(Error),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict { .. } => Self::Conflict,
            error => Self::Other(error.into()),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

async fn edition(
    app: &App,
    key: &str,
    list: Stored<List>,
    authority: &Authority,
) -> Result<Edition, Failure> {
    let list = match list.value.intended {
        Some(_) => list,
        None => intend(app, key, list, authority).await?,
    };
    publish(app, key, list, authority).await
}

/// Stores what is going to be signed.
async fn intend(
    app: &App,
    key: &str,
    list: Stored<List>,
    authority: &Authority,
) -> Result<Stored<List>, Failure> {
    let begun = app.env.now();
    let previous = list.value.published.as_ref().map(|one| &one.edition);
    let Entries { der, newest, left } = entries(app, key, previous).await?;
    let ca = &authority.ca;
    let installed = ca.working_under()?;
    let days = ca.revocation.crl.expiration_in_days;
    let days = days.unwrap_or(list.value.days);
    // A clock that was set back makes no list that is older than what it tells of.
    let this_update = app.env.now().as_second().max(newest);
    let number = list.value.number + 1;
    let tbs = TbsCrl {
        signature: ca.signing_algorithm,
        issuer_der: installed.subject_der.clone(),
        this_update,
        next_update: next_update(this_update, days),
        authority_key_id: installed.key_id.clone(),
        number,
        distribution_point: list.value.url.clone(),
    };
    let mut edition = Edition {
        id: ids::uuid()?,
        number,
        this_update,
        next_update: tbs.next_update,
        signature: tbs.signature,
        parts: 0,
        took_ms: 0,
    };
    let last_number = list.value.published.as_ref().map(|_| list.value.number);
    let der = off_the_executor(move || encode(&tbs, &der, last_number)).await?;
    let parts = der.chunks(PART);
    let last = parts.len().saturating_sub(1);
    let mut value = list.value;
    let mut version = list.version;
    for (index, part) in (0_u32..).zip(parts) {
        let mut batch = Batch::new();
        let part = Part { der: part.to_vec() };
        batch.put(PARTS, part_key(key, &edition.id, index), &part, Expect::Any);
        if usize::try_from(index) == Ok(last) {
            edition.parts = index + 1;
            let took = app.env.now().duration_since(begun).as_millis();
            edition.took_ms = i64::try_from(took).unwrap_or(i64::MAX);
            value.number = number;
            value.days = days;
            value.intended = Some(edition.clone());
            batch.put(LISTS, key, &value, Expect::Version(version));
        }
        let committed = app.store.commit(batch).await?;
        if usize::try_from(index) == Ok(last) {
            version = committed;
        }
    }
    forget(&app.store, key, left).await?;
    Ok(Stored {
        key: list.key,
        version,
        value,
    })
}

/// What a list is made of.
struct Entries {
    der: CrlEntries,
    /// When the latest of them was revoked.
    newest: i64,
    /// The record keys of those that have stood in a list after they expired.
    left: Vec<String>,
}

/// Reads the entries: a partition's own, or all of the authority's.
async fn entries(app: &App, key: &str, previous: Option<&Edition>) -> Result<Entries> {
    let previous = previous.map(|edition| edition.this_update);
    let authority = owner(key).0;
    let own = partition(key).unwrap_or(COMPLETE);
    let prefix = match partition(key) {
        Some(name) => format!("{authority}/{name}/"),
        None => format!("{authority}/"),
    };
    let mut read = Entries {
        der: CrlEntries::default(),
        newest: i64::MIN,
        left: Vec::new(),
    };
    let mut after: Option<String> = None;
    loop {
        let scan = app
            .store
            .scan::<Revoked>(REVOKED, &prefix, after.as_deref(), PAGE);
        let page = scan.await?;
        let full = page.len() == PAGE;
        after = page.last().map(|entry| entry.key.clone());
        for entry in page {
            let (list, serial) = owner(&entry.key);
            if has_left(entry.value.not_after, previous) {
                // What belongs to another list leaves with that one.
                if owner(list).1 == own {
                    read.left.push(entry.key);
                }
                continue;
            }
            let serial = Serial::parse(serial).ok_or_else(|| {
                let text = format!(
                    "the entry {} of a revocation list names no serial number",
                    entry.key
                );
                Error::new(ErrorKind::Internal, text)
            })?;
            read.newest = read.newest.max(entry.value.at);
            let reason = entry.value.reason as u8;
            read.der.add(serial.octets(), entry.value.at, reason)?;
        }
        if !full {
            return Ok(read);
        }
    }
}

/// Encodes and lints.
fn encode(tbs: &TbsCrl, entries: &CrlEntries, last_number: Option<u64>) -> Result<Vec<u8>> {
    let der = encode_crl_tbs(tbs, entries)?;
    let issuer = CrlIssuer {
        subject_der: &tbs.issuer_der,
        key_id: &tbs.authority_key_id,
        signature: tbs.signature,
        last_number,
        distribution_point: tbs.distribution_point.as_deref(),
    };
    lint_crl_tbs(&der, &issuer).map_err(|findings| {
        let broken = listed(&findings);
        let text = format!("a revocation list would not be valid: {broken}");
        Error::new(ErrorKind::Internal, text)
    })?;
    Ok(der)
}

/// Forgets entries that have left their list; at most some of them, as the next step forgets the rest.
async fn forget(store: &Store, key: &str, left: Vec<String>) -> Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    let mut batch = Batch::new();
    for entry in left.into_iter().take(FORGOTTEN) {
        batch.delete(REVOKED, entry, Expect::Any);
    }
    tracing::debug!(list = key, "entries of expired certificates have left");
    store.commit(batch).await?;
    Ok(())
}

/// Signs what was intended, compares, publishes.
async fn publish(
    app: &App,
    key: &str,
    list: Stored<List>,
    authority: &Authority,
) -> Result<Edition, Failure> {
    let mut value = list.value;
    let Some(edition) = value.intended.take() else {
        return Err(Failure::Conflict);
    };
    let Some(tbs) = signed_part(&app.store, key, &edition).await? else {
        // Whoever published the edition before it took its parts for what a crash had left. Nobody has seen it: it is
        // given up with its number.
        let mut batch = Batch::new();
        batch.put(LISTS, key, &value, Expect::Version(list.version));
        app.store.commit(batch).await?;
        return Err(Failure::Conflict);
    };
    let signature = sign(app, authority, &edition, tbs).await?;
    value.published = Some(Published {
        edition: edition.clone(),
        signature,
    });
    let mut batch = Batch::new();
    batch.put(LISTS, key, &value, Expect::Version(list.version));
    app.store.commit(batch).await?;
    let took = Duration::from_millis(edition.took_ms.unsigned_abs());
    metrics::histogram!("keystead_crl_seconds").record(took);
    remove_others(&app.store, key, &edition).await?;
    Ok(edition)
}

/// Signs and verifies, on a thread of its own: hashing a list of a million takes a tenth of a second.
async fn sign(
    app: &App,
    authority: &Authority,
    edition: &Edition,
    tbs: Vec<u8>,
) -> Result<Vec<u8>> {
    let (keys, key) = (std::sync::Arc::clone(&app.keys), authority.key.clone());
    let (spki, algorithm) = (authority.spki.clone(), edition.signature);
    let runtime = tokio::runtime::Handle::current();
    off_the_executor(move || {
        let signature = runtime.block_on(keys.sign(&key, algorithm, &tbs))?;
        compare_signature(&spki, algorithm, &tbs, &signature, "a revocation list")?;
        Ok(signature)
    })
    .await
}

/// What an edition is signed over; `None` where it was replaced meanwhile.
pub(super) async fn signed_part(
    store: &Store,
    key: &str,
    edition: &Edition,
) -> Result<Option<Vec<u8>>> {
    let mut der = Vec::new();
    for part in 0..edition.parts {
        let key = part_key(key, &edition.id, part);
        let Some(part) = store.get::<Part>(PARTS, &key).await? else {
            return Ok(None);
        };
        der.extend_from_slice(&part.value.der);
    }
    Ok(Some(der))
}

/// Removes the parts of every other edition, those of steps that a crash ended included.
async fn remove_others(store: &Store, key: &str, current: &Edition) -> Result<()> {
    let prefix = format!("{key}/");
    let ours = parts_of(key, &current.id);
    let mut after: Option<String> = None;
    loop {
        let page = store
            .scan::<Part>(PARTS, &prefix, after.as_deref(), FEW)
            .await?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.key.clone());
        let mut batch = Batch::new();
        for part in page.iter().filter(|part| !part.key.starts_with(&ours)) {
            batch.delete(PARTS, part.key.as_str(), Expect::Any);
        }
        if !batch.is_empty() {
            store.commit(batch).await?;
        }
    }
}

/// Does what takes long on a thread of its own.
async fn off_the_executor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| {
            let text = format!("the work on a revocation list did not end well: {error}");
            Err(Error::new(ErrorKind::Internal, text))
        })
}

/// Octets of a part: half of the largest record.
const PART: usize = 2 << 20;

/// Entries that are read at a time: the store's longest page but one.
const PAGE: usize = 1000;

/// Entries that one step forgets at most: half of the steps that one commit may have.
const FORGOTTEN: usize = 512;

/// Parts that are looked at together, of [`PART`] octets each.
const FEW: usize = 4;
