//! `keystead demo mesh`: AWS's walkthrough "Configuring TLS with AWS Certificate Manager" on one
//! machine. A gateway Envoy checks the teller against a private CA, a second Envoy terminates TLS in
//! front of the colour teller; then the certificate is renewed while requests go on.
//!
//! The server is a process of its own, started like any other, and all it is asked goes over AWS's
//! protocol.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use keystead_xds::bootstrap::{self, Endpoint, Options, Server, Variant};
use serde_json::json;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use super::envoy::{self, Envoy, get};
use super::load::{Application, COLOR, Checker, Load};
use super::progress::Progress;
use super::stage::Stage;
use super::walkthrough::{self, DOMAIN};
use crate::Failure;
use crate::client::{Client, KEYSTEAD, text};
use crate::exports::ClientFile;
use crate::poll::until;

/// Two Envoys talk TLS with certificates of a private CA, renewed under load.
///
/// Starts a server of its own on free ports, in a temporary folder, and ends and removes everything
/// at the end and on Ctrl-C. Exits with 0 only when the renewed certificate was served and no request
/// failed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead demo mesh
  keystead demo mesh --envoy ./envoy-venv/bin/envoy")]
pub(crate) struct Args {
    /// The Envoy program [default: the first on the PATH].
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let program = envoy::find(args.envoy.as_deref())?;
    let mut stage = Stage::new()?;
    let outcome = tokio::select! {
        outcome = play(program, &mut stage) => outcome,
        asked = asked_to_stop() => asked,
    };
    stage.end().await;
    outcome
}

/// Ends when the person at the terminal wants it to.
async fn asked_to_stop() -> Result<ExitCode, Failure> {
    let listen =
        |kind| signal(kind).map_err(|error| Failure(format!("cannot await signals: {error}")));
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Err(Failure(
        "stopped before its end; nothing is left running".into(),
    ))
}

async fn play(program: PathBuf, stage: &mut Stage) -> Result<ExitCode, Failure> {
    let progress = Progress::new(STEPS);
    progress.doing("starting the server");
    let file = start_server(stage).await?;
    let client = Client::new(&file)?;
    progress.done(
        "server",
        &format!("{}, on an empty data directory", file.endpoint),
    );

    progress.doing("making a root CA");
    let (ca_arn, ca_pem) = walkthrough::root_ca(&client).await?;
    progress.done("root CA", &ca_arn);
    progress.doing("requesting a certificate");
    let certificate_arn = walkthrough::certificate(&client, &ca_arn).await?;
    progress.done("certificate", &format!("{certificate_arn} for *.{DOMAIN}"));

    progress.doing("starting the application and two Envoys");
    let application = Application::start().await?;
    let mut mesh = Mesh {
        program,
        file: &file,
        client: &client,
        stage,
    };
    let teller = mesh.teller(application.address, &certificate_arn).await?;
    progress.done(
        "colour teller",
        &format!("https://{}, Envoy with that certificate", teller.address),
    );
    let gateway = mesh.gateway(teller.address, &ca_arn).await?;
    progress.done(
        "gateway",
        &format!(
            "http://{}, Envoy that trusts that CA alone",
            gateway.address
        ),
    );

    show_answer(&progress, &teller, &gateway).await?;
    progress.doing("renewing the certificate under load");
    let checker = Checker::new(teller.address, &ca_pem, &format!("colorteller.{DOMAIN}"))?;
    let (renewal, requests, failed) =
        renew_under_load(&client, &certificate_arn, gateway.address, &checker).await?;
    progress.done("renewal", &renewal.serials());
    progress.note(&renewal.timing());
    progress.done(
        "load",
        &format!("{requests} requests before, during and after it, {failed} failed"),
    );
    Ok(match failed {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The last step of the walkthrough: the colour through the mesh, and the count of handshakes.
async fn show_answer(progress: &Progress, teller: &Envoy, gateway: &Envoy) -> Result<(), Failure> {
    progress.doing("asking the gateway for the colour");
    let (status, answer) = get(gateway.address, "/color").await?;
    if (status, answer.as_str()) != (200, COLOR) {
        return Err(Failure(format!("the gateway answered {status}: {answer}")));
    }
    progress.done(
        "answer",
        &format!("GET http://{}/color: {answer}", gateway.address),
    );
    for line in teller.stats(".ssl.handshake:").await? {
        progress.note(&line);
    }
    Ok(())
}

/// How often the bar moves.
const STEPS: u64 = 8;

/// Starts this program as a server and waits until it is ready.
async fn start_server(stage: &mut Stage) -> Result<ClientFile, Failure> {
    let this = std::env::current_exe().map_err(|error| {
        Failure(format!(
            "cannot find this program to start it as a server: {error}"
        ))
    })?;
    let data = stage.dir().join("data");
    let mut command = Command::new(this);
    command
        .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&data);
    // The demo's account is its own.
    command
        .env_remove("KEYSTEAD_ROOT_ACCESS_KEY_ID")
        .env_remove("KEYSTEAD_ROOT_SECRET_ACCESS_KEY");
    stage.start("keystead", command)?;
    until("the server to be ready", START, async || {
        stage.check()?;
        let Ok(file) = ClientFile::load(Some(&data)) else {
            return Ok(None);
        };
        let ready = matches!(Client::new(&file)?.health().await, Ok((true, _)));
        Ok(ready.then_some(file))
    })
    .await
}

/// What every Envoy of the mesh is made from.
struct Mesh<'a> {
    program: PathBuf,
    file: &'a ClientFile,
    client: &'a Client,
    stage: &'a mut Stage,
}

impl Mesh<'_> {
    /// Terminates TLS in front of the application.
    async fn teller(
        &mut self,
        upstream: SocketAddr,
        certificate_arn: &str,
    ) -> Result<Envoy, Failure> {
        self.envoy("teller", upstream, |options| {
            options.certificate = Some(certificate_arn.to_owned())
        })
        .await
    }

    /// Takes plain requests and talks TLS to the teller, whose name and CA it checks.
    async fn gateway(&mut self, upstream: SocketAddr, ca_arn: &str) -> Result<Envoy, Failure> {
        let checked = |options: &mut Options| {
            options.upstream_trust = Some(ca_arn.to_owned());
            options.server_name = Some(format!("colorteller.{DOMAIN}"));
        };
        self.envoy("gateway", upstream, checked).await
    }

    /// Registers a node that may have what its options name, and starts it.
    async fn envoy(
        &mut self,
        name: &'static str,
        upstream: SocketAddr,
        choose: impl FnOnce(&mut Options),
    ) -> Result<Envoy, Failure> {
        let mut options = Options {
            node_id: String::new(),
            node_cluster: name.to_owned(),
            server: Server::Unix {
                path: self.file.xds_socket.display().to_string(),
            },
            variant: Variant::default(),
            listen: ANYWHERE,
            admin: ANYWHERE,
            upstream: Endpoint::from(upstream),
            certificate: None,
            client_trust: None,
            upstream_trust: None,
            client_certificate: None,
            server_name: None,
            access_log: false,
        };
        choose(&mut options);
        let registration = json!({
            "Name": name,
            "CertificateArns": options.certificate.iter().collect::<Vec<_>>(),
            "TrustArns": options.upstream_trust.iter().collect::<Vec<_>>(),
            "UnixUid": rustix::process::geteuid().as_raw(),
        });
        let registered = self
            .client
            .call(KEYSTEAD, "RegisterNode", &registration)
            .await?;
        options.node_id = text(&registered, "NodeArn")?.to_owned();
        let bootstrap = bootstrap::render(&options).map_err(|error| Failure(error.to_string()))?;
        Envoy::start(&self.program, name, &bootstrap, self.stage).await
    }
}

