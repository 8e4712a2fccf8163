//! A small signed client for the server on this machine: what `status`, `envoy` and `demo` speak.
//!
//! It speaks awsJson 1.1, AWS's protocol for all that these commands need, so that nothing is
//! possible for them which isn't possible for any client.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use keystead_app::{Env as _, SystemEnv};
use keystead_crypto::digest;
use keystead_wire::protocol::json_headers;
use keystead_wire::schema::ServiceDef;
use keystead_wire::sigv4::{Credentials, RequestView, Signer};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Failure;
use crate::exports::ClientFile;
use crate::poll::until;

/// A client of one server.
pub(crate) struct Client {
    tls: Option<TlsConnector>,
    authority: String,
    host: String,
    region: String,
    credentials: Credentials,
}

/// What the server refused: AWS's code and its text.
#[derive(Debug)]
pub(crate) struct Refused {
    /// For instance `ResourceNotFoundException`.
    pub(crate) code: String,
    /// For the reader.
    pub(crate) message: String,
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        Self(format!(
            "the server answered {}: {}",
            refused.code, refused.message
        ))
    }
}

impl Client {
    /// A client with what `client.json` says.
    pub(crate) fn new(file: &ClientFile) -> Result<Self, Failure> {
        let (scheme, authority) = file
            .endpoint
            .split_once("://")
            .ok_or_else(|| Failure(format!("'{}' is not an endpoint", file.endpoint)))?;
        let host = authority
            .rsplit_once(':')
            .map_or(authority, |(host, _)| host);
        let tls = match (scheme, &file.ca_bundle) {
            ("https", bundle) => Some(connector(bundle.as_deref())?),
            _ => None,
        };
        Ok(Self {
            tls,
            host: host.trim_matches(['[', ']']).to_owned(),
            authority: authority.to_owned(),
            region: file.region.clone(),
            credentials: file.credentials()?,
        })
    }

    /// Calls an operation of an awsJson 1.1 service; the outer error is of the way there, the inner
    /// one the server's.
    pub(crate) async fn try_call(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
    ) -> Result<Result<Value, Refused>, Failure> {
        let body = input.to_string();
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header("host", &self.authority)
            .body(())
            .map_err(|error| Failure(format!("cannot make a request: {error}")))?;
        request
            .headers_mut()
            .extend(json_headers(service, operation));
        let (parts, ()) = request.clone().into_parts();
        let signer = Signer::new(
            &self.credentials,
            &self.region,
            service.signing_name,
            SystemEnv::default().now(),
        );
        let added = signer
            .sign(&RequestView::of(&parts), &digest::sha256(body.as_bytes()))
            .map_err(|error| Failure(format!("cannot sign a request: {error}")))?;
        request.headers_mut().extend(added);
        let (status, answer) = self
            .send(request.map(|()| Full::new(Bytes::from(body))))
            .await?;
        let parsed: Value = match answer.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&answer).map_err(|_| {
                Failure(format!(
                    "the server answered {status} with something that is not JSON"
                ))
            })?,
        };
        if status.is_success() {
            return Ok(Ok(parsed));
        }
        let text = |name: &str| parsed.get(name).and_then(Value::as_str);
        Ok(Err(Refused {
            code: text("__type").unwrap_or(status.as_str()).to_owned(),
            message: text("message")
                .or(text("Message"))
                .unwrap_or_default()
                .to_owned(),
        }))
    }

    /// Calls an operation; a refusal is a failure of the command.
    pub(crate) async fn call(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
    ) -> Result<Value, Failure> {
        Ok(self.try_call(service, operation, input).await??)
    }

    /// Asks until what is being made is there; answers this member of it.
    pub(crate) async fn once_there(
        &self,
        service: &ServiceDef,
        operation: &str,
        input: &Value,
        member: &str,
    ) -> Result<String, Failure> {
        until(operation, MADE, async || {
            match self.try_call(service, operation, input).await? {
                Ok(answer) => text(&answer, member).map(|text| Some(text.to_owned())),
                Err(refused) if refused.code.ends_with("RequestInProgressException") => Ok(None),
                Err(refused) => Err(refused.into()),
            }
        })
        .await
    }

    /// The entries of a listing in `member`, page after page.
    pub(crate) async fn list(
        &self,
        service: &ServiceDef,
        operation: &str,
        mut input: Value,
        member: &str,
    ) -> Result<Vec<Value>, Failure> {
        let mut all = Vec::new();
        loop {
            let mut page = self.call(service, operation, &input).await?;
            if let Some(Value::Array(found)) = page.get_mut(member).map(Value::take) {
                all.extend(found);
            }
            match (page.get("NextToken"), input.as_object_mut()) {
                (Some(token @ Value::String(_)), Some(input)) => {
                    input.insert("NextToken".into(), token.clone());
                }
                _ => return Ok(all),
            }
        }
    }

    /// Whether the server says that it is ready, with what it says.
    pub(crate) async fn health(&self) -> Result<(bool, Value), Failure> {
        let request = Request::builder()
            .uri("/health")
            .header(
                "host",
                HeaderValue::from_str(&self.authority)
                    .map_err(|_| Failure(format!("'{}' is not an address", self.authority)))?,
            )
            .body(Full::new(Bytes::new()))
            .map_err(|error| Failure(format!("cannot make a request: {error}")))?;
        let (status, answer) = self.send(request).await?;
        Ok((
            status == StatusCode::OK,
            serde_json::from_slice(&answer).unwrap_or(Value::Null),
        ))
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), Failure> {
        let unreachable = |error: &dyn std::fmt::Display| {
            Failure(format!(
                "cannot reach the server at {}: {error}; is 'keystead up' running?",
                self.authority
            ))
        };
        let exchange = async {
            let stream = TcpStream::connect(&self.authority)
                .await
                .map_err(|error| unreachable(&error))?;
            match &self.tls {
                None => exchange(TokioIo::new(stream), request).await,
                Some(tls) => {
                    let name = ServerName::try_from(self.host.clone())
                        .map_err(|_| Failure(format!("'{}' is not a host name", self.host)))?;
                    let stream = tls
                        .connect(name, stream)
                        .await
                        .map_err(|error| unreachable(&error))?;
                    exchange(TokioIo::new(stream), request).await
                }
            }
        };
        tokio::time::timeout(DEADLINE, exchange)
            .await
            .map_err(|_| {
                Failure(format!(
                    "the server at {} did not answer within {DEADLINE:?}",
                    self.authority
                ))
            })?
    }
}

