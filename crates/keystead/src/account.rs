//! `keystead account`: further accounts beside the first one.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Failure;
use crate::client::Client;
use crate::exports::ClientFile;

/// Make and list accounts.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead account create 222222222222
  eval \"$(keystead account create 222222222222)\"     point this shell at the new account
  keystead account list --json

An account is a namespace with a root user of its own. 'create' prints the shell exports of its access key,
which are shown this once: keep them, make a user there, and delete the key.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Make an account.
    Create {
        /// Its number: twelve digits.
        account: String,
    },
    /// List the accounts, the first one first.
    List,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let client = Client::new(&file)?;
    match &args.action {
        Action::Create { account } => create(&client, account, args.json).await?,
        Action::List => list(&client, args.json).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn create(client: &Client, account: &str, json: bool) -> Result<(), Failure> {
    let input = json!({ "AccountId": account });
    let made = client
        .call(&keystead_wire::keystead::SERVICE, "CreateAccount", &input)
        .await?;
    if json {
        println!("{made}");
        return Ok(());
    }
    let text = |name: &str| made.get(name).and_then(Value::as_str).unwrap_or_default();
    println!("export AWS_ACCESS_KEY_ID='{}'", text("AccessKeyId"));
    println!("export AWS_SECRET_ACCESS_KEY='{}'", text("SecretAccessKey"));
    Ok(())
}

async fn list(client: &Client, json: bool) -> Result<(), Failure> {
    let mut token = None;
    loop {
        let input = match &token {
            Some(token) => json!({ "NextToken": token }),
            None => json!({}),
        };
        let page = client
            .call(&keystead_wire::keystead::SERVICE, "ListAccounts", &input)
            .await?;
        for account in page
            .get("Accounts")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            match account.get("AccountId").and_then(Value::as_str) {
                Some(id) if !json => println!("{id}"),
                _ => println!("{account}"),
            }
        }
        token = match page.get("NextToken") {
            Some(Value::String(next)) => Some(next.clone()),
            _ => return Ok(()),
        };
    }
}
