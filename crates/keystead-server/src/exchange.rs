//! Brings signed calls to other servers: KMS's to external key store proxies.
//!
//! Over HTTPS, by the authorities that the machine trusts and those of the configuration; over plain HTTP to loopback alone.
//! Connections are kept for the next call, since a call has a quarter of a second and a TLS handshake takes most of
//! it over a long way. A kept connection may have been closed meanwhile: a call that fails on one is made once more,
//! on a new one. What is called so may be repeated.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::uri::{Authority, Scheme, Uri};
use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use keystead_app::outbound::{Answer, Exchange, ExchangeError, SignedPost};
use keystead_crypto::digest;
use keystead_wire::sigv4::{Credentials, RequestView, Signer};
use parking_lot::Mutex;
use rustls::ClientConfig;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::limits::{EXCHANGE_BYTES, EXCHANGE_IDLE, EXCHANGES_KEPT};
use crate::outbound::of_machine;

/// What calls of other servers are held to.
#[derive(Debug)]
pub struct ExchangeOptions {
    /// Authorities that are trusted beside those of the machine.
    pub authorities: Vec<CertificateDer<'static>>,
    /// How long a call may take, from the look-up of the name to the last byte.
    pub deadline: Duration,
}

/// What makes calls for the use cases.
pub fn exchange(options: ExchangeOptions) -> Exchange {
    let courier = Arc::new(Courier {
        options,
        tls: OnceLock::new(),
        kept: Mutex::default(),
    });
    Arc::new(move |post| {
        let courier = Arc::clone(&courier);
        Box::pin(async move { courier.bring(&post).await })
    })
}

type Sender = SendRequest<Full<Bytes>>;

struct Courier {
    options: ExchangeOptions,
    /// Made when it is needed first.
    tls: OnceLock<TlsConnector>,
    /// Connections without a call under way, by their endpoints, with when they became so.
    kept: Mutex<HashMap<String, Vec<(Instant, Sender)>>>,
}

impl Courier {
    async fn bring(self: &Arc<Self>, post: &SignedPost) -> Result<Answer, ExchangeError> {
        let until = Instant::now() + self.options.deadline;
        let left = || until.saturating_duration_since(Instant::now());
        let request = signed(post)?;
        if let Some(sender) = self.reuse(&post.endpoint) {
            match timeout(left(), send(sender, request.clone())).await {
                Err(_) => return Err(ExchangeError::TimedOut),
                Ok(Err(_)) => {}
                Ok(Ok((sender, answer))) => {
                    self.keep(&post.endpoint, sender);
                    return Ok(answer);
                }
            }
        }
        let late = |_| {
            let deadline = self.options.deadline;
            ExchangeError::Unreachable(format!("no connection within {deadline:?}"))
        };
        let connected = timeout(left(), self.connect(&post.endpoint)).await;
        let sender = connected.map_err(late)??;
        let sent = timeout(left(), send(sender, request)).await;
        let (sender, answer) = sent.map_err(|_| ExchangeError::TimedOut)??;
        self.keep(&post.endpoint, sender);
        Ok(answer)
    }

