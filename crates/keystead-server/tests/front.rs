//! The front door over real sockets, with a backend of the test's own behind it.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "front/authentication.rs"]
mod authentication;
#[path = "front/bounds.rs"]
mod bounds;
#[path = "front/certificates.rs"]
mod certificates;
#[path = "front/client.rs"]
mod client;
#[path = "front/drain.rs"]
mod drain;
#[path = "front/grpc.rs"]
mod grpc;
#[path = "front/http2.rs"]
mod http2;
#[path = "front/protocols.rs"]
mod protocols;
#[path = "front/public.rs"]
mod public;
#[path = "front/tls.rs"]
mod tls;
#[path = "front/unix.rs"]
mod unix;
#[path = "front/world.rs"]
mod world;
