//! The IAM policy language: documents are parsed once into [`Policy`], and [`decide`] answers who may do what and why.
//!
//! Pure: no I/O, nothing that waits, no clock. Whoever asks brings the time along in the [`Context`].
//!
//! # Why our own
//!
//! The crate `iam-rs` (0.8.0) reads and evaluates the same language. We tried it on the tables under `tests/cases`: of the 426
//! cases that its model can put, it decides 341 as AWS documents. It knows neither accounts nor permissions boundaries
//! nor session policies, a session does not match its role, a variable without a value becomes the empty text (so that
//! more matches, not less), a `*` in a tag's value is a wildcard, conditions take no variables, and a federated principal
//! matches by its beginning. It keeps texts and compares them anew for each decision: 31 to 35 us for the 50 statements
//! of `benches/decide.rs`, without the two conditions that it cannot put, where this crate takes under one.

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

mod arn;
mod check;
mod condition;
mod context;
mod decide;
mod document;
mod explain;
mod malformed;
mod pattern;
mod policy;
mod principal;
mod reason;
mod values;

pub use context::Context;
pub use decide::{Caller, CallerKind, Grant, Policies, Request, Rule, Source, decide};
pub use explain::{Explanation, Matched, NearMiss, explain};
pub use malformed::{Fault, Malformed, Position};
pub use policy::{Effect, Kind, Policy, size};
pub use reason::{Cause, Decision, Ground, Match, Outcome, PolicyType, Reason};
