//! Multi-Region keys: brothers in other regions of this installation.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// ReplicateKey.
pub async fn replicate_key(
    ctx: &Ctx,
    input: wire::ReplicateKeyRequest,
) -> Result<wire::ReplicateKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// UpdatePrimaryRegion.
pub async fn update_primary_region(
    ctx: &Ctx,
    input: wire::UpdatePrimaryRegionRequest,
) -> Result<wire::UpdatePrimaryRegionResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
