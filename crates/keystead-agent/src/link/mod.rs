//! The way to the server: HTTP/1.1, over TLS where the endpoint says so, on connections that are kept.

mod tls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use keystead_crypto::digest;
use keystead_wire::protocol::json_headers;
use keystead_wire::schema::ServiceDef;
use keystead_wire::sigv4::{AuthError, Credentials, RequestView, Signer};
use parking_lot::Mutex;
use rustls_pki_types::ServerName;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::Failure;

/// The way to one server.
pub struct Link {
    authority: String,
    host: String,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<Sender>>,
}

type Sender = SendRequest<Full<Bytes>>;

/// A request, signed or not yet.
#[derive(Clone, Debug)]
pub struct Call {
    method: Method,
    /// The path, with its query.
    pub path: &'static str,
    /// The headers, `host` among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// An answer, whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Link {
    /// The way to this endpoint, for instance `https://keystead.example:4700`; `roots` (PEM) are trusted in place of the
    /// machine's own.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub fn new(endpoint: &str, roots: Option<&str>) -> Result<Arc<Self>, Failure> {
        let wrong = || Failure::Here(format!("'{endpoint}' is not the URL of a server"));
        let (scheme, rest) = endpoint.split_once("://").ok_or_else(wrong)?;
        let authority = rest.trim_end_matches('/');
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, true),
            _ => (authority, false),
        };
        let (tls, usual) = match scheme {
            "https" => (Some(tls::connector(roots)?), 443),
            "http" => (None, 80),
            _ => return Err(wrong()),
        };
        Ok(Arc::new(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            authority: match port {
                true => authority.to_owned(),
                false => format!("{authority}:{usual}"),
            },
            tls,
            idle: Mutex::default(),
        }))
    }

    /// A call of an operation of an awsJson 1.1 service.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub fn json(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
    ) -> Result<Call, Failure> {
        let mut headers = json_headers(service, operation);
        headers.insert("host", self.host_header()?);
        Ok(Call {
            method: Method::POST,
            path: "/",
            headers,
            body: Bytes::from(input.to_string()),
        })
    }

    /// A call that asks for what is at this path.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub fn get(&self, path: &'static str) -> Result<Call, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert("host", self.host_header()?);
        Ok(Call {
            method: Method::GET,
            path,
            headers,
            body: Bytes::new(),
        })
    }

    /// A call of a REST operation, by POST.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub fn rest(&self, path: &'static str, input: &Value) -> Result<Call, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert("host", self.host_header()?);
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        Ok(Call {
            method: Method::POST,
            path,
            headers,
            body: Bytes::from(input.to_string()),
        })
    }

    fn host_header(&self) -> Result<http::HeaderValue, Failure> {
        let name = self.authority.parse();
        name.map_err(|_| Failure::Here(format!("'{}' is not an address", self.authority)))
    }

    /// Sends a call that may be repeated, and waits for its answer, `longest` at most.
    ///
    /// # Errors
    /// [`Failure::Unreachable`], [`Failure::Here`].
    pub async fn send(&self, call: &Call, longest: Duration) -> Result<Answer, Failure> {
        let exchange = async {
            // A connection that was kept may be closed at the other end by now: that is seen only when it is used.
            if let Some(kept) = self.kept()
                && let Ok(answer) = self.exchange(kept, call).await
            {
                return Ok(answer);
            }
            self.exchange(self.connect().await?, call).await
        };
        self.within(longest, exchange).await
    }

    /// As [`Link::send`], a call that may not be repeated: on a connection of its own.
    ///
    /// # Errors
    /// As there.
    pub async fn send_once(&self, call: &Call, longest: Duration) -> Result<Answer, Failure> {
        let exchange = async { self.exchange(self.connect().await?, call).await };
        self.within(longest, exchange).await
    }

    async fn within(
        &self,
        longest: Duration,
        exchange: impl Future<Output = Result<Answer, Failure>>,
    ) -> Result<Answer, Failure> {
        match tokio::time::timeout(longest, exchange).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(&format!("no answer within {} s", longest.as_secs()))),
        }
    }

    fn kept(&self) -> Option<Sender> {
        let mut idle = self.idle.lock();
        while let Some(sender) = idle.pop() {
            if sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    async fn exchange(&self, mut sender: Sender, call: &Call) -> Result<Answer, Failure> {
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(call.path)
            .body(Full::new(call.body.clone()))
            .map_err(|error| Failure::Here(format!("cannot make a request: {error}")))?;
        *request.headers_mut() = call.headers.clone();
        let response = sender.send_request(request).await;
        let (parts, body) = response
            .map_err(|error| self.unreachable(&error))?
            .into_parts();
        let body = Limited::new(body, MAX_ANSWER).collect().await;
        let body = body.map_err(|error| self.unreachable(&error))?.to_bytes();
        let mut idle = self.idle.lock();
        if idle.len() < MOST_IDLE {
            idle.push(sender);
        }
        Ok(Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        })
    }

    async fn connect(&self) -> Result<Sender, Failure> {
        let connecting = async {
            let stream = TcpStream::connect(&self.authority).await;
            let stream = stream.map_err(|error| self.unreachable(&error))?;
            let _ = stream.set_nodelay(true);
            match &self.tls {
                None => self.handshake(TokioIo::new(stream)).await,
                Some(tls) => {
                    let name = ServerName::try_from(self.host.clone()).map_err(|_| {
                        Failure::Here(format!("'{}' is not a host name", self.host))
                    })?;
                    let stream = tls.connect(name, stream).await;
                    let stream = stream.map_err(|error| self.unreachable(&error))?;
                    self.handshake(TokioIo::new(stream)).await
                }
            }
        };
        match tokio::time::timeout(CONNECT, connecting).await {
            Ok(sender) => sender,
            Err(_) => Err(self.unreachable(&"no connection came about")),
        }
    }

    async fn handshake<S>(&self, stream: S) -> Result<Sender, Failure>
    where
        S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let begun = hyper::client::conn::http1::handshake(stream).await;
        let (sender, connection) = begun.map_err(|error| self.unreachable(&error))?;
        // It ends with its sender.
        tokio::spawn(connection);
        Ok(sender)
    }

    fn unreachable(&self, why: &dyn std::fmt::Display) -> Failure {
        Failure::Unreachable(format!(
            "cannot reach the server at {}: {why}",
            self.authority
        ))
    }
}

