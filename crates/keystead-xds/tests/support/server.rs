//! The service on a real socket, as the server mounts it.

use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use keystead_xds::{PeerIdentity, Sds};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service;

/// A running listener; dropping it cuts every connection, as a crash would.
pub(crate) struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Serves on a Unix socket; the identity of a peer is its user.
pub(crate) fn on_unix(sds: &Sds, path: &Path) -> Running {
    std::fs::remove_file(path).ok();
    let listener = UnixListener::bind(path).unwrap();
    let sds = sds.clone();
    Running(tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let uid = stream.peer_cred().unwrap().uid();
            connections.spawn(serve(sds.clone(), stream, PeerIdentity::UnixUser { uid }));
        }
    }))
}

/// Serves over TLS with client certificates; the identity of a peer is `name`, whichever it shows.
pub(crate) async fn on_tls(
    sds: &Sds,
    config: rustls::ServerConfig,
    name: &'static str,
) -> (Running, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let sds = sds.clone();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, sds) = (acceptor.clone(), sds.clone());
            connections.spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let name = name.to_owned();
                    serve(sds, stream, PeerIdentity::Certificate { name }).await;
                }
            });
        }
    });
    (Running(task), port)
}

async fn serve(
    sds: Sds,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    identity: PeerIdentity,
) {
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(identity.clone());
        sds.service().call(request)
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    // It ends with an error when the node goes away.
    connection
        .serve_connection(TokioIo::new(stream), service)
        .await
        .ok();
}

/// The application behind Envoy: answers everything with "white".
pub(crate) async fn application() -> (Running, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = service_fn(|_: http::Request<Incoming>| async {
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from("white"))))
            });
            connections.spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    (Running(task), address)
}
