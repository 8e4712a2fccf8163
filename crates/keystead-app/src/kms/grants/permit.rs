//! Which grant lets a caller do something.

use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::Result;
use keystead_core::kms::GrantOperation;
use keystead_core::kms::grant::{Grant, Party, Request};
use keystead_policy as policy;
use keystead_store::{ChangeCount, Store};
use lru::LruCache;
use parking_lot::Mutex;

use super::record::{GRANTS, GrantRecord, candidates, grantee_digits};
use super::token;
use crate::Ctx;
use crate::kms::find::{Ask, Found};
use crate::kms::principals;

/// A grant that lets the caller do what is asked.
pub(in crate::kms) struct Permit {
    id: String,
    to_account: bool,
}

impl Permit {
    /// As decisions see it.
    pub(in crate::kms) fn as_grant(&self) -> policy::Grant<'_> {
        policy::Grant {
            id: &self.id,
            to_account: self.to_account,
        }
    }
}

/// The grants of the grantees that asked last.
pub(in crate::kms) struct Known {
    changes: ChangeCount,
    grants: Mutex<LruCache<String, (u64, Arc<Own>)>>,
}

impl Known {
    /// Follows what is stored of grants.
    pub(in crate::kms) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(&[GRANTS]),
            grants: Mutex::new(LruCache::new(AT_HAND)),
        }
    }
}

/// The first grants of one grantee on one key.
struct Own {
    grants: Vec<Grant>,
    /// Whether there are no more.
    all: bool,
}

/// The grant that lets the caller do this, if there is one.
///
/// # Errors
/// [`keystead_core::kms::Fault::InvalidGrantToken`] for a token that is none of ours.
pub(in crate::kms) async fn permitting(
    ctx: &Ctx,
    found: &Found,
    ask: &Ask<'_>,
) -> Result<Option<Permit>> {
    for token in ask.tokens {
        token::open(ctx, token)?;
    }
    let operation = ask.operation.and_then(GrantOperation::from_name);
    let Some(operation) = operation.filter(|_| found.record.key.grants > 0) else {
        return Ok(None);
    };
    let source = ask.keys.iter().find(|(name, _)| *name == "aws:SourceArn");
    let request = Request {
        operation,
        context: ask.context,
        source_arn: source.map(|(_, arn)| *arn),
        granting: ask.granting,
    };
    let account = Party::Account(ctx.account().clone()).key();
    for party in principals::keys_of(&ctx.principal) {
        if let Some(id) = search(ctx, &found.at, &party, &request).await? {
            let to_account = party == account;
            return Ok(Some(Permit { id, to_account }));
        }
    }
    Ok(None)
}

/// The id of a grant to this party that allows the request.
async fn search(ctx: &Ctx, at: &str, party: &str, request: &Request<'_>) -> Result<Option<String>> {
    let permits = |grant: &&Grant| grant.grantee.key() == party && grant.terms.permit(request);
    let own = own(ctx, at, party).await?;
    if let Some(grant) = own.grants.iter().find(permits) {
        return Ok(Some(grant.id.clone()));
    }
    if own.all {
        return Ok(None);
    }
    for prefix in candidates(party, request.operation, request.context) {
        let prefix = format!("{at}/{prefix}");
        let mut after = None;
        loop {
            let store = &ctx.app.store;
            let page = store
                .scan::<GrantRecord>(GRANTS, &prefix, after.as_deref(), PAGE)
                .await?;
            let found = page.iter().map(|stored| &stored.value.grant).find(permits);
            if let Some(grant) = found {
                return Ok(Some(grant.id.clone()));
            }
            if page.len() < PAGE {
                break;
            }
            after = page.into_iter().last().map(|last| last.key);
        }
    }
    Ok(None)
}

/// The first grants of this party on the key, as they are stored now, or as they were read when no grant has changed since.
async fn own(ctx: &Ctx, at: &str, party: &str) -> Result<Arc<Own>> {
    let known = &ctx.app.kms_keys.grants;
    let as_of = known.changes.get();
    let prefix = format!("{at}/{}", grantee_digits(party));
    if let Some((read_at, own)) = known.grants.lock().get(&prefix)
        && *read_at == as_of
    {
        return Ok(Arc::clone(own));
    }
    let store = &ctx.app.store;
    let page = store
        .scan::<GrantRecord>(GRANTS, &prefix, None, FIRST)
        .await?;
    let own = Arc::new(Own {
        all: page.len() < FIRST,
        grants: page.into_iter().map(|stored| stored.value.grant).collect(),
    });
    let entry = (as_of, Arc::clone(&own));
    known.grants.lock().put(prefix, entry);
    Ok(own)
}

/// Grants of one grantee on one key that are kept at hand: a person or program has a few, while a service that makes one
/// for each thing it encrypts has thousands, each with the context that leads to it.
const FIRST: usize = 64;

/// Grants that are read at once beyond these.
const PAGE: usize = 256;

/// As many as the keys that are kept at hand.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(4096).unwrap();
