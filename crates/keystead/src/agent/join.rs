//! `keystead agent join` and `credentials`: becoming an agent, and being one for other programs.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::ExitCode;

use keystead_agent::identity::{Identity, Join, join};
use serde_json::json;
use zeroize::Zeroizing;

use super::clock::Moved;
use super::run::usual_state;
use crate::Failure;

/// Make this machine an agent.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead agent join - < token              the token on the standard input, where no list of processes shows it
  keystead agent join TOKEN --name web-1

If the answer of the server is lost, run it again with the same token: it goes on where it ended.")]
pub(super) struct Args {
    /// What 'keystead agent token' printed; '-' reads it from the standard input.
    token: String,
    /// What the agent is called, if the token does not say [default: the machine's name].
    #[arg(long)]
    name: Option<String>,
    /// Give up the identity that this machine has.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    state: State,
}

/// Print credentials of the agent's role, as the AWS SDKs take them from a process.
#[derive(clap::Args)]
#[command(after_help = "\
In ~/.aws/config, for every AWS tool and SDK of a user who may read the agent's directory:
  [default]
  credential_process = keystead agent credentials
  endpoint_url = https://keystead.example:4700")]
pub(super) struct Credentials {
    #[command(flatten)]
    state: State,
}

#[derive(clap::Args)]
struct State {
    /// Where the agent keeps what it needs.
    #[arg(long, value_name = "DIR", default_value_os_t = usual_state())]
    state: PathBuf,
    #[command(flatten)]
    clock: Moved,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let token = match args.token.as_str() {
        "-" => standard_input()?,
        _ => Zeroizing::new(args.token),
    };
    let name = match args.name {
        Some(name) => name,
        None => machine(),
    };
    let wanted = Join {
        token: &token,
        name: &name,
        dir: &args.state.state,
        again: args.again,
    };
    let arn = join(wanted).await?;
    println!("joined as {arn}");
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn credentials(args: Credentials) -> Result<ExitCode, Failure> {
    let identity = Identity::open(&args.state.state, args.state.clock.clock());
    let identity = identity.await?;
    // Where no agent runs, this is what renews.
    if let Err(error) = identity.renew().await {
        eprintln!("keystead: the agent's certificate could not be renewed: {error}");
    }
    let (credentials, until) = identity.credentials_until().await?;
    let printed = json!({
        "Version": 1,
        "AccessKeyId": credentials.access_key_id,
        "SecretAccessKey": credentials.secret_access_key.as_str(),
        "SessionToken": credentials.session_token.as_ref().map(|token| token.as_str()),
        "Expiration": until.to_string(),
    });
    println!("{printed}");
    Ok(ExitCode::SUCCESS)
}

fn standard_input() -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::new());
    let read = std::io::stdin()
        .take(LONGEST_TOKEN)
        .read_to_string(&mut text);
    read.map_err(|error| Failure(format!("cannot read the standard input: {error}")))?;
    Ok(text)
}

/// The machine's name, as far as an agent's name can have it.
fn machine() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
    name.chars()
        .map(|letter| if fits(letter) { letter } else { '-' })
        .take(61)
        .collect()
}

/// Tokens have some hundred letters, and with a certificate of the server some thousand.
const LONGEST_TOKEN: u64 = 64 << 10;
