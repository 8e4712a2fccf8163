//! The audit journal: what was done, a line an event, in files that only grow.
//!
//! An event is written to the file before its caller is answered, and synced to the disk with its
//! neighbours a few milliseconds later; [`JournalOptions::sync`] makes the answer wait for that too.
//! Whoever records numbers, chains and writes ([`append`]); a thread syncs, so that no event waits for
//! the disk unless it wants to. When the disk refuses (it is full, it fails) the append fails with
//! [`JournalError::Unavailable`], and so it does when the disk hangs, within a deadline: whoever
//! records an event knows that it is recorded, or refuses the call. Only the one caller whose write
//! found the disk hanging is held by it, with its thread, so a server wants at least two.
//!
//! **The chain.** Each line holds the hash of the line before and its own (see `docs/formats.md`), so
//! that [`verify`] finds what was changed, removed, added or moved. Cutting lines off the end leaves
//! a chain that is whole; against that, the journal's head is recorded in the store now and then
//! ([`pinned`]), sealed. The other way round, each line holds the store's version of its time: a
//! store that is older than the last line was replaced by an old copy, and is not opened.
//!
//! **After a crash** the end of the last file may be torn. What is not a whole line of the chain is
//! moved into a file of its own (`.torn`), never thrown away, and an event tells of it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use crate::{Collection, Store, Version};

mod append;
mod disk;
mod line;
mod pin;
mod recover;
mod segment;
mod show;
mod sync;
mod verify;

pub use line::{Head, LineHash};
pub use pin::pinned;
pub use show::{Entry, Filter, Show, show};
pub use verify::{Break, Problem, Report, verify};

pub(crate) use recover::last_store_version;

/// Largest event. A call's parameters are at most a certificate chain of 2 MiB (ACM's model,
/// `CertificateChainBlob`), written in base64.
pub const MAX_EVENT: usize = 4 << 20;

/// How long an append may take. A healthy disk takes microseconds; a caller that is told after two
/// seconds can still be answered before its own client gives up (botocore waits for 60).
const DEADLINE: Duration = Duration::from_secs(2);

/// Where the journal's head is recorded in the store.
const PINS: Collection = Collection("journal.head");
const PIN: &str = "head";

/// How a journal is opened.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    dir: PathBuf,
    sync: bool,
    now: Option<Timestamp>,
    deadline: Duration,
    segment_bytes: u64,
    #[cfg(test)]
    faults: Arc<disk::Faults>,
}

impl JournalOptions {
    /// The journal in this directory, which is made if need be (mode 0700).
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            sync: false,
            now: None,
            deadline: DEADLINE,
            segment_bytes: append::SEGMENT_BYTES,
            #[cfg(test)]
            faults: Arc::default(),
        }
    }

    /// Whether an append waits until its event is on the disk; otherwise it is there a few
    /// milliseconds later.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// What time it is: for the event that tells of a repair, if one is needed.
    pub fn opened_at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }

    /// Another size at which a file ends and the next begins, in bytes.
    pub fn segment_bytes(mut self, bytes: u64) -> Self {
        self.segment_bytes = bytes;
        self
    }
}

/// The journal. Clones are the same journal.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    appender: append::Appender,
    deadline: Duration,
    pins: pin::Pins,
}

impl Journal {
    /// Opens the journal, mends its end after a crash, and checks it against what the store has
    /// recorded of it. Only the end is read, however long the journal is.
    ///
    /// # Errors
    /// [`JournalError::RolledBack`], [`JournalError::Damaged`], [`JournalError::Unavailable`].
    pub async fn open(options: JournalOptions, store: &Store) -> Result<Self, JournalError> {
        let pin = pin::read(store).await?;
        let accept = store.accepts_rollback();
        let deadline = options.deadline;
        let recovering = options.clone();
        let recovered = blocking(move || recover::open(&recovering, pin.as_ref(), accept)).await?;
        let (notice, head) = (recovered.notice(options.now, store), recovered.head);
        let pins = pin::Pins::new(store.clone());
        let syncer = sync::Syncer::start(pin::Pinner::new(pins.clone(), head)?)?;
        let appender = append::Appender::start(options, recovered, store.clone(), syncer);
        let journal = Self {
            inner: Arc::new(Inner {
                appender,
                deadline,
                pins,
            }),
        };
        if let Some(notice) = notice {
            journal.append(notice).await?;
        }
        let head = journal.head();
        if head != Head::NONE && pin != Some(head) {
            journal.pin().await?;
        }
        Ok(journal)
    }

    /// Records an event: a JSON object, CloudTrail's shape, on one line. When this returns `Ok` it is
    /// in the file. When it fails the event may still have been recorded: it was tried.
    ///
    /// # Errors
    /// [`JournalError::Invalid`], [`JournalError::Unavailable`], [`JournalError::Closed`].
    pub async fn append(&self, event: Vec<u8>) -> Result<(), JournalError> {
        tokio::time::timeout(self.inner.deadline, self.inner.appender.append(event))
            .await
            .unwrap_or_else(|_| Err(JournalError::slow(self.inner.deadline)))
    }

