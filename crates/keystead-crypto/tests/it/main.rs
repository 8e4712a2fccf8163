//! The crate as others see it, beside programs that are not ours.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod certificates;
mod foreign_input;
mod interop;
mod kms;
mod lists;
mod memory;
mod support;
mod token;
