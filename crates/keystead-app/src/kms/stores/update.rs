//! UpdateCustomKeyStore.

use keystead_core::kms::{Backing, StoreCommand};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use keystead_wire::kms as wire;
use zeroize::Zeroizing;

use super::create::{check_connectivity, check_members};
use super::proxy::{Behind, Proxy};
use super::record::{self, Kept, Stores};
use super::token;
use crate::Ctx;

/// UpdateCustomKeyStore. A new way to the proxy must work before the store takes it.
pub async fn update_custom_key_store(
    ctx: &Ctx,
    input: wire::UpdateCustomKeyStoreRequest,
) -> Result<wire::UpdateCustomKeyStoreResponse> {
    super::allow(ctx)?;
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await?;
    let wanted = changed(&read.stores, &input)?;
    let before = read.stores.find(&input.custom_key_store_id)?;
    if let (
        Backing::CloudHsm {
            cluster_id: old, ..
        },
        Some(new),
    ) = (&before.store.backing, &input.cloud_hsm_cluster_id)
    {
        token::check_related(&ctx.app, old, new, before.store.keys)?;
    }
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
    let external = matches!(kept.store.backing, Backing::External { .. });
    check_members(external, &given(input))?;
    let service = input.xks_proxy_vpc_endpoint_service_name.as_deref();
    check_connectivity(input.xks_proxy_connectivity, service)?;
    let moves = !external
        || input.xks_proxy_uri_endpoint.is_some()
        || input.xks_proxy_connectivity.is_some();
    let command = match moves {
        true => StoreCommand::Move,
        false => StoreCommand::Update,
    };
    kept.store.connection = kept.store.after(command)?;
    if !given(input).iter().any(|(_, given)| *given) {
        return Err(Error::new(
            ErrorKind::Validation,
            "Nothing is to be updated: specify at least one property besides CustomKeyStoreId.",
        ));
    }
    edit(&mut kept, input);
    stores.check_free(&kept.store.id, &kept.store.name, &kept.store.backing)?;
    Ok(kept)
}

fn edit(kept: &mut Kept, input: &wire::UpdateCustomKeyStoreRequest) {
    let set = |to: &mut String, given: &Option<String>| {
        if let Some(given) = given {
            to.clone_from(given);
        }
    };
    set(&mut kept.store.name, &input.new_custom_key_store_name);
    match &mut kept.store.backing {
        Backing::External {
            endpoint,
            path,
            access_key_id,
        } => {
            set(endpoint, &input.xks_proxy_uri_endpoint);
            set(path, &input.xks_proxy_uri_path);
            if let Some(given) = &input.xks_proxy_authentication_credential {
                access_key_id.clone_from(given.access_key_id.expose());
                kept.secret = Zeroizing::new(given.raw_secret_access_key.expose().clone());
            }
        }
        Backing::CloudHsm { cluster_id, .. } => {
            set(cluster_id, &input.cloud_hsm_cluster_id);
            if let Some(given) = &input.key_store_password {
                kept.secret = Zeroizing::new(given.expose().clone());
            }
        }
    }
}

/// What is to be updated, by its names.
fn given(input: &wire::UpdateCustomKeyStoreRequest) -> [(&'static str, bool); 8] {
    [
        (
            "NewCustomKeyStoreName",
            input.new_custom_key_store_name.is_some(),
        ),
        ("CloudHsmClusterId", input.cloud_hsm_cluster_id.is_some()),
        ("KeyStorePassword", input.key_store_password.is_some()),
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
    ]
}
