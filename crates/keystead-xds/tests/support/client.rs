//! A node that speaks the protocol by hand, connected in process.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use envoy_types::pb::envoy::config::core::v3 as core;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_client::SecretDiscoveryServiceClient;
use envoy_types::pb::google::rpc::Status as RpcStatus;
use keystead_xds::{PeerIdentity, Sds, SdsService};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::{Status, Streaming};
use tower_service::Service;

pub(crate) const PEER: PeerIdentity = PeerIdentity::UnixUser { uid: 1000 };
pub(crate) const NODE: &str = "teller-1";

/// Puts the peer's identity where the listener would.
#[derive(Clone)]
pub(crate) struct Listener(SdsService, Option<PeerIdentity>);

impl Service<http::Request<Body>> for Listener {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        if let Some(identity) = &self.1 {
            request.extensions_mut().insert(identity.clone());
        }
        self.0.call(request)
    }
}

pub(crate) type Client = SecretDiscoveryServiceClient<Listener>;

pub(crate) fn client_of(sds: &Sds, identity: Option<PeerIdentity>) -> Client {
    SecretDiscoveryServiceClient::new(Listener(sds.service(), identity))
}

pub(crate) fn node() -> Option<core::Node> {
    Some(core::Node {
        id: NODE.to_owned(),
        cluster: "mesh".to_owned(),
        ..Default::default()
    })
}

/// One stream, seen from the node.
pub(crate) struct Talk<Q, A> {
    requests: mpsc::Sender<Q>,
    responses: Streaming<A>,
}

pub(crate) type Sotw = Talk<DiscoveryRequest, DiscoveryResponse>;
pub(crate) type Delta = Talk<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

pub(crate) async fn sotw(sds: &Sds) -> Sotw {
    let (requests, stream) = mpsc::channel(16);
    let mut client = client_of(sds, Some(PEER));
    let stream = ReceiverStream::new(stream);
    let responses = client.stream_secrets(stream).await.unwrap().into_inner();
    Talk {
        requests,
        responses,
    }
}

pub(crate) async fn delta(sds: &Sds) -> Delta {
    let (requests, stream) = mpsc::channel(16);
    let mut client = client_of(sds, Some(PEER));
    let stream = ReceiverStream::new(stream);
    let responses = client.delta_secrets(stream).await.unwrap().into_inner();
    Talk {
        requests,
        responses,
    }
}

impl<Q, A> Talk<Q, A> {
    pub(crate) async fn send(&self, request: Q) {
        self.requests.send(request).await.ok().unwrap();
    }

    /// The next response.
    pub(crate) async fn next(&mut self) -> A {
        let waited = tokio::time::timeout(Duration::from_secs(5), self.responses.message()).await;
        waited.expect("no response came").unwrap().unwrap()
    }

    /// Sees that no response comes. The clock is paused, so this waits until nobody has anything to
    /// do, not for a time.
    pub(crate) async fn quiet(&mut self) {
        let waited = tokio::time::timeout(Duration::from_secs(5), self.responses.message()).await;
        assert!(waited.is_err(), "a response came that nobody needs");
    }

    /// The status with which the server ends the stream.
    pub(crate) async fn end(&mut self) -> Status {
        let waited = tokio::time::timeout(Duration::from_secs(3_600), self.responses.message());
        match waited.await.expect("the stream stays open") {
            Err(status) => status,
            Ok(_) => panic!("the stream went on"),
        }
    }
}

impl Sotw {
    /// The first request of a stream.
    pub(crate) async fn open(&self, names: &[&str], version: &str) {
        let request = DiscoveryRequest {
            node: node(),
            version_info: version.to_owned(),
            ..whole(names)
        };
        self.send(request).await;
    }

    pub(crate) async fn ack(&self, response: &DiscoveryResponse, names: &[&str]) {
        let request = DiscoveryRequest {
            version_info: response.version_info.clone(),
            response_nonce: response.nonce.clone(),
            ..whole(names)
        };
        self.send(request).await;
    }

    pub(crate) async fn nack(&self, response: &DiscoveryResponse, names: &[&str], why: &str) {
        let request = DiscoveryRequest {
            response_nonce: response.nonce.clone(),
            error_detail: rejection(why),
            ..whole(names)
        };
        self.send(request).await;
    }
}

impl Delta {
    /// The first request of a stream.
    pub(crate) async fn open(&self, names: &[&str], known: &[(&str, &str)]) {
        let known = known
            .iter()
            .map(|(name, version)| (text(name), text(version)));
        let request = DeltaDiscoveryRequest {
            node: node(),
            initial_resource_versions: known.collect(),
            ..step(names, &[])
        };
        self.send(request).await;
    }

    pub(crate) async fn ack(&self, response: &DeltaDiscoveryResponse) {
        let request = DeltaDiscoveryRequest {
            response_nonce: response.nonce.clone(),
            ..Default::default()
        };
        self.send(request).await;
    }

    /// Takes and accepts the next response.
    pub(crate) async fn next_ack(&mut self) {
        let response = self.next().await;
        self.ack(&response).await;
    }

    pub(crate) async fn nack(&self, response: &DeltaDiscoveryResponse, why: &str) {
        let request = DeltaDiscoveryRequest {
            response_nonce: response.nonce.clone(),
            error_detail: rejection(why),
            ..Default::default()
        };
        self.send(request).await;
    }
}

pub(crate) fn whole(names: &[&str]) -> DiscoveryRequest {
    DiscoveryRequest {
        resource_names: names.iter().map(text).collect(),
        ..Default::default()
    }
}

pub(crate) fn step(subscribe: &[&str], unsubscribe: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        resource_names_subscribe: subscribe.iter().map(text).collect(),
        resource_names_unsubscribe: unsubscribe.iter().map(text).collect(),
        ..Default::default()
    }
}

fn rejection(why: &str) -> Option<RpcStatus> {
    Some(RpcStatus {
        code: 13,
        message: why.to_owned(),
        ..Default::default()
    })
}

fn text(text: &&str) -> String {
    (*text).to_owned()
}
