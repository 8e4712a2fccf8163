//! The application behind the mesh, and those who use it all the time.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use keystead_core::hex;
use keystead_crypto::x509::Certificate;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Failure;

/// What the application answers.
pub(super) const COLOR: &str = "white";

/// The colour teller: a small HTTP server. It ends when dropped.
pub(super) struct Application {
    pub(super) address: SocketAddr,
    task: AbortHandle,
}

impl Application {
    pub(super) async fn start() -> Result<Self, Failure> {
        let failed =
            |error: std::io::Error| Failure(format!("cannot start the application: {error}"));
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let task = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = service_fn(|_: http::Request<Incoming>| async {
                    Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from(COLOR))))
                });
                let http = hyper::server::conn::http1::Builder::new();
                connections.spawn(http.serve_connection(TokioIo::new(stream), answer));
                // The ended ones make room.
                while connections.try_join_next().is_some() {}
            }
        });
        Ok(Self {
            address,
            task: task.abort_handle(),
        })
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A client that speaks TLS with the teller itself: trusts the CA alone and checks the name.
#[derive(Clone)]
pub(super) struct Checker {
    address: SocketAddr,
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Checker {
    pub(super) fn new(address: SocketAddr, ca_pem: &str, name: &str) -> Result<Self, Failure> {
        let bad = |error: &dyn std::fmt::Display| Failure(format!("cannot trust the CA: {error}"));
        let certificate =
            CertificateDer::from_pem_slice(ca_pem.as_bytes()).map_err(|error| bad(&error))?;
        let mut roots = RootCertStore::empty();
        roots.add(certificate).map_err(|error| bad(&error))?;
        let mut config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        // Every handshake is to show the certificate.
        config.resumption = Resumption::disabled();
        Ok(Self {
            address,
            connector: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(name.to_owned()).map_err(|error| bad(&error))?,
        })
    }

    /// The serial number that a fresh handshake shows, in hexadecimal.
    pub(super) async fn serial(&self) -> Result<String, Failure> {
        let (_, serial) = within(self.connect()).await?;
        Ok(serial)
    }

    async fn connect(&self) -> Result<(Sender, String), Failure> {
        let failed =
            |error: std::io::Error| Failure(format!("TLS handshake with the teller: {error}"));
        let stream = TcpStream::connect(self.address).await.map_err(failed)?;
        let stream = self
            .connector
            .connect(self.name.clone(), stream)
            .await
            .map_err(failed)?;
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        let leaf = leaf.and_then(|leaf| Certificate::from_der(leaf).ok());
        let leaf = leaf.ok_or_else(|| Failure("the teller showed no certificate".into()))?;
        let serial = hex(&leaf.serial);
        Ok((speak_http(stream).await?, serial))
    }
}

/// Requests that go on until told to stop.
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
    clients: JoinSet<()>,
}

/// How many keep a connection to the gateway for all their requests, and how many make a new one to
/// the teller for each: two of each keep two cores busy and leave Envoy room.
const CLIENTS: usize = 2;

impl Load {
    pub(super) fn start(gateway: SocketAddr, teller: &Checker) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            done: Arc::default(),
            failed: Arc::default(),
            clients: JoinSet::new(),
        };
        for _ in 0..CLIENTS {
            load.add(Client::Steady(gateway));
            load.add(Client::Fresh(teller.clone()));
        }
        load
    }

    fn add(&mut self, client: Client) {
        let (stop, done, failed) = (self.stop.clone(), self.done.clone(), self.failed.clone());
        self.clients.spawn(async move {
            let mut kept = None;
            while !stop.load(Ordering::Relaxed) {
                match within(client.request(kept.take())).await {
                    Ok(sender) => kept = sender,
                    Err(error) => {
                        tracing::warn!(%error, "a request failed");
                        failed.fetch_add(1, Ordering::Relaxed);
                    }
                }
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }

    /// How many requests were made until now.
    pub(super) fn done(&self) -> usize {
        self.done.load(Ordering::Relaxed)
    }

    /// Stops; returns how many requests were made and how many of them failed.
    pub(super) async fn stop(mut self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        while self.clients.join_next().await.is_some() {}
        (self.done(), self.failed.load(Ordering::Relaxed))
    }
}

/// Who asks.
enum Client {
    /// Asks the gateway, over one connection as long as it lasts.
    Steady(SocketAddr),
    /// Asks the teller, over a new connection each time.
    Fresh(Checker),
}

impl Client {
    /// One request; returns the connection if it is to be kept.
    async fn request(&self, kept: Option<Sender>) -> Result<Option<Sender>, Failure> {
        match self {
            Self::Steady(gateway) => {
                let mut sender = match kept {
                    Some(sender) => sender,
                    None => speak_http(connect(*gateway).await?).await?,
                };
                ask(&mut sender).await?;
                Ok(Some(sender))
            }
            Self::Fresh(teller) => {
                let (mut sender, _) = teller.connect().await?;
                ask(&mut sender).await?;
                Ok(None)
            }
        }
    }
}

type Sender = SendRequest<Empty<Bytes>>;

async fn connect(address: SocketAddr) -> Result<TcpStream, Failure> {
    let stream = TcpStream::connect(address).await;
    stream.map_err(|error| Failure(format!("cannot connect to {address}: {error}")))
}

async fn speak_http<S>(stream: S) -> Result<Sender, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // It ends when the sender is dropped.
    tokio::spawn(connection);
    Ok(sender)
}

/// One request; anything but the colour is a failure.
async fn ask(sender: &mut Sender) -> Result<(), Failure> {
    let request = http::Request::get("/color").header("host", "colorteller");
    let request = request
        .body(Empty::new())
        .map_err(|error| Failure(error.to_string()))?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), 1 << 16).collect().await;
    let body = body.map_err(|error| Failure(error.to_string()))?.to_bytes();
    if status == 200 && body == COLOR {
        return Ok(());
    }
    Err(Failure(format!("answered {status}")))
}

async fn within<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let done = tokio::time::timeout(ANSWER, work).await;
    done.map_err(|_| Failure("no answer in time".into()))?
}

fn broken(error: hyper::Error) -> Failure {
    Failure(format!("the connection broke: {error}"))
}

/// A peer on the same machine answers in milliseconds.
const ANSWER: Duration = Duration::from_secs(10);
