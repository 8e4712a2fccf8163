//! A handshake that takes any certificate, and keeps what it was shown.

use std::sync::Arc;

use parking_lot::Mutex;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

/// The certificate that the server has proven to have the key of.
pub(super) async fn leaf(name: ServerName<'static>, stream: TcpStream) -> Result<Vec<u8>, String> {
    let builder = ClientConfig::builder();
    let witness = Arc::new(Witness {
        provider: Arc::clone(builder.crypto_provider()),
        leaf: Mutex::new(None),
    });
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(Arc::clone(&witness) as Arc<dyn ServerCertVerifier>)
        .with_no_client_auth();
    // A resumed session shows no certificate.
    config.resumption = tokio_rustls::rustls::client::Resumption::disabled();
    let shaken = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await;
    let leaf = witness.leaf.lock().take();
    match (leaf, shaken) {
        // Also where the handshake fails later, for want of a certificate of ours.
        (Some(leaf), _) => Ok(leaf),
        (None, Err(error)) => Err(format!("no TLS: {error}")),
        (None, Ok(_)) => Err("the server has shown no certificate".into()),
    }
}

#[derive(Debug)]
struct Witness {
    provider: Arc<CryptoProvider>,
    leaf: Mutex<Option<Vec<u8>>>,
}

impl Witness {
    fn keep(
        &self,
        certificate: &CertificateDer<'_>,
        valid: Result<HandshakeSignatureValid, Error>,
    ) -> Result<HandshakeSignatureValid, Error> {
        let valid = valid?;
        *self.leaf.lock() = Some(certificate.to_vec());
        Ok(valid)
    }
}

impl ServerCertVerifier for Witness {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls12_signature(message, certificate, signed, algorithms);
        self.keep(certificate, valid)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        let valid = verify_tls13_signature(message, certificate, signed, algorithms);
        self.keep(certificate, valid)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
