//! UpdateCustomKeyStore.

use keystead_core::kms::{Backing, StoreCommand};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use keystead_wire::kms as wire;
use zeroize::Zeroizing;

use super::create::{check_connectivity, refuse};
use super::proxy::{Behind, Proxy};
use super::record::{self, Kept, Stores};
use crate::Ctx;

/// UpdateCustomKeyStore. A new way to the proxy must work before the store takes it.
pub async fn update_custom_key_store(
    ctx: &Ctx,
    input: wire::UpdateCustomKeyStoreRequest,
) -> Result<wire::UpdateCustomKeyStoreResponse> {
    ctx.allow_own("*")?;
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await?;
    let wanted = changed(&read.stores, &input)?;
    if input.xks_proxy_uri_endpoint.is_some()
        || input.xks_proxy_uri_path.is_some()
        || input.xks_proxy_authentication_credential.is_some()
    {
        let proxy = Proxy::of(&ctx.app, &ctx.region, &wanted)?;
        let healthy = proxy
            .check_health(Behind::of(ctx, "UpdateCustomKeyStore"))
            .await;
        healthy.map_err(|failure| failure.in_store())?;
    }
    record::edit(ctx, |stores, _: &mut Batch| {
        let wanted = changed(stores, &input)?;
        *stores.find_mut(&input.custom_key_store_id)? = wanted;
        Ok(())
    })
    .await?;
    Ok(wire::UpdateCustomKeyStoreResponse {})
}

/// The store as it is to be, if it may be so.
fn changed(stores: &Stores, input: &wire::UpdateCustomKeyStoreRequest) -> Result<Kept> {
    let mut kept = stores.find(&input.custom_key_store_id)?.clone();
    let moves = match &mut kept.store.backing {
        Backing::External {
            endpoint,
            path,
            access_key_id,
        } => {
            refuse(
                "EXTERNAL_KEY_STORE",
                &[
                    ("CloudHsmClusterId", input.cloud_hsm_cluster_id.is_some()),
                    ("KeyStorePassword", input.key_store_password.is_some()),
                ],
            )?;
            let service = input.xks_proxy_vpc_endpoint_service_name.as_deref();
            check_connectivity(input.xks_proxy_connectivity, service)?;
            if let Some(given) = &input.xks_proxy_uri_endpoint {
                endpoint.clone_from(given);
            }
            if let Some(given) = &input.xks_proxy_uri_path {
                path.clone_from(given);
            }
            if let Some(given) = &input.xks_proxy_authentication_credential {
                access_key_id.clone_from(given.access_key_id.expose());
                kept.secret = Zeroizing::new(given.raw_secret_access_key.expose().clone());
            }
            input.xks_proxy_uri_endpoint.is_some() || input.xks_proxy_connectivity.is_some()
        }
        Backing::CloudHsm { cluster_id, .. } => {
            refuse(
                "AWS_CLOUDHSM",
                &[
                    (
                        "XksProxyConnectivity",
                        input.xks_proxy_connectivity.is_some(),
                    ),
                    (
                        "XksProxyUriEndpoint",
                        input.xks_proxy_uri_endpoint.is_some(),
                    ),
                    ("XksProxyUriPath", input.xks_proxy_uri_path.is_some()),
                    (
                        "XksProxyAuthenticationCredential",
                        input.xks_proxy_authentication_credential.is_some(),
                    ),
                    (
                        "XksProxyVpcEndpointServiceName",
                        input.xks_proxy_vpc_endpoint_service_name.is_some(),
                    ),
                ],
            )?;
            if let Some(given) = &input.cloud_hsm_cluster_id {
                cluster_id.clone_from(given);
            }
            if let Some(given) = &input.key_store_password {
                kept.secret = Zeroizing::new(given.expose().clone());
            }
            true
        }
    };
    if let Some(name) = &input.new_custom_key_store_name {
        kept.store.name.clone_from(name);
    }
    let command = match moves {
        true => StoreCommand::Move,
        false => StoreCommand::Update,
    };
    kept.store.connection = kept.store.after(command)?;
    check_says_something(input)?;
    stores.check_free(&kept.store.id, &kept.store.name, &kept.store.backing)?;
    Ok(kept)
}

fn check_says_something(input: &wire::UpdateCustomKeyStoreRequest) -> Result<()> {
    let said = input.new_custom_key_store_name.is_some()
        || input.key_store_password.is_some()
        || input.cloud_hsm_cluster_id.is_some()
        || input.xks_proxy_uri_endpoint.is_some()
        || input.xks_proxy_uri_path.is_some()
        || input.xks_proxy_authentication_credential.is_some()
        || input.xks_proxy_connectivity.is_some();
    if said {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        "Nothing is to be updated: specify at least one property besides CustomKeyStoreId.",
    ))
}
