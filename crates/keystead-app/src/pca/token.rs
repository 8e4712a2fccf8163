//! Idempotency tokens: the same request again within five minutes has the same answer.
//!
//! AWS documents that a token repeated with the same request makes one authority or certificate,
//! not two; what a token repeated with another request does it leaves open. Here that is another
//! request: a token counts together with everything else that was asked.

use jiff::{SignedDuration, Timestamp};
use keystead_core::Result;
use keystead_crypto::digest::Sha256;
use keystead_store::{Batch, Collection, Expect, Store, Versioned};
use serde::{Deserialize, Serialize};

/// Requests carried out under a token, by `account/region/digest`.
pub(super) const TOKENS: Collection = Collection("pca.token");

/// Where tokens wait for their end.
pub(crate) const TOKEN_QUEUE: &str = "pca.token";

/// What a request under a token came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Outcome {
    /// The name of what it made.
    arn: String,
    /// Until when the same request means the same thing.
    expires_at: Timestamp,
}

impl Versioned for Outcome {
    const MARKER: &'static str = "pca.token/1";
}

/// A request under a token, for the commit that carries it out.
pub(super) struct Token {
    key: String,
    lifetime: SignedDuration,
    before: Expect,
}

/// What the store knows of a request.
pub(super) enum Known {
    /// It was carried out, and this is the name of what it made.
    Done(String),
    /// It was not.
    New(Token),
}

/// Looks the request up: `prefix` is its account and region, `parts` is everything that was asked.
pub(super) async fn look_up(
    store: &Store,
    prefix: &str,
    parts: &[&[u8]],
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<Known> {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(&(part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let hex: String = digest
        .finish()
        .iter()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    let key = format!("{prefix}{hex}");
    let before = match store.get::<Outcome>(TOKENS, &key).await? {
        Some(found) if found.value.expires_at > now => return Ok(Known::Done(found.value.arn)),
        Some(found) => Expect::Version(found.version),
        None => Expect::Absent,
    };
    Ok(Known::New(Token {
        key,
        lifetime,
        before,
    }))
}

impl Token {
    /// Adds to the commit that makes `arn` that the request was carried out by it.
    pub(super) fn settle(&self, batch: &mut Batch, arn: &str, now: Timestamp) {
        let expires_at = now.checked_add(self.lifetime).unwrap_or(Timestamp::MAX);
        let outcome = Outcome {
            arn: arn.to_owned(),
            expires_at,
        };
        batch.put(TOKENS, self.key.as_str(), &outcome, self.before);
        batch.enqueue(TOKEN_QUEUE, self.key.as_str(), expires_at, &());
    }
}

/// Forgets the request of this key, if its time is over; answers when to come back otherwise.
pub(super) async fn forget(store: &Store, key: &str, now: Timestamp) -> Result<Option<Timestamp>> {
    let found = store.get::<Outcome>(TOKENS, key).await?;
    let Some(found) = found else { return Ok(None) };
    if found.value.expires_at > now {
        return Ok(Some(found.value.expires_at));
    }
    let mut batch = Batch::new();
    batch.delete(TOKENS, key, Expect::Version(found.version));
    store.commit(batch).await?;
    Ok(None)
}

/// Model, `IdempotencyToken`: "time out after five minutes".
pub(super) const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(5);
