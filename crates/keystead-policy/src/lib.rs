//! The IAM policy language: documents are parsed once into [`Policy`], and [`decide`] answers who may do what and why.
//!
//! Pure: no I/O, nothing that waits, no clock. Whoever asks brings the time along in the [`Context`].

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
pub use decide::{Caller, CallerKind, Policies, Request, Rule, Source, decide};
pub use explain::{Explanation, Matched, NearMiss, explain};
pub use malformed::{Fault, Malformed, Position};
pub use policy::{Effect, Kind, Policy, size};
pub use reason::{Cause, Decision, Ground, Match, Outcome, PolicyType, Reason};
