//! Remembers: the sealed durable store and the audit journal.
//!
//! - [`Store`] keeps versioned records under ordered keys, commits batches with preconditions,
//!   tells what changed, and holds the queue of work that is due.
//! - [`journal::Journal`] keeps what was done: one line an event, each chained to the one before.
//!
//! Every value is sealed before an engine sees it; record keys are plain. What a thief of the disk
//! can read is told in `docs/formats.md`.
//!
//! ```
//! # use serde::{Serialize, Deserialize};
//! # use keystead_store::{Batch, Collection, Expect, Store, StoreOptions, Versioned};
//! #[derive(Serialize, Deserialize)]
//! struct Lamp { watts: u32 }
//! impl Versioned for Lamp {
//!     const MARKER: &'static str = "example.lamp/1";
//! }
//! const LAMPS: Collection = Collection("example.lamps");
//!
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! let store = Store::open(StoreOptions::new(dir.path())).await?;
//! let mut batch = Batch::new();
//! batch.put(LAMPS, "desk", &Lamp { watts: 7 }, Expect::Absent);
//! store.commit(batch).await?;
//!
//! let desk = store.get::<Lamp>(LAMPS, "desk").await?.ok_or("it was just stored")?;
//! let mut batch = Batch::new();
//! batch.put(LAMPS, "desk", &Lamp { watts: 9 }, Expect::Version(desk.version));
//! store.commit(batch).await?;
//! # Ok(()) }
//! ```
//!
//! Outside is one concrete type, [`Store`]; inside, a private trait that each engine implements.
//! Only this crate names an engine. `conformance` holds the cases that every engine passes.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod batch;
mod change;
#[doc(hidden)]
pub mod conformance;
mod dir;
mod engine;
mod error;
#[cfg(feature = "testing")]
pub mod faults;
pub mod journal;
mod open;
mod queue;
mod record;
mod store;

pub use batch::{Batch, Expect, Haste};
pub use change::{Change, ChangeCount, ChangeFeed, FeedEvent};
pub use error::{OpenError, StoreError};
pub use open::{Peek, StoreOptions};
pub use queue::Lease;
pub use record::{DecodeError, Older, Versioned, decode, encode};
pub use store::{Collection, MAX_PAGE, Store, Stored, Version};
