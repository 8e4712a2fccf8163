//! Grants: what a principal may do with a key without any policy saying so.

use keystead_core::Result;
use keystead_wire::kms as wire;

use super::find::{Ask, Found};
use crate::Ctx;

/// CreateGrant.
pub async fn create_grant(
    ctx: &Ctx,
    input: wire::CreateGrantRequest,
) -> Result<wire::CreateGrantResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListGrants.
pub async fn list_grants(
    ctx: &Ctx,
    input: wire::ListGrantsRequest,
) -> Result<wire::ListGrantsResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListRetirableGrants.
pub async fn list_retirable_grants(
    ctx: &Ctx,
    input: wire::ListRetirableGrantsRequest,
) -> Result<wire::ListGrantsResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// RetireGrant.
pub async fn retire_grant(
    ctx: &Ctx,
    input: wire::RetireGrantRequest,
) -> Result<wire::RetireGrantResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// RevokeGrant.
pub async fn revoke_grant(
    ctx: &Ctx,
    input: wire::RevokeGrantRequest,
) -> Result<wire::RevokeGrantResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// The id of a grant that lets the caller do this, if there is one.
pub(super) async fn permitting(ctx: &Ctx, found: &Found, ask: &Ask<'_>) -> Result<Option<String>> {
    let _ = (ctx, found, ask);
    Ok(None)
}
