//! When a key was last used.

use keystead_core::Result;
use keystead_core::kms::Key;
use keystead_wire::kms as wire;

use crate::Ctx;

/// GetKeyLastUsage.
pub async fn get_key_last_usage(
    ctx: &Ctx,
    input: wire::GetKeyLastUsageRequest,
) -> Result<wire::GetKeyLastUsageResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// Notes a use.
pub(super) fn note(ctx: &Ctx, key: &Key, operation: &'static str) {
    let _ = (ctx, key, operation);
}
