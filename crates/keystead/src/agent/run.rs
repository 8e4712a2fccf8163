//! `keystead agent run`: the agent.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use keystead_agent::identity::Identity;
use keystead_agent::local::{self, FileLocal, Local};
use keystead_agent::place::{self, FilePlace, Place};
use keystead_agent::report::{self, Board};
use keystead_server::panics;
use serde::Deserialize;

use super::clock;
use super::faults::Faults;
use crate::up::{Stop, log_to_stderr};
use crate::{Failure, memory};

/// Run the agent.
#[derive(clap::Args)]
#[command(after_help = "\
Example of a configuration, with which a certificate is placed for nginx, and programs of this machine have secrets and credentials:
  state = \"/var/lib/keystead-agent\"
  [[place]]
  name = \"shop\"
  certificate = \"arn:aws:acm:...\"
  files = [ { write = \"fullchain\", to = \"/etc/nginx/tls/shop.pem\" }, { write = \"key\", to = \"/etc/nginx/tls/shop.key\" } ]
  reload = { nginx = { pid_file = \"/run/nginx.pid\" } }
  probe = [ { address = \"127.0.0.1:443\", sni = \"shop.example.com\" } ]
  [local.secrets]                       # the interface of AWS's Secrets Manager Agent
  token_file = \"/run/keystead-agent/token\"
  [local.instance]                      # AWS_EC2_METADATA_SERVICE_ENDPOINT=http://127.0.0.1:2775
  listen = \"127.0.0.1:2775\"
  users = [\"www-data\"]

docs/agent.md has all of it.")]
pub(super) struct Args {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/keystead/agent.toml")]
    config: PathBuf,
    #[command(flatten)]
    clock: clock::Moved,
    #[command(flatten)]
    faults: Faults,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileConfig {
    #[serde(default = "usual_state")]
    state: PathBuf,
    #[serde(default)]
    local: FileLocal,
    #[serde(default)]
    place: Vec<FilePlace>,
}

/// Tell whether a configuration is one, and start nothing.
#[derive(clap::Args)]
pub(super) struct Check {
    /// The configuration file.
    #[arg(long, value_name = "FILE", default_value = "/etc/keystead/agent.toml")]
    config: PathBuf,
}

/// The configuration, checked.
struct Config {
    state: PathBuf,
    local: Local,
    places: Vec<Place>,
}

impl Config {
    fn load(path: &Path) -> Result<Self, Failure> {
        let told = |error: &dyn std::fmt::Display| Failure(format!("{}: {error}", path.display()));
        let text = std::fs::read_to_string(path)
            .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
        let file: FileConfig = toml::from_str(&text).map_err(|error| told(&error))?;
        Ok(Self {
            state: file.state,
            local: Local::of(file.local).map_err(|error| told(&error))?,
            places: Place::all(file.place).map_err(|error| told(&error))?,
        })
    }
}

pub(super) fn check(args: &Check) -> Result<ExitCode, Failure> {
    let config = Config::load(&args.config)?;
    println!(
        "{}: {} placements",
        args.config.display(),
        config.places.len()
    );
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    log_to_stderr();
    panics::log_places_only();
    let mut stop = Stop::listen()?;
    let config = Config::load(&args.config)?;
    if !memory::keep_keys_in()? {
        tracing::warn!("{}", memory::UNLOCKED);
    }
    let clock = args.clock.clock();
    let identity = Identity::open(&config.state, clock).await?;
    let renewing = tokio::spawn(Arc::clone(&identity).keep_renewed());
    let told = |name: &str, address| println!("{name} {address}");
    let board = Arc::new(Board::default());
    let listening = local::open(&config.local, &identity, clock, &board, told).await?;
    let before = args.faults.before();
    let working = place::start(
        config.places,
        &config.state,
        &identity,
        clock,
        &board,
        before,
    );
    let working = working?;
    let reporting = tokio::spawn(report::follow(Arc::clone(&identity), board));
    println!("ready");
    stop.wait().await;
    drop((listening, working));
    reporting.abort();
    renewing.abort();
    Ok(ExitCode::SUCCESS)
}

pub(super) fn usual_state() -> PathBuf {
    PathBuf::from("/var/lib/keystead-agent")
}
