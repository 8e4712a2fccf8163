//! Seeing what an address serves.

use std::sync::Arc;

use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio_rustls::rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme};

use crate::Failure;

/// `probe` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileProbe {
    /// Host and port.
    pub address: String,
    /// The name that is asked for.
    pub sni: Option<String>,
}

/// An address to look at.
pub struct Probe {
    address: String,
    name: ServerName<'static>,
    connector: TlsConnector,
}

/// What it serves.
pub struct Served {
    /// The certificate in DER.
    pub leaf_der: Vec<u8>,
}

impl Probe {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub fn of(file: FileProbe) -> Result<Self, Failure> {
        let host = file
            .address
            .rsplit_once(':')
            .map(|(host, _)| host.to_owned());
        let name = file.sni.or(host).unwrap_or_default();
        let name = ServerName::try_from(name).map_err(|error| Failure::Here(error.to_string()))?;
        let config = ClientConfig::builder()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Any(aws_lc_rs::default_provider())))
            .with_no_client_auth();
        Ok(Self {
            address: file.address,
            name,
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// What is served there.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub async fn served(&self) -> Result<Served, Failure> {
        let failed = |error: std::io::Error| Failure::Here(error.to_string());
        let stream = TcpStream::connect(&self.address).await.map_err(failed)?;
        let stream = self.connector.connect(self.name.clone(), stream).await;
        let stream = stream.map_err(failed)?;
        let shown = stream.get_ref().1.peer_certificates();
        let leaf = shown.and_then(<[_]>::first);
        let leaf = leaf.ok_or_else(|| Failure::Here("no certificate".into()))?;
        Ok(Served {
            leaf_der: leaf.as_ref().to_vec(),
        })
    }
}

#[derive(Debug)]
struct Any(CryptoProvider);

impl ServerCertVerifier for Any {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tokio_rustls::rustls::crypto::verify_tls12_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        tokio_rustls::rustls::crypto::verify_tls13_signature(
            message,
            certificate,
            signed,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
