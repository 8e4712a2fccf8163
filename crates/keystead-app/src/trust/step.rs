//! One step of a roll-over: a page of a pass, and in an automatic one the next phase when it may come.

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::trust::{Phase, Replacement};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, Lease};

use super::looks;
use super::record::{Loaded, place, put_standing};
use crate::App;
use crate::pca::succession;
use crate::tasks::Outcome;

/// Does for the roll-over of this lease what is due now.
pub(crate) async fn reconcile(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    let Some(mut found) = Loaded::read(&app.store, lease.id()).await? else {
        return Ok(Outcome::Finished);
    };
    let now = app.env.now();
    let mut batch = Batch::new();
    let was_revoked = blocker_is_gone(app, &found, now).await?;
    if was_revoked {
        found.roll_over.look_again();
    }
    match found.roll_over.wake(now) {
        None => return Ok(Outcome::Finished),
        Some(wake) if wake > now && !goes_on(&mut found, now) => {
            found.requeue(&mut batch, now);
        }
        Some(wake) => {
            if wake <= now {
                let page = looks::next_page(app, &mut found.roll_over, &mut batch, now).await?;
                found.roll_over.looked(page, now);
                goes_on(&mut found, now);
            }
            settle(app, &found, &mut batch, now).await?;
            found.save(&mut batch, now);
        }
    }
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

/// Lets an automatic roll-over come to its next phase if it may; answers whether it did.
fn goes_on(found: &mut Loaded, now: Timestamp) -> bool {
    found.roll_over.automatic && found.roll_over.advance(now).is_ok()
}

/// Whether the certificate that keeps the old authority trusted no longer does, before its time.
async fn blocker_is_gone(app: &App, found: &Loaded, now: Timestamp) -> Result<bool> {
    let roll_over = &found.roll_over;
    match &roll_over.last_leaf {
        Some(leaf) if roll_over.phase == Phase::Retiring && leaf.not_after >= now.as_second() => {
            Ok(!succession::is_alive(app, &leaf.key, now).await?)
        }
        _ => Ok(false),
    }
}

/// Adds to `batch` what a change of phase brings with it.
pub(super) async fn settle(
    app: &App,
    found: &Loaded,
    batch: &mut Batch,
    now: Timestamp,
) -> Result<()> {
    if !found.changed_phase() {
        return Ok(());
    }
    let roll_over = &found.roll_over;
    tracing::info!(
        roll_over = roll_over.arn(),
        phase = roll_over.phase.as_str(),
        "a roll-over of trust goes on"
    );
    match roll_over.phase {
        Phase::Retiring => {
            for Replacement { old, .. } in &roll_over.replacements {
                succession::retire(app, place(roll_over), batch, old, now).await?;
            }
        }
        Phase::Done | Phase::Aborted => {
            for arn in roll_over.replacements.iter().flat_map(Replacement::both) {
                put_standing(batch, roll_over, arn, Expect::Any)?;
            }
        }
        Phase::Distributing | Phase::Issuing | Phase::Returning => {}
    }
    Ok(())
}

/// Stores what a call changed, and has the next step done at once.
pub(super) async fn store(app: &App, found: &Loaded, now: Timestamp) -> Result<()> {
    let mut batch = Batch::new();
    settle(app, found, &mut batch, now).await?;
    found.save(&mut batch, now);
    app.store.commit(batch).await?;
    Ok(())
}

/// The refusal where others are always quicker.
pub(super) fn contended(arn: &str) -> Error {
    Error::new(
        ErrorKind::ConcurrentModification,
        format!("The roll-over {arn} is being changed by others; try again."),
    )
}
