//! Whose credentials these are.

use keystead_core::iam::id;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::sts as wire;

use super::refuse_personal_session;
use crate::Ctx;
use crate::credentials::{ACCESS_KEYS, AccessKey};

/// `sts:GetCallerIdentity`: needs no permission (STS API reference).
pub(crate) async fn get_caller_identity(
    ctx: &Ctx,
    _input: wire::GetCallerIdentityRequest,
) -> Result<wire::GetCallerIdentityResponse> {
    Ok(wire::GetCallerIdentityResponse {
        user_id: Some(ctx.principal.user_id.clone()),
        account: Some(ctx.principal.account.to_string()),
        arn: Some(in_partition(&ctx.principal.arn, ctx.region.partition())),
    })
}

/// `sts:GetAccessKeyInfo`: whose account a key is of, whether or not it may be used. A session's key says so
/// itself.
pub(crate) async fn get_access_key_info(
    ctx: &Ctx,
    input: wire::GetAccessKeyInfoRequest,
) -> Result<wire::GetAccessKeyInfoResponse> {
    refuse_personal_session(ctx, "GetAccessKeyInfo")?;
    ctx.allow_own("*")?;
    let id = &input.access_key_id;
    let account = match id::account_of_session_key(id) {
        Some(account) => Some(account),
        None => {
            let found = ctx.app.store.get::<AccessKey>(ACCESS_KEYS, id).await?;
            found.map(|found| found.value.account)
        }
    };
    let account = account.ok_or_else(|| {
        Error::new(
            ErrorKind::Validation,
            format!("The access key ID {id} does not exist."),
        )
    })?;
    Ok(wire::GetAccessKeyInfoResponse {
        account: Some(account.to_string()),
    })
}

/// A principal's name as the region's partition writes it: `arn:aws-cn:...` in `cn-north-1`.
pub(super) fn in_partition(arn: &str, partition: &str) -> String {
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
