//! The server's own TLS certificate: the operator's, or one that Keystead issues to itself and
//! exchanges while it runs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use keystead_app::App;
use keystead_server::Tls;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::task::JoinHandle;

use crate::Failure;
use crate::config::{Config, TlsFiles};

/// TLS of the listeners.
pub(crate) struct ServerTls {
    pub(crate) tls: Tls,
    /// What clients must trust; `None` with a certificate of the operator's own.
    pub(crate) bundle: Option<PathBuf>,
    source: Source,
}

#[derive(Clone)]
enum Source {
    Files(TlsFiles),
    Issued(Vec<String>),
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// TLS where the address is not loopback, or where the operator gave a certificate; else `None`.
pub(crate) async fn open(config: &Config, app: &App) -> Result<Option<ServerTls>, Failure> {
    let source = match &config.tls {
        Some(files) => Source::Files(files.clone()),
        None if config.listen.ip().is_loopback() => return Ok(None),
        None => Source::Issued(names(config)),
    };
    let (chain, key) = source.read(app).await?;
    // Nodes prove themselves by certificates of the system CA.
    let authority = certificates(app.system_ca.certificate_pem().as_bytes(), "the system CA")?;
    let tls = Tls::new(chain, key, &authority).map_err(|error| Failure(error.to_string()))?;
    let bundle = match &source {
        Source::Files(_) => None,
        Source::Issued(_) => Some(write_bundle(
            &config.data_dir,
            app.system_ca.certificate_pem(),
        )?),
    };
    Ok(Some(ServerTls {
        tls,
        bundle,
        source,
    }))
}

impl ServerTls {
    /// Reads the files again, or issues anew, day by day, and serves the outcome from the next
    /// handshake on. What can't be read leaves the old certificate in service.
    pub(crate) fn keep_fresh(&self, app: Arc<App>) -> JoinHandle<()> {
        let (tls, source) = (self.tls.clone(), self.source.clone());
        tokio::spawn(async move {
            let mut day = tokio::time::interval(DAY);
            day.tick().await;
            loop {
                day.tick().await;
                let replaced = match source.read(&app).await {
                    Ok((chain, key)) => tls.replace(chain, key).map_err(|error| error.to_string()),
                    Err(error) => Err(error.to_string()),
                };
                if let Err(error) = replaced {
                    tracing::error!(
                        error,
                        "the server's TLS certificate was not renewed; the old one stays in service"
                    );
                }
            }
        })
    }
}

impl Source {
    async fn read(&self, app: &App) -> Result<Pair, Failure> {
        let (chain, key, place) = match self {
            Self::Files(files) => (
                read(&files.certificate)?,
                read(&files.key)?.into(),
                files.key.display().to_string(),
            ),
            Self::Issued(names) => {
                let issued = app
                    .system_ca
                    .issue_server(&app.keys, names, app.env.now())
                    .await;
                let issued = issued.map_err(|error| Failure(error.to_string()))?;
                (
                    issued.chain_pem.into_bytes(),
                    issued.key_pem,
                    "the issued key".to_owned(),
                )
            }
        };
        let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
            Failure(format!(
                "{place} is not a private key in PEM (PKCS #8, PKCS #1 or SEC 1)"
            ))
        })?;
        Ok((certificates(&chain, "the server's certificate")?, key))
    }
}

/// The names under which clients reach the server.
fn names(config: &Config) -> Vec<String> {
    let mut names = config.names.clone();
    if !config.listen.ip().is_unspecified() {
        names.push(config.listen.ip().to_string());
    }
    names.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    names.sort();
    names.dedup();
    names
}

fn certificates(pem: &[u8], what: &str) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    parsed
        .ok()
        .filter(|chain| !chain.is_empty())
        .ok_or_else(|| Failure(format!("{what} is not a certificate in PEM")))
}

fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))
}

fn write_bundle(dir: &Path, pem: &str) -> Result<PathBuf, Failure> {
    let path = dir.join("ca.pem");
    std::fs::write(&path, pem)
        .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?;
    Ok(path)
}

/// Often enough for certificates of a few days, and seldom enough to cost nothing.
const DAY: Duration = Duration::from_secs(24 * 3600);
