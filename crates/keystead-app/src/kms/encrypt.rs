//! Encrypt, Decrypt and ReEncrypt.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// Encrypt.
pub async fn encrypt(ctx: &Ctx, input: wire::EncryptRequest) -> Result<wire::EncryptResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// Decrypt.
pub async fn decrypt(ctx: &Ctx, input: wire::DecryptRequest) -> Result<wire::DecryptResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ReEncrypt.
pub async fn re_encrypt(
    ctx: &Ctx,
    input: wire::ReEncryptRequest,
) -> Result<wire::ReEncryptResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
