//! Custom key stores.

use keystead_core::Result;
use keystead_core::kms::{Fault, InStore, Key};
use keystead_crypto::NewMaterial;
use keystead_store::Batch;
use keystead_wire::kms as wire;

use crate::Ctx;

/// A new key's place in a key store.
pub(super) struct Placed {
    /// Where it is.
    pub(super) store: InStore,
    /// Its key material there; for an external key store, that of the inner of the two layers.
    pub(super) material: NewMaterial,
}

/// Makes key material for a new key in the key store of this id, in an external one under its key `external`; adds to the
/// commit what the store remembers of it.
pub(super) async fn place(
    ctx: &Ctx,
    key: &Key,
    store: &str,
    external: Option<&str>,
    batch: &mut Batch,
) -> Result<Placed> {
    let _ = (ctx, key, external, batch);
    Err(Fault::StoreNotFound.error(format!("Custom key store {store} does not exist.")))
}

/// CreateCustomKeyStore.
pub async fn create_custom_key_store(
    ctx: &Ctx,
    input: wire::CreateCustomKeyStoreRequest,
) -> Result<wire::CreateCustomKeyStoreResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DescribeCustomKeyStores.
pub async fn describe_custom_key_stores(
    ctx: &Ctx,
    input: wire::DescribeCustomKeyStoresRequest,
) -> Result<wire::DescribeCustomKeyStoresResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// UpdateCustomKeyStore.
pub async fn update_custom_key_store(
    ctx: &Ctx,
    input: wire::UpdateCustomKeyStoreRequest,
) -> Result<wire::UpdateCustomKeyStoreResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DeleteCustomKeyStore.
pub async fn delete_custom_key_store(
    ctx: &Ctx,
    input: wire::DeleteCustomKeyStoreRequest,
) -> Result<wire::DeleteCustomKeyStoreResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// ConnectCustomKeyStore.
pub async fn connect_custom_key_store(
    ctx: &Ctx,
    input: wire::ConnectCustomKeyStoreRequest,
) -> Result<wire::ConnectCustomKeyStoreResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}

/// DisconnectCustomKeyStore.
pub async fn disconnect_custom_key_store(
    ctx: &Ctx,
    input: wire::DisconnectCustomKeyStoreRequest,
) -> Result<wire::DisconnectCustomKeyStoreResponse> {
    let _ = (ctx, input);
    Err(super::unserved())
}
