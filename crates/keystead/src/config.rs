//! What the operator asked for: the command line, then the configuration file, then the defaults.
//!
//! [`FileConfig`] is what is parsed; [`Config`] is what is trusted: every value checked.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use keystead_app::HsmOptions;
use keystead_core::lint::KnownKeys;
use keystead_core::{AccountId, Region};
use keystead_server::limits::EXCHANGE_DEADLINE;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde::Deserialize;

use crate::Failure;

mod rotation;
mod tokens;

/// The checked configuration of a server.
#[derive(Debug)]
pub(crate) struct Config {
    /// Where everything is kept.
    pub(crate) data_dir: PathBuf,
    /// The address of the AWS protocols.
    pub(crate) listen: SocketAddr,
    /// The account asked for; `None` takes the store's, or the default at the first start.
    pub(crate) account: Option<AccountId>,
    /// The region that `keystead env` exports.
    pub(crate) region: Region,
    /// Where the root key lies.
    pub(crate) root_key: PathBuf,
    /// The PKCS #11 tokens, and what they are for.
    pub(crate) hsm: HsmOptions,
    /// The Unix socket of secret discovery.
    pub(crate) xds_socket: PathBuf,
    /// A certificate and key of the operator's own for TLS, instead of one that Keystead issues.
    pub(crate) tls: Option<TlsFiles>,
    /// Names and addresses under which clients reach the server, for the certificate it issues itself.
    pub(crate) names: Vec<String>,
    /// Keys that are refused, because others know their private halves.
    pub(crate) known_keys: KnownKeys,
    /// Whether an answer waits until its audit event is on disk.
    pub(crate) audit_sync: bool,
    /// Where anybody gets revocation lists and OCSP answers in plain HTTP, beside the address of the AWS protocols.
    pub(crate) public_listen: Option<SocketAddr>,
    /// The address of that as certificates name it.
    pub(crate) public_url: Option<String>,
    /// Authorities of external key stores' proxies, trusted beside the machine's own.
    pub(crate) xks_authorities: Vec<CertificateDer<'static>>,
    /// How long KMS waits for such a proxy.
    pub(crate) xks_deadline: Duration,
    /// For how long private CAs keep certificates that have expired; for ever where `None`.
    pub(crate) keep_expired: Option<SignedDuration>,
    /// Which servers are visited to change passwords, and by what else they are changed.
    pub(crate) rotation: keystead_rotate::Options,
}

/// PEM files of the operator's own.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsFiles {
    /// The certificate, followed by its intermediates.
    pub(crate) certificate: PathBuf,
    /// Its private key.
    pub(crate) key: PathBuf,
}

/// What anybody may fetch.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublicFile {
    listen: Option<String>,
    url: Option<String>,
}

/// What KMS is to make of external key stores' proxies.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct XksFile {
    authorities: Option<PathBuf>,
    deadline_ms: Option<u64>,
}

/// What the command line said; the file fills what is missing.
#[derive(Debug, Default)]
pub(crate) struct Overrides {
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) listen: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) region: Option<String>,
}

/// The configuration file (TOML), as written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConfig {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    account: Option<String>,
    region: Option<String>,
    root_key: Option<toml::Value>,
    #[serde(default)]
    tokens: BTreeMap<String, tokens::TokenFile>,
    #[serde(default)]
    pca: tokens::PcaFile,
    xds_socket: Option<PathBuf>,
    tls: Option<TlsFiles>,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    compromised_keys: Vec<PathBuf>,
    #[serde(default)]
    audit_sync: bool,
    #[serde(default)]
    xks: XksFile,
    #[serde(default)]
    public: PublicFile,
    #[serde(default)]
    rotation: rotation::RotationFile,
}

