//! Where a request goes: what anybody may fetch, delivery streams, health, metrics, objects, or the AWS protocols.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use keystead_app::objects::ObjectName;
use tower_service::Service;

use crate::api::Api;
use crate::backend::Backend;
use crate::lifecycle::{Lifecycle, Phase};
use crate::limits::Limits;
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::public::{self, Asked};
use crate::reply::{ReplyBody, closing, reply};

/// Everything behind the listeners.
pub struct Front<B> {
    api: Api<B>,
    grpc: Option<Grpc>,
    lifecycle: Arc<Lifecycle>,
    limits: Limits,
    metrics: Metrics,
}

/// A gRPC service of any kind.
type Grpc = Box<
    dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<tonic::body::Body>> + Send>>
        + Send
        + Sync,
>;

impl<B: Backend> Front<B> {
    /// The front of this backend. It serves once the lifecycle is [`Phase::Ready`].
    pub fn new(backend: B, lifecycle: Arc<Lifecycle>, limits: Limits, metrics: Metrics) -> Self {
        Self {
            api: Api::new(backend, lifecycle.clone(), limits),
            grpc: None,
            lifecycle,
            limits,
            metrics,
        }
    }

    /// Gives requests of content type `application/grpc` to this service. They carry an
    /// `Arc<`[`Peer`]`>` in their extensions.
    #[must_use]
    pub fn with_grpc<S>(mut self, service: S) -> Self
    where
        S: Service<Request<Incoming>, Response = Response<tonic::body::Body>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.grpc = Some(Box::new(move |request| {
            let mut service = service.clone();
            Box::pin(async move {
                let ready = std::future::poll_fn(|context| service.poll_ready(context)).await;
                let answered = match ready {
                    Ok(()) => service.call(request).await,
                    Err(never) => Err(never),
                };
                match answered {
                    Ok(response) => response,
                    Err(never) => match never {},
                }
            })
        }));
        self
    }

    pub(crate) fn lifecycle(&self) -> &Arc<Lifecycle> {
        &self.lifecycle
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) async fn handle(
        &self,
        mut request: Request<Incoming>,
        peer: Arc<Peer>,
    ) -> Response<ReplyBody> {
        if let Some(asked) = public::asked(&request, peer.public) {
            return self.publish(asked, request).await;
        }
        if is_grpc(&request) {
            request.extensions_mut().insert(peer);
            return self.grpc(request).await;
        }
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            let version = request.version();
            let page = match request.uri().path() {
                "/health" => Some(self.health()),
                "/metrics" => {
                    let text = self.metrics.render();
                    Some(reply(
                        StatusCode::OK,
                        "text/plain; version=0.0.4; charset=utf-8",
                        text,
                    ))
                }
                _ => None,
            };
            if let Some(mut page) = page {
                if self.lifecycle.phase() >= Phase::Draining {
                    closing(&mut page, version);
                }
                return page;
            }
        }
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(name) = ObjectName::of_path(request.uri().path())
        {
            return self.api.object(name, request, &peer).await;
        }
        self.api.answer(request, &peer).await
    }

    /// What anybody may fetch.
    async fn publish(&self, asked: Asked, request: Request<Incoming>) -> Response<ReplyBody> {
        let version = request.version();
        let phase = self.lifecycle.phase();
        let mut response = match phase {
            Phase::Ready => public::answer(self.api.backend(), &self.limits, asked, request).await,
            _ => reply(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                "The server is starting or shutting down. Try again shortly.\n",
            ),
        };
        if phase >= Phase::Draining {
            closing(&mut response, version);
        }
        response
    }

    /// For load balancers and start-up scripts.
    fn health(&self) -> Response<ReplyBody> {
        let (status, word) = match self.lifecycle.phase() {
            Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting"),
            Phase::Ready => (StatusCode::OK, "ready"),
            Phase::Draining | Phase::Stopped => (StatusCode::SERVICE_UNAVAILABLE, "draining"),
        };
        let version = env!("CARGO_PKG_VERSION");
        let text = format!("{{\"status\":\"{word}\",\"version\":\"{version}\"}}\n");
        reply(status, "application/json", text)
    }

    async fn grpc(&self, request: Request<Incoming>) -> Response<ReplyBody> {
        match &self.grpc {
            Some(service) if self.lifecycle.phase() == Phase::Ready => {
                service(request).await.map(ReplyBody::stream)
            }
            // gRPC's own codes: UNAVAILABLE, which clients try again, and UNIMPLEMENTED.
            Some(_) => grpc_refusal("14", "the server is starting or shutting down"),
            None => grpc_refusal("12", "no gRPC service is served here"),
        }
    }
}

impl<B> fmt::Debug for Front<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front")
            .field("phase", &self.lifecycle.phase())
            .finish_non_exhaustive()
    }
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE);
    content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

/// A response of trailers only (gRPC over HTTP/2, "Responses").
fn grpc_refusal(status: &'static str, message: &'static str) -> Response<ReplyBody> {
    let mut response = reply(StatusCode::OK, "application/grpc", "");
    let headers = response.headers_mut();
    headers.insert("grpc-status", HeaderValue::from_static(status));
    headers.insert("grpc-message", HeaderValue::from_static(message));
    response
}
