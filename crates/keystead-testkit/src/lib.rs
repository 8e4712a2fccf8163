//! For tests only: the real server and its real clients and peers, as throw-away child processes.
//!
//! Nothing here uses a fixed port, a place outside a temporary folder, or a sleep in place of a
//! condition. Every wait has a deadline, and whatever is started is ended when its handle is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that cannot go on says why and stops"
)]

mod alone;
mod aws;
mod database;
mod envoy;
mod http;
mod keystead;
mod process;
mod softhsm;
mod tools;
mod wait;

pub use alone::alone;
pub use aws::Aws;
pub use database::{ADMINISTRATOR_PASSWORD, Database, DatabaseKind};
pub use envoy::Envoy;
pub use http::get;
pub use keystead::{Failure, Keystead, Start};
pub use process::Process;
pub use softhsm::{PIN, SoftHsm};
pub use tools::tool;
pub use wait::until;
