//! The compiled policies of callers, kept at hand.
//!
//! What was compiled stands as long as no record of IAM changes: they change rarely, and a call must not cost
//! more because an account has many policies.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{ChangeCount, Collection, Store};
use lru::LruCache;
use parking_lot::Mutex;

use crate::iam::effective::{Effective, effective};
use crate::iam::managed::ManagedPolicy;
use crate::iam::record::{GROUP_NAMES, Group, Resource as _, Role, User};
use crate::{App, Principal};

/// What [`effective`] reads.
const READ: &[Collection] = &[
    User::COLLECTION,
    Group::COLLECTION,
    GROUP_NAMES,
    Role::COLLECTION,
    ManagedPolicy::COLLECTION,
];

/// The policies of the callers that were active last.
pub(crate) struct Known {
    changes: ChangeCount,
    compiled: Mutex<LruCache<String, Compiled>>,
}

/// Policies, and where [`Known::changes`] stood before they were read.
struct Compiled {
    as_of: u64,
    effective: Arc<Effective>,
}

impl Known {
    /// Follows what is stored of identities and policies.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(READ),
            compiled: Mutex::new(LruCache::new(CALLERS)),
        }
    }
}

impl fmt::Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").finish_non_exhaustive()
    }
}

/// What applies to the principal, session policies aside.
pub(super) async fn of(app: &App, principal: &Principal) -> Result<Arc<Effective>> {
    let known = &app.policies;
    let as_of = known.changes.get();
    let key = principal.identity_key();
    if let Some(found) = known.compiled.lock().get(&key)
        && found.as_of == as_of
    {
        return Ok(Arc::clone(&found.effective));
    }
    let effective = effective(app, principal)
        .await
        .map_err(|error| match error.kind {
            // Its credentials still open, but who they stood for is gone.
            ErrorKind::NotFound => Error::new(
                ErrorKind::AccessDenied,
                format!(
                    "User: {} is not authorized to perform this action: it does not exist any more",
                    principal.arn
                ),
            ),
            _ => error,
        })?;
    let effective = Arc::new(effective);
    known.compiled.lock().put(
        key,
        Compiled {
            as_of,
            effective: Arc::clone(&effective),
        },
    );
    Ok(effective)
}

/// Some tens of kilobytes each at most (ten policies of 6 KB and what they compile to), and more than the callers
/// that are active within a minute in any installation we know of.
const CALLERS: NonZeroUsize = NonZeroUsize::new(512).unwrap();
