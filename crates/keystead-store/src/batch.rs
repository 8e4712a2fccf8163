//! Batches: what is stored together or not at all.

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::record::{self, Versioned};
use crate::{Collection, Lease, StoreError, Version};

/// Longest key of a record or id of a queued item, in bytes. An ARN is at most 2048 characters
/// (AWS, "ARN format"), and the longest of our keys hold less than one.
pub(crate) const MAX_KEY: usize = 2048;
/// Largest record. A certificate chain is at most 2 MiB in ACM's model (`CertificateChainBlob`,
/// 2,097,152 bytes); twice that leaves room for the rest of its record.
pub(crate) const MAX_VALUE: usize = 4 << 20;
/// Most steps of one batch: several times what the largest use case needs (a resource with 50 tags
/// and its indexes), and little enough that a batch never holds the writer up.
pub(crate) const MAX_STEPS: usize = 1024;
/// Most bytes of one batch: two records of the largest size.
pub(crate) const MAX_BATCH: usize = 2 * MAX_VALUE;

/// What must be true of a record, before the batch, for the batch to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// There is no record with this key.
    Absent,
    /// The record is there in exactly this version.
    Version(Version),
    /// Whatever is there.
    Any,
}

/// Whether a commit may wait for others to share the work of making it durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// Somebody waits for it.
    Now,
    /// Nobody does: it may take a few milliseconds more.
    Soon,
}

/// Changes that are stored together or not at all: [`crate::Store::commit`].
///
/// All preconditions and leases are checked against the store as it is before the batch; then the
/// steps are applied in their order. A step that cannot be encoded or passes a bound makes the
/// commit fail with [`StoreError::Invalid`].
#[derive(Debug, Default)]
pub struct Batch {
    steps: Vec<Step>,
    bytes: usize,
    invalid: Option<String>,
}

/// One step, ready for an engine but not yet sealed: its version is only known in the commit.
#[derive(Debug)]
pub(crate) enum Step {
    Put {
        collection: &'static str,
        key: String,
        value: Plain,
        /// See [`Versioned::SECRET`].
        secret: bool,
        expect: Expect,
    },
    Delete {
        collection: &'static str,
        key: String,
        expect: Expect,
    },
    Expect {
        collection: &'static str,
        key: String,
        expect: Expect,
    },
    Enqueue {
        queue: &'static str,
        id: String,
        due: i64,
        payload: Plain,
    },
    Cancel {
        queue: &'static str,
        id: String,
    },
    Settle {
        lease: LeaseToken,
        outcome: Settle,
    },
}

/// Bytes that are not sealed yet; never printed.
pub(crate) struct Plain(pub(crate) Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Plain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Plain({} bytes)", self.0.len())
    }
}

/// What identifies one lease for ever: the commit that put the item there, and which taking of it
/// this is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeaseToken {
    pub(crate) queue: &'static str,
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) attempt: u32,
}

/// How the work under a lease ended.
#[derive(Debug)]
pub(crate) enum Settle {
    Finish,
    Reschedule { due: i64, payload: Plain },
    Retry { due: i64 },
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stores the record under this key.
    pub fn put<T: Versioned>(
        &mut self,
        collection: Collection,
        key: impl Into<String>,
        value: &T,
        expect: Expect,
    ) -> &mut Self {
        let key = key.into();
        if let Some(value) = self.encode(collection.0, &key, value) {
            self.push(Step::Put {
                collection: collection.0,
                key,
                value,
                secret: T::SECRET,
                expect,
            });
        }
        self
    }

    /// Removes the record with this key, if there is one.
    pub fn delete(
        &mut self,
        collection: Collection,
        key: impl Into<String>,
        expect: Expect,
    ) -> &mut Self {
        let key = key.into();
        if self.fits(collection.0, &key, 0) {
            self.push(Step::Delete {
                collection: collection.0,
                key,
                expect,
            });
        }
        self
    }

    /// Stores nothing; the rest is stored only if this holds.
    pub fn expect(
        &mut self,
        collection: Collection,
        key: impl Into<String>,
        expect: Expect,
    ) -> &mut Self {
        let key = key.into();
        if self.fits(collection.0, &key, 0) {
            self.push(Step::Expect {
                collection: collection.0,
                key,
                expect,
            });
        }
        self
    }

    /// Puts an item into the due-queue. There is one item for an id: an earlier one is replaced,
    /// and a lease that somebody holds on it ends. The payload is for what the id cannot say; `&()`
    /// where it says everything.
    pub fn enqueue<T: Versioned>(
        &mut self,
        queue: &'static str,
        id: impl Into<String>,
        due_at: Timestamp,
        payload: &T,
    ) -> &mut Self {
        let id = id.into();
        if let Some(payload) = self.encode(queue, &id, payload) {
            self.push(Step::Enqueue {
                queue,
                id,
                due: due_at.as_microsecond(),
                payload,
            });
        }
        self
    }

    /// Takes an item out of the due-queue, if it is there, whoever holds a lease on it.
    pub fn cancel(&mut self, queue: &'static str, id: impl Into<String>) -> &mut Self {
        let id = id.into();
        if self.fits(queue, &id, 0) {
            self.push(Step::Cancel { queue, id });
        }
        self
    }

