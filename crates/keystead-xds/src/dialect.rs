//! The two variants of the protocol: what differs between them, and nothing else.

use std::collections::HashMap;
use std::sync::Arc;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use envoy_types::pb::google::rpc::Status as RpcStatus;

use crate::resource::{TYPE_URL, encode};
use crate::source::Secret;
use crate::version;

/// A request, whichever variant it came in.
pub(crate) struct Request {
    pub(crate) node: Option<core::Node>,
    pub(crate) type_url: String,
    pub(crate) answer: Answer,
    pub(crate) subscription: Subscription,
}

/// What a request says of a response.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The response that it speaks of; empty when of none.
    pub(crate) nonce: String,
    /// Why the node rejected it. The presence of this tells a NACK; versions do not (xDS, "NACK").
    pub(crate) rejection: Option<String>,
}

/// What a request says about what the node wants.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Subscription {
    /// Everything it wants, and the version of it all that it has.
    Whole { names: Vec<String>, version: String },
    /// What it wants from now on, no longer, and in which version it has what it wants.
    Step {
        subscribe: Vec<String>,
        unsubscribe: Vec<String>,
        known: HashMap<String, String>,
    },
}

/// What goes out in one response.
#[derive(Default)]
pub(crate) struct Batch {
    pub(crate) secrets: Vec<Parcel>,
    pub(crate) removed: Vec<Arc<str>>,
}

/// One secret, ready to go.
pub(crate) struct Parcel {
    pub(crate) name: Arc<str>,
    pub(crate) version: u64,
    pub(crate) secret: Any,
}

impl Parcel {
    pub(crate) fn new(name: Arc<str>, secret: &Secret) -> Self {
        Self {
            secret: encode(&name, &secret.kind),
            version: secret.version,
            name,
        }
    }
}

/// A variant of the protocol.
pub(crate) trait Dialect: Send + 'static {
    type Request: Into<Request> + Send + 'static;
    type Response: Send + 'static;

    /// Whether a response can say that a resource does not exist.
    const TELLS_ABSENCE: bool;
    /// Whether a request about an older response is void, subscriptions and all. The node repeats
    /// them with its next answer in one variant; in the other "the server must honor changes to the
    /// subscription state even if the nonce is stale" (xDS, "Incremental xDS").
    const STALE_IS_VOID: bool;

    /// `version` is the version of everything that the node has with this.
    fn response(batch: Batch, nonce: String, version: String) -> Self::Response;
}

/// `StreamSecrets`.
///
/// Only what changed is sent: complete responses are asked for listeners and clusters alone (xDS,
/// "Grouping Resources into Responses").
pub(crate) struct StateOfTheWorld;

impl Dialect for StateOfTheWorld {
    type Request = DiscoveryRequest;
    type Response = DiscoveryResponse;

    const TELLS_ABSENCE: bool = false;
    const STALE_IS_VOID: bool = true;

    fn response(batch: Batch, nonce: String, version: String) -> DiscoveryResponse {
        DiscoveryResponse {
            version_info: version,
            resources: batch
                .secrets
                .into_iter()
                .map(|parcel| parcel.secret)
                .collect(),
            type_url: TYPE_URL.to_owned(),
            nonce,
            control_plane: control_plane(),
            ..Default::default()
        }
    }
}

impl From<DiscoveryRequest> for Request {
    fn from(request: DiscoveryRequest) -> Self {
        Self {
            node: request.node,
            type_url: request.type_url,
            answer: Answer {
                nonce: request.response_nonce,
                rejection: request.error_detail.map(reason),
            },
            subscription: Subscription::Whole {
                names: request.resource_names,
                version: request.version_info,
            },
        }
    }
}

/// `DeltaSecrets`.
pub(crate) struct Incremental;

impl Dialect for Incremental {
    type Request = DeltaDiscoveryRequest;
    type Response = DeltaDiscoveryResponse;

    const TELLS_ABSENCE: bool = true;
    const STALE_IS_VOID: bool = false;

    fn response(batch: Batch, nonce: String, version: String) -> DeltaDiscoveryResponse {
        DeltaDiscoveryResponse {
            system_version_info: version,
            resources: batch.secrets.into_iter().map(resource).collect(),
            type_url: TYPE_URL.to_owned(),
            removed_resources: batch.removed.iter().map(ToString::to_string).collect(),
            nonce,
            control_plane: control_plane(),
            ..Default::default()
        }
    }
}

impl From<DeltaDiscoveryRequest> for Request {
    fn from(request: DeltaDiscoveryRequest) -> Self {
        Self {
            node: request.node,
            type_url: request.type_url,
            answer: Answer {
                nonce: request.response_nonce,
                rejection: request.error_detail.map(reason),
            },
            subscription: Subscription::Step {
                subscribe: request.resource_names_subscribe,
                unsubscribe: request.resource_names_unsubscribe,
                known: request.initial_resource_versions,
            },
        }
    }
}

fn resource(parcel: Parcel) -> Resource {
    Resource {
        name: parcel.name.to_string(),
        version: version::of_one(parcel.version),
        resource: Some(parcel.secret),
        ..Default::default()
    }
}

/// Envoy shows it in its statistics (`control_plane.identifier`).
fn control_plane() -> Option<core::ControlPlane> {
    Some(core::ControlPlane {
        identifier: concat!("keystead/", env!("CARGO_PKG_VERSION")).to_owned(),
    })
}

fn reason(status: RpcStatus) -> String {
    if status.message.is_empty() {
        format!("gRPC code {}", status.code)
    } else {
        status.message
    }
}
