//! The life of a key: switched on and off, deleted after a time of waiting.

use keystead_core::Result;
use keystead_core::kms::{Command, Key, Stage};
use keystead_store::Batch;
use keystead_wire::kms as wire;

use super::change::change;
use super::find::Ask;
use super::record::key_of;
use super::upkeep;
use crate::Ctx;

/// Where keys wait for their end, by their record keys.
pub(crate) const DELETION_QUEUE: &str = "kms.deletion";

/// EnableKey.
pub async fn enable_key(
    ctx: &Ctx,
    input: wire::EnableKeyRequest,
) -> Result<wire::EnableKeyResponse> {
    switch(ctx, &input.key_id, true).await?;
    Ok(wire::EnableKeyResponse)
}

/// DisableKey.
pub async fn disable_key(
    ctx: &Ctx,
    input: wire::DisableKeyRequest,
) -> Result<wire::DisableKeyResponse> {
    switch(ctx, &input.key_id, false).await?;
    Ok(wire::DisableKeyResponse)
}

async fn switch(ctx: &Ctx, name: &str, on: bool) -> Result<()> {
    change(ctx, name, Ask::OWN, Command::Look, |record, batch| {
        record.key.switch(on)?;
        // A rotation that became due meanwhile follows now.
        upkeep::queue(batch, &at(&record.key), &record.key);
        Ok(())
    })
    .await?;
    Ok(())
}

/// ScheduleKeyDeletion.
pub async fn schedule_key_deletion(
    ctx: &Ctx,
    input: wire::ScheduleKeyDeletionRequest,
) -> Result<wire::ScheduleKeyDeletionResponse> {
    let window = input.pending_window_in_days;
    let changed = change(
        ctx,
        &input.key_id,
        Ask::OWN,
        Command::Look,
        |record, batch| {
            if let Some(due) = record.key.schedule_deletion(window, ctx.now)? {
                batch.enqueue(DELETION_QUEUE, at(&record.key), due, &());
            }
            Ok(())
        },
    )
    .await?;
    // Shown as it is now, by the same rule.
    let mut key = changed.record.key.clone();
    let due = key.schedule_deletion(window, ctx.now)?;
    let days = match key.stage {
        Stage::PendingDeletion { window_days, .. }
        | Stage::PendingReplicaDeletion { window_days } => Some(i32::from(window_days)),
        _ => None,
    };
    Ok(wire::ScheduleKeyDeletionResponse {
        key_id: Some(changed.arn.clone()),
        deletion_date: due,
        key_state: wire::KeyState::parse(key.state().name()),
        pending_window_in_days: days,
    })
}

/// CancelKeyDeletion.
pub async fn cancel_key_deletion(
    ctx: &Ctx,
    input: wire::CancelKeyDeletionRequest,
) -> Result<wire::CancelKeyDeletionResponse> {
    let changed = change(
        ctx,
        &input.key_id,
        Ask::OWN,
        Command::Look,
        |record, batch| {
            record.key.cancel_deletion()?;
            batch.cancel(DELETION_QUEUE, at(&record.key));
            Ok(())
        },
    )
    .await?;
    Ok(wire::CancelKeyDeletionResponse {
        key_id: Some(changed.arn.clone()),
    })
}

fn at(key: &Key) -> String {
    key_of(&key.account, &key.region, &key.id)
}

/// Adds to a commit that the key begins to wait for its end, where nothing held it up but its replicas.
pub(super) fn begin_to_wait(batch: &mut Batch, key: &Key) {
    if let Stage::PendingDeletion { due, .. } = key.stage {
        batch.enqueue(DELETION_QUEUE, at(key), due, &());
    }
}
