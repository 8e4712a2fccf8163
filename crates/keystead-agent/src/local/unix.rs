//! Unix sockets of gRPC services: anybody may connect, and the kernel says who did.

use std::convert::Infallible;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use keystead_xds::PeerIdentity;
use tokio::net::{UnixListener, UnixStream};
use tower_service::Service;

use crate::Failure;

/// The socket; its file goes with it.
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Drop for Socket {
    fn drop(&mut self) {
        // At worst it is found to be stale at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

impl Socket {
    /// Listens at this path. What was left there by a process that is gone is removed; anything else is an error.
    pub(super) fn bind(path: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::Here(format!("cannot listen on {}: {error}", path.display()))
        };
        let is_stale = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
            && std::os::unix::net::UnixStream::connect(path)
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused);
        if is_stale {
            fs::remove_file(path).map_err(failed)?;
        }
        let listener = UnixListener::bind(path).map_err(failed)?;
        let socket = Self {
            listener,
            path: path.to_owned(),
        };
        // Connecting takes write permission (unix(7)); what each user may have is decided by user id.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        Ok(socket)
    }

    /// Serves whoever connects, for ever.
    pub(super) async fn serve<S, B>(self, service: S)
    where
        S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) => {
                    tokio::spawn(converse(stream, service.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

async fn converse<S, B>(stream: UnixStream, service: S)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Ok(credentials) = stream.peer_cred() else {
        return;
    };
    let identity = PeerIdentity::UnixUser {
        uid: credentials.uid(),
    };
    let answer = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(identity.clone());
        let answering = service.clone().call(request);
        async move { Ok::<_, Infallible>(answering.await.unwrap_or_else(|never| match never {})) }
    });
    // How it ended is the client's business.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), answer)
        .await;
}

/// Where there are no more file descriptors.
const PAUSE: Duration = Duration::from_millis(50);