    fn reuse(&self, endpoint: &str) -> Option<Sender> {
        let mut kept = self.kept.lock();
        let there = kept.get_mut(endpoint)?;
        // The newest first: the older ones may die of idleness.
        while let Some((since, sender)) = there.pop() {
            if since.elapsed() < EXCHANGE_IDLE && sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    fn keep(&self, endpoint: &str, sender: Sender) {
        if sender.is_closed() {
            return;
        }
        let mut kept = self.kept.lock();
        let usable = |(since, sender): &(Instant, Sender)| {
            since.elapsed() < EXCHANGE_IDLE && !sender.is_closed()
        };
        kept.retain(|_, there| {
            there.retain(usable);
            !there.is_empty()
        });
        let there = kept.entry(endpoint.to_owned()).or_default();
        if there.len() < EXCHANGES_KEPT {
            there.push((Instant::now(), sender));
        }
    }

    async fn connect(self: &Arc<Self>, endpoint: &str) -> Result<Sender, ExchangeError> {
        let (secure, authority) = parsed(endpoint)?;
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let port = authority
            .port_u16()
            .unwrap_or(if secure { 443 } else { 80 });
        let found = tokio::net::lookup_host((host.as_str(), port)).await;
        // What a name stands for is known only now.
        let addresses: Vec<SocketAddr> = found
            .map_err(|error| unreachable(&error))?
            .filter(|address| secure || address.ip().is_loopback())
            .collect();
        if addresses.is_empty() {
            let cause = "the name has no address, or plain HTTP would leave this machine";
            return Err(ExchangeError::Unreachable(cause.into()));
        }
        let stream = TcpStream::connect(addresses.as_slice()).await;
        let stream = stream.map_err(|error| unreachable(&error))?;
        // A call is one small packet each way.
        stream
            .set_nodelay(true)
            .map_err(|error| unreachable(&error))?;
        if !secure {
            return begin(TokioIo::new(stream)).await;
        }
        let name = ServerName::try_from(host).map_err(|error| untrusted(&error))?;
        let tls = self.tls().await?;
        let stream = tls.connect(name, stream).await;
        begin(TokioIo::new(stream.map_err(|error| untrusted(&error))?)).await
    }

    async fn tls(self: &Arc<Self>) -> Result<TlsConnector, ExchangeError> {
        let courier = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || {
            courier.tls.get_or_init(|| courier.make_tls()).clone()
        });
        made.await.map_err(|error| untrusted(&error))
    }

    /// Reads the machine's authorities, from files.
    fn make_tls(&self) -> TlsConnector {
        let mut authorities = of_machine();
        let given = self.options.authorities.iter().cloned();
        authorities.add_parsable_certificates(given);
        let mut config = ClientConfig::builder()
            .with_root_certificates(authorities)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        TlsConnector::from(Arc::new(config))
    }
}

/// Whether it is HTTPS, and whom it names.
fn parsed(endpoint: &str) -> Result<(bool, Authority), ExchangeError> {
    let uri: Result<Uri, _> = endpoint.parse();
    let uri = uri.map_err(|error| unreachable(&error))?;
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    match uri.authority() {
        Some(authority) if secure || uri.scheme() == Some(&Scheme::HTTP) => {
            Ok((secure, authority.clone()))
        }
        _ => Err(ExchangeError::Unreachable(
            "the endpoint is no URL of HTTPS".into(),
        )),
    }
}

/// The request of a post, with its signature.
fn signed(post: &SignedPost) -> Result<Request<Full<Bytes>>, ExchangeError> {
    let (_, authority) = parsed(&post.endpoint)?;
    let request = Request::post(post.path.as_str())
        .header(header::HOST, authority.as_str())
        .body(());
    let (mut parts, ()) = request.map_err(|error| unreachable(&error))?.into_parts();
    let credentials = Credentials {
        access_key_id: post.access_key_id.clone(),
        secret_access_key: post.secret_access_key.clone(),
        session_token: None,
    };
    let signer = Signer::new(&credentials, &post.region, post.service, post.at);
    let payload = digest::sha256(&post.body);
    let added = signer
        .sign(&RequestView::of(&parts), &payload)
        .map_err(|error| unreachable(&error))?;
    parts.headers.extend(added);
    // Not signed: the specification's signatures cover host and date alone.
    let json = HeaderValue::from_static("application/json");
    parts.headers.insert(header::CONTENT_TYPE, json);
    let body = Full::new(Bytes::copy_from_slice(&post.body));
    Ok(Request::from_parts(parts, body))
}

async fn begin<S>(stream: S) -> Result<Sender, ExchangeError>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let begun = http1::handshake(stream).await;
    let (sender, connection) = begun.map_err(|error| unreachable(&error))?;
    // It ends when its sender is dropped, or the other side closes.
    tokio::spawn(connection);
    Ok(sender)
}

/// One exchange on a connection, which can be used again.
async fn send(
    mut sender: Sender,
    request: Request<Full<Bytes>>,
) -> Result<(Sender, Answer), ExchangeError> {
    let broken = |error: &dyn fmt::Display| ExchangeError::Broken(error.to_string());
    sender.ready().await.map_err(|error| broken(&error))?;
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| broken(&error))?;
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), EXCHANGE_BYTES);
    let body = body.collect().await.map_err(|error| broken(&error))?;
    let answer = Answer {
        status,
        body: body.to_bytes().to_vec(),
    };
    Ok((sender, answer))
}

fn unreachable(cause: &dyn fmt::Display) -> ExchangeError {
    ExchangeError::Unreachable(cause.to_string())
}

fn untrusted(cause: &dyn fmt::Display) -> ExchangeError {
    ExchangeError::Untrusted(cause.to_string())
}
