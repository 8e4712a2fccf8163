//! Idempotency tokens: what a request was answered with, remembered for an hour.

use jiff::Timestamp;
use keystead_core::Result;
use keystead_core::acm::schedule;
use keystead_store::{Batch, Collection, Expect, Lease, Store, Versioned};
use serde::{Deserialize, Serialize};

/// What was answered, by `account/region/operation/token/request`.
const TOKENS: Collection = Collection("acm.token");

/// Tokens to forget, by their keys.
pub(super) const QUEUE: &str = "acm.token";

#[derive(Serialize, Deserialize)]
struct Token {
    answer: String,
    expires_at: Timestamp,
}

impl Versioned for Token {
    const MARKER: &'static str = "acm.token/1";
}

/// What is known of a token.
pub(super) enum Known {
    /// The request was answered with this.
    Answered(String),
    /// It wasn't, or too long ago; [`remember`] with this makes sure that nobody else is quicker.
    Unknown(Expect),
}

/// What is known of the token with this key.
pub(super) async fn recall(store: &Store, key: &str, now: Timestamp) -> Result<Known> {
    Ok(match store.get::<Token>(TOKENS, key).await? {
        Some(stored) if now < stored.value.expires_at => Known::Answered(stored.value.answer),
        Some(stored) => Known::Unknown(Expect::Version(stored.version)),
        None => Known::Unknown(Expect::Absent),
    })
}

/// Adds to `batch` that the token was answered so.
pub(super) fn remember(
    batch: &mut Batch,
    key: &str,
    answer: String,
    now: Timestamp,
    expect: Expect,
) {
    let expires_at = schedule::after(now, schedule::TOKEN_WINDOW);
    batch.put(TOKENS, key, &Token { answer, expires_at }, expect);
    batch.enqueue(QUEUE, key, expires_at, &());
}

/// Forgets the token of this lease if its time is over, else puts it back.
pub(super) async fn forget(store: &Store, lease: &Lease, now: Timestamp) -> Result<()> {
    let mut batch = Batch::new();
    match store.get::<Token>(TOKENS, lease.id()).await? {
        None => batch.finish(lease),
        Some(stored) if now < stored.value.expires_at => {
            batch.reschedule(lease, stored.value.expires_at, &())
        }
        Some(stored) => batch
            .delete(TOKENS, lease.id(), Expect::Version(stored.version))
            .finish(lease),
    };
    store.commit(batch).await?;
    Ok(())
}
