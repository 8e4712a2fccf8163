//! TLS: protocols by ALPN, post-quantum key exchange, client certificates, exchange while serving.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use keystead_core::x509::GeneralName;
use keystead_server::{Endpoint, Peer, Tls};
use rustls::{ClientConfig, NamedGroup, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::certificates::{Authority, Issued};
use crate::client::{Client, identity};
use crate::http2;
use crate::world::{Script, World, limits, start_on};

fn localhost() -> GeneralName {
    GeneralName::Dns("localhost".into())
}

fn serve(tls: &Tls) -> Vec<Endpoint> {
    vec![Endpoint::Tls("127.0.0.1:0".parse().unwrap(), tls.clone())]
}

fn client(authority: &Authority, protocol: &[u8], certificate: Option<Issued>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(issued) => builder
            .with_client_auth_cert(issued.chain, issued.key)
            .unwrap(),
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn connect(world: &World, connector: &TlsConnector) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(world.address).await.unwrap();
    connector
        .connect(ServerName::try_from("localhost").unwrap(), stream)
        .await
        .unwrap()
}

fn leaf(stream: &TlsStream<TcpStream>) -> CertificateDer<'static> {
    stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned()
}

#[tokio::test]
async fn both_versions_of_http_and_a_post_quantum_exchange() {
    let authority = Authority::new("test").await;
    let issued = authority.issue(localhost()).await;
    let tls = Tls::new(issued.chain, issued.key, &[]).unwrap();
    let world = start_on(serve(&tls), limits(), Script::default(), |front| front).await;

    let stream = connect(&world, &client(&authority, b"http/1.1", None)).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let group = stream
        .get_ref()
        .1
        .negotiated_key_exchange_group()
        .unwrap()
        .name();
    assert_eq!(group, NamedGroup::X25519MLKEM768);
    assert_eq!(Client::over(stream).call(&identity()).await.status, 200);

    let stream = connect(&world, &client(&authority, b"h2", None)).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut sender = http2::over(stream).await;
    assert_eq!(http2::answer(&mut sender, http2::identity()).await.0, 200);
}

#[tokio::test]
async fn a_new_certificate_is_served_from_the_next_handshake_on() {
    let authority = Authority::new("test").await;
    let first = authority.issue(localhost()).await;
    let tls = Tls::new(first.chain.clone(), first.key, &[]).unwrap();
    let world = start_on(serve(&tls), limits(), Script::default(), |front| front).await;
    let connector = client(&authority, b"http/1.1", None);
    let old = connect(&world, &connector).await;
    assert_eq!(leaf(&old), first.chain[0]);

    let second = authority.issue(localhost()).await;
    let mismatched = tls.replace(first.chain, second.key.clone_key());
    assert!(
        mismatched
            .unwrap_err()
            .to_string()
            .contains("cannot be used")
    );
    tls.replace(second.chain.clone(), second.key).unwrap();
    let new = connect(&world, &connector).await;
    assert_eq!(leaf(&new), second.chain[0]);
    assert_eq!(Client::over(old).call(&identity()).await.status, 200);
}

/// Keeps the certificates that its callers showed.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<Vec<Option<CertificateDer<'static>>>>>);

impl tower_service::Service<http::Request<Incoming>> for Shown {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let peer = request.extensions().get::<Arc<Peer>>().unwrap();
        assert!(peer.tls);
        self.0.lock().unwrap().push(peer.certificate.clone());
        std::future::ready(Ok(http::Response::new(tonic::body::Body::empty())))
    }
}

#[tokio::test]
async fn a_client_certificate_is_passed_on_when_it_verifies() {
    let authority = Authority::new("test").await;
    let issued = authority.issue(localhost()).await;
    let tls = Tls::new(
        issued.chain,
        issued.key,
        std::slice::from_ref(&authority.certificate),
    )
    .unwrap();
    let shown = Shown::default();
    let service = shown.clone();
    let world = start_on(serve(&tls), limits(), Script::default(), |front| {
        front.with_grpc(service)
    })
    .await;

    let call = |connector: TlsConnector| {
        let world = &world;
        async move {
            let mut sender = http2::over(connect(world, &connector).await).await;
            let request = http::Request::post("http://localhost/a/b")
                .header("content-type", "application/grpc")
                .body(Full::default())
                .unwrap();
            sender.ready().await?;
            sender
                .send_request(request)
                .await?
                .into_body()
                .collect()
                .await
        }
    };
    let node = authority
        .issue(GeneralName::Uri("keystead:node/1".into()))
        .await;
    let certificate = node.chain[0].clone();
    call(client(&authority, b"h2", Some(node))).await.unwrap();
    call(client(&authority, b"h2", None)).await.unwrap();
    assert_eq!(*shown.0.lock().unwrap(), [Some(certificate), None]);

    let stranger = Authority::new("stranger").await.issue(localhost()).await;
    assert!(
        call(client(&authority, b"h2", Some(stranger)))
            .await
            .is_err()
    );
    assert_eq!(shown.0.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_client_that_never_shakes_hands_does_not_hold_up_the_end() {
    let authority = Authority::new("test").await;
    let issued = authority.issue(localhost()).await;
    let tls = Tls::new(issued.chain, issued.key, &[]).unwrap();
    let world = start_on(serve(&tls), limits(), Script::default(), |front| front).await;
    let mut mute = Client::connect(world.address).await;
    // In clear where TLS is spoken: refused by the handshake.
    let mut clear = Client::connect(world.address).await;
    clear.try_write(&identity().bytes()).await;
    clear.closed().await;
    assert!(world.lifecycle.drain(crate::client::PATIENCE).await);
    world.served.await.unwrap();
    mute.closed().await;
}
