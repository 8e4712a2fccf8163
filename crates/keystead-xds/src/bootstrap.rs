//! The configuration with which an Envoy serves and checks TLS with what Keystead holds.
//!
//! One listener in front of one upstream. Three choices make the usual places in a mesh:
//!
//! | place | `certificate` | `client_trust` | `upstream_trust` |
//! |---|---|---|---|
//! | in front of an application, TLS terminated | yes | | |
//! | the same, clients must show a certificate | yes | yes | |
//! | gateway, plain inside, checks who it talks to | | | yes |
//! | gateway with TLS on both sides | yes | | yes |
//!
//! Whoever checks the upstream can also show it a certificate of its own (`client_certificate`).
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
    /// The certificate that is shown to an upstream that asks for one. Needs `upstream_trust`.
    pub client_certificate: Option<String>,
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
    if options.client_certificate.is_some() && options.upstream_trust.is_none() {
        return invalid(
            "a certificate is shown over TLS only: say which CA to trust for the upstream too",
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

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn options() -> Options {
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        Options {
            node_id: "teller".to_owned(),
            node_cluster: String::new(),
            server: Server::Unix {
                path: "/run/keystead/xds.sock".to_owned(),
            },
            variant: Variant::default(),
            listen: anywhere,
            admin: anywhere,
            upstream: "app.local:8080".parse().unwrap(),
            certificate: Some("arn:leaf".to_owned()),
            client_trust: Some("arn:clients".to_owned()),
            upstream_trust: Some("arn:servers".to_owned()),
            client_certificate: None,
            server_name: None,
            access_log: false,
        }
    }

    fn refused(change: impl FnOnce(&mut Options)) -> String {
        let mut options = options();
        change(&mut options);
        render(&options).unwrap_err().to_string()
    }

    #[test]
    fn an_endpoint_is_read_in_each_of_its_forms() {
        for (text, host, port) in [
            ("app.local:80", "app.local", 80),
            ("127.0.0.1:65535", "127.0.0.1", 65_535),
            ("[::1]:8080", "::1", 8_080),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.host.as_str(), endpoint.port), (host, port));
        }
        for text in [
            "app",
            "app:",
            ":80",
            "app:0",
            "app:65536",
            "::1:80",
            "[x]:80",
            "a b:80",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }

    #[test]
    fn options_that_cannot_work_are_refused() {
        assert!(refused(|options| options.certificate = None).contains("over TLS"));
        assert!(refused(|options| options.node_id = String::new()).contains("id"));
        let relative = |options: &mut Options| {
            options.server = Server::Unix {
                path: "xds.sock".to_owned(),
            };
        };
        assert!(refused(relative).contains("absolute"));
        let unchecked = |options: &mut Options| {
            options.upstream_trust = None;
            options.server_name = Some("app.local".to_owned());
        };
        assert!(refused(unchecked).contains("CA"));
        let shown = |options: &mut Options| {
            options.upstream_trust = None;
            options.client_certificate = Some("arn:client".to_owned());
        };
        assert!(refused(shown).contains("over TLS only"));
    }

    /// Envoy answers a peer that fails a check of names when no trust is set beside it.
    #[test]
    fn a_peer_is_checked_by_trust_and_name() {
        let text = render(&options()).unwrap();
        assert!(!text.contains("ACCEPT_UNTRUSTED"));
        let bootstrap: Value = serde_json::from_str(&text).unwrap();
        let tls = |part: &str| bootstrap.pointer(part).unwrap();
        let upstream = tls(
            "/static_resources/clusters/0/transport_socket/typed_config/common_tls_context/combined_validation_context",
        );
        let secret = &upstream["validation_context_sds_secret_config"];
        assert_eq!(secret["name"], "arn:servers");
        let names = &upstream["default_validation_context"]["match_typed_subject_alt_names"];
        assert_eq!(names[0]["matcher"]["exact"], "app.local");
        let listener =
            tls("/static_resources/listeners/0/filter_chains/0/transport_socket/typed_config");
        assert_eq!(listener["require_client_certificate"], true);
    }

    #[test]
    fn an_address_is_matched_as_one_and_not_sent_as_a_name() {
        let mut options = options();
        options.upstream = "[::1]:443".parse().unwrap();
        let text = render(&options).unwrap();
        assert!(
            text.contains("IP_ADDRESS") && !text.contains("sni"),
            "{text}"
        );
    }
}
