//! The one place where a symmetric key's material encrypts and decrypts, wherever it is: in the ring, in a token, or in an
//! external key store, which adds its layer to ours.

use keystead_core::kms::{EncryptionAlgorithm, EncryptionContext, Header, bound_to};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::StoredMaterial;
use zeroize::Zeroizing;

use super::elsewhere;
use super::find::Found;
use super::usable::refused;
use crate::Ctx;

/// Encrypts under the key's current material: a ciphertext that names it.
pub(super) async fn encrypt(
    ctx: &Ctx,
    found: &Found,
    context: Option<&EncryptionContext>,
    plaintext: &[u8],
) -> Result<Vec<u8>> {
    let key = &found.record.key;
    let (material, held) = found.record.current().ok_or_else(|| absent(found))?;
    let header = Header {
        account: key.account.clone(),
        key_id: key.id.clone(),
        material,
    };
    let mut ciphertext = header.encode().ok_or_else(|| {
        let message = format!("{} has an id that no ciphertext can carry", found.arn);
        Error::new(ErrorKind::Internal, message)
    })?;
    let bound = bound_to(&ciphertext, context);
    let payload = ctx
        .app
        .keys
        .encrypt(
            held,
            EncryptionAlgorithm::SymmetricDefault,
            &bound,
            plaintext,
        )
        .await
        .map_err(refused)?;
    let payload = elsewhere::wrap(ctx, key, &bound, payload).await?;
    ciphertext.extend_from_slice(&payload);
    Ok(ciphertext)
}

/// Decrypts the payload of a ciphertext; `None` when it is not authentic, or made with another context.
pub(super) async fn decrypt(
    ctx: &Ctx,
    found: &Found,
    (header, head, payload): (&Header, &[u8], &[u8]),
    context: Option<&EncryptionContext>,
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let key = &found.record.key;
    if !key.materials.iter().any(|one| one.id == header.material) {
        return Ok(None);
    }
    let Some(held) = found.record.material(&header.material) else {
        return Err(absent(found));
    };
    let bound = bound_to(head, context);
    let Some(payload) = elsewhere::unwrap(ctx, key, &bound, payload).await? else {
        return Ok(None);
    };
    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    let opened = ctx.app.keys.decrypt(held, algorithm, &bound, &payload);
    let opened = opened.await.map_err(refused)?;
    elsewhere::check_inner(key, opened.is_some())?;
    Ok(opened)
}

/// The current material of a key that signs, agrees and so on.
pub(super) fn current(found: &Found) -> Result<&StoredMaterial> {
    let current = found.record.current();
    current.map(|(_, held)| held).ok_or_else(|| absent(found))
}

/// A key without its material is pending import, or the store is damaged.
pub(super) fn absent(found: &Found) -> Error {
    Error::new(
        ErrorKind::InvalidState,
        format!("{} is pending import.", found.arn),
    )
}
