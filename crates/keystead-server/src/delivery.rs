//! Mounts delivery on the listeners: tells it who is at the other end of a connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Request;
use hyper::body::Incoming;
use keystead_core::x509::GeneralName;
use keystead_crypto::x509::Certificate;
use keystead_xds::{PeerIdentity, SdsService};
use tower_service::Service;

use crate::peer::Peer;

/// Secret discovery behind the front door.
#[derive(Clone)]
pub struct Delivery(SdsService);

impl Delivery {
    /// Mounts this service.
    pub fn new(service: SdsService) -> Self {
        Self(service)
    }
}

impl Service<Request<Incoming>> for Delivery {
    type Response = <SdsService as Service<Request<Incoming>>>::Response;
    type Error = Infallible;
    type Future = <SdsService as Service<Request<Incoming>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Incoming>>::poll_ready(&mut self.0, context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        // Without an identity in the extensions the service refuses by itself.
        let identity = request
            .extensions()
            .get::<Arc<Peer>>()
            .and_then(|peer| identity(peer));
        if let Some(identity) = identity {
            request.extensions_mut().insert(identity);
        }
        self.0.call(request)
    }
}

/// What the connection proves. A client certificate goes before a user id: it names one node.
fn identity(peer: &Peer) -> Option<PeerIdentity> {
    if let Some(der) = &peer.certificate {
        let certificate = Certificate::from_der(der).ok()?;
        return certificate.alt_names().iter().find_map(|name| match name {
            GeneralName::Uri(name) => Some(PeerIdentity::Certificate { name: name.clone() }),
            _ => None,
        });
    }
    let process = peer.process?;
    Some(PeerIdentity::UnixUser { uid: process.uid })
}
