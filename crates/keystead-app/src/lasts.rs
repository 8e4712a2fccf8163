//! What happened last to each of many things, remembered cheaply.
//!
//! It is noted in memory, which costs a call nothing that can be measured, and written down once a minute, all in one
//! commit. A server that ends well writes it down first; one that crashes loses a minute of it. So many as [`MOST`] are
//! remembered between two commits: of more, the ones that were idle for longest are not recorded.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use keystead_core::Result;
use keystead_store::{Batch, Collection, Expect, Store, Versioned};
use lru::LruCache;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{App, secrets};

/// The last of each, by id, with whether it is written down.
pub(crate) struct Lasts<T> {
    collection: Collection,
    recent: Mutex<LruCache<String, (T, bool)>>,
}

impl<T: Versioned + Clone + PartialEq> Lasts<T> {
    /// Nothing yet; kept in this collection.
    pub(crate) fn new(collection: Collection) -> Self {
        Self {
            collection,
            recent: Mutex::new(LruCache::new(MOST)),
        }
    }

    /// Notes what happened: by a change of what happened before, so that nothing is allocated anew for who goes on with
    /// what it does, or as the first of it.
    pub(crate) fn note(&self, id: &str, change: impl FnOnce(&mut T), first: impl FnOnce() -> T) {
        let mut recent = self.recent.lock();
        if let Some((last, written)) = recent.get_mut(id) {
            change(last);
            *written = false;
            return;
        }
        recent.put(id.to_owned(), (first(), false));
    }

    /// Forgets what was removed.
    pub(crate) fn forget(&self, id: &str) {
        self.recent.lock().pop(id);
    }

    /// The last that is known.
    pub(crate) async fn of(&self, store: &Store, id: &str) -> Result<Option<T>> {
        if let Some((last, _)) = self.recent.lock().peek(id) {
            return Ok(Some(last.clone()));
        }
        let found = store.get::<T>(self.collection, id).await?;
        Ok(found.map(|found| found.value))
    }

    /// Writes down what is not yet.
    pub(crate) async fn write_down(&self, store: &Store) -> Result<()> {
        let fresh: Vec<(String, T)> = {
            let recent = self.recent.lock();
            let fresh = recent.iter().filter(|(_, (_, written))| !written);
            fresh
                .map(|(id, (last, _))| (id.clone(), last.clone()))
                .collect()
        };
        if fresh.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::new();
        for (id, last) in &fresh {
            batch.put(self.collection, id.as_str(), last, Expect::Any);
        }
        store.commit(batch).await?;
        let mut recent = self.recent.lock();
        for (id, stored) in fresh {
            if let Some((last, written)) = recent.peek_mut(&id) {
                *written = *last == stored;
            }
        }
        Ok(())
    }
}

/// Writes down what is remembered every minute, until it is told to stop.
pub(crate) async fn keep(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            stopped = stop.changed() => if stopped.is_err() { break },
        }
        write_down(&app).await;
    }
}

/// Writes down what is remembered; what cannot be is told, and tried again.
pub(crate) async fn write_down(app: &App) {
    let access_keys = app.last_uses.write_down(&app.store).await;
    let kms_keys = app.last_usages.write_down(&app.store).await;
    let secrets = secrets::write_accesses_down(app).await;
    if let Err(error) = access_keys.and(kms_keys).and(secrets) {
        tracing::warn!(%error, "when keys and secrets were last used is not written down this time");
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
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    struct Note(u8);

    impl Versioned for Note {
        const MARKER: &'static str = "test.note/1";
    }

    #[tokio::test]
    async fn more_keys_than_are_remembered_lose_the_idle_ones_alone() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(StoreOptions::new(dir.path())).await.unwrap();
        let uses = Lasts::new(Collection("test.note"));
        for key in 0..=MOST.get() {
            uses.note(&key.to_string(), |note: &mut Note| note.0 += 1, || Note(1));
        }
        uses.write_down(&store).await.unwrap();
        assert_eq!(uses.of(&store, "0").await.unwrap(), None);
        assert!(uses.of(&store, "1").await.unwrap().is_some());
    }
}
