//! `keystead up`: the server, from start to drain.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use keystead_app::outbound::Rotators;
use keystead_app::{App, AppOptions, HsmOptions, RootCredential, SystemEnv, tasks};
use keystead_server::{
    Delivery, Endpoint, ExchangeOptions, Front, Lifecycle, Limits, Listeners, Metrics, Secrets,
    UnixAccess, panics,
};
use keystead_xds::Sds;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::Failure;
use crate::config::{Config, Overrides};
use crate::exports::ClientFile;
use crate::memory;
use crate::server_tls::{self, ServerTls};

/// Run the server.
///
/// Everything is served on one address: AWS's protocols, /health, /metrics, and secret discovery for
/// Envoys (also on a Unix socket in the data directory). On loopback it speaks plain HTTP; on any
/// other address TLS.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead up
  keystead up --listen 127.0.0.1:5000 --account 123456789012 --data-dir ./data
  keystead up --config /etc/keystead.toml

Configuration file (all of it optional):
  data_dir = \"/var/lib/keystead\"
  listen = \"10.0.0.5:4700\"
  account = \"123456789012\"
  region = \"eu-central-1\"
  root_key = \"/media/key/root.key\"   # default: root.key in the data directory
  names = [\"keystead.example.com\"]   # names of this server, for its own certificate
  compromised_keys = [\"/etc/keystead/debian.txt\"]  # lists of keys to refuse: SHA-256 of each
                                     # SubjectPublicKeyInfo, or lists of openssl-blacklist
  audit_sync = false                 # true: an answer waits until its audit event is on disk
  [public]                           # revocation lists and OCSP answers, in plain HTTP for everybody
  listen = \"0.0.0.0:80\"            # nothing else is served there; default: on the main address alone
  url = \"http://pki.example.com\"   # what certificates name; default: this server's name and that port
  [tls]                              # default: a certificate that Keystead issues itself
  certificate = \"/etc/keystead/tls.pem\"
  key = \"/etc/keystead/tls.key\"
  [xks]                              # proxies of external key stores that KMS uses
  authorities = \"/etc/keystead/xks-ca.pem\"  # trusted beside the machine's own
  deadline_ms = 250                  # how long KMS waits for a proxy
  [rotation]                         # where passwords are changed (docs/rotation.md)
  allow = [\"db.example.com\", \"10.0.0.0/8\"]  # default: loopback and private networks
  authorities = \"/etc/keystead/db-ca.pem\"   # trusted beside the machine's own
  [tokens.hsm]                       # a PKCS #11 token, under a name of your own
  module = \"/usr/lib/softhsm/libsofthsm2.so\"
  token = \"keystead\"                 # its label; or serial = \"...\"
  pin_file = \"/etc/keystead/hsm.pin\" # one line, mode 0600
  sessions = 4                       # calls at the same time
  cluster_id = \"cluster-myhsmmyhsm\" # for custom key stores of KMS; default: made of the serial number
  [root_key]                         # instead of root_key = ...: a token seals the root key
  token = \"hsm\"                      # 'keystead root-key seal' converts an existing store
  [pca]
  token = \"hsm\"                      # the keys of new certificate authorities are made in it
  keep_expired_days = 400            # certificates that expired earlier are removed; default: kept for ever

KEYSTEAD_ROOT_ACCESS_KEY_ID and KEYSTEAD_ROOT_SECRET_ACCESS_KEY set the root access key at the first
start; without them it is random.")]
pub(crate) struct Args {
    /// Where everything is kept [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:4700]; port 0 takes a free one.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: Option<String>,
    /// A configuration file; what the command line says goes before it.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The account, twelve digits, at the first start [default: 000000000000].
    #[arg(long, value_name = "ID")]
    account: Option<String>,
    /// The region that 'keystead env' exports [default: us-east-1]. Any region is served.
    #[arg(long, value_name = "R")]
    region: Option<String>,
    /// Start although the store is older than the audit journal beside it (a restored backup).
    #[arg(long)]
    accept_rollback: bool,
    /// Move the clock, for instance 60d or 12h ahead. For tests.
    #[cfg(feature = "testing")]
    #[arg(long, value_name = "N(d|h|m|s)", allow_hyphen_values = true)]
    clock_offset: Option<String>,
}

pub(crate) fn run(args: Args) -> Result<ExitCode, Failure> {
    log_to_stderr();
    panics::log_places_only();
    if !memory::keep_keys_in()? {
        tracing::warn!("{}", memory::UNLOCKED);
    }
    let env = SystemEnv {
        offset: offset(&args)?,
    };
    let root_credential = root_credential()?;
    let accept_rollback = args.accept_rollback;
    let config = Config::load(
        args.config.as_deref(),
        Overrides {
            data_dir: args.data_dir,
            listen: args.listen,
            account: args.account,
            region: args.region,
        },
    )?;
    let options = AppOptions {
        data_dir: config.data_dir.clone(),
        root_key: Some(config.root_key.clone()),
        hsm: config.hsm.clone(),
        known_keys: config.known_keys.clone(),
        account: config.account.clone(),
        root_credential,
        audit_sync: config.audit_sync,
        accept_rollback,
        keep_expired: config.keep_expired,
        env: Arc::new(env),
        fetch: keystead_server::fetch(),
        exchange: keystead_server::exchange(ExchangeOptions {
            authorities: config.xks_authorities.clone(),
            deadline: config.xks_deadline,
        }),
        rotators: rotators(config.rotation.clone()),
    };
    // At least two: a disk that hangs may hold one (keystead_store::journal).
    let threads = std::thread::available_parallelism().map_or(2, |cores| cores.get().max(2));
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("cannot start: {error}")))?
        .block_on(serve(config, options))
}

fn rotators(options: keystead_rotate::Options) -> Rotators {
    let rotators = Arc::new(keystead_rotate::Rotators::new(options));
    let known = Arc::clone(&rotators);
    Rotators {
        visit: Arc::new(move |job| {
            let rotators = Arc::clone(&rotators);
            Box::pin(async move { rotators.visit(&job).await })
        }),
        knows: Arc::new(move |rotator| known.knows(rotator)),
    }
}

async fn serve(config: Config, options: AppOptions) -> Result<ExitCode, Failure> {
    let mut stop = Stop::listen()?;
    let metrics = Metrics::install().map_err(failed)?;
    let (app, root) = App::open(options).await.map_err(failed)?;
    let tls = server_tls::open(&config, &app).await?;
    let listeners = listen(&config, tls.as_ref())?;
    let Some(address) = listeners.addresses().first().copied() else {
        return Err(Failure(format!("cannot listen on {}", config.listen)));
    };
    let endpoint = endpoint(&config, address, tls.is_some());
    if let Some(url) = public_url(&config, &listeners, tls.is_some()) {
        // It is set nowhere else.
        let _ = app.public_url.set(url);
    }

    let lifecycle = Arc::new(Lifecycle::new());
    let sds = Sds::start(
        Arc::new(Secrets::new(app.clone())),
        keystead_xds::limits::Limits::default(),
    );
    let front = Front::new(app.clone(), lifecycle.clone(), Limits::default(), metrics)
        .with_grpc(Delivery::new(sds.service()));
    let serving = tokio::spawn(keystead_server::serve(listeners, Arc::new(front)));
    let renewing = tls.as_ref().map(|tls| tls.keep_fresh(app.clone()));
    let background = tasks::start(&app);

    let client = ClientFile {
        endpoint,
        access_key_id: root.as_ref().map(|root| root.access_key_id.clone()),
        secret_access_key: root.map(|root| root.secret_access_key.expose().clone()),
        region: config.region.to_string(),
        ca_bundle: tls.as_ref().and_then(|tls| tls.bundle.clone()),
        xds_socket: config.xds_socket.clone(),
    };
    client.store(&config.data_dir)?;
    lifecycle.ready();
    announce(&config, &app, &client)?;
    stop.wait().await;

    tracing::info!("draining");
    sds.close();
    app.changes.close();
    if !lifecycle.drain(DRAIN).await {
        tracing::warn!("some calls did not end within {DRAIN:?} and were cut");
    }
    background.stop().await;
    if let Some(renewing) = renewing {
        renewing.abort();
    }
    serving.abort();
    app.close().await;
    Ok(ExitCode::SUCCESS)
}

/// The URL that clients on this machine use: what the certificate names, where every address is
/// listened on.
fn endpoint(config: &Config, address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    if !address.ip().is_unspecified() {
        return format!("{scheme}://{address}");
    }
    let name = config.names.first().map_or("localhost", String::as_str);
    format!("{scheme}://{name}:{}", address.port())
}

/// What certificates name. Where the main address has TLS, and there is no other, that is nothing: who has to learn whether
/// a certificate holds can't be told to trust another first (RFC 5280 section 8).
fn public_url(config: &Config, listeners: &Listeners, tls: bool) -> Option<String> {
    if let Some(url) = &config.public_url {
        return Some(url.clone());
    }
    let own = match (config.public_listen, tls) {
        (Some(_), _) => listeners.addresses().get(1).copied(),
        (None, false) => listeners.addresses().first().copied(),
        (None, true) => None,
    };
    own.map(|address| endpoint(config, address, false))
}

fn listen(config: &Config, tls: Option<&ServerTls>) -> Result<Listeners, Failure> {
    let network = match tls {
        Some(tls) => Endpoint::Tls(config.listen, tls.tls.clone()),
        None => Endpoint::Plain(config.listen),
    };
    let access = match config.xds_socket.starts_with(&config.data_dir) {
        true => UnixAccess::Owner,
        false => UnixAccess::Everyone,
    };
    let socket = Endpoint::Unix(config.xds_socket.clone(), access);
    let public = config.public_listen.map(Endpoint::Public);
    let endpoints = [network].into_iter().chain(public).chain([socket]);
    Listeners::bind(endpoints.collect()).map_err(failed)
}

/// What to do about the root user's access key, as long as it works.
fn put_away(root_key: &str) -> String {
    format!(
        "
The access key in there is the root user's and may do everything. Make an administrator of your own:
  aws iam create-user --user-name admin
  aws iam attach-user-policy --user-name admin --policy-arn arn:aws:iam::aws:policy/AdministratorAccess
  aws iam create-access-key --user-name admin
and once that key works, give the root user's key up:
  aws iam delete-access-key --access-key-id {root_key}
"
    )
}

fn announce(config: &Config, app: &App, client: &ClientFile) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let dir = config.data_dir.display();
    let write = writeln!(
        out,
        "Keystead {}\n  endpoint  {}\n  account   {}\n  region    {}\n  data      {dir}\n  root key  {}{}\n  envoys    {}\n{}\n\
         Point the AWS tools of a shell at it:\n  eval \"$(keystead env --data-dir {})\"\n{}\nready",
        env!("CARGO_PKG_VERSION"),
        client.endpoint,
        app.account,
        client.region,
        config.root_key.display(),
        sealed_by(&config.hsm),
        client.xds_socket.display(),
        published(app) + &tokens(&config.hsm),
        crate::exports::quoted(&dir.to_string()),
        client
            .access_key_id
            .as_deref()
            .map_or_else(String::new, put_away),
    );
    write
        .and_then(|()| out.flush())
        .map_err(|error| Failure(format!("cannot write to the standard output: {error}")))
}

