//! `keystead agent run`: the agent.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use keystead_agent::identity::Identity;
use keystead_agent::local::{self, FileLocal, Local};
use keystead_agent::place::{self, FilePlace, Place};
use keystead_agent::report::{self, Board};
use keystead_server::panics;
use serde::Deserialize;

use super::faults::Faults;
use super::{clock, failed};
use crate::up::{Stop, log_to_stderr};
use crate::{Failure, memory};

/// Run the agent.
#[derive(clap::Args)]
#[command(after_help = "\
Example of a configuration, with which programs of this machine have secrets and credentials:
  state = \"/var/lib/keystead-agent\"
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

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    log_to_stderr();
    panics::log_places_only();
    let mut stop = Stop::listen()?;
    let path = args.config.display();
    let text = std::fs::read_to_string(&args.config)
        .map_err(|error| Failure(format!("cannot read {path}: {error}")))?;
    let config: FileConfig =
        toml::from_str(&text).map_err(|error| Failure(format!("{path}: {error}")))?;
    let local = Local::of(config.local).map_err(failed)?;
    let places = Place::all(config.place).map_err(failed)?;
    if !memory::keep_keys_in()? {
        tracing::warn!("{}", memory::UNLOCKED);
    }
    let clock = args.clock.clock();
    let identity = Identity::open(&config.state, clock).await.map_err(failed)?;
    let renewing = tokio::spawn(Arc::clone(&identity).keep_renewed());
    let told = |name: &str, address| println!("{name} {address}");
    let board = Arc::new(Board::default());
    let listening = local::open(&local, &identity, clock, &board, told)
        .await
        .map_err(failed)?;
    let before = args.faults.before();
    let working = place::start(places, &config.state, &identity, clock, &board, before);
    let working = working.map_err(failed)?;
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
