//! The agent: on a machine that uses certificates and secrets, what carries them there and proves that they are served.
//!
//! - [`identity`] joins, logs in, and renews what it logs in with.
//! - [`push`] waits at the server for what changes.
//! - [`local`] serves programs of the machine.
//! - [`place`] keeps files as they have to be, has them loaded, and proves that they are served.
//! - [`reload`] tells servers to take what was placed, each in its own way, and [`probe`] sees what they serve.
//! - [`report`] tells the server what became of it.
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

mod clock;
mod failure;
mod files;
pub mod identity;
pub mod link;
pub mod local;
mod material;
pub mod place;
mod private;
pub mod probe;
pub mod push;
pub mod reload;
pub mod report;
mod users;

pub use clock::Clock;
pub use failure::Failure;
