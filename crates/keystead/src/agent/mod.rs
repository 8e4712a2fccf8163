//! `keystead agent`: machines that get what their role may have, and place it.

mod clock;
mod faults;
mod fleet;
mod join;
mod run;
mod token;

use std::process::ExitCode;

use crate::Failure;

/// Give machines what their role may have: join them, see them, remove them.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead agent token --role arn:aws:iam::123456789012:role/web   a token that makes one machine an agent
  keystead agent join -                                            become one: the token on the standard input
  keystead agent run                                               place what the configuration says, and prove that it is served
  keystead agent list                                              the agents, and whether they are there
  keystead agent remove web-1                                      lock one out, and free what it alone used")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    Token(token::Args),
    Join(join::Args),
    Run(run::Args),
    Check(run::Check),
    Credentials(join::Credentials),
    List(fleet::List),
    Remove(fleet::Remove),
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Token(args) => token::run(args).await,
        Action::Join(args) => join::run(args).await,
        Action::Run(args) => run::run(args).await,
        Action::Check(args) => run::check(&args),
        Action::Credentials(args) => join::credentials(args).await,
        Action::List(args) => fleet::list(args).await,
        Action::Remove(args) => fleet::remove(args).await,
    }
}
