//! The gRPC face.

use std::pin::Pin;
use std::sync::Arc;

use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::envoy::service::secret::v3::secret_discovery_service_server::{
    SecretDiscoveryService, SecretDiscoveryServiceServer,
};
use futures::{Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use crate::dialect::{Batch, Dialect, Incremental, Parcel, StateOfTheWorld};
use crate::hub::Hub;
use crate::limits::{Limits, NAME_BYTES, REQUEST_BYTES, RETRY_PAUSE, ROUND_READS};
use crate::source::{Change, PeerIdentity, Refusal, SecretSource};
use crate::{stream, version};

/// Where the paths of this service begin; requests to them have content type `application/grpc`.
pub const PATH_PREFIX: &str = "/envoy.service.secret.v3.SecretDiscoveryService/";

/// The service as an HTTP service of tonic's, for any request body.
///
/// It expects a [`PeerIdentity`] in the extensions of each request and refuses without one.
pub type SdsService = SecretDiscoveryServiceServer<Sds>;

/// Secret discovery for any number of nodes.
///
/// Streams are cheap and long: the HTTP/2 server in front should admit as many on one connection as
/// [`Limits::streams_per_peer`] and find dead peers by PING, and [`Sds::close`] must be called when it
/// drains, for no node ends its stream by itself.
#[derive(Clone)]
pub struct Sds {
    hub: Arc<Hub>,
    source: Arc<dyn SecretSource>,
    // Ends with the last handle.
    _feed: Arc<Feed>,
}

impl Sds {
    /// Starts to follow the source's changes.
    ///
    /// Must be called within a tokio runtime.
    pub fn start(source: Arc<dyn SecretSource>, limits: Limits) -> Self {
        let hub = Hub::new(limits);
        let feed = tokio::spawn(follow(source.clone(), hub.clone()));
        Self {
            hub,
            source,
            _feed: Arc::new(Feed(feed)),
        }
    }

    /// The service to mount at [`PATH_PREFIX`].
    pub fn service(&self) -> SdsService {
        SecretDiscoveryServiceServer::new(self.clone()).max_decoding_message_size(REQUEST_BYTES)
    }

    /// How many streams are open.
    pub fn streams(&self) -> usize {
        self.hub.streams()
    }

    /// Ends every stream (nodes keep what they have and come back later) and admits no other.
    pub fn close(&self) {
        self.hub.close();
    }

    fn open<D: Dialect>(
        &self,
        request: Request<Streaming<D::Request>>,
    ) -> Result<Response<Responses<D::Response>>, Status> {
        let identity = identity(&request)?;
        let pass = self.hub.admit(&identity).map_err(stream::full)?;
        let (outgoing, responses) = mpsc::channel(1);
        let requests = request.into_inner();
        let source = self.source.clone();
        tokio::spawn(stream::serve::<D>(
            source, pass, identity, requests, outgoing,
        ));
        Ok(Response::new(Box::pin(ReceiverStream::new(responses))))
    }
}

/// The task that follows the source's changes.
struct Feed(tokio::task::JoinHandle<()>);

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn follow(source: Arc<dyn SecretSource>, hub: Arc<Hub>) {
    let mut changes = source.changes();
    loop {
        while let Some(change) = changes.next().await {
            hub.tell(&change);
        }
        tracing::warn!("the feed of changes ended, opening it again");
        tokio::time::sleep(RETRY_PAUSE).await;
        changes = source.changes();
        // After the new feed is open, so that no change falls between.
        hub.tell(&Change::Lagged);
    }
}

type Responses<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

#[tonic::async_trait]
impl SecretDiscoveryService for Sds {
    type StreamSecretsStream = Responses<DiscoveryResponse>;
    type DeltaSecretsStream = Responses<DeltaDiscoveryResponse>;

    async fn stream_secrets(
        &self,
        request: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamSecretsStream>, Status> {
        self.open::<StateOfTheWorld>(request)
    }

    async fn delta_secrets(
        &self,
        request: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaSecretsStream>, Status> {
        self.open::<Incremental>(request)
    }

    /// Answers once with what the node may have of what it names; nothing is followed.
    async fn fetch_secrets(
        &self,
        request: Request<DiscoveryRequest>,
    ) -> Result<Response<DiscoveryResponse>, Status> {
        let identity = identity(&request)?;
        let pass = self.hub.admit(&identity).map_err(stream::full)?;
        let request = request.into_inner();
        stream::check_type(&request.type_url)?;
        let node = stream::node(identity, pass.stream(), request.node.as_ref())?;
        let mut names = request.resource_names;
        names.sort_unstable();
        names.dedup();
        let most = ROUND_READS;
        if names.len() > most || names.iter().any(|name| name.len() > NAME_BYTES) {
            return Err(Status::invalid_argument(format!(
                "a fetch may name {most} resources of {NAME_BYTES} bytes each"
            )));
        }
        let mut batch = Batch::default();
        for name in names {
            match stream::read(&*self.source, &node, &name).await {
                Ok(secret) => batch.secrets.push(Parcel::new(name.into(), &secret)),
                Err(Refusal::Unavailable(why)) => {
                    tracing::warn!(resource = name, why, "secret not readable");
                    return Err(Status::unavailable("a secret cannot be read just now"));
                }
                Err(refusal) => {
                    stream::report_refusal(&*self.source, &node, &name, &refusal);
                }
            }
        }
        let parcels = batch.secrets.iter();
        let version = version::of_all(parcels.map(|parcel| (&*parcel.name, parcel.version)));
        Ok(Response::new(StateOfTheWorld::response(
            batch,
            String::new(),
            version,
        )))
    }
}

fn identity<T>(request: &Request<T>) -> Result<PeerIdentity, Status> {
    let identity = request.extensions().get::<PeerIdentity>().cloned();
    identity.ok_or_else(|| {
        Status::unauthenticated(
            "secrets go to nodes only that come with a client certificate or through the Unix socket",
        )
    })
}
