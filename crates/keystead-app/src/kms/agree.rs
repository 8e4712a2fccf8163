//! Secrets shared with the holder of another key.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// DeriveSharedSecret.
pub async fn derive_shared_secret(
    ctx: &Ctx,
    input: wire::DeriveSharedSecretRequest,
) -> Result<wire::DeriveSharedSecretResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// Encapsulate.
pub async fn encapsulate(
    ctx: &Ctx,
    input: wire::EncapsulateRequest,
) -> Result<wire::EncapsulateResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// Decapsulate.
pub async fn decapsulate(
    ctx: &Ctx,
    input: wire::DecapsulateRequest,
) -> Result<wire::DecapsulateResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
