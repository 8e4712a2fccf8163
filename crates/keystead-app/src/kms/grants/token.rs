//! Grant tokens: which grant they are of, sealed.
//!
//! Grants are effective at once, so that a token gives nobody more than the grant gives its grantee anyway. It serves to
//! retire the grant, and is checked where it is sent along: what is no token of ours is refused.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_core::kms::Fault;
use keystead_core::{Error, Result};
use keystead_crypto::seal::TokenSealer;
use keystead_store::Store;

use crate::Ctx;

/// A token of the grant of this id on the key of this record key; every one is another.
pub(super) fn make(ctx: &Ctx, at: &str, id: &str) -> Result<String> {
    let sealed = sealer(&ctx.app.store)?.seal(BOND, format!("{at}/{id}").as_bytes())?;
    Ok(STANDARD.encode(sealed))
}

/// The key's record key and the grant's id.
///
/// # Errors
/// [`Fault::InvalidGrantToken`].
pub(super) fn open(ctx: &Ctx, token: &str) -> Result<(String, String)> {
    let invalid = || -> Error {
        Fault::InvalidGrantToken.error(
            "The grant token is not valid: expected one that CreateGrant returned, unchanged.",
        )
    };
    let sealed = STANDARD.decode(token).map_err(|_| invalid())?;
    let sealer = sealer(&ctx.app.store)?;
    let plain = sealer.open(BOND, &sealed).map_err(|_| invalid())?;
    let text = std::str::from_utf8(&plain).map_err(|_| invalid())?;
    let (at, id) = text.rsplit_once('/').ok_or_else(invalid)?;
    Ok((at.to_owned(), id.to_owned()))
}

fn sealer(store: &Store) -> Result<TokenSealer> {
    Ok(TokenSealer::new(
        store.root_key(),
        "keystead grant tokens 1",
    )?)
}

/// A token is told from others by what it says alone.
const BOND: &str = "grant";