    /// The work under this lease is done: the item leaves the queue.
    pub fn finish(&mut self, lease: &Lease) -> &mut Self {
        self.push(Step::Settle {
            lease: lease.token.clone(),
            outcome: Settle::Finish,
        });
        self
    }

    /// The work under this lease is done and more is due later: attempts count from one again.
    pub fn reschedule<T: Versioned>(
        &mut self,
        lease: &Lease,
        due_at: Timestamp,
        payload: &T,
    ) -> &mut Self {
        if let Some(payload) = self.encode(lease.token.queue, &lease.token.id, payload) {
            self.push(Step::Settle {
                lease: lease.token.clone(),
                outcome: Settle::Reschedule {
                    due: due_at.as_microsecond(),
                    payload,
                },
            });
        }
        self
    }

    /// The work under this lease failed and is due again later: the payload stays, attempts go on
    /// counting.
    pub fn retry(&mut self, lease: &Lease, due_at: Timestamp) -> &mut Self {
        self.push(Step::Settle {
            lease: lease.token.clone(),
            outcome: Settle::Retry {
                due: due_at.as_microsecond(),
            },
        });
        self
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.invalid.is_none()
    }

    /// The steps, if every one was acceptable.
    pub(crate) fn into_steps(self) -> Result<Vec<Step>, StoreError> {
        if let Some(reason) = self.invalid {
            return Err(StoreError::Invalid(reason));
        }
        if self.steps.len() > MAX_STEPS || self.bytes > MAX_BATCH {
            return Err(StoreError::Invalid(format!(
                "a batch of {} steps and {} bytes is too large: at most {MAX_STEPS} steps and \
                 {MAX_BATCH} bytes are stored together",
                self.steps.len(),
                self.bytes
            )));
        }
        Ok(self.steps)
    }

    fn encode<T: Versioned>(&mut self, place: &str, key: &str, value: &T) -> Option<Plain> {
        match record::encode(value) {
            Ok(bytes) => self.fits(place, key, bytes.len()).then(|| Plain(bytes)),
            Err(error) => {
                self.refuse(error.0);
                None
            }
        }
    }

    fn fits(&mut self, place: &str, key: &str, size: usize) -> bool {
        let reason = if !is_name(place) {
            format!(
                "\"{place}\" is not the name of a collection or queue: lower-case letters, digits, '.', '-'"
            )
        } else if key.is_empty() || key.len() > MAX_KEY || key.contains('\0') {
            format!(
                "a key of {place} has {} bytes: 1 to {MAX_KEY}, none of them zero",
                key.len()
            )
        } else if size > MAX_VALUE {
            format!("the value of {place} {key} has {size} bytes: at most {MAX_VALUE}")
        } else {
            return true;
        };
        self.refuse(reason);
        false
    }

    fn push(&mut self, step: Step) {
        self.bytes = self.bytes.saturating_add(step.size());
        self.steps.push(step);
    }

    /// Remembers the first reason.
    fn refuse(&mut self, reason: String) {
        self.invalid.get_or_insert(reason);
    }
}

impl Step {
    /// Bytes that it brings along.
    pub(crate) fn size(&self) -> usize {
        match self {
            Self::Put { key, value, .. } => key.len() + value.0.len(),
            Self::Enqueue { id, payload, .. } => id.len() + payload.0.len(),
            Self::Settle {
                outcome: Settle::Reschedule { payload, .. },
                lease,
            } => lease.id.len() + payload.0.len(),
            Self::Delete { key, .. } | Self::Expect { key, .. } => key.len(),
            Self::Cancel { id, .. } => id.len(),
            Self::Settle { lease, .. } => lease.id.len(),
        }
    }
}

/// Names of collections and queues; the colon is free for what is sealed beside records.
fn is_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAMPS: Collection = Collection("test.lamps");

    fn refusal(batch: Batch) -> String {
        match batch.into_steps() {
            Err(StoreError::Invalid(reason)) => reason,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn bounds_are_named() {
        let long = "k".repeat(MAX_KEY + 1);
        for key in ["", long.as_str(), "a\0b"] {
            let mut batch = Batch::new();
            batch.put(LAMPS, key, &(), Expect::Any);
            assert!(refusal(batch).contains("test.lamps"));
        }
        let mut batch = Batch::new();
        batch.cancel("Bad:name", "id");
        assert!(refusal(batch).contains("Bad:name"));

        let mut batch = Batch::new();
        for step in 0..=MAX_STEPS {
            batch.delete(LAMPS, step.to_string(), Expect::Any);
        }
        assert!(refusal(batch).contains("1025 steps"));
    }

    #[test]
    fn values_do_not_print() {
        let mut batch = Batch::new();
        batch.put(LAMPS, "a", &Secret("hunter2".into()), Expect::Any);
        assert!(!format!("{batch:?}").contains("hunter2"));
    }

    #[derive(serde::Serialize, serde::Deserialize)]
    struct Secret(String);
    impl Versioned for Secret {
        const MARKER: &'static str = "secret/1";
    }
}
