//! The SPIFFE Workload API: X.509-SVIDs for processes of this machine (SPIFFE Workload API specification, sections 4 and 5).
//!
//! A process proves nothing but whose it is, by the Unix socket that it connects to; who may have which identity is the source's to
//! say. A stream tells of every new set of SVIDs until either side ends it. JWT-SVIDs are not served.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use futures::future::BoxFuture;
use futures::{Stream, stream};
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::{Body as HttpBody, Service, StdError, http};
use tonic::server::{Grpc, NamedService, ServerStreamingService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use zeroize::Zeroizing;

use crate::source::PeerIdentity;

/// Where SVIDs come from.
#[async_trait]
pub trait SvidSource: Send + Sync + 'static {
    /// Those of the processes of a user, as they are now; none where it has no identity.
    async fn svids(&self, uid: u32) -> Vec<Svid>;

    /// Changes whenever any SVID does.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// An X.509-SVID with its key and what trusts it.
#[derive(Clone, PartialEq, Eq)]
pub struct Svid {
    /// For instance `spiffe://example.org/shop`.
    pub id: String,
    /// The certificate and what leads to the root, each in DER, one behind another.
    pub chain_der: Vec<u8>,
    /// The private key, PKCS #8 in DER; wiped when dropped.
    pub key_der: Zeroizing<Vec<u8>>,
    /// The roots of the trust domain, each in DER, one behind another.
    pub bundle_der: Vec<u8>,
}

impl std::fmt::Debug for Svid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Svid")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The service, to be mounted on a Unix socket whose listener puts a [`PeerIdentity`] into every request.
#[derive(Clone)]
pub struct WorkloadApi(Arc<dyn SvidSource>);

impl WorkloadApi {
    /// Serves what this source has.
    pub fn new(source: Arc<dyn SvidSource>) -> Self {
        Self(source)
    }
}

impl NamedService for WorkloadApi {
    const NAME: &'static str = "SpiffeWorkloadAPI";
}

impl<B> Service<http::Request<B>> for WorkloadApi
where
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let source = Arc::clone(&self.0);
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/SpiffeWorkloadAPI/FetchX509SVID" => {
                    let mut grpc = Grpc::new(ProstCodec::default());
                    grpc.server_streaming(FetchSvids(source), request).await
                }
                "/SpiffeWorkloadAPI/FetchX509Bundles" => {
                    let mut grpc = Grpc::new(ProstCodec::default());
                    grpc.server_streaming(FetchBundles(source), request).await
                }
                _ => Status::unimplemented("only X.509-SVIDs are served").into_http(),
            })
        })
    }
}

/// `FetchX509SVID`.
struct FetchSvids(Arc<dyn SvidSource>);

impl ServerStreamingService<Empty> for FetchSvids {
    type Response = SvidsResponse;
    type ResponseStream = Responses<SvidsResponse>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Empty>) -> Self::Future {
        let source = Arc::clone(&self.0);
        Box::pin(async move { open(&request, source, SvidsResponse::of) })
    }
}

/// `FetchX509Bundles`.
struct FetchBundles(Arc<dyn SvidSource>);

impl ServerStreamingService<Empty> for FetchBundles {
    type Response = BundlesResponse;
    type ResponseStream = Responses<BundlesResponse>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Empty>) -> Self::Future {
        let source = Arc::clone(&self.0);
        Box::pin(async move { open(&request, source, BundlesResponse::of) })
    }
}

type Responses<R> = Pin<Box<dyn Stream<Item = Result<R, Status>> + Send>>;

/// Answers with what there is, and again with every change of it.
fn open<R: PartialEq + Clone + Send + 'static>(
    request: &Request<Empty>,
    source: Arc<dyn SvidSource>,
    of: fn(&[Svid]) -> R,
) -> Result<Response<Responses<R>>, Status> {
    // Section 5.1 of the specification: what a browser or a proxy was talked into sending lacks it.
    if request
        .metadata()
        .get(SECURITY_HEADER)
        .is_none_or(|value| value != "true")
    {
        return Err(Status::invalid_argument(
            "the metadata 'workload.spiffe.io: true' is missing",
        ));
    }
    let Some(PeerIdentity::UnixUser { uid }) = request.extensions().get::<PeerIdentity>() else {
        return Err(Status::permission_denied(
            "identities are given on a Unix socket alone",
        ));
    };
    let from = (source.changes(), source, *uid, None);
    let responses = stream::unfold(Some(from), move |from| async move {
        let (mut changes, source, uid, mut told) = from?;
        loop {
            // Before it is read, so that a change in between is seen.
            changes.borrow_and_update();
            let svids = source.svids(uid).await;
            if svids.is_empty() {
                // Section 5.2: who has no identity, or none any more, is told so.
                return Some((Err(Status::permission_denied("no identity issued")), None));
            }
            let now = of(&svids);
            if told.as_ref() != Some(&now) {
                told = Some(now.clone());
                return Some((Ok(now), Some((changes, source, uid, told))));
            }
            changes.changed().await.ok()?;
        }
    });
    Ok(Response::new(Box::pin(responses)))
}

/// `X509SVIDRequest` and `X509BundlesRequest`, which say nothing.
#[derive(Clone, PartialEq, prost::Message)]
struct Empty {}

/// `X509SVIDResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct SvidsResponse {
    #[prost(message, repeated, tag = "1")]
    svids: Vec<SvidMessage>,
}

/// `X509SVID`.
#[derive(Clone, PartialEq, prost::Message)]
struct SvidMessage {
    #[prost(string, tag = "1")]
    spiffe_id: String,
    #[prost(bytes = "vec", tag = "2")]
    x509_svid: Vec<u8>,
    #[prost(bytes = "vec", tag = "3")]
    x509_svid_key: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    bundle: Vec<u8>,
}

/// `X509BundlesResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct BundlesResponse {
    #[prost(map = "string, bytes", tag = "2")]
    bundles: std::collections::HashMap<String, Vec<u8>>,
}

impl SvidsResponse {
    fn of(svids: &[Svid]) -> Self {
        let message = |svid: &Svid| SvidMessage {
            spiffe_id: svid.id.clone(),
            x509_svid: svid.chain_der.clone(),
            x509_svid_key: svid.key_der.to_vec(),
            bundle: svid.bundle_der.clone(),
        };
        Self {
            svids: svids.iter().map(message).collect(),
        }
    }
}

impl BundlesResponse {
    fn of(svids: &[Svid]) -> Self {
        let bundle = |svid: &Svid| (trust_domain(&svid.id), svid.bundle_der.clone());
        Self {
            bundles: svids.iter().map(bundle).collect(),
        }
    }
}

/// The trust domain of an id, as an id of its own.
fn trust_domain(id: &str) -> String {
    let name = id.strip_prefix("spiffe://").unwrap_or(id);
    let name = name.split('/').next().unwrap_or(name);
    format!("spiffe://{name}")
}

/// See [`open`].
const SECURITY_HEADER: &str = "workload.spiffe.io";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_a_trust_domain() {
        assert_eq!(
            trust_domain("spiffe://example.org/a/b"),
            "spiffe://example.org"
        );
        assert_eq!(trust_domain("spiffe://example.org"), "spiffe://example.org");
    }
}
