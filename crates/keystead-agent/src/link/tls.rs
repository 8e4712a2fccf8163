//! Whom the agent believes to be its server.

use std::sync::Arc;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::Failure;

/// A connector that trusts these certificates (PEM) and nothing else, or what the machine trusts.
pub(super) fn connector(roots: Option<&str>) -> Result<TlsConnector, Failure> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                let added = certificate
                    .ok()
                    .and_then(|certificate| store.add(certificate).ok());
                added.ok_or_else(|| {
                    Failure::Here("what is to be trusted is not a certificate".into())
                })?;
            }
        }
        None => {
            for certificate in rustls_native_certs::load_native_certs().certs {
                // A machine has some that are of no use.
                let _ = store.add(certificate);
            }
        }
    }
    if store.is_empty() {
        return Err(Failure::Here(
            "there is no certificate that the server could be known by".into(),
        ));
    }
    let config = ClientConfig::builder()
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
