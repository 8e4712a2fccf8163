//! What issuing keeps in memory: the authorities that issued last, how much may be under way, and what is.
//!
//! A remembered authority may have changed since. It can issue nothing all the same: the commit of an
//! intent has the version of its authority as precondition. And it can refuse nothing: whoever is
//! refused by a remembered authority reads it again.

use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Stored;
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::authorities::{ByTemplate, authority_as, describe, key_of};
use super::complete::Completing;
use super::record::Authority;
use crate::Ctx;
use crate::access::{Act, Allowed};

/// See the module's documentation.
pub(crate) struct Issuers {
    known: Mutex<LruCache<String, Arc<Stored<Authority>>>>,
    room: Arc<Semaphore>,
    pub(super) completing: Completing,
}

impl Default for Issuers {
    fn default() -> Self {
        Self {
            known: Mutex::new(LruCache::new(KNOWN)),
            room: Arc::new(Semaphore::new(UNDER_WAY)),
            completing: Completing::default(),
        }
    }
}

impl Issuers {
    /// The authority of this name as it was when it was read last, if the call may touch it.
    pub(super) fn remembered(
        &self,
        ctx: &Ctx,
        arn: &str,
        template: ByTemplate<'_>,
    ) -> Result<Option<Arc<Stored<Authority>>>> {
        let key = key_of(ctx, arn)?;
        let found = key.and_then(|key| self.known.lock().get(&key).cloned());
        let found = found.map(|found| (found, template));
        // Who is refused by what is remembered is refused by what is stored, or by nothing.
        let found = ctx.admit(Act::Own, arn, found, |(found, template), resource| {
            describe(&found.value.ca, Some(template), resource)
        });
        let found = found.ok().flatten().map(Allowed::into_inner);
        Ok(found.map(|(found, _)| found))
    }

    /// The authority of this name, which is remembered.
    pub(super) async fn read(
        &self,
        ctx: &Ctx,
        arn: &str,
        template: ByTemplate<'_>,
    ) -> Result<Arc<Stored<Authority>>> {
        let found = authority_as(ctx, Act::Own, arn, Some(template)).await?;
        let found = Arc::new(found.into_inner());
        self.known.lock().put(found.key.clone(), Arc::clone(&found));
        Ok(found)
    }

    /// Room to have one more certificate under way between its intent and its signature; waits where
    /// there is none.
    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit> {
        let room = Arc::clone(&self.room).acquire_owned().await;
        room.map_err(|_| Error::new(ErrorKind::Unavailable, "the server is stopping"))
    }
}

/// A few kilobytes each: authorities are few, and hardly any installation issues from more at a time.
const KNOWN: NonZeroUsize = NonZeroUsize::new(128).unwrap();

/// Certificates that are intended and not yet stored: several commits' worth, so that signing and the
/// disk are never idle, and little enough that whoever asks for the last one waits for milliseconds.
const UNDER_WAY: usize = 192;
