//! Keys: made, told about, listed.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// CreateKey.
pub async fn create_key(
    ctx: &Ctx,
    input: wire::CreateKeyRequest,
) -> Result<wire::CreateKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DescribeKey.
pub async fn describe_key(
    ctx: &Ctx,
    input: wire::DescribeKeyRequest,
) -> Result<wire::DescribeKeyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListKeys.
pub async fn list_keys(ctx: &Ctx, input: wire::ListKeysRequest) -> Result<wire::ListKeysResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// UpdateKeyDescription.
pub async fn update_key_description(
    ctx: &Ctx,
    input: wire::UpdateKeyDescriptionRequest,
) -> Result<wire::UpdateKeyDescriptionResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
