//! When access keys and roles were last used.
//!
//! A use is noted in memory, which costs a call nothing that can be measured, and written down once a
//! minute, all in one commit. A server that ends well writes them down first; one that crashes loses a
//! minute of them. So many as [`MOST`] are remembered between two commits: of more, the ones that were
//! idle for longest are not recorded.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keystead_core::Result;
use keystead_store::{Batch, Collection, Expect, Store, Versioned};
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::App;

/// Last uses, by the id of the access key or the unique id of the role.
pub(crate) const LAST_USES: Collection = Collection("iam.last-use");

/// A use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastUse {
    /// When.
    pub(crate) at: Timestamp,
    /// The signing name of the service that was called.
    pub(crate) service: String,
    /// The region that was called.
    pub(crate) region: String,
}

impl Versioned for LastUse {
    const MARKER: &'static str = "iam.last-use/1";
}

/// The last uses of late, by id, with whether each is written down.
pub(crate) struct LastUses(Mutex<LruCache<String, (LastUse, bool)>>);

impl Default for LastUses {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MOST)))
    }
}

impl LastUses {
    /// Notes a use.
    pub(crate) fn note(&self, id: &str, at: Timestamp, service: &str, region: &str) {
        let mut uses = self.0.lock();
        if let Some((used, written)) = uses.get_mut(id) {
            // Neither is allocated anew for a caller that goes on with what it does.
            if used.service != service {
                used.service = service.to_owned();
            }
            if used.region != region {
                used.region = region.to_owned();
            }
            used.at = at;
            *written = false;
            return;
        }
        let (service, region) = (service.to_owned(), region.to_owned());
        let used = LastUse {
            at,
            service,
            region,
        };
        uses.put(id.to_owned(), (used, false));
    }

    /// Forgets what was removed.
    pub(crate) fn forget(&self, id: &str) {
        self.0.lock().pop(id);
    }

    /// The last use that is known.
    pub(crate) async fn of(&self, store: &Store, id: &str) -> Result<Option<LastUse>> {
        if let Some((used, _)) = self.0.lock().peek(id) {
            return Ok(Some(used.clone()));
        }
        let found = store.get::<LastUse>(LAST_USES, id).await?;
        Ok(found.map(|found| found.value))
    }

    /// Writes down what is not yet.
    pub(crate) async fn write_down(&self, store: &Store) -> Result<()> {
        let fresh: Vec<(String, LastUse)> = {
            let uses = self.0.lock();
            let fresh = uses.iter().filter(|(_, (_, written))| !written);
            fresh
                .map(|(id, (used, _))| (id.clone(), used.clone()))
                .collect()
        };
        if fresh.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (id, used) in &fresh {
            batch.put(LAST_USES, id.as_str(), used, Expect::Any);
        }
        store.commit(batch).await?;
        let mut uses = self.0.lock();
        for (id, stored) in fresh {
            if let Some((used, written)) = uses.peek_mut(&id) {
                *written = *used == stored;
            }
        }
        Ok(())
    }
}

/// Writes last uses down every minute, until it is told to stop.
pub(crate) async fn keep(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            stopped = stop.changed() => if stopped.is_err() { break },
        }
        if let Err(error) = app.last_uses.write_down(&app.store).await {
            tracing::warn!(%error, "when access keys were last used is not written down this time");
        }
    }
}

/// As many steps as one commit takes (`keystead_store`), and more keys than are active within a minute
/// in any installation we know of; some hundred kilobytes.
const MOST: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// AWS tells neither how fresh its own are; a commit a minute is nothing beside the calls that cause it.
const EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use keystead_store::StoreOptions;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[tokio::test]
    async fn the_last_use_is_known_at_once_and_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        let uses = LastUses::default();
        assert_eq!(uses.of(&store, "A").await.unwrap(), None);
        uses.note("A", at(1), "acm", "eu-west-1");
        uses.note("A", at(2), "sts", "eu-west-2");
        let used = uses.of(&store, "A").await.unwrap().unwrap();
        assert_eq!((used.at, used.service.as_str()), (at(2), "sts"));
        uses.write_down(&store).await.unwrap();
        let version = store.version();
        uses.write_down(&store).await.unwrap();
        assert_eq!(store.version(), version, "nothing new, no commit");
        let restarted = LastUses::default();
        assert_eq!(restarted.of(&store, "A").await.unwrap(), Some(used));
    }

    #[tokio::test]
    async fn more_keys_than_are_remembered_lose_the_idle_ones_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        let uses = LastUses::default();
        for key in 0..=MOST.get() {
            uses.note(&key.to_string(), at(1), "sts", "eu-west-1");
        }
        uses.write_down(&store).await.unwrap();
        assert_eq!(uses.of(&store, "0").await.unwrap(), None);
        assert!(uses.of(&store, "1").await.unwrap().is_some());
    }
}
