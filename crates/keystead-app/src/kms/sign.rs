//! Signatures and codes.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// Sign.
pub async fn sign(ctx: &Ctx, input: wire::SignRequest) -> Result<wire::SignResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// Verify.
pub async fn verify(ctx: &Ctx, input: wire::VerifyRequest) -> Result<wire::VerifyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GetPublicKey.
pub async fn get_public_key(
    ctx: &Ctx,
    input: wire::GetPublicKeyRequest,
) -> Result<wire::GetPublicKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GenerateMac.
pub async fn generate_mac(
    ctx: &Ctx,
    input: wire::GenerateMacRequest,
) -> Result<wire::GenerateMacResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// VerifyMac.
pub async fn verify_mac(
    ctx: &Ctx,
    input: wire::VerifyMacRequest,
) -> Result<wire::VerifyMacResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
