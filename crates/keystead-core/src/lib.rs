//! Keystead's rules, as pure functions: (state, command, now, random) -> changes or error.
//!
//! Nothing here does I/O, is async, reads a clock or holds key material. Everything that decides
//! lives here, so that it can be tested over every (state, command) pair.

pub mod acm;
pub mod arn;
pub mod error;
pub mod lint;
pub mod pca;
pub mod x509;

pub use arn::{AccountId, Arn, Region};
pub use error::{Error, ErrorKind, Result};
