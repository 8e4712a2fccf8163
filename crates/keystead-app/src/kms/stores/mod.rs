//! Custom key stores: DescribeCustomKeyStores, ConnectCustomKeyStore, DisconnectCustomKeyStore, DeleteCustomKeyStore; in
//! modules of their own, how stores are created and updated, connected in the background, and used.
//!
//! All stores of an account and region are one record ([`record`]): there are ten at most, and their names, endpoints and
//! number are decided together. It also counts the keys in each, so that a store is never deleted under a key.

mod connect;
mod create;
mod keys;
mod proxy;
mod record;
#[cfg(test)]
mod tests;
mod token;
mod update;

use keystead_core::kms::{Backing, Connection, KeyStore, StoreCommand};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use keystead_wire::kms as wire;

pub(crate) use connect::{QUEUE, settle};
pub use create::create_custom_key_store;
pub(super) use keys::{check_connected, connection, enter, leave, place, random, unwrap, wrap};
pub(crate) use record::KnownStores;
pub use update::update_custom_key_store;

use super::conditions::Call;
use super::page_size_of;
use crate::access::Resource;
use crate::{Ctx, cursor};

/// DescribeCustomKeyStores.
pub async fn describe_custom_key_stores(
    ctx: &Ctx,
    input: wire::DescribeCustomKeyStoresRequest,
) -> Result<wire::DescribeCustomKeyStoresResponse> {
    allow(ctx)?;
    let (id, name) = (&input.custom_key_store_id, &input.custom_key_store_name);
    if id.is_some() && name.is_some() {
        return Err(Error::new(
            ErrorKind::Validation,
            "CustomKeyStoreId and CustomKeyStoreName exclude one another: specify one of them, or neither.",
        ));
    }
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await?;
    let after = match &input.marker {
        Some(marker) => Some(cursor::resume(ctx, SCOPE, marker)?),
        None => None,
    };
    let wanted = |store: &&KeyStore| {
        id.as_ref().is_none_or(|id| *id == store.id)
            && name.as_ref().is_none_or(|name| *name == store.name)
    };
    let all = read.stores.kept.iter().map(|kept| &kept.store);
    let mut found: Vec<&KeyStore> = all.filter(wanted).collect();
    if let (true, Some(name)) = (found.is_empty(), id.as_ref().or(name.as_ref())) {
        return Err(record::missing(name));
    }
    found.sort_by(|one, other| one.id.cmp(&other.id));
    found.retain(|store| after.as_ref().is_none_or(|after| store.id > *after));
    // API reference: 1 to 1000; all there can be fit into one answer.
    let size = page_size_of(input.limit, 100, 1000);
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more);
    Ok(wire::DescribeCustomKeyStoresResponse {
        next_marker: last.map(|last| cursor::token(ctx, SCOPE, &last.id)),
        truncated: Some(more),
        custom_key_stores: Some(found.into_iter().map(shown).collect()),
    })
}

fn shown(store: &KeyStore) -> wire::CustomKeyStoresListEntry {
    let failure = match store.connection {
        Connection::Failed(why) => wire::ConnectionErrorCodeType::parse(why.name()),
        _ => None,
    };
    let entry = wire::CustomKeyStoresListEntry {
        custom_key_store_id: Some(store.id.clone()),
        custom_key_store_name: Some(store.name.clone()),
        connection_state: wire::ConnectionStateType::parse(store.connection.name()),
        connection_error_code: failure,
        creation_date: Some(store.created_at),
        ..wire::CustomKeyStoresListEntry::default()
    };
    match &store.backing {
        Backing::CloudHsm {
            cluster_id,
            trust_anchor,
        } => wire::CustomKeyStoresListEntry {
            custom_key_store_type: Some(wire::CustomKeyStoreType::AwsCloudhsm),
            cloud_hsm_cluster_id: Some(cluster_id.clone()),
            trust_anchor_certificate: Some(trust_anchor.clone()),
            ..entry
        },
        Backing::External {
            endpoint,
            path,
            access_key_id,
        } => wire::CustomKeyStoresListEntry {
            custom_key_store_type: Some(wire::CustomKeyStoreType::ExternalKeyStore),
            xks_proxy_configuration: Some(wire::XksProxyConfigurationType {
                connectivity: Some(wire::XksProxyConnectivityType::PublicEndpoint),
                access_key_id: Some(access_key_id.clone().into()),
                uri_endpoint: Some(endpoint.clone()),
                uri_path: Some(path.clone()),
                ..wire::XksProxyConfigurationType::default()
            }),
            ..entry
        },
    }
}

/// ConnectCustomKeyStore: begins it; how it ends is told by the connection state.
pub async fn connect_custom_key_store(
    ctx: &Ctx,
    input: wire::ConnectCustomKeyStoreRequest,
) -> Result<wire::ConnectCustomKeyStoreResponse> {
    turn(ctx, &input.custom_key_store_id, StoreCommand::Connect).await?;
    Ok(wire::ConnectCustomKeyStoreResponse {})
}

/// DisconnectCustomKeyStore: begins it; from now on, no key in it can be used.
pub async fn disconnect_custom_key_store(
    ctx: &Ctx,
    input: wire::DisconnectCustomKeyStoreRequest,
) -> Result<wire::DisconnectCustomKeyStoreResponse> {
    turn(ctx, &input.custom_key_store_id, StoreCommand::Disconnect).await?;
    Ok(wire::DisconnectCustomKeyStoreResponse {})
}

/// Changes the connection, and has what follows done in the background.
async fn turn(ctx: &Ctx, id: &str, command: StoreCommand) -> Result<()> {
    allow(ctx)?;
    record::edit(ctx, |stores, batch| {
        let kept = stores.find_mut(id)?;
        let next = kept.store.after(command)?;
        if kept.store.connection != next {
            kept.store.connection = next;
            let item = format!("{}{id}", ctx.prefix());
            batch.enqueue(QUEUE, item, ctx.now, &());
        }
        Ok(())
    })
    .await
}

/// DeleteCustomKeyStore. What kept its keys is not touched.
pub async fn delete_custom_key_store(
    ctx: &Ctx,
    input: wire::DeleteCustomKeyStoreRequest,
) -> Result<wire::DeleteCustomKeyStoreResponse> {
    allow(ctx)?;
    let id = &input.custom_key_store_id;
    record::edit(ctx, |stores, _: &mut Batch| {
        stores.find_mut(id)?.store.after(StoreCommand::Delete)?;
        stores.kept.retain(|kept| kept.store.id != *id);
        Ok(())
    })
    .await?;
    Ok(wire::DeleteCustomKeyStoreResponse {})
}

/// Whether the caller may do this to the account's key stores: they have no names in policies.
fn allow(ctx: &Ctx) -> Result<()> {
    let call = Call(ctx);
    ctx.allow(&Resource {
        describe: Some(&call),
        ..Resource::new("*", ctx.account().as_str())
    })?;
    Ok(())
}

/// What a listing's markers are bound to.
const SCOPE: &str = "DescribeCustomKeyStores";
