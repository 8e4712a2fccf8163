//! Who is at the other end of a connection, proven before any request is read.

use std::net::SocketAddr;

use rustls_pki_types::CertificateDer;

/// The other end of one connection. Every request that came through it carries it in its
/// extensions, as an `Arc`.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// The caller's address; `None` on a Unix socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection came to a listener for the public alone ([`crate::Endpoint::Public`]).
    pub public: bool,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The client certificate that was verified in the handshake, if the peer showed one.
    pub certificate: Option<CertificateDer<'static>>,
    /// The process at the other end of a Unix socket.
    pub process: Option<Process>,
}

impl Peer {
    /// Whether nobody on the way can listen: the connection is encrypted, or does not leave the machine.
    pub fn is_private(&self) -> bool {
        self.tls
            || self
                .address
                .is_none_or(|address| address.ip().is_loopback())
    }
}

/// A local process, as the kernel vouches for it (`SO_PEERCRED`, unix(7)): the ids at the moment of
/// `connect`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Process id, where the system tells; for the log only, as it may have been reused since.
    pub pid: Option<i32>,
}
