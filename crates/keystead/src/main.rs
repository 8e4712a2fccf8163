//! `keystead`: keys, certificates and secrets on an organisation's own machines, over AWS's own
//! protocols.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod account;
mod acm;
mod agent;
mod audit;
mod ca;
mod client;
mod config;
mod demo;
mod envoy;
mod exports;
mod lint;
mod memory;
mod poll;
mod root_key;
mod secret;
mod server_tls;
mod status;
mod table;
mod trust;
mod up;
mod xks;

/// A home for an organisation's keys, certificates and secrets, on its own machines.
///
/// Keystead speaks AWS's wire protocols: the aws CLI, boto3 and Terraform work unmodified.
#[derive(Parser)]
#[command(name = "keystead", version, after_help = FIRST_STEPS)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const FIRST_STEPS: &str = "\
First steps:
  keystead up                          start the server
  eval \"$(keystead env)\"               point the AWS tools of this shell at it
  aws sts get-caller-identity          see that it answers
  keystead ca create NAME              make a root CA, and one below it that issues
  keystead demo mesh                   see two Envoys talk TLS with certificates of a private CA
";

#[derive(Subcommand)]
enum Command {
    /// Run the server.
    Up(up::Args),
    /// Print the shell exports that point the AWS tools at the server.
    Env(exports::Args),
    /// Show whether the server and its tokens are ready, and what it delivers where.
    Status(status::Args),
    /// Register an Envoy and print its complete bootstrap.
    Envoy(envoy::Args),
    /// Join machines that place certificates and secrets; see and remove them.
    Agent(agent::Args),
    /// Make and list accounts.
    Account(account::Args),
    /// Make a certificate authority that is ready to issue; see the log of all that was issued.
    Ca(ca::Args),
    /// Give others what they need to trust what is issued here; replace authorities.
    Trust(trust::Args),
    /// Issue anew what a private CA signed.
    Acm(acm::Args),
    /// Let AWS's KMS use keys that stay here.
    Xks(xks::Args),
    /// Repair the password of a secret that rotates.
    Secret(secret::Args),
    /// Read and check the audit journal.
    Audit(audit::Args),
    /// Seal the root key by a PKCS #11 token, or copy it.
    RootKey(root_key::Args),
    /// Judge certificates as Keystead judges what it signs.
    Lint(lint::Args),
    /// See Keystead at work on this machine.
    Demo(demo::Args),
}

/// A call makes some fifty allocations; this allocator takes an eighth off what a call costs (`cargo xtask bench kms`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let outcome = match cli.command {
        Command::Up(args) => up::run(args),
        Command::Env(args) => exports::run(&args),
        Command::Status(args) => block_on(status::run(args)),
        Command::Envoy(args) => block_on(envoy::run(args)),
        Command::Agent(args) => block_on(agent::run(args)),
        Command::Account(args) => block_on(account::run(args)),
        Command::Ca(args) => block_on(ca::run(args)),
        Command::Trust(args) => block_on(trust::run(args)),
        Command::Acm(args) => block_on(acm::run(args)),
        Command::Xks(args) => block_on(xks::run(args)),
        Command::Secret(args) => block_on(secret::run(args)),
        Command::Audit(args) => audit::run(&args),
        Command::RootKey(args) => block_on(root_key::run(args)),
        Command::Lint(args) => lint::run(&args),
        Command::Demo(args) => block_on(demo::run(args)),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("keystead: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs a client command on a small runtime of its own.
fn block_on(command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure(format!("cannot start: {error}")))?
        .block_on(command)
}

/// Why a command failed, in a sentence for the person at the terminal.
#[derive(Debug)]
struct Failure(String);

impl From<keystead_agent::Failure> for Failure {
    fn from(failure: keystead_agent::Failure) -> Self {
        Self(failure.to_string())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
