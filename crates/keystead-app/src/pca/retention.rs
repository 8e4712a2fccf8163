//! The end of certificates that expired long ago, for who does not want to keep them for ever.
//!
//! One item of the due-queue goes through the certificates, a page at a time, and begins anew a day after
//! its end: expiry costs nothing when a certificate is issued. What the log has of a certificate stays
//! ([`crate::log`]): its hash, which proofs of others need, and its place, under its serial number, so that
//! none is ever given again.

use jiff::{SignedDuration, Timestamp};
use keystead_core::Result;
use keystead_store::{Batch, Expect, Lease, Versioned};
use serde::{Deserialize, Serialize};

use super::record::{CERTIFICATES, Issued};
use crate::tasks::Outcome;
use crate::{App, log};

/// Where the one item waits.
pub(crate) const RETENTION_QUEUE: &str = "pca.retention";

/// The id of the one item.
const ALL: &str = "all";

/// How far it has come.
#[derive(Default, Serialize, Deserialize)]
struct Progress {
    after: Option<String>,
}

impl Versioned for Progress {
    const MARKER: &'static str = "pca.retention/1";
}

/// Has the certificates gone through from now on, or no longer, as the configuration says.
pub(crate) async fn schedule(app: &App) -> Result<()> {
    let queued = app.store.queued::<Progress>(RETENTION_QUEUE, ALL).await?;
    let mut batch = Batch::new();
    match (app.keep_expired, queued) {
        (Some(_), None) => batch.enqueue(RETENTION_QUEUE, ALL, app.env.now(), &Progress::default()),
        (None, Some(_)) => batch.cancel(RETENTION_QUEUE, ALL),
        _ => return Ok(()),
    };
    app.store.commit(batch).await?;
    Ok(())
}

/// Goes through the next page, and removes what expired longer ago than it is kept.
pub(crate) async fn sweep(app: &App, lease: &Lease) -> Result<Outcome> {
    let Some(keep) = app.keep_expired else {
        return Ok(Outcome::Finished);
    };
    let now = app.env.now();
    let Progress { after } = lease.payload()?;
    let page = app
        .store
        .scan::<Issued>(CERTIFICATES, "", after.as_deref(), PAGE)
        .await?;
    let oldest = now.as_second().saturating_sub(keep.as_secs());
    let mut batch = Batch::new();
    for found in &page {
        // An authority's own shows in its chain for as long as the authority is there.
        let (key, record) = (&found.key, &found.value);
        if record.not_after < oldest
            && record.issuer.is_some()
            && log::has_done_with(&app.store, key, record.issued_at).await?
        {
            batch.delete(
                CERTIFICATES,
                found.key.as_str(),
                Expect::Version(found.version),
            );
        }
    }
    let last = page.last().filter(|_| page.len() == PAGE);
    let next = Progress {
        after: last.map(|last| last.key.clone()),
    };
    let due = match next.after {
        Some(_) => now,
        None => now.checked_add(AGAIN).unwrap_or(Timestamp::MAX),
    };
    batch.reschedule(lease, due, &next);
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// A step each, and the writer is free for others after a few milliseconds.
const PAGE: usize = 256;

/// A day later than it might is early enough for what is kept for days.
const AGAIN: SignedDuration = SignedDuration::from_hours(24);