/// Every port of the demo is a free one.
const ANYWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// A renewal that arrived.
struct Renewal {
    old: String,
    new: String,
    /// From the call of RenewCertificate to the first handshake with the new serial number.
    served: Duration,
    /// How much of that the call itself took: a new key, a signature, the store.
    call: Duration,
}

impl Renewal {
    fn serials(&self) -> String {
        format!("serial {} -> {}", self.old, self.new)
    }

    fn timing(&self) -> String {
        let push = self.served.saturating_sub(self.call);
        format!(
            "served {} ms after the call of RenewCertificate: {} ms to issue and store, {} ms to push",
            self.served.as_millis(),
            self.served.min(self.call).as_millis(),
            push.as_millis(),
        )
    }
}

/// Renews the certificate between two stretches of load; returns how many requests were made and how
/// many of them failed.
async fn renew_under_load(
    client: &Client,
    certificate_arn: &str,
    gateway: SocketAddr,
    checker: &Checker,
) -> Result<(Renewal, usize, usize), Failure> {
    let old = checker.serial().await?;
    let load = Load::start(gateway, checker);
    more_requests(&load).await?;
    let start = Instant::now();
    let call = async {
        walkthrough::renew(client, certificate_arn).await?;
        Ok(start.elapsed())
    };
    let serving = until("the new certificate to be served", SERVED, async || {
        let serial = checker.serial().await?;
        Ok((serial != old).then(|| (serial, start.elapsed())))
    });
    let (call, (new, served)) = tokio::try_join!(call, serving)?;
    more_requests(&load).await?;
    let (requests, failed) = load.stop().await;
    Ok((
        Renewal {
            old,
            new,
            served,
            call,
        },
        requests,
        failed,
    ))
}

/// Waits for a stretch of load.
async fn more_requests(load: &Load) -> Result<(), Failure> {
    let enough = load.done() + STRETCH;
    until("requests to be answered", SERVED, async || {
        Ok((load.done() >= enough).then_some(()))
    })
    .await
}

/// A start takes a fraction of a second; a debug build on a busy machine some seconds.
const START: Duration = Duration::from_secs(60);
/// A renewal takes a fraction of a second.
const SERVED: Duration = Duration::from_secs(60);
/// Enough requests to show what a renewal does to them, and a second at most.
const STRETCH: usize = 500;
