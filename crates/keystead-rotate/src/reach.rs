//! Which servers may be visited, and how they are spoken to.
//!
//! A secret says where its server is, and whoever may write a secret would otherwise have Keystead connect to any host of his
//! choice, from inside the network, and hand passwords to it. So a host must be allowed by the operator: by its name, or by
//! the addresses that its name stands for when it is connected to - those addresses are used, and not looked up again.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;

use keystead_core::rotation::{Engine, Place};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use tokio::net::TcpStream;

use crate::Rotators;

/// A server that may be visited.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    /// The name or address as the secret has it: what its certificate is for.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) database: Option<String>,
    /// Where it is; at least one.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Whom to trust, where TLS is spoken.
    pub(crate) tls: Option<Trust>,
}

/// Authorities of servers.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    /// For clients that take certificates.
    pub(crate) authorities: Arc<Vec<CertificateDer<'static>>>,
    /// For clients that take a configuration.
    pub(crate) config: Arc<ClientConfig>,
}

/// Where servers may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// A host of this name.
    Name(String),
    /// Every host whose name ends with this, dot included.
    Below(String),
    /// Every host of this network.
    Network {
        /// An address of it.
        address: IpAddr,
        /// How many bits of it count.
        bits: u8,
    },
}

impl FromStr for Allowed {
    type Err = String;

    /// `db.example.org`, `*.db.example.org`, `10.2.0.0/16`, `fd00::/8`, or one address.
    fn from_str(text: &str) -> Result<Self, String> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        if let Ok(address) = address.parse::<IpAddr>() {
            let most = if address.is_ipv4() { 32 } else { 128 };
            let bits = bits.map_or(Some(most), |bits| bits.parse().ok());
            let bits = bits.filter(|bits| *bits <= most);
            let bits = bits.ok_or_else(|| format!("'{text}' is no network"))?;
            return Ok(Self::Network { address, bits });
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!(
                "'{text}' is neither a host (db.example.org, *.example.org) nor a network (10.0.0.0/8)"
            ));
        }
        Ok(match below {
            true => Self::Below(format!(".{}", name.to_ascii_lowercase())),
            false => Self::Name(name.to_ascii_lowercase()),
        })
    }
}

impl Allowed {
    fn allows(&self, host: &str, at: IpAddr) -> bool {
        match self {
            Self::Name(name) => host == name,
            Self::Below(suffix) => host.ends_with(suffix.as_str()),
            Self::Network { address, bits } => match (address, at) {
                (IpAddr::V4(net), IpAddr::V4(at)) => {
                    let mask = u32::MAX.checked_shl(32 - u32::from(*bits)).unwrap_or(0);
                    (net.to_bits() ^ at.to_bits()) & mask == 0
                }
                (IpAddr::V6(net), IpAddr::V6(at)) => {
                    let mask = u128::MAX.checked_shl(128 - u32::from(*bits)).unwrap_or(0);
                    (net.to_bits() ^ at.to_bits()) & mask == 0
                }
                _ => false,
            },
        }
    }
}

/// Loopback, private and unique local addresses (RFC 1918, RFC 4193): where an organisation's own servers are. Link-local
/// ones are not among them, since clouds keep their credentials there (169.254.169.254).
fn usual() -> Vec<Allowed> {
    let networks = [
        "127.0.0.0/8",
        "::1",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "fc00::/7",
    ];
    networks
        .iter()
        .filter_map(|text| text.parse().ok())
        .collect()
}

impl Rotators {
    /// Looks the server up, and refuses it where it may not be visited.
    pub(crate) async fn reach(&self, place: &Place, engine: Engine) -> Result<Server, String> {
        let host = place.host.to_ascii_lowercase();
        let port = place.port.unwrap_or(engine.port());
        let found = tokio::time::timeout(
            crate::limits::CONNECT_DEADLINE,
            tokio::net::lookup_host((host.as_str(), port)),
        );
        let found = found
            .await
            .map_err(|_| "the host's name is not looked up in time")?;
        let found = found.map_err(|error| format!("the host is not found: {error}"))?;
        let usual = usual();
        let allowed = self.options.allow.as_deref().unwrap_or(&usual);
        // An IPv4 address that is written as an IPv6 one is what it is.
        let addresses = found.map(|at| SocketAddr::new(at.ip().to_canonical(), at.port()));
        let addresses: Vec<SocketAddr> = addresses
            .filter(|at| allowed.iter().any(|one| one.allows(&host, at.ip())))
            .collect();
        if addresses.is_empty() {
            return Err(
                "the host is none that `[rotation] allow` of the configuration allows".into(),
            );
        }
        let is_near = addresses.iter().all(|at| at.ip().is_loopback());
        let tls = match place.tls {
            Some(true) => true,
            Some(false) if !is_near => {
                return Err("without TLS (`ssl` is false) only loopback is connected to".into());
            }
            None if !is_near => true,
            _ => false,
        };
        Ok(Server {
            host,
            port,
            database: place.database.clone(),
            addresses,
            tls: match tls {
                true => Some(self.trust().await?),
                false => None,
            },
        })
    }

