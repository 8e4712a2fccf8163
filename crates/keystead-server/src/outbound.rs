//! Gets documents of other servers, over HTTPS alone.
//!
//! A certificate is trusted if an authority that the machine trusts vouches for it, or if the caller knows it or an
//! authority in its chain by fingerprint (IAM user guide, "Obtain the thumbprint for an OpenID Connect identity
//! provider"). What a fingerprint is of must itself have signed the handshake or the certificate that did: a chain
//! proves nothing by what it contains.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Scheme, Uri};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::rt::TokioIo;
use keystead_app::outbound::{Document, Fetch, FetchError};
use keystead_core::hex;
use keystead_crypto::digest;
use keystead_crypto::x509::Certificate;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::limits::{DOCUMENT_BYTES, DOCUMENT_DEADLINE};

/// What gets documents for the use cases.
pub fn fetch() -> Fetch {
    let authorities = Arc::new(OnceLock::new());
    Arc::new(move |document| {
        let authorities = Arc::clone(&authorities);
        Box::pin(async move {
            let got = tokio::time::timeout(DOCUMENT_DEADLINE, get(&document, authorities)).await;
            got.unwrap_or_else(|_| Err(late(DOCUMENT_DEADLINE)))
        })
    })
}

fn late(deadline: Duration) -> FetchError {
    FetchError::Unreachable(format!("no answer within {deadline:?}"))
}

/// The authorities that the machine trusts, read when they are needed first.
type Authorities = Arc<OnceLock<Arc<RootCertStore>>>;

async fn get(document: &Document, authorities: Authorities) -> Result<Vec<u8>, FetchError> {
    let refused = |cause: &dyn fmt::Display| FetchError::Refused(cause.to_string());
    let unreachable = |cause: &dyn fmt::Display| FetchError::Unreachable(cause.to_string());
    let uri: Uri = document.url.parse().map_err(|error| refused(&error))?;
    let secure = uri.scheme() == Some(&Scheme::HTTPS);
    let Some(authority) = uri.authority().filter(|_| secure) else {
        return Err(FetchError::Refused("the URL is not https".into()));
    };
    let host = authority.host().trim_matches(['[', ']']).to_owned();
    let name = ServerName::try_from(host.clone()).map_err(|error| refused(&error))?;
    let authorities = tokio::task::spawn_blocking(move || {
        Arc::clone(authorities.get_or_init(|| Arc::new(of_machine())))
    });
    let authorities = authorities.await.map_err(|error| unreachable(&error))?;
    let trust = Trust::new(authorities, &document.thumbprints)?;
    let config = ClientConfig::builder()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust))
        .with_no_client_auth();
    let port = authority.port_u16().unwrap_or(443);
    let stream = TcpStream::connect((host.as_str(), port)).await;
    let stream = stream.map_err(|error| unreachable(&error))?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(|error| {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref());
        match cause {
            Some(Error::InvalidCertificate(_)) => FetchError::Untrusted(error.to_string()),
            _ => unreachable(&error),
        }
    })?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())
        .map_err(|error| refused(&error))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unreachable(&error))?;
    // It is driven as long as the exchange lasts, and no longer.
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request).await;
    let response = response.map_err(|error| unreachable(&error))?;
    if response.status() != StatusCode::OK {
        let status = response.status();
        return Err(FetchError::Refused(format!("it answers {status}")));
    }
    let body = Limited::new(response.into_body(), DOCUMENT_BYTES);
    let body = body.collect().await.map_err(|error| refused(&error))?;
    Ok(body.to_bytes().to_vec())
}

pub(crate) fn of_machine() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::warn!(%error, "cannot read an authority that the machine trusts");
    }
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(found.certs);
    authorities
}

/// Whose certificates are trusted.
#[derive(Debug)]
struct Trust {
    provider: Arc<CryptoProvider>,
    /// `None` where the machine trusts nobody.
    machine: Option<Arc<WebPkiServerVerifier>>,
    thumbprints: Vec<String>,
}

impl Trust {
    fn new(authorities: Arc<RootCertStore>, thumbprints: &[String]) -> Result<Self, FetchError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let machine = match authorities.is_empty() {
            true => None,
            false => Some(verifier(authorities, &provider)?),
        };
        Ok(Self {
            provider,
            machine,
            thumbprints: thumbprints.to_vec(),
        })
    }

    fn knows(&self, certificate: &CertificateDer<'_>) -> bool {
        let digest = digest::sha1(certificate);
        let thumbprint = hex(&digest);
        self.thumbprints
            .iter()
            .any(|known| known.eq_ignore_ascii_case(&thumbprint))
    }
}

fn verifier(
    authorities: Arc<RootCertStore>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<WebPkiServerVerifier>, FetchError> {
    WebPkiServerVerifier::builder_with_provider(authorities, Arc::clone(provider))
        .build()
        .map_err(|error| FetchError::Untrusted(error.to_string()))
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let refusal = match &self.machine {
            None => Error::InvalidCertificate(CertificateError::UnknownIssuer),
            Some(machine) => {
                match machine.verify_server_cert(
                    end_entity,
                    intermediates,
                    server_name,
                    ocsp_response,
                    now,
                ) {
                    Ok(verified) => return Ok(verified),
                    Err(refusal) => refusal,
                }
            }
        };
        if self.knows(end_entity) {
            verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return current(end_entity, now);
        }
        for authority in intermediates.iter().filter(|one| self.knows(one)) {
            let mut only = RootCertStore::empty();
            only.add(authority.clone())?;
            let verifier = verifier(Arc::new(only), &self.provider)
                .map_err(|_| Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
            let verified = verifier.verify_server_cert(
                end_entity,
                intermediates,
                server_name,
                ocsp_response,
                now,
            );
            if verified.is_ok() {
                return verified;
            }
        }
        Err(refusal)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A certificate that is known by itself has its time like any other.
fn current(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<ServerCertVerified, Error> {
    let encoding = Error::InvalidCertificate(CertificateError::BadEncoding);
    let parsed = Certificate::from_der(certificate).map_err(|_| encoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    if now < parsed.not_before {
        return Err(Error::InvalidCertificate(CertificateError::NotValidYet));
    }
    if now > parsed.not_after {
        return Err(Error::InvalidCertificate(CertificateError::Expired));
    }
    Ok(ServerCertVerified::assertion())
}
