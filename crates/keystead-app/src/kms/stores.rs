//! Custom key stores.

use keystead_core::Result;
use keystead_wire::kms as wire;

use crate::Ctx;

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