impl Config {
    /// Reads `file` (if any) and lays `overrides` over it.
    pub(crate) fn load(file: Option<&Path>, overrides: Overrides) -> Result<Self, Failure> {
        let parsed = match file {
            Some(path) => parse(path)?,
            None => FileConfig::default(),
        };
        let data_dir = match overrides.data_dir.or(parsed.data_dir) {
            // Envoys and later commands look for what lies in it from other directories.
            Some(dir) => std::path::absolute(&dir)
                .map_err(|error| Failure(format!("cannot use {}: {error}", dir.display())))?,
            None => default_data_dir()?,
        };
        let listen = overrides.listen.or(parsed.listen);
        let listen = listen.as_deref().unwrap_or(DEFAULT_LISTEN);
        let account = overrides.account.or(parsed.account);
        let region = overrides.region.or(parsed.region);
        let root_key = tokens::RootKeyFile::parse(parsed.root_key)?;
        Ok(Self {
            keep_expired: parsed.pca.keep_expired()?,
            hsm: tokens::check(parsed.tokens, root_key.token, parsed.pca.token)?,
            listen: address(listen)?,
            public_listen: parsed.public.listen.as_deref().map(address).transpose()?,
            public_url: parsed.public.url.map(public_url).transpose()?,
            account: account
                .map(|text| AccountId::parse(&text))
                .transpose()
                .map_err(|error| Failure(error.to_string()))?,
            region: Region::parse(region.as_deref().unwrap_or(DEFAULT_REGION))
                .map_err(|error| Failure(error.to_string()))?,
            root_key: root_key.file.unwrap_or_else(|| data_dir.join("root.key")),
            xds_socket: parsed
                .xds_socket
                .unwrap_or_else(|| data_dir.join("xds.sock")),
            data_dir,
            tls: parsed.tls,
            names: parsed.names,
            known_keys: known_keys(&parsed.compromised_keys)?,
            audit_sync: parsed.audit_sync,
            xks_authorities: match &parsed.xks.authorities {
                Some(path) => authorities(path)?,
                None => Vec::new(),
            },
            rotation: rotation::check(parsed.rotation)?,
            xks_deadline: match parsed.xks.deadline_ms {
                None => EXCHANGE_DEADLINE,
                Some(given) => Duration::from_millis(given),
            },
        })
    }
}

/// The keys of these lists, with those that standards publish.
fn known_keys(lists: &[PathBuf]) -> Result<KnownKeys, Failure> {
    let mut known = KnownKeys::default();
    for path in lists {
        let refused = |cause: &dyn std::fmt::Display| {
            Failure(format!(
                "cannot read compromised keys from {}: {cause}",
                path.display()
            ))
        };
        let size = fs::metadata(path).map_err(|error| refused(&error))?.len();
        if size > MAX_KEY_LIST {
            return Err(refused(&format!(
                "it has {size} bytes, expected at most {MAX_KEY_LIST}"
            )));
        }
        let list = fs::read_to_string(path).map_err(|error| refused(&error))?;
        known.add(&list).map_err(|error| refused(&error))?;
    }
    Ok(known)
}

fn address(text: &str) -> Result<SocketAddr, Failure> {
    text.parse().map_err(|_| {
        Failure(format!(
            "cannot listen on '{text}': expected ADDRESS:PORT, for instance {DEFAULT_LISTEN}"
        ))
    })
}

/// An address that certificates can name: clients need no TLS to learn whether TLS can be trusted (RFC 5280 section 8), and
/// a URI is ASCII.
fn public_url(text: String) -> Result<String, Failure> {
    let host = text.strip_prefix("http://").unwrap_or_default();
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}?#".contains(&byte);
    if host.trim_end_matches('/').is_empty() || !host.bytes().all(plain) {
        return Err(Failure(format!(
            "cannot publish revocation at '{text}': expected http://NAME or http://NAME:PORT"
        )));
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The certificates of a PEM file, at least one.
fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let refused = |cause: &dyn std::fmt::Display| {
        Failure(format!(
            "cannot read authorities from {}: {cause}",
            path.display()
        ))
    };
    let found = CertificateDer::pem_file_iter(path).map_err(|error| refused(&error))?;
    let found: Vec<_> = found
        .collect::<Result<_, _>>()
        .map_err(|error| refused(&error))?;
    match found.is_empty() {
        true => Err(refused(&"it has no certificate")),
        false => Ok(found),
    }
}

fn parse(path: &Path) -> Result<FileConfig, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        Failure(format!(
            "{} is not a valid configuration: {error}",
            path.display()
        ))
    })
}

/// `$XDG_DATA_HOME/keystead`, by default `~/.local/share/keystead` (XDG Base Directory
/// Specification).
pub(crate) fn default_data_dir() -> Result<PathBuf, Failure> {
    let from = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    from("XDG_DATA_HOME")
        .or_else(|| from("HOME").map(|home| home.join(".local/share")))
        .map(|base| base.join("keystead"))
        .ok_or_else(|| Failure("neither XDG_DATA_HOME nor HOME is set: give --data-dir DIR".into()))
}

/// A list of as many keys as are held, 65 bytes each, with as much again for comments.
const MAX_KEY_LIST: u64 = 128 << 20;

/// Loopback alone: whoever wants more says so, and then TLS is on.
const DEFAULT_LISTEN: &str = "127.0.0.1:4700";

/// The region that AWS's own tools assume where none is configured.
const DEFAULT_REGION: &str = "us-east-1";
