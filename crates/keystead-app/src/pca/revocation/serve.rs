//! Lists, as they are handed out.

use std::num::NonZeroUsize;
use std::sync::Arc;

use bytes::Bytes;
use keystead_core::Result;
use keystead_crypto::x509;
use keystead_store::{ChangeCount, Collection, Store};
use lru::LruCache;
use parking_lot::Mutex;

use super::build::signed_part;
use super::record::{LISTS, List, NAMES, Named};
use crate::App;

/// The newest edition of a list.
#[derive(Clone, Debug)]
pub struct ServedList {
    /// DER of the CertificateList.
    pub der: Bytes,
    /// Its number, which names the edition.
    pub number: u64,
    /// When it was made (Unix time).
    pub this_update: i64,
    /// Until when it is valid (Unix time).
    pub next_update: i64,
}

/// Lists that were handed out last.
pub(crate) struct ServedLists {
    known: Mutex<Known>,
    /// Grows with every new edition.
    changes: ChangeCount,
    /// One is read at a time: the others find what it read.
    reading: tokio::sync::Mutex<()>,
}

struct Known {
    lists: LruCache<String, (u64, Arc<ServedList>)>,
    octets: usize,
}

impl ServedLists {
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            known: Mutex::new(Known {
                lists: LruCache::new(MOST),
                octets: 0,
            }),
            changes: store.count_changes(WATCHED),
            reading: tokio::sync::Mutex::default(),
        }
    }

    /// The list of this name as it stands.
    fn known(&self, name: &str) -> Option<Arc<ServedList>> {
        let mut known = self.known.lock();
        let (at, list) = known.lists.get(name)?;
        (*at == self.changes.get()).then(|| Arc::clone(list))
    }

    /// The edition of this number, whether or not something changed since.
    fn unchanged(&self, name: &str, number: u64) -> Option<Arc<ServedList>> {
        let mut known = self.known.lock();
        let (_, list) = known.lists.get(name)?;
        (list.number == number).then(|| Arc::clone(list))
    }

    fn remember(&self, name: &str, at: u64, list: &Arc<ServedList>) {
        let mut known = self.known.lock();
        known.octets += list.der.len();
        let replaced = known.lists.push(name.to_owned(), (at, Arc::clone(list)));
        if let Some((_, (_, old))) = replaced {
            known.octets -= old.der.len();
        }
        while known.octets > OCTETS {
            let Some((_, (_, old))) = known.lists.pop_lru() else {
                return;
            };
            known.octets -= old.der.len();
        }
    }
}

/// The newest edition of the list of this name (a UUID, as in its address). `None` where there is no such list, or none
/// was made yet.
pub async fn list(app: &App, name: &str) -> Result<Option<Arc<ServedList>>> {
    if let Some(list) = app.served_lists.known(name) {
        return Ok(Some(list));
    }
    let Some(named) = app.store.get::<Named>(NAMES, name).await? else {
        return Ok(None);
    };
    let key = format!("{}/{name}", named.value.authority);
    let _reading = app.served_lists.reading.lock().await;
    for _ in 0..ATTEMPTS {
        if let Some(list) = app.served_lists.known(name) {
            return Ok(Some(list));
        }
        let at = app.served_lists.changes.get();
        let found = app.store.get::<List>(LISTS, &key).await?;
        let Some(published) = found.and_then(|found| found.value.published) else {
            return Ok(None);
        };
        let edition = &published.edition;
        if let Some(list) = app.served_lists.unchanged(name, edition.number) {
            app.served_lists.remember(name, at, &list);
            return Ok(Some(list));
        }
        let Some(tbs) = signed_part(&app.store, &key, edition).await? else {
            // Replaced while it was read.
            continue;
        };
        let list = Arc::new(ServedList {
            der: x509::assemble(&tbs, edition.signature, &published.signature)?.into(),
            number: edition.number,
            this_update: edition.this_update,
            next_update: edition.next_update,
        });
        app.served_lists.remember(name, at, &list);
        return Ok(Some(list));
    }
    Ok(None)
}

/// What tells of a new edition, and of the end of a list.
const WATCHED: &[Collection] = &[LISTS];

/// Lists that are kept. Together they take at most [`OCTETS`].
const MOST: NonZeroUsize = NonZeroUsize::new(256).unwrap();

/// Room for the complete list of a million and for many partitions.
const OCTETS: usize = 96 << 20;

/// Editions follow one another by seconds; who loses so often reads too slowly to be served.
const ATTEMPTS: usize = 4;
