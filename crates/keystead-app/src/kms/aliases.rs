//! Aliases: names that stand for keys.

use keystead_core::{AccountId, Result};
use keystead_wire::kms as wire;

use crate::Ctx;

/// CreateAlias.
pub async fn create_alias(
    ctx: &Ctx,
    input: wire::CreateAliasRequest,
) -> Result<wire::CreateAliasResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ListAliases.
pub async fn list_aliases(
    ctx: &Ctx,
    input: wire::ListAliasesRequest,
) -> Result<wire::ListAliasesResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// UpdateAlias.
pub async fn update_alias(
    ctx: &Ctx,
    input: wire::UpdateAliasRequest,
) -> Result<wire::UpdateAliasResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DeleteAlias.
pub async fn delete_alias(
    ctx: &Ctx,
    input: wire::DeleteAliasRequest,
) -> Result<wire::DeleteAliasResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// The id of the key that this alias of the account stands for, in the region of the call.
pub(super) async fn target(ctx: &Ctx, account: &AccountId, alias: &str) -> Result<String> {
    let _ = (ctx, account, alias);
    Err(super::unserved())
}
