//! Keystead's rules, as pure functions: (state, command, now, random) -> changes or error.
//!
//! Nothing here does I/O, is async, reads a clock or holds key material. Everything that decides
//! lives here, so that it can be tested over every (state, command) pair.

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

pub mod acm;
pub mod arn;
pub mod error;
mod hex;
pub mod iam;
pub mod kms;
pub mod lint;
pub mod pca;
pub mod placements;
pub mod rolesanywhere;
pub mod rotation;
pub mod secrets;
pub mod tags;
pub mod trust;
mod uuid;
pub mod x509;

pub use arn::{AccountId, Arn, Region};
pub use error::{Error, ErrorKind, Result};
pub use hex::hex;
pub use uuid::uuid_v4;
