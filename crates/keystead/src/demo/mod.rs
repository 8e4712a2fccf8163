//! `keystead demo`: the product at work on one machine, with nothing left behind.

mod envoy;
mod load;
mod mesh;
mod progress;
mod stage;
mod walkthrough;

use std::process::ExitCode;

use clap::Subcommand;

use crate::Failure;

/// See Keystead at work on this machine.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  keystead demo mesh")]
pub(crate) struct Args {
    #[command(subcommand)]
    demo: Demo,
}

#[derive(Subcommand)]
enum Demo {
    Mesh(mesh::Args),
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.demo {
        Demo::Mesh(args) => mesh::run(args).await,
    }
}
