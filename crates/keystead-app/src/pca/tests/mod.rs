//! Private CAs over a real store, from the first key to the last record.

mod answering;
mod authorities;
mod certificates;
mod crash;
mod internal;
mod issuance;
mod lifecycle;
mod reports;
mod retention;
mod revoking;
mod sharing;
pub(crate) mod world;
