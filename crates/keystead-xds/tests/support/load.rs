//! Clients of an Envoy: one request, or many all the time.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::pki::{Ca, Leaf};

/// No request here takes long.
const DEADLINE: Duration = Duration::from_secs(10);

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// How to reach an Envoy's TLS listener.
#[derive(Clone)]
pub(crate) struct Client {
    address: SocketAddr,
    connector: TlsConnector,
    name: ServerName<'static>,
}

/// A connection with the certificate that it was served.
pub(crate) struct Connection {
    sender: SendRequest<Empty<Bytes>>,
    pub(crate) certificate: CertificateDer<'static>,
}

impl Client {
    /// Trusts `ca`, expects the name, shows `own` if asked for a certificate.
    pub(crate) fn new(address: SocketAddr, ca: &Ca, name: &str, own: Option<&Leaf>) -> Self {
        let builder = rustls::ClientConfig::builder().with_root_certificates(ca.roots());
        let mut config = match own {
            Some(own) => builder
                .with_client_auth_cert(vec![own.der()], own.key_der())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        // Each connection is to see the certificate.
        config.resumption = rustls::client::Resumption::disabled();
        Self {
            address,
            connector: TlsConnector::from(Arc::new(config)),
            name: ServerName::try_from(name.to_owned()).unwrap(),
        }
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Failure> {
        let connecting = async {
            let stream = TcpStream::connect(self.address).await?;
            let stream = self.connector.connect(self.name.clone(), stream).await?;
            let certificates = stream.get_ref().1.peer_certificates();
            let certificate = certificates
                .and_then(<[_]>::first)
                .ok_or("no certificate")?;
            let certificate = certificate.clone().into_owned();
            let (sender, connection) = handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            Ok(Connection {
                sender,
                certificate,
            })
        };
        tokio::time::timeout(DEADLINE, connecting).await?
    }

    /// One request on a connection of its own; fails unless the application answers.
    pub(crate) async fn once(&self) -> Result<CertificateDer<'static>, Failure> {
        let mut connection = self.connect().await?;
        connection.ask().await?;
        Ok(connection.certificate)
    }
}

impl Connection {
    pub(crate) async fn ask(&mut self) -> Result<(), Failure> {
        let asking = async {
            let request = http::Request::get("/color")
                .header("host", "test")
                .body(Empty::new())?;
            let response = self.sender.send_request(request).await?;
            let status = response.status();
            let body = response.into_body().collect().await?.to_bytes();
            if status != 200 || body != "white" {
                return Err(format!("{status}: {body:?}").into());
            }
            Ok(())
        };
        tokio::time::timeout(DEADLINE, asking).await?
    }
}

/// Requests that go on until told to stop.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    failures: Arc<Mutex<Vec<String>>>,
    tasks: JoinSet<()>,
}

impl Load {
    /// `steady` clients keep their connection for all requests, `fresh` ones make a new one for each.
    pub(crate) fn start(client: &Client, steady: usize, fresh: usize) -> Self {
        let mut load = Self {
            stop: Arc::default(),
            done: Arc::default(),
            failures: Arc::default(),
            tasks: JoinSet::new(),
        };
        for number in 0..steady + fresh {
            let (stop, done) = (load.stop.clone(), load.done.clone());
            let failures = load.failures.clone();
            let client = client.clone();
            load.tasks.spawn(async move {
                let mut kept = None;
                while !stop.load(Ordering::Relaxed) {
                    let asked = async {
                        let mut connection = match kept.take() {
                            Some(connection) => connection,
                            None => client.connect().await?,
                        };
                        connection.ask().await?;
                        Ok::<_, Failure>(connection)
                    };
                    match asked.await {
                        Ok(connection) if number < steady => kept = Some(connection),
                        Ok(_) => {}
                        Err(error) => failures.lock().push(error.to_string()),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        load
    }

    /// Stops and returns how many requests were made and why some failed.
    pub(crate) async fn stop(mut self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        let failures = std::mem::take(&mut *self.failures.lock());
        (self.done.load(Ordering::Relaxed), failures)
    }
}

/// Asks until the certificate is served; each attempt must succeed.
pub(crate) async fn served(client: &Client, leaf: &Leaf) -> Duration {
    let start = std::time::Instant::now();
    let wanted = leaf.der();
    let deadline = Duration::from_secs(30);
    loop {
        let certificate = client.connect().await.unwrap().certificate;
        if certificate == wanted {
            return start.elapsed();
        }
        assert!(start.elapsed() < deadline, "the new one is not served");
    }
}
