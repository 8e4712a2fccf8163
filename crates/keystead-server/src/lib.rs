//! The front door: listeners, what a caller may send and how long he may take, routing, and the road
//! of a request through `wire` to `app` and back.
//!
//! ```text
//! Listeners::bind -> serve -> Front -> application/grpc     delivery (SDS)
//!                                   -> /health, /metrics
//!                                   -> *.crl, /ocsp         public: revocation lists, OCSP answers
//!                                   -> /BUCKET/KEY          objects: signature, policies, file
//!                                   -> everything else      api: body, operation, signature, input,
//!                                                           use case, answer
//! ```
//!
//! [`Lifecycle`] tells everybody whether the server starts, serves or drains.
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

mod activity;
mod api;
mod backend;
mod body;
mod connection;
mod delivery;
mod exchange;
mod front;
mod ids;
mod lifecycle;
pub mod limits;
mod listen;
mod metrics;
mod outbound;
pub mod panics;
mod peer;
mod public;
mod reply;
mod secrets;
mod signing_keys;
mod tls;
mod unbroken;

pub use backend::{Backend, Caller};
pub use connection::serve;
pub use delivery::Delivery;
pub use exchange::{ExchangeOptions, exchange};
pub use front::Front;
pub use lifecycle::{Lifecycle, Phase};
pub use limits::Limits;
pub use listen::{BindError, Endpoint, Listeners, UnixAccess};
pub use metrics::{Metrics, MetricsError};
pub use outbound::fetch;
pub use peer::{Peer, Process};
pub use secrets::Secrets;
pub use tls::{Tls, TlsError};