async fn exchange<S>(
    stream: S,
    request: Request<Full<Bytes>>,
) -> Result<(StatusCode, Bytes), Failure>
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let broken =
        |error: hyper::Error| Failure(format!("the connection to the server broke: {error}"));
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream)
        .await
        .map_err(broken)?;
    let driver = tokio::spawn(connection);
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = Limited::new(response.into_body(), MAX_ANSWER)
        .collect()
        .await
        .map_err(|error| Failure(format!("cannot read the server's answer: {error}")))?;
    driver.abort();
    Ok((status, body.to_bytes()))
}

/// A connector that trusts what the server's `client.json` names, and nothing else.
fn connector(bundle: Option<&std::path::Path>) -> Result<TlsConnector, Failure> {
    let path = bundle.ok_or_else(|| {
        Failure("the server uses a TLS certificate of its operator's own; set AWS_CA_BUNDLE and use the aws CLI".into())
    })?;
    let pem = fs::read(path)
        .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let added = certificate
            .ok()
            .and_then(|certificate| roots.add(certificate).ok());
        added.ok_or_else(|| Failure(format!("{} is not a certificate", path.display())))?;
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A member of an answer that must be there.
pub(crate) fn text<'a>(answer: &'a Value, member: &str) -> Result<&'a str, Failure> {
    answer
        .get(member)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure(format!("the server's answer has no {member}")))
}

/// Keystead's own service: nodes.
pub(crate) const KEYSTEAD: &ServiceDef = &keystead_wire::keystead::SERVICE;
/// Certificate Manager.
pub(crate) const ACM: &ServiceDef = &keystead_wire::acm::SERVICE;
/// Secrets Manager.
pub(crate) const SECRETS_MANAGER: &ServiceDef = &keystead_wire::secretsmanager::SERVICE;
/// Private CA.
pub(crate) const ACM_PCA: &ServiceDef = &keystead_wire::acm_pca::SERVICE;

/// Longer than the server's own deadline for a request, so that its answer is what is seen.
const DEADLINE: Duration = Duration::from_secs(70);
/// A key and a signature take a fraction of a second.
const MADE: Duration = Duration::from_secs(30);
/// The largest answers are listings of 1000 entries of some 2 kB.
const MAX_ANSWER: usize = 8 << 20;
