//! What is to be told of placements: looked at when the clock alone makes them worth an alarm, not all over and over.
//!
//! An event is written before the commit that notes it, so a crash in between tells it twice, with the same id.

use jiff::Timestamp;
use keystead_core::placements::{Alarm, Placement};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_crypto::digest;
use keystead_store::{Batch, Expect, Lease, Stored};

use super::SERVICE;
use super::record::{PLACEMENTS, PlacementRecord};
use crate::audit::ServiceEvent;
use crate::tasks::Outcome;
use crate::{App, ids};

/// Where placements wait for the clock to make them late, or to bring them near the end of what they use.
pub(crate) const PLACEMENT_QUEUE: &str = "placement";

/// Looks at the placement of this lease.
pub(crate) async fn look_at_placement(app: &App, lease: &Lease) -> Result<Outcome> {
    let found: Option<Stored<PlacementRecord>> = app.store.get(PLACEMENTS, lease.id()).await?;
    let Some(mut found) = found else {
        return Ok(Outcome::Finished);
    };
    let now = app.env.now();
    let placement = &mut found.value.placement;
    note(app, lease.id(), placement, now).await?;
    let next = placement.next_look(now);
    let mut batch = Batch::new();
    batch.put(
        PLACEMENTS,
        lease.id(),
        &found.value,
        Expect::Version(found.version),
    );
    match next {
        Some(next) => batch.reschedule(lease, next, &()),
        None => batch.finish(lease),
    };
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// Tells what changed of the alarm of a placement with this record key, and notes it.
pub(super) async fn note(
    app: &App,
    key: &str,
    placement: &mut Placement,
    now: Timestamp,
) -> Result<()> {
    let alarm = placement.alarm(now);
    if alarm == placement.told {
        return Ok(());
    }
    let name = match alarm {
        Some(Alarm::Expiring) => "PlacementExpiring",
        Some(Alarm::Failed) => "PlacementFailed",
        Some(Alarm::Late) => "PlacementLate",
        None => "PlacementRecovered",
    };
    metrics::counter!("keystead_placement_alarms_total", "event" => name).increment(1);
    if alarm.is_some() {
        let reason = placement.reason.as_deref().unwrap_or("no reason was given");
        tracing::warn!(
            placement = placement.arn,
            event = name,
            reason,
            "a placement is not as it should be"
        );
    }
    let details = serde_json::json!({
        "reason": placement.reason,
        "resources": placement.resources.iter().map(|resource| &resource.arn).collect::<Vec<_>>(),
        "notAfter": placement.not_after.map(|at| at.to_string()),
        "since": placement.since.to_string(),
    });
    let place = place_of(key)?;
    let unique = format!(
        "{name}\n{}\n{}\n{}",
        placement.arn, placement.since, placement.wanted_at
    );
    let id = ids::uuid_of(&digest::sha256(unique.as_bytes()));
    record(
        app,
        (&place.0, &place.1),
        name,
        &placement.arn,
        details,
        &id,
    )
    .await?;
    placement.told = alarm;
    Ok(())
}

/// Writes an event of an agent.
pub(super) async fn tell(
    app: &App,
    place: (&AccountId, &Region),
    name: &str,
    resource: &str,
    details: serde_json::Value,
) -> Result<()> {
    let id = ids::uuid()?;
    record(app, place, name, resource, details, &id).await
}

async fn record(
    app: &App,
    (account, region): (&AccountId, &Region),
    name: &str,
    resource: &str,
    details: serde_json::Value,
    id: &str,
) -> Result<()> {
    let event = ServiceEvent {
        service: SERVICE,
        name,
        account,
        region,
        resource,
        details,
        id,
        at: app.env.now(),
    };
    event.record(app).await
}

fn place_of(key: &str) -> Result<(AccountId, Region)> {
    let mut parts = key.split('/');
    let (Some(account), Some(region)) = (parts.next(), parts.next()) else {
        return Err(Error::new(
            ErrorKind::Internal,
            format!("{key} names no region of an account"),
        ));
    };
    Ok((AccountId::parse(account)?, Region::parse(region)?))
}
