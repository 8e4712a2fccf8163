//! A real Envoy with its secrets from this service.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "support/load.rs"]
mod load;
#[path = "support/pki.rs"]
mod pki;
#[path = "support/server.rs"]
mod server;
mod support;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use keystead_testkit::{Envoy, get, until};
use keystead_xds::bootstrap::{
    Endpoint, IDENTITY, Options, Server, TRUST, Variant, render, secret_file,
};
use keystead_xds::limits::Limits;
use keystead_xds::{Event, PeerIdentity, Sds, SecretKind};
use load::{Client, Load, served};
use pki::{Ca, Leaf};
use server::{Running, application, on_tls, on_unix};
use support::TestSource;
use tempfile::TempDir;

const CERTIFICATE: &str = "arn:aws:acm:us-west-2:000000000000:certificate/one";
const CLIENTS: &str = "arn:aws:acm-pca:us-west-2:000000000000:certificate-authority/clients";
const SERVERS: &str = "arn:aws:acm-pca:us-west-2:000000000000:certificate-authority/servers";
const NAME: &str = "colorteller.default.svc.cluster.local";
const WILDCARD: &str = "DNS:*.default.svc.cluster.local";
const ANYWHERE: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const WAIT: Duration = Duration::from_secs(60);

/// One test's source, service, socket, application and authority.
struct World {
    dir: TempDir,
    ca: Ca,
    source: Arc<TestSource>,
    sds: Sds,
    listener: Option<Running>,
    upstream: SocketAddr,
    _application: Running,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = TestSource::new();
        let sds = Sds::start(source.clone(), Limits::default());
        let (application, upstream) = application().await;
        let mut world = Self {
            ca: Ca::new(dir.path(), "ca"),
            dir,
            source,
            sds,
            listener: None,
            upstream,
            _application: application,
        };
        world.listen();
        world
    }

    fn dir(&self) -> &Path {
        self.dir.path()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("xds.sock")
    }

    fn listen(&mut self) {
        self.listener = Some(on_unix(&self.sds, &self.socket()));
    }

    /// Ends the service as a crash would.
    fn crash(&mut self) {
        self.listener = None;
    }

    /// Starts another service on the same records.
    fn restart(&mut self) {
        self.sds = Sds::start(self.source.clone(), Limits::default());
        self.listen();
    }

    fn options(&self, variant: Variant) -> Options {
        Options {
            node_id: "teller".to_owned(),
            node_cluster: "mesh".to_owned(),
            server: Server::Unix {
                path: self.socket().to_str().unwrap().to_owned(),
            },
            variant,
            listen: ANYWHERE,
            admin: ANYWHERE,
            upstream: self.upstream.into(),
            certificate: None,
            client_trust: None,
            upstream_trust: None,
            client_certificate: None,
            server_name: None,
            access_log: false,
        }
    }

    /// An Envoy in front of the application.
    fn teller(&self, variant: Variant) -> Envoy {
        let options = Options {
            certificate: Some(CERTIFICATE.to_owned()),
            ..self.options(variant)
        };
        self.envoy("teller", &options)
    }

    fn envoy(&self, name: &str, options: &Options) -> Envoy {
        Envoy::start(&render(options).unwrap(), name, self.dir())
    }

    /// Writes a secret for an Envoy that is elsewhere.
    fn file(&self, name: &str, secret: &SecretKind) -> String {
        let path = self.dir().join(name);
        std::fs::write(&path, secret_file(name, secret).as_bytes()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn issue(&self) -> Leaf {
        let leaf = self.ca.issue(WILDCARD);
        self.source.put(CERTIFICATE, leaf.secret());
        leaf
    }

    fn client(&self, address: SocketAddr) -> Client {
        Client::new(address, &self.ca, NAME, None)
    }
}

fn me() -> PeerIdentity {
    let uid = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap());
    PeerIdentity::UnixUser { uid }
}

