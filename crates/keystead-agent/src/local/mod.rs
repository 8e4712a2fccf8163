//! On localhost, for programs of this machine: secrets and credentials in the shapes that they know from AWS.
//!
//! - [`secrets`] has the interface of AWS's Secrets Manager Agent;
//! - `sds` is secret discovery for Envoys, on a Unix socket;
//! - `spiffe` has identities for programs, by the SPIFFE Workload API;
//! - [`credentials`] that of the container credentials endpoint, and of the instance metadata service, version 2.
//!
//! What is HTTP listens on loopback alone, sends packets that no router forwards (time to live 1), and takes no request that was
//! forwarded. A port of loopback is open to every user of the machine, so each listener asks for a token that only the right
//! users can read, or looks up whose socket is at the other end, or both ([`Gate`]).

mod config;
pub mod credentials;
mod gate;
mod listen;
mod sds;
pub mod secrets;
mod spiffe;
mod unix;

use std::sync::Arc;

use tokio::task::JoinSet;

pub use config::{FileLocal, Local};
pub use gate::Gate;

use crate::identity::Identity;
use crate::report::Board;
use crate::{Clock, Failure};

/// What listens; it ends when this is dropped.
pub struct Listening {
    _tasks: JoinSet<()>,
}

/// Opens everything that the configuration asks for; what is delivered stands on the board. Where the port of a listener is 0, `told` learns which one it has.
///
/// # Errors
/// [`Failure::Here`].
pub async fn open(
    local: &Local,
    identity: &Arc<Identity>,
    clock: Clock,
    board: &Arc<Board>,
    mut told: impl FnMut(&'static str, std::net::SocketAddr),
) -> Result<Listening, Failure> {
    let mut tasks = JoinSet::new();
    if let Some(wanted) = &local.secrets {
        let listener = listen::bind(wanted.listen).await?;
        told("secrets", listen::address(&listener)?);
        let secrets = secrets::Secrets::new(Arc::clone(identity), wanted.ttl, clock);
        tasks.spawn(Arc::clone(&secrets).follow());
        let gate = Arc::new(wanted.gate.clone());
        let serve = move |request| {
            let (secrets, gate) = (Arc::clone(&secrets), Arc::clone(&gate));
            async move { secrets.answer(&gate, request).await }
        };
        tasks.spawn(listen::serve(listener, serve));
    }
    if let Some(wanted) = &local.container {
        let listener = listen::bind(wanted.listen).await?;
        told("container", listen::address(&listener)?);
        let gate = Arc::new(wanted.gate.clone());
        let identity = Arc::clone(identity);
        let serve = move |request| {
            let (identity, gate) = (Arc::clone(&identity), Arc::clone(&gate));
            async move { credentials::container(&identity, &gate, request).await }
        };
        tasks.spawn(listen::serve(listener, serve));
    }
    if let Some(wanted) = &local.instance {
        let listener = listen::bind(wanted.listen).await?;
        told("instance", listen::address(&listener)?);
        let instance =
            credentials::Instance::new(Arc::clone(identity), wanted.gate.clone(), clock)?;
        let instance = Arc::new(instance);
        let serve = move |request| {
            let instance = Arc::clone(&instance);
            async move { instance.answer(request).await }
        };
        tasks.spawn(listen::serve(listener, serve));
    }
    if let Some(wanted) = &local.sds {
        let socket = unix::Socket::bind(&wanted.socket)?;
        let source = sds::Delivery::new(
            Arc::clone(identity),
            clock,
            wanted.grants.clone(),
            Arc::clone(board),
        );
        tasks.spawn(Arc::clone(&source).follow());
        let sds = keystead_xds::Sds::start(source, keystead_xds::limits::Limits::default());
        let service = sds.service();
        tasks.spawn(async move {
            socket.serve(service).await;
            drop(sds);
        });
    }
    if let Some(wanted) = &local.spiffe {
        let socket = unix::Socket::bind(&wanted.socket)?;
        let workloads = wanted.workloads.clone();
        let source = spiffe::Identities::new(Arc::clone(identity), clock, workloads);
        tasks.spawn(Arc::clone(&source).keep_fresh());
        tasks.spawn(socket.serve(keystead_xds::WorkloadApi::new(source)));
    }
    Ok(Listening { _tasks: tasks })
}
