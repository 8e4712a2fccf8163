//! What a custom key store adds to the use of a key that is in one.

use keystead_core::kms::{Fault, InStore, Key, KeyState};
use keystead_core::{Error, Result};
use keystead_crypto::NewMaterial;
use keystead_wire::kms as wire;
use zeroize::Zeroizing;

use crate::Ctx;

/// A key's place in a key store, with the material that is its there.
pub(super) struct Placed {
    pub(super) store: InStore,
    pub(super) material: NewMaterial,
}

/// Makes the material of a new key in a key store, or finds it there.
pub(super) async fn place(
    _ctx: &Ctx,
    store: &str,
    _key: &Key,
    _xks_key: Option<&str>,
) -> Result<Placed> {
    Err(Fault::StoreNotFound.error(format!("There is no custom key store {store}.")))
}

/// Shows a key whose key store is not connected as unavailable.
pub(super) async fn show(ctx: &Ctx, key: &Key, metadata: &mut wire::KeyMetadata) -> Result<()> {
    let _ = (ctx, key, metadata);
    Ok(())
}

/// The key's state, over which lies whether the key store that it is in is connected.
pub(super) async fn state(ctx: &Ctx, key: &Key) -> Result<KeyState> {
    Ok(key.state_while(check_connected(ctx, key).await.is_ok()))
}

/// Whether the key store that the key is in, if it is in one, is connected.
pub(super) async fn check_connected(_ctx: &Ctx, key: &Key) -> Result<()> {
    match &key.store {
        None => Ok(()),
        Some(store) => Err(away(key, &store.store_id)),
    }
}

/// The payload of a ciphertext with the layer of an external key store around it.
pub(super) async fn wrap(
    _ctx: &Ctx,
    key: &Key,
    _bound: &[u8],
    payload: Vec<u8>,
) -> Result<Vec<u8>> {
    match &key.store {
        None => Ok(payload),
        Some(store) => Err(away(key, &store.store_id)),
    }
}

/// The payload without the layer of an external key store; `None` when that is not authentic.
pub(super) async fn unwrap(
    _ctx: &Ctx,
    key: &Key,
    _bound: &[u8],
    payload: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    match &key.store {
        None => Ok(Some(Zeroizing::new(payload.to_vec()))),
        Some(store) => Err(away(key, &store.store_id)),
    }
}

/// Random bytes of a key store's token.
pub(super) async fn random(_ctx: &Ctx, store: &str, _length: usize) -> Result<Zeroizing<Vec<u8>>> {
    Err(Fault::StoreNotFound.error(format!("There is no custom key store {store}.")))
}

fn away(key: &Key, store: &str) -> Error {
    Fault::KeyUnavailable.error(format!(
        "{} is unavailable: its custom key store {store} is not connected.",
        key.arn()
    ))
}
