//! The rules of the xDS protocol, seen by a node that speaks it by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "../support/client.rs"]
mod client;
mod service;
mod step;
#[path = "../support/mod.rs"]
mod support;
mod whole;

use std::sync::Arc;

use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::service::discovery::v3::{DeltaDiscoveryResponse, DiscoveryResponse};
use envoy_types::pb::google::protobuf::Any;
use keystead_xds::limits::Limits;
use keystead_xds::{Event, Sds};
use prost::Message;
use support::TestSource;

fn start() -> (Arc<TestSource>, Sds) {
    let source = TestSource::new();
    let sds = Sds::start(source.clone(), Limits::default());
    (source, sds)
}

fn name_of(any: &Any) -> String {
    Secret::decode(any.value.as_slice()).unwrap().name
}

/// The names in a response.
fn whole_names(response: &DiscoveryResponse) -> Vec<String> {
    response.resources.iter().map(name_of).collect()
}

/// The names and versions in a response.
fn step_names(response: &DeltaDiscoveryResponse) -> Vec<(&str, u64)> {
    for resource in &response.resources {
        assert_eq!(name_of(resource.resource.as_ref().unwrap()), resource.name);
    }
    let versions = response.resources.iter();
    versions
        .map(|resource| (resource.name.as_str(), resource.version.parse().unwrap()))
        .collect()
}

fn accepted(resource: &str, version: u64) -> Event {
    Event::Accepted {
        resource: resource.to_owned(),
        version,
    }
}

fn rejected(resource: &str, version: u64, detail: &str) -> Event {
    Event::Rejected {
        resource: resource.to_owned(),
        version,
        detail: detail.to_owned(),
    }
}

fn withheld(resource: &str, denied: bool) -> Event {
    Event::Withheld {
        resource: resource.to_owned(),
        denied,
    }
}
