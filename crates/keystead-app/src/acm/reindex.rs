//! The index of certificates that were stored before there was one: written once, a page at a time, by
//! the due-queue. Until that is done, listings leave out what was not reached yet.

use jiff::Timestamp;
use keystead_core::Result;
use keystead_core::acm::index;
use keystead_store::{Batch, Collection, Expect, Lease, Store, StoreError, Stored, Versioned};
use serde::{Deserialize, Serialize};

use super::record::{CERTIFICATES, CertificateRecord, INDEX, prefix_of};
use crate::App;
use crate::tasks::Outcome;

/// That certificates are indexed, or about to be, by [`FORM`].
const FORMS: Collection = Collection("acm.index-form");

/// The one item of work.
pub(crate) const INDEX_QUEUE: &str = "acm-index";

/// The record key of the certificate up to which they are.
#[derive(Serialize, Deserialize)]
struct Reached(Option<String>);

impl Versioned for Reached {
    const MARKER: &'static str = "acm.index-reached/1";
}

/// Sees to it that everything is indexed some day. Costs one read where it is, or where a store is new one commit.
pub(crate) async fn see_to_index(store: &Store, now: Timestamp) -> Result<()> {
    if store.get::<()>(FORMS, FORM).await?.is_some() {
        return Ok(());
    }
    let any: Vec<Stored<CertificateRecord>> = store.scan(CERTIFICATES, "", None, 1).await?;
    let mut batch = Batch::new();
    batch.put(FORMS, FORM, &(), Expect::Absent);
    if !any.is_empty() {
        batch.enqueue(INDEX_QUEUE, FORM, now, &Reached(None));
    }
    match store.commit(batch).await {
        // Another server was quicker.
        Ok(_) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Indexes the next page. What is changed meanwhile is indexed by who changes it, and the page is
/// looked at again.
pub(crate) async fn index_part(app: &App, lease: &Lease) -> Result<Outcome> {
    let Reached(after) = lease.payload()?;
    let found: Vec<Stored<CertificateRecord>> = app
        .store
        .scan(CERTIFICATES, "", after.as_deref(), PAGE)
        .await?;
    let mut batch = Batch::new();
    for stored in &found {
        let prefix = prefix_of(&stored.key);
        let certificate = &stored.value.0;
        batch.expect(
            CERTIFICATES,
            stored.key.as_str(),
            Expect::Version(stored.version),
        );
        for row in index::rows(certificate) {
            batch.put(INDEX, format!("{prefix}{row}"), &(), Expect::Any);
        }
        // The two orders that there were instead.
        let id = index::id_of(&certificate.arn);
        let instant = u64::try_from(certificate.created_at.as_microsecond()).unwrap_or(0);
        let backwards = u64::MAX - instant;
        for (collection, at) in [("acm.oldest", instant), ("acm.newest", backwards)] {
            let key = format!("{prefix}{at:020}/{id}");
            batch.delete(Collection(collection), key, Expect::Any);
        }
    }
    match found.last() {
        Some(last) => {
            let reached = Reached(Some(last.key.clone()));
            batch.reschedule(lease, app.env.now(), &reached);
        }
        None => {
            batch.finish(lease);
        }
    }
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// The form of the rows; another one has another number.
const FORM: &str = "1";

/// Certificates of one commit: with as many names as are indexed, they have fewer rows than a commit may
/// have steps.
const PAGE: usize = 2;
