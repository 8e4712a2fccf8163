//! A small server on loopback: one request after another on each of so many connections.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::Failure;

/// A request, with both ends of its connection. No request of these protocols has a body that says anything.
pub(super) struct Asked {
    pub(super) request: Request<Incoming>,
    pub(super) peer: SocketAddr,
    pub(super) own: SocketAddr,
}

pub(super) type Answer = Response<Full<Bytes>>;

impl Asked {
    /// A header's bytes.
    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        self.request
            .headers()
            .get(name)
            .map(http::HeaderValue::as_bytes)
    }

    /// Whether somebody sent it on: what a program was talked into fetching does not come from the program.
    pub(super) fn is_forwarded(&self) -> bool {
        self.header("x-forwarded-for").is_some()
    }
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::Here(format!("cannot listen on {address}: {error}")))
}

pub(super) fn address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    let address = listener.local_addr();
    address.map_err(|error| Failure::Here(format!("cannot listen: {error}")))
}

/// Serves whoever comes, for ever.
pub(super) async fn serve<F, A>(listener: TcpListener, answer: F)
where
    F: Fn(Asked) -> A + Clone + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // A place first: who can't be served waits in the kernel's queue.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, peer)) => {
                let answer = answer.clone();
                tokio::spawn(async move {
                    converse(stream, peer, answer).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn converse<F, A>(stream: TcpStream, peer: SocketAddr, answer: F)
where
    F: Fn(Asked) -> A + Send + Sync + 'static,
    A: Future<Output = Answer> + Send + 'static,
{
    // What is answered crosses no router, were the port ever reached from elsewhere.
    let (Ok(()), Ok(own)) = (stream.set_ttl(1), stream.local_addr()) else {
        return;
    };
    let service = hyper::service::service_fn(|request| {
        let asked = Asked { request, peer, own };
        let answer = answer(asked);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    // How it ended is the client's business.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// A text.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    respond(status, "text/plain", text.into())
}

/// A document.
pub(super) fn json(status: StatusCode, document: impl Into<Bytes>) -> Answer {
    respond(status, "application/json", document.into())
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let kind = http::HeaderValue::from_static(kind);
    response
        .headers_mut()
        .insert(http::header::CONTENT_TYPE, kind);
    // What is answered here is never to be kept by anybody in between.
    let never = http::HeaderValue::from_static("no-store");
    response
        .headers_mut()
        .insert(http::header::CACHE_CONTROL, never);
    response
}

/// As many as AWS's agent takes (`max_conn`).
const CONNECTIONS: usize = 800;

/// A request has a path and a handful of headers; the names of secrets have 512 characters, percent-encoded three times that.
const HEADER_BYTES: usize = 16 << 10;

/// How long a connection may be silent.
const HEADER_TIMEOUT: Duration = Duration::from_secs(60);

/// Where there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
