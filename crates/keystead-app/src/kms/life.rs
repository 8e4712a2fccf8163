//! The life of a key: switched on and off, deleted after a time of waiting.

use keystead_core::Result;
use keystead_core::kms::{Command, Stage};
use keystead_wire::kms as wire;

use super::change::change;
use super::find::Ask;
use crate::Ctx;

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
    change(ctx, name, Ask::OWN, Command::Switch, |record, _| {
        record.key.switch(on)
    })
    .await?;
    Ok(())
}

/// ScheduleKeyDeletion. What is done when the time has come is in [`super::deletion`].
pub async fn schedule_key_deletion(
    ctx: &Ctx,
    input: wire::ScheduleKeyDeletionRequest,
) -> Result<wire::ScheduleKeyDeletionResponse> {
    let (name, window) = (&input.key_id, input.pending_window_in_days);
    let command = Command::ScheduleDeletion;
    let key = change(ctx, name, Ask::OWN, command, |record, _| {
        record.key.schedule_deletion(window, ctx.now)
    })
    .await?;
    let days = match key.stage {
        Stage::PendingDeletion { window_days, .. }
        | Stage::PendingReplicaDeletion { window_days } => Some(i32::from(window_days)),
        _ => None,
    };
    Ok(wire::ScheduleKeyDeletionResponse {
        key_id: Some(key.arn()),
        deletion_date: key.deletion_due(),
        key_state: wire::KeyState::parse(key.state().name()),
        pending_window_in_days: days,
    })
}

/// CancelKeyDeletion.
pub async fn cancel_key_deletion(
    ctx: &Ctx,
    input: wire::CancelKeyDeletionRequest,
) -> Result<wire::CancelKeyDeletionResponse> {
    let command = Command::CancelDeletion;
    let key = change(ctx, &input.key_id, Ask::OWN, command, |record, _| {
        record.key.cancel_deletion()
    })
    .await?;
    Ok(wire::CancelKeyDeletionResponse {
        key_id: Some(key.arn()),
    })
}
