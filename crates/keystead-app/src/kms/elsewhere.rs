//! What a custom key store adds to a key that is in one.

use keystead_core::kms::{Connection, Key, KeyState};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::kms as wire;

use super::stores;
use crate::Ctx;

pub(super) use super::stores::{check_connected, enter, place, random, unwrap, wrap};

/// The key's state, over which lies whether the key store that it is in is connected.
pub(super) async fn state(ctx: &Ctx, key: &Key) -> Result<KeyState> {
    let connection = stores::connection(ctx, key).await?;
    Ok(key.state_while(connection.is_none_or(|state| state == Connection::Connected)))
}

/// Shows a key whose key store is not connected as unavailable.
pub(super) async fn show(ctx: &Ctx, key: &Key, metadata: &mut wire::KeyMetadata) -> Result<()> {
    let state = state(ctx, key).await?;
    metadata.key_state = wire::KeyState::parse(state.name());
    metadata.enabled = Some(state == KeyState::Enabled);
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
