//! The journal's head, recorded in the store now and then: against cutting off its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::line::Head;
use super::{JournalError, PIN, PINS};
use crate::{Batch, Expect, OpenError, Peek, Store, StoreError, StoreOptions};

/// How old a record may become while there are newer events: what a thief could cut off unnoticed,
/// against a commit each time.
pub(super) const PIN_EVERY: Duration = Duration::from_secs(10);
/// The same, in events.
const PIN_EVENTS: u64 = 10_000;

/// The head that the store of this directory has recorded, for [`super::verify`]. Reads the store's file
/// without opening the store, so that it also works beside a running server.
///
/// # Errors
/// [`OpenError`], as opening the store, except that it does not matter who has it.
pub fn pinned(options: &StoreOptions) -> Result<Option<Head>, OpenError> {
    match Peek::open(options)? {
        Some(peek) => peek.get(PINS, PIN),
        None => Ok(None),
    }
}

pub(super) async fn read(store: &Store) -> Result<Option<Head>, JournalError> {
    match store.get(PINS, PIN).await {
        Ok(stored) => Ok(stored.map(|stored| stored.value)),
        Err(error @ (StoreError::Altered { .. } | StoreError::Decode { .. })) => {
            Err(JournalError::Damaged(error.to_string()))
        }
        Err(error) => Err(JournalError::Unavailable(error.to_string())),
    }
}

/// Records heads, each newer than the one before.
#[derive(Clone)]
pub(super) struct Pins {
    store: Store,
    newest: Arc<Mutex<u64>>,
}

impl Pins {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            newest: Arc::default(),
        }
    }

    pub(super) async fn write(&self, head: Head) -> Result<(), StoreError> {
        let mut newest = self.newest.lock().await;
        if head.sequence <= *newest {
            return Ok(());
        }
        let mut batch = Batch::new();
        batch.put(PINS, PIN, &head, Expect::Any);
        self.store.commit(batch).await?;
        *newest = head.sequence;
        Ok(())
    }
}

/// Decides, on the syncing thread, when a head is recorded.
pub(super) struct Pinner {
    pins: Pins,
    runtime: Handle,
    sequence: u64,
    at: Instant,
}

impl Pinner {
    /// Called within a runtime, on which it then writes.
    pub(super) fn new(pins: Pins, head: Head) -> Result<Self, JournalError> {
        let runtime =
            Handle::try_current().map_err(|error| JournalError::Unavailable(error.to_string()))?;
        Ok(Self {
            pins,
            runtime,
            sequence: head.sequence,
            at: Instant::now(),
        })
    }

    /// Whether there are events that are not recorded.
    pub(super) fn owes(&self, head: Head) -> bool {
        head.sequence > self.sequence
    }

    /// Everything up to here is on the disk.
    pub(super) fn synced(&mut self, head: Head) {
        let events = head.sequence.saturating_sub(self.sequence);
        if events == 0 || (events < PIN_EVENTS && self.at.elapsed() < PIN_EVERY) {
            return;
        }
        self.sequence = head.sequence;
        self.at = Instant::now();
        let pins = self.pins.clone();
        self.runtime.spawn(async move {
            if let Err(error) = pins.write(head).await {
                tracing::warn!(%error, "the audit journal's head is not recorded in the store yet");
            }
        });
    }
}
