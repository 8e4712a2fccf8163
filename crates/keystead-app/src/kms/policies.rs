//! Key policies.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

/// GetKeyPolicy.
pub async fn get_key_policy(
    ctx: &Ctx,
    input: wire::GetKeyPolicyRequest,
) -> Result<wire::GetKeyPolicyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// PutKeyPolicy.
pub async fn put_key_policy(
    ctx: &Ctx,
    input: wire::PutKeyPolicyRequest,
) -> Result<wire::PutKeyPolicyResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListKeyPolicies.
pub async fn list_key_policies(
    ctx: &Ctx,
    input: wire::ListKeyPoliciesRequest,
) -> Result<wire::ListKeyPoliciesResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