    /// The authorities of the machine, read once, and those of the configuration.
    async fn trust(&self) -> Result<Trust, String> {
        if let Some(trust) = self.trust.get() {
            return Ok(trust.clone());
        }
        let of_machine = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
        let of_machine = of_machine.await.map_err(|error| error.to_string())?;
        for error in &of_machine.errors {
            tracing::warn!(%error, "cannot read an authority that the machine trusts");
        }
        let mut roots = RootCertStore::empty();
        let mut authorities = of_machine.certs;
        authorities.extend(self.options.authorities.iter().cloned());
        // What can't be read as an authority would be refused as a whole by some clients.
        authorities.retain(|certificate| roots.add(certificate.clone()).is_ok());
        let config = ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let trust = Trust {
            authorities: Arc::new(authorities),
            config: Arc::new(config),
        };
        Ok(self.trust.get_or_init(|| trust).clone())
    }
}

impl Server {
    /// A connection to it, before anything is said.
    pub(crate) async fn connect(&self) -> Result<TcpStream, impl fmt::Display + use<>> {
        TcpStream::connect(self.addresses.as_slice()).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(list: &[&str], host: &str, at: &str) -> bool {
        let at = at.parse().unwrap();
        list.iter()
            .any(|one| one.parse::<Allowed>().unwrap().allows(host, at))
    }

    #[test]
    fn names_and_networks_allow_what_they_say() {
        let list = [
            "db.example.org",
            "*.shop.example",
            "10.2.0.0/16",
            "fd00::/8",
            "192.0.2.7",
        ];
        for (host, at, expected) in [
            ("db.example.org", "203.0.113.1", true),
            ("xdb.example.org", "203.0.113.1", false),
            ("one.shop.example", "203.0.113.1", true),
            ("shop.example", "203.0.113.1", false),
            ("x", "10.2.255.1", true),
            ("x", "10.3.0.1", false),
            ("x", "fd12::1", true),
            ("x", "fe80::1", false),
            ("x", "192.0.2.7", true),
            ("x", "192.0.2.8", false),
        ] {
            assert_eq!(allowed(&list, host, at), expected, "{host} {at}");
        }
        assert!(allowed(&["0.0.0.0/0"], "x", "203.0.113.1"));
        assert!(allowed(&["::/0"], "x", "2001:db8::1"));
        for broken in [
            "",
            "*.",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/x",
            "a b",
            "http://x",
        ] {
            broken.parse::<Allowed>().expect_err(broken);
        }
    }

    fn place(host: &str, tls: Option<bool>) -> Place {
        Place {
            host: host.into(),
            tls,
            ..Place::default()
        }
    }

    #[tokio::test]
    async fn the_usual_networks_have_no_credentials_of_clouds_in_them() {
        let rotators = Rotators::default();
        for host in [
            "169.254.169.254",
            "8.8.8.8",
            "fe80::1",
            "::ffff:169.254.169.254",
            "0.0.0.0",
        ] {
            let refusal = rotators.reach(&place(host, None), Engine::MySql).await;
            assert!(refusal.unwrap_err().contains("allow"), "{host}");
        }
        for host in [
            "127.0.0.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "fd00::1",
        ] {
            rotators
                .reach(&place(host, None), Engine::MySql)
                .await
                .expect(host);
        }
    }

    #[tokio::test]
    async fn plain_text_stays_on_loopback() {
        let rotators = Rotators::default();
        for (host, tls, expected) in [
            ("127.0.0.1", None, Some(false)),
            ("127.0.0.1", Some(false), Some(false)),
            ("127.0.0.1", Some(true), Some(true)),
            ("10.1.2.3", None, Some(true)),
            ("10.1.2.3", Some(true), Some(true)),
            ("10.1.2.3", Some(false), None),
        ] {
            let server = rotators.reach(&place(host, tls), Engine::Redis).await;
            assert_eq!(
                server.ok().map(|server| server.tls.is_some()),
                expected,
                "{host} {tls:?}"
            );
        }
    }
}
