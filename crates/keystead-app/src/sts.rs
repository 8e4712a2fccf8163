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
        arn: Some(in_partition(&ctx.principal.arn, ctx.region.partition())),
    })
}

/// The principal's name as the region's partition writes it: `arn:aws-cn:...` in `cn-north-1`.
fn in_partition(arn: &str, partition: &str) -> String {
    match arn.strip_prefix("arn:aws:") {
        Some(rest) => format!("arn:{partition}:{rest}"),
        None => arn.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_partition_is_the_regions() {
        let root = "arn:aws:iam::123456789012:root";
        assert_eq!(super::in_partition(root, "aws"), root);
        assert_eq!(
            super::in_partition(root, "aws-cn"),
            "arn:aws-cn:iam::123456789012:root"
        );
    }
}
