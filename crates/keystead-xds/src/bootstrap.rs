//! The configuration with which an Envoy serves and checks TLS with what Keystead holds.
//!
//! One listener in front of one upstream. Three independent choices make the usual places in a mesh:
//!
//! | place | `certificate` | `client_trust` | `upstream_trust` |
//! |---|---|---|---|
//! | in front of an application, TLS terminated | yes | | |
//! | the same, clients must show a certificate | yes | yes | |
//! | gateway, plain inside, checks who it talks to | | | yes |
//! | gateway with TLS on both sides | yes | | yes |
//!
//! Keys, certificates and trust come over SDS, none is in a file. Envoy waits for them without an end
//! (`initial_fetch_timeout` 0) before it opens the listener: a port that is open serves TLS, and
//! `/ready` of the admin port says when. Certificates are checked by trust *and* name, never by one
//! alone: without `trusted_ca`, or with `ACCEPT_UNTRUSTED`, Envoy lets a peer through that fails the
//! check and only counts it.
//!
//! The text is JSON, which is YAML too: Envoy takes it from a file of either ending.

mod config;
mod secret_file;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

pub use self::secret_file::{IDENTITY, TRUST, secret_file};
use crate::limits::NODE_ID_BYTES;

/// What a bootstrap is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// `node.id`, by which the server knows this Envoy.
    pub node_id: String,
    /// `node.cluster`, for the operator.
    pub node_cluster: String,
    /// Where Keystead listens for Envoys.
    pub server: Server,
    /// The variant of the protocol.
    pub variant: Variant,
    /// Where Envoy listens. Port 0 leaves the choice to the system; `/listeners` of the admin port
    /// tells it.
    pub listen: SocketAddr,
    /// Envoy's admin port, which must not be reachable by strangers: it can stop Envoy.
    pub admin: SocketAddr,
    /// Where requests go.
    pub upstream: Endpoint,
    /// The certificate that the listener serves, by ARN. Without it the listener is plain HTTP.
    pub certificate: Option<String>,
    /// Clients must show a certificate of this CA. Needs `certificate`.
    pub client_trust: Option<String>,
    /// The upstream speaks TLS and must show a certificate of this CA.
    pub upstream_trust: Option<String>,
    /// The name that the upstream's certificate must have, also sent to it (SNI). Default: the
    /// upstream's host. Needs `upstream_trust`.
    pub server_name: Option<String>,
    /// Whether each request is logged on standard output.
    pub access_log: bool,
}

/// Where Keystead listens for Envoys.
#[derive(Clone, Debug)]
pub enum Server {
    /// A Unix socket on the same machine; the kernel says which user Envoy runs as.
    Unix {
        /// Its absolute path.
        path: String,
    },
    /// TLS with client certificates. Envoy follows the two files, so that both can be renewed: each
    /// is written by [`secret_file`] and replaced by renaming.
    Tls {
        /// Where it listens.
        address: Endpoint,
        /// The name that its certificate must have.
        server_name: String,
        /// Absolute path of the node's own certificate with key.
        identity_file: String,
        /// Absolute path of the trust in the server's certificate.
        trust_file: String,
    },
}

/// The variant of the xDS protocol that an Envoy speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// `DeltaSecrets`: an Envoy that comes back gets only what it lacks.
    #[default]
    Incremental,
    /// `StreamSecrets`.
    StateOfTheWorld,
}

/// A host, by name or address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// A DNS name or an IP address (without brackets).
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Endpoint {
    fn ip(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self {
            host: address.ip().to_string(),
            port: address.port(),
        }
    }
}

impl FromStr for Endpoint {
    type Err = Invalid;

    /// Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = || Invalid(format!("{text:?} is not HOST:PORT"));
        let (host, port) = text.rsplit_once(':').ok_or_else(invalid)?;
        let port = port.parse().map_err(|_| invalid())?;
        let bracketed = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let fine = match bracketed {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => is_host_name(host),
        };
        if !fine || port == 0 {
            return Err(invalid());
        }
        Ok(Self {
            host: bracketed.unwrap_or(host).to_owned(),
            port,
        })
    }
}

/// Options that make no bootstrap; the text says why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}

/// Writes the bootstrap.
///
/// # Errors
/// [`Invalid`] when options contradict each other or cannot work.
pub fn render(options: &Options) -> Result<String, Invalid> {
    check(options)?;
    Ok(format!("{:#}\n", config::bootstrap(options)))
}

fn check(options: &Options) -> Result<(), Invalid> {
    let invalid = |text: &str| Err(Invalid(text.to_owned()));
    if options.node_id.is_empty() || options.node_id.len() > NODE_ID_BYTES {
        return Err(Invalid(format!(
            "the node's id must have 1 to {NODE_ID_BYTES} bytes"
        )));
    }
    if options.client_trust.is_some() && options.certificate.is_none() {
        return invalid(
            "clients can be asked for a certificate only over TLS: give the listener a certificate too",
        );
    }
    if options.server_name.is_some() && options.upstream_trust.is_none() {
        return invalid(
            "a server name is checked against the upstream's certificate: say which CA to trust for it",
        );
    }
    if let Server::Unix { path } = &options.server
        && (!path.starts_with('/') || path.len() > UNIX_PATH_BYTES)
    {
        return Err(Invalid(format!(
            "the socket's path must be absolute and of {UNIX_PATH_BYTES} bytes at most: {path:?}"
        )));
    }
    Ok(())
}

/// `sun_path` of unix(7) without its closing zero.
const UNIX_PATH_BYTES: usize = 107;

fn is_host_name(host: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    !host.is_empty() && host.len() <= 253 && host.bytes().all(allowed)
}
