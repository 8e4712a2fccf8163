//! Which keys a proxy exposes, to whom.

use keystead_core::kms::xks::Exposure;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::keystead as wire;

use super::record;
use crate::retry::retrying;
use crate::{Ctx, kms};

/// `keystead:ExposeXksKey`: from now on, who has the proxy's credential encrypts and decrypts with the key. Who asks for
/// that must be allowed both. An external id that exists gets the new limits, and never another key: ciphertexts
/// would be lost.
pub(crate) async fn expose_xks_key(
    ctx: &Ctx,
    input: wire::ExposeXksKeyRequest,
) -> Result<wire::ExposeXksKeyResponse> {
    let input = &input;
    retrying(ATTEMPTS, || expose_once(ctx, input)).await
}

async fn expose_once(
    ctx: &Ctx,
    input: &wire::ExposeXksKeyRequest,
) -> Result<wire::ExposeXksKeyResponse> {
    let found = record::find(ctx, &input.xks_proxy_arn).await?.into_inner();
    let key = kms::lent::lend(ctx, &input.key_id).await?;
    let (key_id, key_arn) = (key.record.key.id.clone(), key.arn.clone());
    let mut proxy = found.value;
    let exposure = Exposure {
        external_key_id: input
            .external_key_id
            .clone()
            .unwrap_or_else(|| key_id.clone()),
        key_id,
        principals: input.aws_principals.clone().unwrap_or_default(),
        kms_keys: input.aws_kms_keys.clone().unwrap_or_default(),
    };
    let external_key_id = exposure.external_key_id.clone();
    let place = proxy
        .keys
        .binary_search_by(|key| key.external_key_id.cmp(&external_key_id));
    match place {
        Ok(at) => {
            if let Some(there) = proxy.keys.get_mut(at) {
                if there.key_id != exposure.key_id {
                    return Err(Error::new(
                        ErrorKind::Conflict,
                        format!(
                            "The proxy exposes another key as {external_key_id}: withdraw that first."
                        ),
                    ));
                }
                *there = exposure;
            }
        }
        Err(_) if proxy.keys.len() >= MOST_KEYS => {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("A proxy exposes at most {MOST_KEYS} keys: make another proxy."),
            ));
        }
        Err(at) => proxy.keys.insert(at, exposure),
    }
    let batch = record::changed(&found.key, found.version, &proxy);
    ctx.app.store.commit(batch).await?;
    Ok(wire::ExposeXksKeyResponse {
        external_key_id,
        key_arn,
    })
}

/// `keystead:WithdrawXksKey`: the proxy does not know it any more.
pub(crate) async fn withdraw_xks_key(
    ctx: &Ctx,
    input: wire::WithdrawXksKeyRequest,
) -> Result<wire::WithdrawXksKeyResponse> {
    let input = &input;
    retrying(ATTEMPTS, || withdraw_once(ctx, input)).await
}

async fn withdraw_once(
    ctx: &Ctx,
    input: &wire::WithdrawXksKeyRequest,
) -> Result<wire::WithdrawXksKeyResponse> {
    let found = record::find(ctx, &input.xks_proxy_arn).await?.into_inner();
    let mut proxy = found.value;
    let before = proxy.keys.len();
    proxy
        .keys
        .retain(|key| key.external_key_id != input.external_key_id);
    if proxy.keys.len() == before {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!("The proxy exposes no key as {}.", input.external_key_id),
        ));
    }
    let batch = record::changed(&found.key, found.version, &proxy);
    ctx.app.store.commit(batch).await?;
    Ok(wire::WithdrawXksKeyResponse {})
}

/// Its record is read whole when one of them changes: a hundred kilobytes at most.
const MOST_KEYS: usize = 500;

/// Two administrators at once are rare; sixteen are enough.
const ATTEMPTS: usize = 16;
