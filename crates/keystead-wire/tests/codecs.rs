//! The codecs against the published cases of Smithy's protocol tests, against themselves, and
//! against rubbish.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "codecs/support.rs"]
mod support;

#[path = "codecs/cbor.rs"]
mod cbor;
#[path = "codecs/generated.rs"]
mod generated;
#[path = "codecs/json.rs"]
mod json;
#[path = "codecs/protocol.rs"]
mod protocol;
#[path = "codecs/query.rs"]
mod query;
#[path = "codecs/rest.rs"]
mod rest;
#[path = "codecs/roundtrip.rs"]
mod roundtrip;
#[path = "codecs/validate.rs"]
mod validate;
#[path = "codecs/xks.rs"]
mod xks;
