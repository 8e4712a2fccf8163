//! The end of authorities' certificates, told ahead of time in the journal and the log.
//!
//! An authority that has a certificate has an item in [`EXPIRE_QUEUE`], put there in the commit that installs the
//! certificate and due when there is next something to tell. That it is EXPIRED needs no task: every reader sees it by
//! the clock. An event is written before the item moves on, so a crash in between tells it twice.

use std::sync::Arc;

use keystead_core::Result;
use keystead_core::pca::{CertificateAuthority, Notice};
use keystead_store::{Batch, Lease};

use super::convert;
use super::record::{AUTHORITIES, Authority, authority_key};
use crate::audit::{self, ServiceEvent};
use crate::tasks::Outcome;
use crate::{App, ids};

/// Where authorities wait for the next thing to tell of their certificates.
pub(crate) const EXPIRE_QUEUE: &str = "pca.expire";

/// Adds to the commit that installs a certificate when there is first something to tell of it.
pub(super) fn schedule(ca: &CertificateAuthority, now: jiff::Timestamp, batch: &mut Batch) {
    let key = authority_key(&ca.account, &ca.region, &ca.id);
    match ca.next_notice(now) {
        Some(due) => batch.enqueue(EXPIRE_QUEUE, key, due, &()),
        None => batch.cancel(EXPIRE_QUEUE, key),
    };
}

/// Tells what is to be told now of the authority that this item of [`EXPIRE_QUEUE`] names.
pub(crate) async fn tell(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let found = app.store.get::<Authority>(AUTHORITIES, lease.id()).await?;
    let Some(found) = found else {
        return Ok(Outcome::Finished);
    };
    let (ca, now) = (&found.value.ca, app.env.now());
    if let (Some(notice), Some(installed)) = (ca.notice(now), &ca.installed) {
        let arn = ca.arn();
        let not_after = convert::timestamp(installed.not_after);
        let (name, days) = match notice {
            Notice::EndsInDays(days) => ("CertificateAuthorityExpirationApproaching", days),
            Notice::Ended => ("CertificateAuthorityExpired", 0),
        };
        tracing::warn!(authority = arn, days, %not_after, "the certificate of a private CA ends: install its successor");
        let event = ServiceEvent {
            service: "acm-pca",
            name,
            account: &ca.account,
            region: &ca.region,
            resource: &arn,
            details: serde_json::json!({ "daysToExpiry": days, "notAfter": audit::seconds(not_after) }),
            id: &ids::uuid()?,
            at: now,
        };
        event.record(app).await?;
    }
    let mut batch = Batch::new();
    match ca.next_notice(now) {
        Some(due) => batch.reschedule(lease, due, &()),
        None => batch.finish(lease),
    };
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}
