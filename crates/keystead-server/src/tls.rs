//! TLS for the listeners: rustls with aws-lc-rs, X25519MLKEM768 first, and a certificate that can be
//! exchanged while connections stay open.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate, key or authority cannot be used.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// The TLS side of the listeners. Clones share the certificate.
#[derive(Clone)]
pub struct Tls {
    provider: Arc<CryptoProvider>,
    served: Arc<Served>,
    config: Arc<ServerConfig>,
}

impl Tls {
    /// Serves this chain (leaf first) with its key. Where `client_authorities` are given, a client
    /// may show a certificate of theirs; one that does not verify ends the handshake, none at all is
    /// accepted (the APIs prove who asks by signature).
    ///
    /// # Errors
    /// A key that is not the certificate's, or an authority that is not one.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
        client_authorities: &[CertificateDer<'static>],
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let served = Arc::new(Served(RwLock::new(certified(&provider, chain, key)?)));
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError(format!("no TLS version can be served: {error}")))?;
        let builder = match client_authorities {
            [] => builder.with_no_client_auth(),
            authorities => {
                let mut roots = RootCertStore::empty();
                for authority in authorities {
                    roots.add(authority.clone()).map_err(|error| {
                        TlsError(format!(
                            "a client authority is not a usable certificate: {error}"
                        ))
                    })?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone())
                        .allow_unauthenticated()
                        .build()
                        .map_err(|error| {
                            TlsError(format!("the client authorities cannot be used: {error}"))
                        })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(served.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self {
            provider,
            served,
            config: Arc::new(config),
        })
    }

    /// Serves this chain from the next handshake on.
    ///
    /// # Errors
    /// A key that is not the certificate's; the old certificate stays.
    pub fn replace(
        &self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<(), TlsError> {
        let fresh = certified(&self.provider, chain, key)?;
        *self
            .served
            .0
            .write()
            .unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    pub(crate) fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls { .. }")
    }
}

#[derive(Debug)]
struct Served(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(
            self.0
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
        )
    }
}

fn certified(
    provider: &CryptoProvider,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<CertifiedKey>, TlsError> {
    CertifiedKey::from_der(chain, key, provider)
        .map(Arc::new)
        .map_err(|error| {
            TlsError(format!(
                "the server's certificate and key cannot be used: {error}"
            ))
        })
}
