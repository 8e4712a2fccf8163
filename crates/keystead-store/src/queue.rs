//! The due-queue: work, ordered by the time it is due, taken under leases.
//!
//! A lease is for a while. The worker that holds it does one idempotent step and settles the lease
//! (finish, reschedule, retry) in the same batch as the step's outcome, so that both are stored or
//! neither is. When a worker dies its lease ends by itself, and the item is taken again with the
//! next attempt number; what the dead worker still tries to commit is refused.

use std::fmt;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::StoreError;
use crate::batch::LeaseToken;
use crate::record::{self, Versioned};

/// Items that one call takes at most: more would only expire while they wait for a worker.
pub(crate) const MAX_TAKE: usize = 256;

/// What a queue is called where collections are named: in changes, in errors, in the sealing.
pub(crate) fn place(queue: &str) -> String {
    format!("due:{queue}")
}

/// An item of a queue, taken for a while.
pub struct Lease {
    pub(crate) token: LeaseToken,
    pub(crate) payload: Zeroizing<Vec<u8>>,
    /// When the item was due.
    pub due_at: Timestamp,
    /// When the lease ends by itself.
    pub expires_at: Timestamp,
}

impl Lease {
    /// The queue.
    pub fn queue(&self) -> &'static str {
        self.token.queue
    }

    /// The item's id.
    pub fn id(&self) -> &str {
        &self.token.id
    }

    /// How often the item was taken since it was enqueued or rescheduled; 1 the first time.
    pub fn attempt(&self) -> u32 {
        self.token.attempt
    }

    /// What was put into the queue beside the id.
    ///
    /// # Errors
    /// [`StoreError::Decode`] when it is of another kind.
    pub fn payload<T: Versioned>(&self) -> Result<T, StoreError> {
        record::decode(&self.payload).map_err(|error| StoreError::Decode {
            collection: place(self.token.queue),
            key: self.token.id.clone(),
            reason: error.to_string(),
        })
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("queue", &self.token.queue)
            .field("id", &self.token.id)
            .field("attempt", &self.token.attempt)
            .field("due_at", &self.due_at)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
