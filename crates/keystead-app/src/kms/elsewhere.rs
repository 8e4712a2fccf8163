//! What a custom key store adds to a key that is in one.

use keystead_core::kms::{Connection, Fault, Key, Stage};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::kms as wire;
use zeroize::Zeroizing;

use super::stores;
use crate::Ctx;

pub(super) use super::stores::{Placed, check_connected, enter, place, unwrap, wrap};

/// Shows a key whose key store is not connected as unavailable, unless it is on its way out ("Key states of AWS KMS keys").
pub(super) async fn show(ctx: &Ctx, key: &Key, metadata: &mut wire::KeyMetadata) -> Result<()> {
    let connection = stores::connection(ctx, key).await?;
    let away = connection.is_some_and(|connection| connection != Connection::Connected);
    if away && matches!(key.stage, Stage::Enabled | Stage::Disabled) {
        metadata.key_state = Some(wire::KeyState::Unavailable);
        metadata.enabled = Some(false);
    }
    Ok(())
}

/// Refuses what an external key store's proxy opened, and is not what KMS had put into it ("Troubleshooting external key
/// stores", Decryption errors).
pub(super) fn check_inner(key: &Key, opened: bool) -> Result<()> {
    let external = key
        .store
        .as_ref()
        .is_some_and(|store| store.xks_key_id.is_some());
    if opened || !external {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidState,
        "The ciphertext that the external key store proxy submitted for decryption, or the encryption context, is corrupted, missing, or otherwise invalid.",
    ))
}

/// Random bytes of a key store's token.
pub(super) async fn random(_ctx: &Ctx, store: &str, _length: usize) -> Result<Zeroizing<Vec<u8>>> {
    Err(Fault::StoreNotFound.error(format!("There is no custom key store {store}.")))
}