/// Waits off the executor, which serves meanwhile.
async fn eventually(what: &'static str, condition: impl FnMut() -> bool + Send + 'static) {
    let mut condition = condition;
    let waiting = move || until(what, WAIT, || condition().then_some(()));
    tokio::task::spawn_blocking(waiting).await.unwrap();
}

async fn reported(source: &Arc<TestSource>, what: &'static str, event: fn(&Event) -> bool) {
    let source = source.clone();
    eventually(what, move || source.events().iter().any(|(_, e)| event(e))).await;
}

/// Waits until a handshake succeeds that failed before.
async fn admitted(client: &Client) {
    let start = Instant::now();
    while let Err(error) = client.once().await {
        assert!(start.elapsed() < WAIT, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_served_in_either_variant() {
    for variant in [Variant::Incremental, Variant::StateOfTheWorld] {
        let world = World::new().await;
        let leaf = world.issue();
        let mut envoy = world.teller(variant);
        let client = world.client(envoy.serving());
        assert_eq!(client.once().await.unwrap(), leaf.der());
        assert_eq!(envoy.stat(".ssl.handshake"), 1);
        assert_eq!(envoy.stat(".ssl.versions.TLSv1.3"), 1);
        let (node, _) = world.source.events()[0].clone();
        assert_eq!(
            (node.id.as_str(), node.cluster.as_str()),
            ("teller", "mesh")
        );
        assert_eq!(node.identity, me());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_under_load_fails_no_request() {
    for variant in [Variant::Incremental, Variant::StateOfTheWorld] {
        let world = World::new().await;
        world.issue();
        let mut envoy = world.teller(variant);
        let client = world.client(envoy.serving());
        let load = Load::start(&client, 4, 2);
        let mut latencies = Vec::new();
        for _ in 0..20 {
            let leaf = world.ca.issue(WILDCARD);
            world.source.put(CERTIFICATE, leaf.secret());
            latencies.push(served(&client, &leaf).await);
        }
        let (requests, failures) = load.stop().await;
        latencies.sort_unstable();
        println!(
            "{variant:?}: renewal pushed to served under load: median {:?}, longest {:?}; {requests} requests, {} failed",
            latencies[10],
            latencies[19],
            failures.len(),
        );
        assert!(requests > 100, "{requests} requests are no load");
        assert!(failures.is_empty(), "{failures:?}");
        // The aim is 100 ms; a busy machine gets ten times that before it counts as broken.
        assert!(latencies[10] < Duration::from_secs(1), "{latencies:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_leave_gets_nothing_until_it_has_it() {
    for variant in [Variant::Incremental, Variant::StateOfTheWorld] {
        let world = World::new().await;
        let leaf = world.issue();
        world.source.deny(&me(), CERTIFICATE);
        let mut envoy = world.teller(variant);
        let denied = |event: &Event| matches!(event, Event::Withheld { denied: true, .. });
        reported(&world.source, "the denial to be reported", denied).await;
        assert!(envoy.serials().is_empty());
        assert!(!envoy.ready());
        world.source.allow(&me(), CERTIFICATE);
        let client = world.client(envoy.serving());
        served(&client, &leaf).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_serves_on_while_keystead_is_away_and_then_catches_up() {
    for variant in [Variant::Incremental, Variant::StateOfTheWorld] {
        let mut world = World::new().await;
        let old = world.issue();
        let mut envoy = world.teller(variant);
        let client = world.client(envoy.serving());
        let source = world.source.clone();
        let count = |event: fn(&Event) -> bool| {
            let source = source.clone();
            move || source.events().iter().filter(|(_, e)| event(e)).count()
        };
        let accepted = count(|event| matches!(event, Event::Accepted { .. }));
        let first = accepted.clone();
        eventually("the first to be accepted", move || first() == 1).await;
        let load = Load::start(&client, 2, 1);

        world.crash();
        let new = world.ca.issue(WILDCARD);
        world.source.put_silently(CERTIFICATE, new.secret());
        assert_eq!(client.once().await.unwrap(), old.der());
        let restart = Instant::now();
        world.restart();
        served(&client, &new).await;
        println!("{variant:?}: restart to caught up: {:?}", restart.elapsed());

        let both = accepted.clone();
        eventually("both versions to be accepted", move || both() == 2).await;

        // It comes back once more, says that it has the newest, and is sent nothing.
        world.crash();
        world.restart();
        let connected = count(|event| matches!(event, Event::Connected));
        eventually("Envoy to come back", move || connected() >= 3).await;
        let newest = world.issue();
        served(&client, &newest).await;
        let all = accepted.clone();
        eventually("the newest to be accepted", move || all() >= 4).await;
        assert_eq!(accepted(), 4);
        assert_eq!(envoy.stat(".update_success"), 3, "one was sent twice");

        let (_, failures) = load.stop().await;
        assert!(failures.is_empty(), "{failures:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_reaches_the_operator_and_the_old_certificate_stays() {
    for variant in [Variant::Incremental, Variant::StateOfTheWorld] {
        let world = World::new().await;
        let leaf = world.issue();
        let mut envoy = world.teller(variant);
        let client = world.client(envoy.serving());
        served(&client, &leaf).await;

        let stranger = world.ca.issue(WILDCARD);
        let mismatch = Leaf {
            certificate: stranger.certificate,
            key: leaf.key.clone(),
        };
        let bad = world.source.put(CERTIFICATE, mismatch.secret());
        let rejected = |event: &Event| matches!(event, Event::Rejected { .. });
        reported(&world.source, "the rejection to be reported", rejected).await;
        let events = world.source.events();
        let (_, event) = events.iter().find(|(_, event)| rejected(event)).unwrap();
        let Event::Rejected {
            version, detail, ..
        } = event
        else {
            panic!("{event:?}");
        };
        println!("{variant:?}: Envoy's reason: {detail}");
        assert_eq!(*version, bad);
        assert!(!detail.is_empty());
        assert!(!detail.contains("PRIVATE KEY"), "a key in a reason");
        assert_eq!(client.once().await.unwrap(), leaf.der());
        assert_eq!(envoy.stat(".update_rejected"), 1);

        let good = world.issue();
        served(&client, &good).await;
        assert_eq!(envoy.stat(".update_rejected"), 1, "sent once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_must_show_a_certificate_where_their_ca_is_named() {
    let world = World::new().await;
    world.issue();
    let (clients, strangers) = (
        Ca::new(world.dir(), "clients"),
        Ca::new(world.dir(), "strangers"),
    );
    world.source.put(CLIENTS, clients.trust());
    let options = Options {
        certificate: Some(CERTIFICATE.to_owned()),
        client_trust: Some(CLIENTS.to_owned()),
        ..world.options(Variant::Incremental)
    };
    let mut envoy = world.envoy("teller", &options);
    let address = envoy.serving();
    let with = |own: Option<&Leaf>| Client::new(address, &world.ca, NAME, own);
    let (own, strange) = (clients.issue("DNS:client"), strangers.issue("DNS:client"));
    with(Some(&own)).once().await.unwrap();
    with(None).once().await.unwrap_err();
    with(Some(&strange)).once().await.unwrap_err();

    // The trust is replaced like a certificate.
    world.source.put(CLIENTS, strangers.trust());
    admitted(&with(Some(&strange))).await;
    with(Some(&own)).once().await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_checks_whom_it_talks_to() {
    let world = World::new().await;
    world.issue();
    world.source.put(SERVERS, world.ca.trust());
    let mut teller = world.teller(Variant::Incremental);
    let upstream = Endpoint::from(teller.serving());
    let gateway = |label: &str, server_name: &str, variant| {
        let options = Options {
            node_id: label.to_owned(),
            upstream: upstream.clone(),
            upstream_trust: Some(SERVERS.to_owned()),
            server_name: Some(server_name.to_owned()),
            ..world.options(variant)
        };
        world.envoy(label, &options)
    };
    let mut right = gateway("right", NAME, Variant::Incremental);
    let mut whole = gateway("whole", NAME, Variant::StateOfTheWorld);
    let mut wrong = gateway("wrong", "colorteller.other.local", Variant::Incremental);
    let answer = |envoy: &mut Envoy| get(envoy.serving(), "/color").unwrap();
    assert_eq!(answer(&mut right), (200, "white".to_owned()));
    assert_eq!(answer(&mut whole), (200, "white".to_owned()));
    assert_eq!(answer(&mut wrong).0, 503);
    assert_ne!(wrong.stat("cluster.upstream.ssl.fail_verify_san"), 0);
    assert_eq!(right.stat("cluster.upstream.ssl.versions.TLSv1.3"), 1);

    // A certificate of the right name from another authority.
    let strangers = Ca::new(world.dir(), "strangers");
    let strange = strangers.issue(WILDCARD);
    world.source.put(CERTIFICATE, strange.secret());
    admitted(&Client::new(teller.serving(), &strangers, NAME, None)).await;
    let mut late = gateway("late", NAME, Variant::Incremental);
    assert_eq!(answer(&mut late).0, 503);
    assert_ne!(late.stat("cluster.upstream.ssl.fail_verify_error"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_elsewhere_comes_with_a_client_certificate() {
    let world = World::new().await;
    let leaf = world.issue();
    let nodes = Ca::new(world.dir(), "nodes");
    let verifier = rustls::server::WebPkiClientVerifier::builder(Arc::new(nodes.roots()));
    let own = world.ca.issue("DNS:keystead.local");
    let mut config = rustls::ServerConfig::builder()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![own.der()], own.key_der())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (_running, port) = on_tls(&world.sds, config, "node teller").await;

    let options = Options {
        server: Server::Tls {
            address: Endpoint {
                host: "127.0.0.1".to_owned(),
                port,
            },
            server_name: "keystead.local".to_owned(),
            identity_file: world.file(IDENTITY, &nodes.issue("DNS:teller").secret()),
            trust_file: world.file(TRUST, &world.ca.trust()),
        },
        certificate: Some(CERTIFICATE.to_owned()),
        ..world.options(Variant::Incremental)
    };
    let mut envoy = world.envoy("teller", &options);
    let client = world.client(envoy.serving());
    assert_eq!(client.once().await.unwrap(), leaf.der());
    let (node, _) = world.source.events()[0].clone();
    let name = "node teller".to_owned();
    assert_eq!(node.identity, PeerIdentity::Certificate { name });
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_accepts_every_kind_of_bootstrap() {
    let world = World::new().await;
    let some = |arn: &str| Some(arn.to_owned());
    let elsewhere = Server::Tls {
        address: "keystead.local:4700".parse().unwrap(),
        server_name: "keystead.local".to_owned(),
        identity_file: world.file(IDENTITY, &world.ca.issue("DNS:node").secret()),
        trust_file: world.file(TRUST, &world.ca.trust()),
    };
    let plain = Options {
        upstream: "[::1]:8080".parse().unwrap(),
        access_log: true,
        ..world.options(Variant::StateOfTheWorld)
    };
    let full = Options {
        server: elsewhere,
        upstream: "app.local:8080".parse().unwrap(),
        certificate: some(CERTIFICATE),
        client_trust: some(CLIENTS),
        upstream_trust: some(SERVERS),
        client_certificate: some(CERTIFICATE),
        ..world.options(Variant::Incremental)
    };
    for options in [plain, full] {
        let text = render(&options).unwrap();
        let verdict = Envoy::validate(&text, world.dir());
        assert_eq!(verdict, Ok(()), "{text}");
    }
}
