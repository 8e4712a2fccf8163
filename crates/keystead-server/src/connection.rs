//! Accepting connections and serving what comes through them.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::activity::Activity;
use crate::backend::Backend;
use crate::front::Front;
use crate::lifecycle::Phase;
use crate::limits::{
    ACCEPT_PAUSE, HANDSHAKE_TIMEOUT, HEADERS, Limits, OTHER_FILES, PING_INTERVAL, PING_TIMEOUT,
    STREAMS,
};
use crate::listen::{Listener, Listeners};
use crate::peer::{Peer, Process};
use crate::tls::Tls;

/// Serves every connection of the listeners until the lifecycle has come to [`Phase::Stopped`].
///
/// Start it, call [`ready`](crate::Lifecycle::ready), and end it with
/// [`drain`](crate::Lifecycle::drain).
pub async fn serve<B: Backend>(listeners: Listeners, front: Arc<Front<B>>) {
    let slots = Arc::new(Semaphore::new(connections(front.limits())));
    let mut loops = JoinSet::new();
    for listener in listeners.0 {
        let gate = Gate {
            builder: Arc::new(builder(front.limits())),
            front: front.clone(),
            slots: slots.clone(),
        };
        loops.spawn(gate.accept_all(listener));
    }
    let ended = async { while loops.join_next().await.is_some() {} };
    tokio::select! {
        () = ended => {}
        () = front.metrics().clone().keep_up() => {}
    }
}

/// The limit of connections, or what the file descriptors of this process allow, if that is less.
fn connections(limits: &Limits) -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let files = files
        .and_then(|files| usize::try_from(files).ok())
        .unwrap_or(usize::MAX);
    limits
        .connections
        .min(files.saturating_sub(OTHER_FILES))
        .max(1)
}

/// hyper takes no smaller buffer for HTTP/1.
const LEAST_BUFFER: usize = 8192;

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes.max(LEAST_BUFFER))
        .max_headers(HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT);
    builder
}

struct Gate<B> {
    builder: Arc<auto::Builder<TokioExecutor>>,
    front: Arc<Front<B>>,
    slots: Arc<Semaphore>,
}

impl<B> Clone for Gate<B> {
    fn clone(&self) -> Self {
        Self {
            builder: self.builder.clone(),
            front: self.front.clone(),
            slots: self.slots.clone(),
        }
    }
}

impl<B: Backend> Gate<B> {
    async fn accept_all(self, listener: Listener) {
        let lifecycle = self.front.lifecycle().clone();
        let stopped = lifecycle.reached(Phase::Stopped);
        tokio::pin!(stopped);
        loop {
            // A place first: what can't be served stays in the kernel's queue.
            let place = tokio::select! {
                Ok(place) = self.slots.clone().acquire_owned() => place,
                () = &mut stopped => return,
            };
            let accepted = tokio::select! {
                accepted = self.accept(&listener, place) => accepted,
                () = &mut stopped => return,
            };
            if let Err(error) = accepted {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }

    async fn accept(&self, came_to: &Listener, place: OwnedSemaphorePermit) -> io::Result<()> {
        let gate = self.clone();
        match came_to {
            Listener::Plain(listener) | Listener::Public(listener) => {
                let (stream, address) = listener.accept().await?;
                let peer = Peer {
                    address: Some(address),
                    public: matches!(came_to, Listener::Public(_)),
                    ..Peer::default()
                };
                stream.set_nodelay(true)?;
                tokio::spawn(async move { gate.converse(stream, peer, place).await });
            }
            Listener::Tls(listener, tls) => {
                let (stream, address) = listener.accept().await?;
                let peer = Peer {
                    address: Some(address),
                    tls: true,
                    ..Peer::default()
                };
                stream.set_nodelay(true)?;
                let tls = tls.clone();
                tokio::spawn(async move { gate.converse_tls(stream, &tls, peer, place).await });
            }
            Listener::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let peer = Peer {
                    process: Some(process(&stream)?),
                    ..Peer::default()
                };
                tokio::spawn(async move { gate.converse(stream, peer, place).await });
            }
        }
        Ok(())
    }

    async fn converse_tls(
        self,
        stream: TcpStream,
        tls: &Tls,
        mut peer: Peer,
        place: OwnedSemaphorePermit,
    ) {
        let handshake = TlsAcceptor::from(tls.config()).accept(stream);
        let stream = tokio::select! {
            shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake) => match shaken {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => {
                    tracing::debug!(peer = ?peer.address, %error, "TLS handshake failed");
                    return;
                }
                Err(_) => return,
            },
            () = self.front.lifecycle().reached(Phase::Stopped) => return,
        };
        // rustls hands out what its verifier accepted; an unverified certificate ends the handshake.
        let shown = stream.get_ref().1.peer_certificates();
        peer.certificate = shown
            .and_then(<[_]>::first)
            .map(|leaf| leaf.clone().into_owned());
        self.converse(stream, peer, place).await;
    }

    async fn converse<I>(self, stream: I, peer: Peer, _place: OwnedSemaphorePermit)
    where
        I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let front = &self.front;
        let lifecycle = front.lifecycle();
        let _open = metrics_open();
        let mut phase = lifecycle.watch();
        // Who comes while the server drains is told so, and does not hold it up.
        let late = *phase.borrow_and_update() >= Phase::Draining;
        let _at_work = (!late).then(|| lifecycle.at_work());
        let (peer, activity) = (Arc::new(peer), Arc::new(Activity::default()));
        let service = {
            let (front, activity) = (front.clone(), activity.clone());
            service_fn(move |request: Request<Incoming>| {
                let (front, peer, busy) = (front.clone(), peer.clone(), activity.begin());
                async move {
                    let response = front.handle(request, peer).await;
                    Ok::<_, Infallible>(response.map(|body| body.keep(busy)))
                }
            })
        };
        let connection = self.builder.serve_connection(TokioIo::new(stream), service);
        tokio::pin!(connection);
        tokio::select! {
            biased;
            ended = connection.as_mut() => return log(ended),
            () = unwanted(&mut phase, &activity, front.limits().idle_timeout, late) => {}
        }
        // Lets what is under way finish: HTTP/1 closes after the answer, HTTP/2 sends GOAWAY.
        connection.as_mut().graceful_shutdown();
        tokio::select! {
            biased;
            ended = connection.as_mut() => log(ended),
            () = lifecycle.reached(Phase::Stopped) => {}
        }
    }
}

/// Resolves when a connection should end: the server drains, or nothing happened on it for long.
async fn unwanted(
    phase: &mut watch::Receiver<Phase>,
    activity: &Activity,
    idle_timeout: Duration,
    late: bool,
) {
    let leave = if late {
        Phase::Stopped
    } else {
        Phase::Draining
    };
    let draining = phase.wait_for(|now| *now >= leave);
    let idle = async {
        let mut before = None;
        loop {
            tokio::time::sleep(idle_timeout / 2).await;
            let now = activity.idle_since();
            if now.is_some() && now == before {
                return;
            }
            before = now;
        }
    };
    tokio::select! {
        _ = draining => {}
        () = idle => {}
    }
}

fn process(stream: &UnixStream) -> io::Result<Process> {
    let credentials = stream.peer_cred()?;
    Ok(Process {
        uid: credentials.uid(),
        gid: credentials.gid(),
        pid: credentials.pid(),
    })
}

fn log(ended: Result<(), Box<dyn std::error::Error + Send + Sync>>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

struct Open;

fn metrics_open() -> Open {
    metrics::gauge!("keystead_connections").increment(1);
    Open
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::gauge!("keystead_connections").decrement(1);
    }
}
