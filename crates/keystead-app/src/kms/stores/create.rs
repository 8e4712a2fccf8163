//! CreateCustomKeyStore.

use keystead_core::kms::{Backing, Connection, Fault, KeyStore, MOST_STORES};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_store::Batch;
use keystead_wire::kms as wire;
use zeroize::Zeroizing;

use super::proxy::{Behind, Proxy};
use super::record::{self, Kept, Stores};
use super::token;
use crate::Ctx;

/// CreateCustomKeyStore. What keeps its keys must answer before the store is there.
pub async fn create_custom_key_store(
    ctx: &Ctx,
    input: wire::CreateCustomKeyStoreRequest,
) -> Result<wire::CreateCustomKeyStoreResponse> {
    super::allow(ctx)?;
    let kind = input
        .custom_key_store_type
        .unwrap_or(wire::CustomKeyStoreType::AwsCloudhsm);
    let is_external = kind == wire::CustomKeyStoreType::ExternalKeyStore;
    check_members(is_external, &given(&input))?;
    let (backing, secret) = match is_external {
        true => external(&input)?,
        false => cloud_hsm(&input)?,
    };
    let kept = Kept {
        store: KeyStore {
            id: new_id()?,
            name: input.custom_key_store_name,
            created_at: ctx.now,
            connection: Connection::Disconnected,
            keys: 0,
            backing,
        },
        secret,
    };
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await?;
    check(&read.stores, &kept)?;
    introduce(ctx, &kept).await?;
    record::edit(ctx, |stores, _: &mut Batch| {
        check(stores, &kept)?;
        stores.kept.push(kept.clone());
        Ok(())
    })
    .await?;
    Ok(wire::CreateCustomKeyStoreResponse {
        custom_key_store_id: Some(kept.store.id),
    })
}

fn check(stores: &Stores, new: &Kept) -> Result<()> {
    if stores.kept.len() >= MOST_STORES {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("An account has at most {MOST_STORES} custom key stores in a Region."),
        ));
    }
    stores.check_free(&new.store.id, &new.store.name, &new.store.backing)
}

/// Whether what is to keep the store's keys is there and knows us.
async fn introduce(ctx: &Ctx, kept: &Kept) -> Result<()> {
    match &kept.store.backing {
        Backing::External { .. } => {
            let proxy = Proxy::of(&ctx.app, &ctx.region, kept)?;
            let healthy = proxy
                .check_health(Behind::of(ctx, "CreateCustomKeyStore"))
                .await;
            healthy.map_err(|failure| failure.in_store())
        }
        Backing::CloudHsm {
            cluster_id,
            trust_anchor,
        } => token::introduce(&ctx.app, cluster_id, trust_anchor).await,
    }
}

fn external(input: &wire::CreateCustomKeyStoreRequest) -> Result<(Backing, Zeroizing<String>)> {
    let service = input.xks_proxy_vpc_endpoint_service_name.as_deref();
    check_connectivity(input.xks_proxy_connectivity, service)?;
    let (Some(_), Some(endpoint), Some(path), Some(credential)) = (
        input.xks_proxy_connectivity,
        &input.xks_proxy_uri_endpoint,
        &input.xks_proxy_uri_path,
        &input.xks_proxy_authentication_credential,
    ) else {
        return Err(Error::new(
            ErrorKind::Validation,
            "An external key store needs XksProxyConnectivity, XksProxyUriEndpoint, XksProxyUriPath and XksProxyAuthenticationCredential.",
        ));
    };
    let backing = Backing::External {
        endpoint: endpoint.clone(),
        path: path.clone(),
        access_key_id: credential.access_key_id.expose().clone(),
    };
    let secret = credential.raw_secret_access_key.expose().clone();
    Ok((backing, Zeroizing::new(secret)))
}

fn cloud_hsm(input: &wire::CreateCustomKeyStoreRequest) -> Result<(Backing, Zeroizing<String>)> {
    let (Some(cluster_id), Some(trust_anchor), Some(password)) = (
        &input.cloud_hsm_cluster_id,
        &input.trust_anchor_certificate,
        &input.key_store_password,
    ) else {
        return Err(Error::new(
            ErrorKind::Validation,
            "A key store of type AWS_CLOUDHSM needs CloudHsmClusterId, KeyStorePassword and TrustAnchorCertificate.",
        ));
    };
    let backing = Backing::CloudHsm {
        cluster_id: cluster_id.clone(),
        trust_anchor: trust_anchor.clone(),
    };
    Ok((backing, Zeroizing::new(password.expose().clone())))
}

/// The members that belong to one type of store, by their names.
fn given(input: &wire::CreateCustomKeyStoreRequest) -> [(&'static str, bool); 8] {
    [
        ("CloudHsmClusterId", input.cloud_hsm_cluster_id.is_some()),
        ("KeyStorePassword", input.key_store_password.is_some()),
        (
            "TrustAnchorCertificate",
            input.trust_anchor_certificate.is_some(),
        ),
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

/// Refuses members that belong to the other type of store, as their names tell.
pub(super) fn check_members(external: bool, given: &[(&str, bool)]) -> Result<()> {
    let (kind, foreign): (_, &[&str]) = match external {
        true => (
            "EXTERNAL_KEY_STORE",
            &[
                "CloudHsmClusterId",
                "KeyStorePassword",
                "TrustAnchorCertificate",
            ],
        ),
        false => ("AWS_CLOUDHSM", &["Xks"]),
    };
    let is_foreign = |name: &str| foreign.iter().any(|start| name.starts_with(start));
    let mut wrong = given
        .iter()
        .filter(|(name, given)| *given && is_foreign(name));
    match wrong.next() {
        None => Ok(()),
        Some((name, _)) => Err(Error::new(
            ErrorKind::Validation,
            format!("{name} is not valid for a custom key store of type {kind}."),
        )),
    }
}

/// There are no VPCs here, and so no endpoint services in them.
pub(super) fn check_connectivity(
    connectivity: Option<wire::XksProxyConnectivityType>,
    service: Option<&str>,
) -> Result<()> {
    match connectivity {
        Some(wire::XksProxyConnectivityType::VpcEndpointService) => {
            Err(Fault::XksProxyVpcEndpointServiceNotFound.error(format!(
                "There is no VPC endpoint service {}: use PUBLIC_ENDPOINT, with an endpoint that this server reaches.",
                service.unwrap_or("without a name")
            )))
        }
        _ => Ok(()),
    }
}

/// `cks-` and 17 hexadecimal digits.
fn new_id() -> Result<String> {
    let bytes = random::bytes::<16>()
        .map_err(|error| Error::new(ErrorKind::Internal, error.to_string()))?;
    let digits = u128::from_be_bytes(bytes) >> (128 - 17 * 4);
    Ok(format!("cks-{digits:017x}"))
}
