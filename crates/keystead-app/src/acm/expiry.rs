//! Notices of expiry: once a day, for every certificate that is issued and near its end, an event in
//! the audit journal.
//!
//! The event is the one that AWS sends to EventBridge (ACM user guide, "EventBridge support"), within a
//! service event of CloudTrail. There is one item a region in the due-queue; it goes through the
//! index of ends, page by page, and comes back a day later. A crash may repeat a page, with the same
//! ids of events.

use jiff::{SignedDuration, Timestamp};
use keystead_core::acm::index::{self, Family, Span};
use keystead_core::acm::search::Range;
use keystead_core::acm::{Certificate, Status, notices, schedule};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_crypto::digest;
use keystead_store::{Batch, Lease, Stored, Versioned};
use serde::{Deserialize, Serialize};

use super::account::days_before_expiry;
use super::record::{INDEX, Loaded};
use crate::tasks::Outcome;
use crate::{App, Ctx, audit, ids};

/// The regions that have certificates, as `account/region/`.
pub(crate) const EXPIRY_QUEUE: &str = "acm-expiry";

/// How far a day's round has come.
#[derive(Serialize, Deserialize)]
struct Round {
    /// When it began.
    begun: Timestamp,
    /// The row up to which certificates were looked at.
    after: Option<String>,
}

impl Versioned for Round {
    const MARKER: &'static str = "acm.expiry-round/1";
}

/// Adds to `batch` that the caller's region is gone through every day, unless it is already.
pub(super) async fn watch(ctx: &Ctx, batch: &mut Batch) -> Result<()> {
    let id = ctx.prefix();
    let found: Option<Stored<Round>> = ctx.app.store.queued(EXPIRY_QUEUE, &id).await?;
    if found.is_none() {
        let round = Round {
            begun: ctx.now,
            after: None,
        };
        batch.enqueue(EXPIRY_QUEUE, id, ctx.now, &round);
    }
    Ok(())
}

/// Looks at the next page of the region of this lease.
pub(crate) async fn announce(app: &App, lease: &Lease) -> Result<Outcome> {
    let round: Round = lease.payload()?;
    let now = app.env.now();
    let place = Place::of(lease.id())?;
    let days = days_before_expiry(&app.store, lease.id()).await?;
    let span = near(now, days);
    let after = round.after.as_ref().or(span.after.as_ref());
    let after = after.map(|row| format!("{}{row}", lease.id()));
    let prefix = format!("{}{}", lease.id(), span.prefix);
    let rows: Vec<Stored<()>> = app
        .store
        .scan(INDEX, &prefix, after.as_deref(), PAGE)
        .await?;
    let full = rows.len() == PAGE;
    let near: Vec<String> = rows
        .iter()
        .filter_map(|row| row.key.strip_prefix(lease.id()))
        .take_while(|row| span.before.as_deref().is_none_or(|end| *row < end))
        .map(str::to_owned)
        .collect();
    for row in &near {
        announce_one(app, &place, lease.id(), row, round.begun, now).await?;
    }
    // A page that reaches beyond the span is the last one.
    let last = near.last().filter(|_| full && near.len() == PAGE).cloned();
    let mut batch = Batch::new();
    match last {
        Some(last) => {
            let round = Round {
                begun: round.begun,
                after: Some(last),
            };
            batch.reschedule(lease, now, &round);
        }
        None => {
            // Days that passed while the server was down are not made up for.
            let next = match schedule::after(round.begun, DAY) {
                missed if missed <= now => schedule::after(now, DAY),
                next => next,
            };
            let round = Round {
                begun: next,
                after: None,
            };
            batch.reschedule(lease, next, &round);
        }
    }
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// Writes that `certificate` is past its end.
pub(super) async fn announce_end(app: &App, key: &str, certificate: &Certificate) -> Result<()> {
    let Some(detail) = notices::expired(certificate) else {
        return Ok(());
    };
    let place = Place::of(key)?;
    let now = app.env.now();
    let unique = format!("expired\n{}", certificate.arn);
    write(
        app,
        &place,
        certificate,
        notices::EXPIRED,
        detail,
        &unique,
        now,
    )
    .await
}

async fn announce_one(
    app: &App,
    place: &Place,
    prefix: &str,
    row: &str,
    begun: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let key = format!("{prefix}{}", index::id_of(row));
    let found = Loaded::read(&app.store, &key).await?;
    let Some(certificate) = found.map(|found| found.certificate) else {
        return Ok(());
    };
    if certificate.status(now) != Status::Issued {
        return Ok(());
    }
    let Some(detail) = notices::approaching(&certificate, now) else {
        return Ok(());
    };
    let unique = format!("{begun}\n{}", certificate.arn);
    write(
        app,
        place,
        &certificate,
        notices::APPROACHING,
        detail,
        &unique,
        now,
    )
    .await
}

/// EventBridge's event within a service event.
async fn write(
    app: &App,
    place: &Place,
    certificate: &Certificate,
    kind: &str,
    detail: serde_json::Value,
    unique: &str,
    now: Timestamp,
) -> Result<()> {
    let id = ids::uuid_of(&digest::sha256(unique.as_bytes()));
    let (time, region) = (audit::seconds(now), place.region.as_str());
    let event = audit::ServiceEvent {
        service: "acm",
        name: kind,
        account: &place.account,
        region: &place.region,
        resource: &certificate.arn,
        details: serde_json::json!({
            "version": "0",
            "id": id,
            "detail-type": kind,
            "source": "aws.acm",
            "account": place.account.as_str(),
            "time": time,
            "region": region,
            "resources": [certificate.arn],
            "detail": detail,
        }),
        id: &id,
        at: now,
    };
    event.record(app).await
}

/// Whose certificates, where.
struct Place {
    account: AccountId,
    region: Region,
}

impl Place {
    fn of(key: &str) -> Result<Self> {
        let mut parts = key.split('/');
        let (Some(account), Some(region)) = (parts.next(), parts.next()) else {
            return Err(Error::new(
                ErrorKind::Internal,
                format!("{key} names no region of an account"),
            ));
        };
        Ok(Self {
            account: AccountId::parse(account)?,
            region: Region::parse(region)?,
        })
    }
}

/// The rows of what ends within so many days.
fn near(now: Timestamp, days: i32) -> Span {
    let until = schedule::after(now, DAY.saturating_mul(days));
    index::within(
        Family::NotAfter,
        &Range {
            start: Some(now),
            end: Some(until),
        },
    )
}

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Certificates of one step; each may write an event of less than a kilobyte.
const PAGE: usize = 100;
