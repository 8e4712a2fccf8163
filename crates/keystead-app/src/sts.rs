//! Security Token Service: who am I.

use keystead_core::Result;
use keystead_wire::sts::{GetCallerIdentityRequest, GetCallerIdentityResponse};

use crate::Ctx;

/// `sts:GetCallerIdentity`: needs no permission (STS API reference).
pub(crate) async fn get_caller_identity(
    ctx: &Ctx,
    _input: GetCallerIdentityRequest,
) -> Result<GetCallerIdentityResponse> {
    Ok(GetCallerIdentityResponse {
        user_id: Some(ctx.principal.user_id.clone()),
        account: Some(ctx.principal.account.to_string()),
        arn: Some(ctx.principal.arn.clone()),
    })
}
