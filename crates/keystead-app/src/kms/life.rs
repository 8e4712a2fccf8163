//! The life of a key: switched on and off, deleted after a time of waiting.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// EnableKey.
pub async fn enable_key(
    ctx: &Ctx,
    input: wire::EnableKeyRequest,
) -> Result<wire::EnableKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DisableKey.
pub async fn disable_key(
    ctx: &Ctx,
    input: wire::DisableKeyRequest,
) -> Result<wire::DisableKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ScheduleKeyDeletion.
pub async fn schedule_key_deletion(
    ctx: &Ctx,
    input: wire::ScheduleKeyDeletionRequest,
) -> Result<wire::ScheduleKeyDeletionResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// CancelKeyDeletion.
pub async fn cancel_key_deletion(
    ctx: &Ctx,
    input: wire::CancelKeyDeletionRequest,
) -> Result<wire::CancelKeyDeletionResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
