//! Idempotency tokens: the same request again, within a service's time, has the same answer.
//!
//! AWS documents that a token repeated with the same request makes one thing, not two; what a token
//! repeated with another request does it mostly leaves open. Whoever looks a token up says what
//! counts together with it: where everything that was asked does, another request is another one.

use jiff::{SignedDuration, Timestamp};
use keystead_core::{Result, hex};
use keystead_crypto::digest::Sha256;
use keystead_store::{Batch, Collection, Expect, Lease, Store, Versioned};
use serde::{Deserialize, Serialize};

use crate::tasks::Outcome;

/// Requests carried out under a token, by `account/region/digest`.
const TOKENS: Collection = Collection("token");

/// Where tokens wait for their end.
pub(crate) const QUEUE: &str = "token";

#[derive(Serialize, Deserialize)]
struct Record {
    /// What the request was answered with.
    answer: String,
    /// Until when the same request means the same thing.
    expires_at: Timestamp,
}

impl Versioned for Record {
    const MARKER: &'static str = "token/1";
}

/// A request under a token, for the commit that carries it out.
pub(crate) struct Token {
    key: String,
    lifetime: SignedDuration,
    before: Expect,
}

/// What the store knows of a request.
pub(crate) enum Known {
    /// It was carried out and answered with this. The token is for who finds that what it made is
    /// gone, and carries it out anew.
    Done(String, Token),
    /// It was not.
    New(Token),
}

/// Looks the request up: `prefix` is its account and region, `parts` is the token and what counts
/// together with it.
pub(crate) async fn look_up(
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
    let digest = digest.finish();
    let key = format!("{prefix}{}", hex(&digest));
    let found = store.get::<Record>(TOKENS, &key).await?;
    let before = match &found {
        Some(found) => Expect::Version(found.version),
        None => Expect::Absent,
    };
    let token = Token {
        key,
        lifetime,
        before,
    };
    Ok(match found {
        Some(found) if found.value.expires_at > now => Known::Done(found.value.answer, token),
        _ => Known::New(token),
    })
}

impl Token {
    /// Adds to the commit that carries the request out what it is answered with. The commit fails if
    /// somebody else was quicker.
    pub(crate) fn settle(&self, batch: &mut Batch, answer: &str, now: Timestamp) {
        let expires_at = now.checked_add(self.lifetime).unwrap_or(Timestamp::MAX);
        let record = Record {
            answer: answer.to_owned(),
            expires_at,
        };
        batch.put(TOKENS, self.key.as_str(), &record, self.before);
        batch.enqueue(QUEUE, self.key.as_str(), expires_at, &());
    }
}

/// Forgets the request of this lease if its time is over, else puts it back.
pub(crate) async fn forget(store: &Store, lease: &Lease, now: Timestamp) -> Result<Outcome> {
    let mut batch = Batch::new();
    match store.get::<Record>(TOKENS, lease.id()).await? {
        None => return Ok(Outcome::Finished),
        Some(found) if found.value.expires_at > now => {
            batch.reschedule(lease, found.value.expires_at, &())
        }
        Some(found) => batch
            .delete(TOKENS, lease.id(), Expect::Version(found.version))
            .finish(lease),
    };
    store.commit(batch).await?;
    Ok(Outcome::Settled)
}
