//! The sockets: where the server can be reached, and what it takes to get in.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

use crate::limits::BACKLOG;
use crate::tls::Tls;

/// One place where the server listens.
#[derive(Clone, Debug)]
pub enum Endpoint {
    /// HTTP in clear, for this machine only: any address but a loopback one is refused, because
    /// request bodies and answers carry private keys.
    Plain(SocketAddr),
    /// HTTP in clear for everybody, of what is signed and secret to nobody: revocation lists and OCSP answers, and nothing
    /// else.
    Public(SocketAddr),
    /// HTTP over TLS.
    Tls(SocketAddr, Tls),
    /// A Unix socket, over which the kernel says which process connects.
    Unix(PathBuf, UnixAccess),
}

/// Who may connect to a Unix socket. Connecting needs write permission on it (unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnixAccess {
    /// Mode 0600: processes of the server's own user, and root.
    Owner,
    /// Mode 0666: every process of the machine. What each may have is decided by its user id, so
    /// this is how Envoys under users of their own are served.
    Everyone,
}

/// Why an endpoint cannot be listened on.
#[derive(Debug)]
pub struct BindError(String);

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BindError {}

/// Sockets that listen, not yet served. Callers wait in the kernel's queue.
#[derive(Debug)]
pub struct Listeners(pub(crate) Vec<Listener>);

#[derive(Debug)]
pub(crate) enum Listener {
    Plain(TcpListener),
    Public(TcpListener),
    Tls(TcpListener, Tls),
    Unix {
        listener: UnixListener,
        /// Removed when the listener goes.
        _file: SocketFile,
    },
}

impl Listeners {
    /// Listens on every endpoint, or on none.
    ///
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// An address that is taken, not ours, or would carry secrets in clear.
    pub fn bind(endpoints: Vec<Endpoint>) -> Result<Self, BindError> {
        endpoints
            .into_iter()
            .map(listener)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The TCP addresses, with the ports that the system chose where 0 was asked for.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.0
            .iter()
            .filter_map(|listener| match listener {
                Listener::Plain(listener)
                | Listener::Public(listener)
                | Listener::Tls(listener, _) => listener.local_addr().ok(),
                Listener::Unix { .. } => None,
            })
            .collect()
    }
}

fn listener(endpoint: Endpoint) -> Result<Listener, BindError> {
    match endpoint {
        Endpoint::Plain(address) if !is_loopback(address.ip()) => Err(BindError(format!(
            "{address} would carry private keys in clear: listen on a loopback address, or with TLS"
        ))),
        Endpoint::Plain(address) => tcp(address).map(Listener::Plain),
        Endpoint::Public(address) => tcp(address).map(Listener::Public),
        Endpoint::Tls(address, tls) => Ok(Listener::Tls(tcp(address)?, tls)),
        Endpoint::Unix(path, access) => {
            let (listener, file) = unix(&path, access).map_err(|error| {
                BindError(format!("cannot listen on {}: {error}", path.display()))
            })?;
            Ok(Listener::Unix {
                listener,
                _file: file,
            })
        }
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => {
            address.is_loopback()
                || address
                    .to_ipv4_mapped()
                    .is_some_and(|mapped| mapped.is_loopback())
        }
    }
}

fn tcp(address: SocketAddr) -> Result<TcpListener, BindError> {
    let bound = || -> io::Result<TcpListener> {
        let socket = match address {
            SocketAddr::V4(_) => TcpSocket::new_v4()?,
            SocketAddr::V6(_) => TcpSocket::new_v6()?,
        };
        // So that a restart need not wait for the old connections' last packets.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    bound().map_err(|error| BindError(format!("cannot listen on {address}: {error}")))
}

/// The file of a Unix socket.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // If it can't be removed, the next start will.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Bound first, then given its mode, then opened for connections: at no moment can anybody connect
/// who may not.
fn unix(path: &Path, access: UnixAccess) -> io::Result<(UnixListener, SocketFile)> {
    remove_stale(path)?;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    let file = SocketFile(path.to_owned());
    let mode = match access {
        UnixAccess::Owner => 0o600,
        UnixAccess::Everyone => 0o666,
    };
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    rustix::net::listen(&socket, i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok((UnixListener::from_std(socket.into())?, file))
}

/// Removes the socket of a server that is gone. Anything else at that path stays, and is an error.
fn remove_stale(path: &Path) -> io::Result<()> {
    let kind = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !kind.is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "something that is not a socket is there",
        ));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        _ => Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            "another process listens there",
        )),
    }
}
