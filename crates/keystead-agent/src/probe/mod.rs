//! Which certificate a port serves, seen as its clients see it.
//!
//! Any chain is taken: the probe reads, and whether what it read is what was wanted is for who asked to say, byte by byte. What it does check
//! is that the server has the certificate's key, by its signature in the handshake. A server that demands a certificate of its
//! clients, and ends the handshake for want of one, has shown its own by then.

mod greeting;
mod witness;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;

use crate::Failure;

/// An element of `probe` of a placement in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileProbe {
    /// `host:port`; every address that the host's name stands for is dialled.
    pub(crate) address: String,
    /// The name to ask for; by default the host's.
    sni: Option<String>,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

/// What is spoken before TLS begins.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Nothing.
    #[default]
    Tls,
    /// STARTTLS (RFC 3207), submission too.
    Smtp,
    /// STARTTLS (RFC 9051 section 6.2.1).
    Imap,
    /// STLS (RFC 2595 section 4).
    Pop3,
    /// AUTH TLS (RFC 4217).
    Ftp,
    /// SSLRequest (PostgreSQL manual, "Message Formats").
    Postgresql,
    /// SSLRequest of MySQL's protocol, which MariaDB has too.
    Mysql,
}

/// Where to look, checked.
#[derive(Clone, Debug)]
pub struct Probe {
    host: String,
    port: u16,
    name: ServerName<'static>,
    protocol: Protocol,
    deadline: Duration,
}

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The server's own certificate.
    pub leaf_der: Vec<u8>,
    /// Every address that served it.
    pub addresses: Vec<SocketAddr>,
}

impl Probe {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`Failure::Here`], with what is wrong.
    pub fn of(file: FileProbe) -> Result<Self, Failure> {
        let told = |what: &str| Failure::Here(format!("probe of '{}': {what}", file.address));
        let (host, port) = file
            .address
            .rsplit_once(':')
            .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
            .ok_or_else(|| told("expected host:port"))?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.contains(':') && host.parse::<IpAddr>().is_err() {
            return Err(told("expected host:port, with an IPv6 address in brackets"));
        }
        let name = file.sni.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_| told("the name to ask for is none of a host"))?;
        if !(1..=LONGEST_TIMEOUT).contains(&file.timeout_seconds) {
            return Err(told(&format!(
                "timeout_seconds is {}: expected 1 to {LONGEST_TIMEOUT}",
                file.timeout_seconds
            )));
        }
        Ok(Self {
            host: host.to_owned(),
            port,
            name,
            protocol: file.protocol,
            deadline: Duration::from_secs(file.timeout_seconds),
        })
    }

    /// Dials every address, one after the other.
    ///
    /// # Errors
    /// [`Failure::Here`]: an address does not answer, or does not speak TLS, or two serve different certificates.
    pub async fn served(&self) -> Result<Served, Failure> {
        let mut seen: Option<Served> = None;
        for address in self.addresses().await? {
            let dialled = tokio::time::timeout(self.deadline, self.dial(address)).await;
            let leaf_der = dialled
                .unwrap_or_else(|_| Err(format!("no answer within {:?}", self.deadline)))
                .map_err(|cause| Failure::Here(format!("{address}: {cause}")))?;
            match &mut seen {
                None => {
                    seen = Some(Served {
                        leaf_der,
                        addresses: vec![address],
                    });
                }
                Some(served) if served.leaf_der == leaf_der => served.addresses.push(address),
                Some(served) => {
                    let others: Vec<_> = served.addresses.iter().map(ToString::to_string).collect();
                    return Err(Failure::Here(format!(
                        "{address} serves another certificate than {}",
                        others.join(", ")
                    )));
                }
            }
        }
        seen.ok_or_else(|| Failure::Here(format!("{} has no address", self.host)))
    }

    async fn addresses(&self) -> Result<Vec<SocketAddr>, Failure> {
        let looking = tokio::net::lookup_host((self.host.as_str(), self.port));
        let found = tokio::time::timeout(self.deadline, looking).await;
        let told = |cause: String| Failure::Here(format!("cannot find {}: {cause}", self.host));
        let found = found.map_err(|_| told(format!("no answer within {:?}", self.deadline)))?;
        let mut found: Vec<_> = found.map_err(|error| told(error.to_string()))?.collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    async fn dial(&self, address: SocketAddr) -> Result<Vec<u8>, String> {
        let stream = TcpStream::connect(address).await;
        let mut stream = stream.map_err(|error| format!("cannot connect: {error}"))?;
        greeting::begin(self.protocol, &mut stream).await?;
        witness::leaf(self.name.clone(), stream).await
    }
}

/// A server in good health answers within a tenth of a second; the rest is for networks.
fn usual_timeout() -> u64 {
    10
}

/// Beyond this a placement's other steps wait too long.
const LONGEST_TIMEOUT: u64 = 120;

#[cfg(test)]
mod tests;