impl Call {
    /// Signs it with these credentials.
    ///
    /// # Errors
    /// [`Failure::Here`]: a credential can't stand in a header.
    pub fn sign(
        &mut self,
        credentials: &Credentials,
        (service, region): (&ServiceDef, &str),
        at: Timestamp,
    ) -> Result<(), Failure> {
        let signer = Signer::new(credentials, region, service.signing_name, at);
        let payload = digest::sha256(&self.body);
        let added = signer.sign(&self.view(), &payload).map_err(unsigned)?;
        self.headers.extend(added);
        Ok(())
    }

    /// As it is signed.
    pub(crate) fn view(&self) -> RequestView<'_> {
        RequestView {
            method: self.method.as_str(),
            path: self.path,
            query: "",
            authority: None,
            headers: &self.headers,
        }
    }
}

pub(crate) fn unsigned(error: AuthError) -> Failure {
    Failure::Here(format!("cannot sign a request: {error}"))
}

impl Answer {
    /// The document of the answer.
    ///
    /// # Errors
    /// [`Failure::Refused`] with what the server said; [`Failure::Unreachable`] where that is no JSON, or no fault of the
    /// caller's.
    pub fn document(&self) -> Result<Value, Failure> {
        let document: Value = match self.body.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&self.body).map_err(|_| {
                Failure::Unreachable(format!(
                    "the server answered {} with something that is not JSON",
                    self.status
                ))
            })?,
        };
        if self.status.is_success() {
            return Ok(document);
        }
        let of = |name: &str| document.get(name).and_then(Value::as_str);
        let header = self
            .headers
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok());
        let code = of("__type").or(header).unwrap_or(self.status.as_str());
        let code = code.rsplit('#').next().unwrap_or(code).to_owned();
        let message = of("message")
            .or(of("Message"))
            .unwrap_or_default()
            .to_owned();
        match self.status.is_server_error() {
            true => Err(Failure::Unreachable(format!(
                "the server answered {code}: {message}"
            ))),
            false => Err(Failure::Refused { code, message }),
        }
    }
}

/// A member of an answer that must be there.
///
/// # Errors
/// [`Failure::Unreachable`]: whatever answered is no such server.
pub fn text<'a>(answer: &'a Value, member: &str) -> Result<&'a str, Failure> {
    let found = answer.get(member).and_then(Value::as_str);
    found.ok_or_else(|| Failure::Unreachable(format!("the server's answer has no {member}")))
}

/// One that waits, one that reports, and one to spare.
const MOST_IDLE: usize = 3;

/// TCP tries again after 1, 3 and 7 seconds.
const CONNECT: Duration = Duration::from_secs(10);

/// What a call takes that does not wait for anything.
pub const CALL: Duration = Duration::from_secs(60);

/// The largest answers are chains of certificates of two megabytes.
const MAX_ANSWER: usize = 8 << 20;
