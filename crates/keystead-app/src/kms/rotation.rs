//! Rotation of key material.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// EnableKeyRotation.
pub async fn enable_key_rotation(
    ctx: &Ctx,
    input: wire::EnableKeyRotationRequest,
) -> Result<wire::EnableKeyRotationResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DisableKeyRotation.
pub async fn disable_key_rotation(
    ctx: &Ctx,
    input: wire::DisableKeyRotationRequest,
) -> Result<wire::DisableKeyRotationResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GetKeyRotationStatus.
pub async fn get_key_rotation_status(
    ctx: &Ctx,
    input: wire::GetKeyRotationStatusRequest,
) -> Result<wire::GetKeyRotationStatusResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// RotateKeyOnDemand.
pub async fn rotate_key_on_demand(
    ctx: &Ctx,
    input: wire::RotateKeyOnDemandRequest,
) -> Result<wire::RotateKeyOnDemandResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListKeyRotations.
pub async fn list_key_rotations(
    ctx: &Ctx,
    input: wire::ListKeyRotationsRequest,
) -> Result<wire::ListKeyRotationsResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
