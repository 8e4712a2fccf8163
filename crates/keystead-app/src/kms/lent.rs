//! Keys that are lent to who is not of this KMS: by external key store proxies ([`crate::xks`]).
//!
//! Whoever lends a key is decided on once, when it is lent. After that its state and that of its store are asked at every
//! use, and the key policy no more: who borrows has no identity that it could name.

use std::sync::Arc;

use keystead_core::kms::{EncryptionAlgorithm, KeySpec, MaterialId, Origin};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use zeroize::Zeroizing;

use super::custody::absent;
use super::find::{self, Ask, Names};
use super::usable::{self, refused};
use crate::Ctx;
use crate::access::Act;

pub(crate) use super::find::Found;

/// What was decrypted.
pub(crate) type Plaintext = Zeroizing<Vec<u8>>;

/// The key that a call names, if the caller may encrypt and decrypt with it, and it can be lent: a symmetric key of the
/// caller's own account whose material is not itself elsewhere.
pub(crate) async fn lend(ctx: &Ctx, name: &str) -> Result<Arc<Found>> {
    let mut lent = None;
    for (action, operation) in [("kms:Encrypt", "Encrypt"), ("kms:Decrypt", "Decrypt")] {
        let ask = Ask {
            act: Act::Also(action),
            operation: Some(operation),
            ..Ask::OWN
        };
        lent = Some(
            find::key(ctx, name, Names::KeyOrAlias, ask)
                .await?
                .into_inner(),
        );
    }
    let lendable = |found: &Arc<Found>| {
        let key = &found.record.key;
        key.account == *ctx.account()
            && key.spec == KeySpec::SymmetricDefault
            && key.origin != Origin::ExternalKeyStore
    };
    lent.filter(lendable).ok_or_else(|| {
        Error::new(
            ErrorKind::Validation,
            format!("{name} cannot be exposed: expected a symmetric encryption key of this account that is not in an external key store itself."),
        )
    })
}

/// A key that was lent.
///
/// # Errors
/// [`ErrorKind::NotFound`] where it was deleted since.
pub(crate) async fn find(
    ctx: &Ctx,
    account: &AccountId,
    region: &Region,
    id: &str,
) -> Result<Arc<Found>> {
    let found = find::at_hand(ctx, account, region, id).await?;
    found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "The request was rejected because the specified external key is not found.",
        )
    })
}

/// Whether its state, and that of the key store that it is in, allow its use.
pub(crate) async fn check(ctx: &Ctx, found: &Found) -> Result<()> {
    usable::check(ctx, found).await
}

/// Encrypts under the key's current material, bound to what `bind` makes of that material's id: the payload that
/// [`decrypt_raw`] takes.
pub(crate) async fn encrypt_raw(
    ctx: &Ctx,
    found: &Found,
    bind: impl Fn(&MaterialId) -> Result<Vec<u8>>,
    plaintext: &[u8],
) -> Result<(MaterialId, Vec<u8>)> {
    let (id, held) = found.record.current().ok_or_else(|| absent(found))?;
    let bound = bind(&id)?;
    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    let sealed = ctx.app.keys.encrypt(held, algorithm, &bound, plaintext);
    Ok((id, sealed.await.map_err(refused)?))
}

/// Decrypts what [`encrypt_raw`] made under this material; `None` when it is not authentic.
pub(crate) async fn decrypt_raw(
    ctx: &Ctx,
    found: &Found,
    id: &MaterialId,
    bound: &[u8],
    payload: &[u8],
) -> Result<Option<Plaintext>> {
    let held = found.record.material(id).ok_or_else(|| absent(found))?;
    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    let opened = ctx.app.keys.decrypt(held, algorithm, bound, payload);
    opened.await.map_err(refused)
}

/// Notes the use for GetKeyLastUsage.
pub(crate) fn note(ctx: &Ctx, found: &Found, operation: &'static str) {
    usable::note(ctx, found, operation);
}