fn sealed_by(hsm: &HsmOptions) -> String {
    let token = hsm.root_key.as_ref();
    token.map_or_else(String::new, |name| format!(", sealed by the token {name}"))
}

fn published(app: &App) -> String {
    let url = app.public_url.get();
    url.map_or_else(String::new, |url| format!("  public    {url}\n"))
}

fn tokens(hsm: &HsmOptions) -> String {
    if hsm.tokens.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = hsm.tokens.keys().map(String::as_str).collect();
    format!(
        "  tokens    {}, being connected: 'keystead status' tells\n",
        names.join(", ")
    )
}

/// The root access key that the environment sets, both parts or none.
fn root_credential() -> Result<Option<RootCredential>, Failure> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    match (variable(ROOT_ID), variable(ROOT_SECRET)) {
        (Some(id), Some(secret)) => RootCredential::chosen(id, secret).map(Some).map_err(failed),
        (None, None) => Ok(None),
        _ => Err(Failure(format!(
            "set both {ROOT_ID} and {ROOT_SECRET}, or neither"
        ))),
    }
}

#[cfg(feature = "testing")]
fn offset(args: &Args) -> Result<SignedDuration, Failure> {
    let Some(text) = &args.clock_offset else {
        return Ok(SignedDuration::ZERO);
    };
    let refused = || {
        Failure(format!(
            "cannot move the clock by '{text}': expected a number and d, h, m or s"
        ))
    };
    let seconds = match text.chars().last() {
        Some('d') => 86_400,
        Some('h') => 3_600,
        Some('m') => 60,
        Some('s') => 1,
        _ => return Err(refused()),
    };
    let number: i64 = text
        .trim_end_matches(['d', 'h', 'm', 's'])
        .parse()
        .map_err(|_| refused())?;
    number
        .checked_mul(seconds)
        .map(SignedDuration::from_secs)
        .ok_or_else(refused)
}

#[cfg(not(feature = "testing"))]
fn offset(_args: &Args) -> Result<SignedDuration, Failure> {
    Ok(SignedDuration::ZERO)
}

/// Warnings and errors of everything, and what Keystead itself has to say; `KEYSTEAD_LOG` chooses
/// otherwise, in tracing's syntax.
pub(crate) fn log_to_stderr() {
    let filter = EnvFilter::try_from_env("KEYSTEAD_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        // It would tell of a log that can't be written on the same stream, and panic where that fails too: on a full disk.
        .log_internal_errors(false)
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}

/// The two signals that ask a server to end.
pub(crate) struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stop {
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure(format!("cannot await signals: {error}")));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    pub(crate) async fn wait(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

const ROOT_ID: &str = "KEYSTEAD_ROOT_ACCESS_KEY_ID";
const ROOT_SECRET: &str = "KEYSTEAD_ROOT_SECRET_ACCESS_KEY";

/// How long calls under way may take to end: less than the 90 seconds after which systemd kills a
/// service that is to stop (systemd.service(5), `TimeoutStopSec`).
const DRAIN: Duration = Duration::from_secs(30);