    /// The last event that is in the file.
    pub fn head(&self) -> Head {
        self.inner.appender.head()
    }

    /// Ends it: syncs what was recorded, and records in the store where the journal ends. Close it
    /// before the store.
    ///
    /// # Errors
    /// [`JournalError::Unavailable`] when the disk fails or hangs.
    pub async fn close(&self) -> Result<(), JournalError> {
        self.pin().await?;
        self.inner.appender.stop().await;
        Ok(())
    }

    /// Syncs everything so far and records in the store where the journal ends.
    async fn pin(&self) -> Result<(), JournalError> {
        let (answer, answered) = oneshot::channel();
        let synced = async {
            self.inner.appender.sync(answer)?;
            answered.await.unwrap_or(Err(JournalError::Closed))
        };
        let head = tokio::time::timeout(self.inner.deadline, synced)
            .await
            .unwrap_or_else(|_| Err(JournalError::slow(self.inner.deadline)))?;
        self.inner
            .pins
            .write(head)
            .await
            .map_err(|error| JournalError::Unavailable(error.to_string()))
    }
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal")
            .field("head", &self.head())
            .finish_non_exhaustive()
    }
}

/// Why the journal refused or failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum JournalError {
    /// The event is not one line, or too long.
    Invalid(String),
    /// The disk refuses, fails or hangs: what it said. Later appends try again.
    Unavailable(String),
    /// The journal was closed.
    Closed,
    /// A file of the journal is not what it should be: which and how.
    Damaged(String),
    /// The journal ends before, or differs at, the event that the store has recorded as its head.
    RolledBack {
        /// What the store has recorded.
        pinned: Head,
        /// The last event that is there; `None` where there is none.
        found: Option<u64>,
    },
}

impl JournalError {
    fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        Self::Unavailable(format!("cannot {what} {}: {error}", path.display()))
    }

    fn slow(deadline: Duration) -> Self {
        Self::Unavailable(format!(
            "the disk has not answered within {} milliseconds",
            deadline.as_millis()
        ))
    }
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(reason) => f.write_str(reason),
            Self::Unavailable(reason) => write!(f, "the audit journal cannot be written: {reason}"),
            Self::Closed => f.write_str("the audit journal is closed"),
            Self::Damaged(reason) => write!(f, "the audit journal is damaged: {reason}"),
            Self::RolledBack { pinned, found } => {
                let sequence = pinned.sequence;
                match found {
                    Some(found) if *found >= sequence => write!(
                        f,
                        "event {sequence} of the audit journal is not the one that the store has \
                         recorded"
                    )?,
                    Some(found) => write!(
                        f,
                        "the audit journal ends at event {found}, but the store has recorded event \
                         {sequence}"
                    )?,
                    None => write!(
                        f,
                        "the audit journal is gone, but the store has recorded its event {sequence}"
                    )?,
                }
                f.write_str(
                    ": it was cut, altered or replaced; keep a copy, put the journal back, or \
                     accept the rollback explicitly",
                )
            }
        }
    }
}

impl std::error::Error for JournalError {}

/// What the end of the journal was found to be when it was opened.
struct Recovered {
    head: Head,
    /// The last file, open for writing; `None` where there is none yet.
    last: Option<(PathBuf, std::fs::File, u64)>,
    /// What was found at the end that is not of the chain.
    torn: Option<Torn>,
    /// What the store had recorded, where the journal does not have it and the operator accepts it.
    rolled_back: Option<Head>,
}

struct Torn {
    bytes: u64,
    kept_in: String,
}

impl Recovered {
    /// The event that tells of what was mended or accepted.
    fn notice(&self, now: Option<Timestamp>, store: &Store) -> Option<Vec<u8>> {
        let older_store = store.rolled_back();
        if self.torn.is_none() && self.rolled_back.is_none() && older_store.is_none() {
            return None;
        }
        let seconds = |now: Timestamp| format!("{now:.0}");
        let event = serde_json::json!({
            "eventVersion": "1.11",
            "eventTime": now.map(seconds),
            "eventSource": "keystead",
            "eventName": "JournalOpened",
            "eventType": "AwsServiceEvent",
            "eventCategory": "Management",
            "serviceEventDetails": {
                "tornBytes": self.torn.as_ref().map(|torn| torn.bytes),
                "tornBytesKeptIn": self.torn.as_ref().map(|torn| &torn.kept_in),
                "acceptedStoreRollbackTo": older_store.map(|(Version(version), _)| version),
                "acceptedStoreRollbackFrom": older_store.map(|(_, Version(version))| version),
                "acceptedJournalRollbackFrom": self.rolled_back.map(|head| head.sequence),
            },
        });
        Some(event.to_string().into_bytes())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(JournalError::Unavailable(error.to_string())))
}

#[cfg(test)]
mod tests;
