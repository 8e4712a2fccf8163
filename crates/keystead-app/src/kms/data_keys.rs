//! Keys for use elsewhere, and random bytes.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// GenerateDataKey.
pub async fn generate_data_key(
    ctx: &Ctx,
    input: wire::GenerateDataKeyRequest,
) -> Result<wire::GenerateDataKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GenerateDataKeyWithoutPlaintext.
pub async fn generate_data_key_without_plaintext(
    ctx: &Ctx,
    input: wire::GenerateDataKeyWithoutPlaintextRequest,
) -> Result<wire::GenerateDataKeyWithoutPlaintextResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GenerateDataKeyPair.
pub async fn generate_data_key_pair(
    ctx: &Ctx,
    input: wire::GenerateDataKeyPairRequest,
) -> Result<wire::GenerateDataKeyPairResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GenerateDataKeyPairWithoutPlaintext.
pub async fn generate_data_key_pair_without_plaintext(
    ctx: &Ctx,
    input: wire::GenerateDataKeyPairWithoutPlaintextRequest,
) -> Result<wire::GenerateDataKeyPairWithoutPlaintextResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// GenerateRandom.
pub async fn generate_random(
    ctx: &Ctx,
    input: wire::GenerateRandomRequest,
) -> Result<wire::GenerateRandomResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
