//! Tokens of paged listings: opaque to the caller, authenticated, bound to one listing.
//!
//! A token carries the key after which the next page starts. It is bound to its scope (account,
//! region, operation), so that a token altered or carried to another listing is refused and never
//! reveals or skips anything.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::digest;
use keystead_store::{Collection, Store, Stored, Versioned};

use crate::Ctx;

/// The key that authenticates tokens; kept sealed in the store, so that tokens outlive a restart.
#[derive(Clone)]
pub(crate) struct CursorKey(pub(crate) [u8; 32]);

impl CursorKey {
    /// The key of this store.
    pub(crate) fn of(store: &Store) -> Result<Self> {
        let key = store.root_key().derive("keystead listing cursors")?;
        Ok(Self(*key))
    }
}

/// The token for the page after `last`, in the listing `scope` (the operation's name, and whatever
/// filter changes what the listing holds).
pub(crate) fn token(ctx: &Ctx, scope: &str, last: &str) -> String {
    let mut bytes = mac(ctx, scope, last);
    bytes.extend_from_slice(last.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The key after which the page of `token` starts; refuses with [`ErrorKind::InvalidNextToken`].
pub(crate) fn resume(ctx: &Ctx, scope: &str, token: &str) -> Result<String> {
    let refused = || {
        Error::new(
            ErrorKind::InvalidNextToken,
            "The NextToken is not valid: use the value of the previous answer to the same listing, unchanged.",
        )
    };
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?;
    let (tag, last) = bytes.split_at_checked(TAG_BYTES).ok_or_else(refused)?;
    let last = std::str::from_utf8(last).map_err(|_| refused())?;
    if digest::constant_time_eq(tag, &mac(ctx, scope, last)) {
        Ok(last.to_owned())
    } else {
        Err(refused())
    }
}

/// A page of the records of the caller's account and region, in the order of their keys, from behind the page
/// that `after` is the token of, with the token for the next one.
pub(crate) async fn page<T: Versioned>(
    ctx: &Ctx,
    scope: &str,
    collection: Collection,
    after: Option<&str>,
    size: usize,
) -> Result<(Vec<Stored<T>>, Option<String>)> {
    page_under(ctx, scope, collection, &ctx.prefix(), after, size).await
}

/// As [`page`], of the records whose keys have this prefix, which is then a part of the scope.
pub(crate) async fn page_under<T: Versioned>(
    ctx: &Ctx,
    scope: &str,
    collection: Collection,
    prefix: &str,
    after: Option<&str>,
    size: usize,
) -> Result<(Vec<Stored<T>>, Option<String>)> {
    let after = after.map(|token| resume(ctx, scope, token)).transpose()?;
    let store = &ctx.app.store;
    // One more tells whether there is a next page.
    let most = size.saturating_add(1);
    let mut found = store
        .scan(collection, prefix, after.as_deref(), most)
        .await?;
    let more = found.len() > size;
    found.truncate(size);
    let last = found.last().filter(|_| more);
    let next = last.map(|last: &Stored<T>| token(ctx, scope, &last.key));
    Ok((found, next))
}

/// How many are answered at once: so many as were asked for, or as usual.
pub(crate) fn size(asked: Option<i32>, usual: usize) -> usize {
    asked
        .and_then(|asked| usize::try_from(asked).ok())
        .unwrap_or(usual)
}

fn mac(ctx: &Ctx, scope: &str, last: &str) -> Vec<u8> {
    // Neither accounts, regions nor operation names contain a line feed, so the parts can't run
    // into one another.
    let text = format!("{}\n{}\n{scope}\n{last}", ctx.principal.account, ctx.region);
    let mut tag = digest::hmac_sha256(&ctx.app.cursors.0, text.as_bytes()).to_vec();
    tag.truncate(TAG_BYTES);
    tag
}

/// 128 bits: out of reach for guessing (NIST SP 800-107 section 5.3.3 allows truncation).
const TAG_BYTES: usize = 16;
