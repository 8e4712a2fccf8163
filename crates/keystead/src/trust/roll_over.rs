//! `keystead trust roll-over`: one authority gives way to another.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD, text};
use crate::poll;

/// Replace authorities, in an order in which no peer meets a certificate that it does not trust.
#[derive(clap::Args)]
#[command(after_help = "\
The phases, each of which begins only when nothing speaks against it:
  DISTRIBUTING  every node is given the old and the new to trust, and confirms it
  ISSUING       ACM's certificates are issued anew by the new authority and delivered
  RETIRING      the old one issues no more; what it issued lives on and is trusted, until it has expired or was revoked
  DONE          the new one alone is trusted, under the old one's name too

Examples:
  keystead trust roll-over start OLD=NEW              and 'next' for each phase
  keystead trust roll-over start OLD=NEW --automatic  goes on by itself
  keystead trust roll-over start OLDROOT=NEWROOT OLDISSUER=NEWISSUER
  keystead trust roll-over next ARN --wait            wait until the next phase may begin")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Begin: from now on nodes are given both to trust.
    Start {
        /// Which authority (its ARN) takes the place of which.
        #[arg(required = true, value_name = "OLD=NEW", value_parser = pair)]
        replacements: Vec<(String, String)>,
        /// Go on by itself as soon as the next phase may begin.
        #[arg(long)]
        automatic: bool,
        /// How long the trust lies out at least, in seconds, for nodes that are switched off and trust stores that are not nodes [default: 3600].
        #[arg(long, value_name = "SECONDS")]
        settle: Option<u64>,
    },
    /// Show where one stands, or all, and what they wait for.
    Status {
        /// Its ARN [default: all].
        roll_over: Option<String>,
    },
    /// Begin the next phase; refused while anything speaks against it.
    Next {
        /// Its ARN.
        roll_over: String,
        /// Wait until it may begin.
        #[arg(long)]
        wait: bool,
    },
    /// Give it up, if the old authority has not retired yet.
    Abort {
        /// Its ARN.
        roll_over: String,
    },
}

pub(super) async fn run(args: Args, client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let answer = match args.action {
        Action::Start {
            replacements,
            automatic,
            settle,
        } => {
            let pairs = replacements
                .iter()
                .map(|(old, new)| json!({ "OldAuthorityArn": old, "NewAuthorityArn": new }));
            let mut input = json!({
                "Replacements": pairs.collect::<Vec<_>>(),
                "Automatic": automatic,
            });
            if let (Some(object), Some(settle)) = (input.as_object_mut(), settle) {
                object.insert("SettleSeconds".into(), settle.into());
            }
            client.call(KEYSTEAD, "StartTrustRollOver", &input).await?
        }
        Action::Status { roll_over: None } => return list(client, json).await,
        Action::Status {
            roll_over: Some(arn),
        } => {
            client
                .call(KEYSTEAD, "DescribeTrustRollOver", &this(&arn))
                .await?
        }
        Action::Next { roll_over, wait } => next(client, &roll_over, wait).await?,
        Action::Abort { roll_over } => {
            client
                .call(KEYSTEAD, "AbortTrustRollOver", &this(&roll_over))
                .await?
        }
    };
    show(answer.get("TrustRollOver").unwrap_or(&Value::Null), json)?;
    Ok(ExitCode::SUCCESS)
}

fn this(arn: &str) -> Value {
    json!({ "TrustRollOverArn": arn })
}

/// Asks for the next phase, again and again where that is wished, as long as it is only too early.
async fn next(client: &Client, arn: &str, wait: bool) -> Result<Value, Failure> {
    if !wait {
        return client
            .call(KEYSTEAD, "AdvanceTrustRollOver", &this(arn))
            .await;
    }
    poll::until("the next phase", LONGEST_WAIT, async || {
        match client
            .try_call(KEYSTEAD, "AdvanceTrustRollOver", &this(arn))
            .await?
        {
            Ok(answer) => Ok(Some(answer)),
            Err(refused)
                if refused.code == "ConflictException" && !refused.message.contains("is over") =>
            {
                tokio::time::sleep(BETWEEN).await;
                Ok(None)
            }
            Err(refused) => Err(refused.into()),
        }
    })
    .await
}

async fn list(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let all = client
        .list(KEYSTEAD, "ListTrustRollOvers", json!({}), "TrustRollOvers")
        .await?;
    for one in &all {
        show(one, json)?;
    }
    if all.is_empty() && !json {
        println!("no roll-overs; 'keystead trust roll-over --help' tells how to start one");
    }
    Ok(ExitCode::SUCCESS)
}

fn show(roll_over: &Value, json: bool) -> Result<(), Failure> {
    if json {
        println!("{roll_over}");
        return Ok(());
    }
    println!(
        "{}  {}",
        text(roll_over, "TrustRollOverArn")?,
        text(roll_over, "Phase")?
    );
    let pairs = roll_over.get("Replacements").and_then(Value::as_array);
    for pair in pairs.into_iter().flatten() {
        println!(
            "  {}\n    gives way to {}",
            text(pair, "OldAuthorityArn")?,
            text(pair, "NewAuthorityArn")?
        );
    }
    let moved = roll_over.get("CertificatesMoved").and_then(Value::as_i64);
    println!("  certificates handed over: {}", moved.unwrap_or(0));
    let over = matches!(text(roll_over, "Phase")?, "DONE" | "ABORTED");
    match roll_over.get("WaitsFor").and_then(Value::as_str) {
        Some(why) => println!("  waits: {why}"),
        None if over => {}
        None if roll_over.get("Automatic") == Some(&Value::Bool(true)) => {
            println!("  goes on by itself within a minute");
        }
        None => println!(
            "  may go on: keystead trust roll-over next {}",
            text(roll_over, "TrustRollOverArn")?
        ),
    }
    Ok(())
}

fn pair(text: &str) -> Result<(String, String), String> {
    // An ARN may hold '=', though one of an authority does not.
    match text.split_once('=') {
        Some((old, new)) if old.starts_with("arn:") && new.starts_with("arn:") => {
            Ok((old.to_owned(), new.to_owned()))
        }
        _ => Err("expected OLD=NEW, the ARNs of two authorities".into()),
    }
}

/// A day: what takes longer than that is waited for by 'status'.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// What is waited for is looked at every two seconds.
const BETWEEN: Duration = Duration::from_secs(1);
