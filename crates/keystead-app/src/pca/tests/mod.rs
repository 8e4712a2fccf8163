//! Private CAs over a real store, from the first key to the last record.

mod authorities;
mod certificates;
mod crash;
mod internal;
mod issuance;
mod lifecycle;
mod sharing;
pub(crate) mod world;
