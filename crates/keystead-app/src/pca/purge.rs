//! The end of a deleted authority, once its restoration period is over.
//!
//! The record with the key goes first, in one commit; from then on the authority is gone for
//! everybody. What it issued follows, and where that stands in the log, a bounded part at a time, under
//! the same queued item, so that a crash in between leaves nothing behind.

use jiff::Timestamp;
use keystead_core::Result;
use keystead_store::{Batch, Expect, Store, Versioned};

use super::record::{
    AUTHORITIES, Authority, CERTIFICATES, Issued, OWN_CERTIFICATES, OwnCertificate,
};
use super::reports::{REPORTS, Report};
use super::revocation::record::{LISTS, List, NAMES, PARTITIONS, PARTS, Part, REVOKED, Revoked};
use super::revocation::responder;
use super::shared;
use crate::App;
use crate::log::{PLACES, Places};

/// What is left of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It was restored, or its time has not come: come back then, if ever.
    Alive(Option<Timestamp>),
    /// There is more to remove.
    More,
    /// Nothing.
    Nothing,
}

/// Removes one part of what belongs to the authority of this record key, if its time is over.
pub(super) async fn purge(app: &App, key: &str, now: Timestamp) -> Result<Left> {
    let store = &app.store;
    if let Some(found) = store.get::<Authority>(AUTHORITIES, key).await? {
        if !found.value.ca.is_to_be_purged(now) {
            return Ok(Left::Alive(found.value.ca.restorable_until()));
        }
        // A key in a token first: without the record, nothing would name it. It cannot be restored any more.
        app.keys.destroy(&found.value.key).await?;
        let mut batch = Batch::new();
        batch.delete(AUTHORITIES, key, Expect::Version(found.version));
        batch.delete(PARTITIONS, key, Expect::Any);
        responder::close(&mut batch, &found)?;
        shared::index(&found.value.ca, None, &mut batch);
        store.commit(batch).await?;
        return Ok(Left::More);
    }
    let prefix = format!("{key}/");
    let mut batch = Batch::new();
    let certificates = keys::<Issued>(store, CERTIFICATES, &prefix).await?;
    for certificate in &certificates {
        batch.delete(CERTIFICATES, certificate.as_str(), Expect::Any);
    }
    for entry in keys::<Revoked>(store, REVOKED, &prefix).await? {
        batch.delete(REVOKED, entry, Expect::Any);
    }
    for list in keys::<List>(store, LISTS, &prefix).await? {
        if let Some((_, name)) = list.rsplit_once('/') {
            batch.delete(NAMES, name, Expect::Any);
        }
        batch.delete(LISTS, list, Expect::Any);
    }
    for part in store.scan::<Part>(PARTS, &prefix, None, FEW).await? {
        batch.delete(PARTS, part.key, Expect::Any);
    }
    if certificates.is_empty() {
        // The objects are their owner's, and stay.
        for report in keys::<Report>(store, REPORTS, &prefix).await? {
            batch.delete(REPORTS, report, Expect::Any);
        }
        for place in keys::<Places>(store, PLACES, &prefix).await? {
            batch.delete(PLACES, place, Expect::Any);
        }
    }
    if batch.is_empty() {
        for own in keys::<OwnCertificate>(store, OWN_CERTIFICATES, &prefix).await? {
            batch.delete(OWN_CERTIFICATES, own, Expect::Any);
        }
    }
    if batch.is_empty() {
        return Ok(Left::Nothing);
    }
    store.commit(batch).await?;
    Ok(Left::More)
}

async fn keys<T: Versioned>(
    store: &Store,
    collection: keystead_store::Collection,
    prefix: &str,
) -> Result<Vec<String>> {
    let found = store.scan::<T>(collection, prefix, None, PART).await?;
    Ok(found.into_iter().map(|stored| stored.key).collect())
}

/// All kinds together under the store's bound of 1024 steps a commit, and the writer is free for others after a few
/// milliseconds.
const PART: usize = 200;

/// Parts of lists have megabytes.
const FEW: usize = 4;
