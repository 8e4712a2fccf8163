//! Secret discovery for Envoy: keys, certificates and trust over gRPC (SDS of the xDS v3 API).
//!
//! [`Sds`] is the service; the server mounts [`Sds::service`] on its HTTP/2 listeners and gives it a
//! [`SecretSource`]. [`bootstrap`] writes the configuration with which an Envoy finds its way here.
//!
//! ```text
//! source --changes--> hub --marks--> mailbox of each stream that subscribed
//!   ^                                     |
//!   +-------- secret(node, name) ---- stream <--> ledger (what the node has) <--> dialect --> gRPC
//! ```
//!
//! * `ledger` decides, without I/O: what the node has, what it rejected, what is on the way.
//! * `dialect` puts that into the two protocol variants, state of the world and incremental.
//! * `stream` drives one stream; `hub` wakes streams; `service` is the gRPC face.
//!
//! * `workload` is apart: the SPIFFE Workload API, for programs of one machine.
//!
//! A secret is read when it is sent and not kept: an idle stream holds names and versions only.
//!
//! Protocol: <https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol>, cited as "xDS" and
//! its section.
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

pub mod bootstrap;
mod dialect;
mod hub;
mod ledger;
pub mod limits;
mod resource;
mod service;
mod source;
mod stream;
mod version;
mod workload;

pub use crate::service::{PATH_PREFIX, Sds, SdsService};
pub use crate::source::{
    Change, Changes, Event, Node, PeerIdentity, Refusal, Secret, SecretKind, SecretSource,
};
pub use crate::workload::{Svid, SvidSource, WorkloadApi};
