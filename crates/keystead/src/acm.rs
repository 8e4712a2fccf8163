//! `keystead acm`: what a private CA signed for Certificate Manager, issued anew as a whole.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use keystead_core::Arn;
use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD};
use crate::exports::ClientFile;

/// Issue anew what a private CA signed.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead acm reissue --authority ARN               replace all that this CA signed, by itself
  keystead acm reissue --authority ARN --to ARN      by its successor, whose certificates they are from then on
  keystead acm reissue --authority ARN --per-second 5 --detach
  keystead acm reissues                              those under way and those that are over
  keystead acm stop-reissue ARN                      what has a new version keeps it

The server does the work, also when this command or the server itself is stopped in between: the same command watches
it again. Each certificate keeps its ARN and its old version until the new one is issued and checked. The CA that issues
must have granted that to acm.amazonaws.com ('aws acm-pca create-permission').")]
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
    /// Replace every certificate that a private CA has signed, and watch.
    Reissue {
        /// The CA that signed them.
        #[arg(long, value_name = "ARN")]
        authority: String,
        /// The CA that issues the new ones [default: the same].
        #[arg(long, value_name = "ARN")]
        to: Option<String>,
        /// At most so many certificates a second [default: as quickly as the server can].
        #[arg(long, value_name = "NUMBER")]
        per_second: Option<u32>,
        /// Begin it and don't wait for its end.
        #[arg(long)]
        detach: bool,
    },
    /// List re-issues.
    Reissues,
    /// Stop a re-issue where it is.
    StopReissue {
        /// The re-issue's ARN.
        reissue: String,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let mut client = Client::new(&file)?;
    match args.action {
        Action::Reissue {
            authority,
            to,
            per_second,
            detach,
        } => {
            place(&mut client, &authority);
            let input = json!({
                "CertificateAuthorityArn": authority,
                "TargetCertificateAuthorityArn": to,
                "PerSecond": per_second,
            });
            let begun = begin(&client, &authority, input).await?;
            let ended = match detach {
                true => begun,
                false => watch(&client, begun, args.json).await?,
            };
            report(&ended, args.json);
            // Whoever waited for the end wants to know whether all is well.
            let unwell = !detach && number(&ended, "Failed") > 0;
            Ok(if unwell {
                ExitCode::FAILURE
            } else {
                ExitCode::SUCCESS
            })
        }
        Action::Reissues => {
            for reissue in all(&client).await? {
                report(&reissue, args.json);
            }
            Ok(ExitCode::SUCCESS)
        }
        Action::StopReissue { reissue } => {
            place(&mut client, &reissue);
            let input = json!({ "ReissueArn": reissue });
            let answer = client.call(KEYSTEAD, "StopReissue", &input).await?;
            report(of(&answer), args.json);
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Calls go to the region of what they are about.
fn place(client: &mut Client, arn: &str) {
    if let Ok(arn) = Arn::parse(arn)
        && !arn.region.is_empty()
    {
        client.set_region(arn.region);
    }
}

/// A new re-issue, or the one of this CA that is under way.
async fn begin(client: &Client, authority: &str, input: Value) -> Result<Value, Failure> {
    match client.try_call(KEYSTEAD, "StartReissue", &input).await? {
        Ok(answer) => Ok(of(&answer).clone()),
        Err(refused) if refused.code == "ConflictException" => {
            let under_way = all(client).await?.into_iter().find(|reissue| {
                text(reissue, "CertificateAuthorityArn") == authority && is_running(reissue)
            });
            under_way.ok_or_else(|| refused.into())
        }
        Err(refused) => Err(refused.into()),
    }
}

/// Shows how it comes on until it is over.
async fn watch(client: &Client, begun: Value, json: bool) -> Result<Value, Failure> {
    let bar = if json {
        ProgressBar::hidden()
    } else {
        ProgressBar::new(0)
    };
    let style = "{bar:30} {pos}/{len} certificates, {per_sec}, {eta} left {msg}";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    let input = json!({ "ReissueArn": text(&begun, "ReissueArn") });
    let mut now = begun;
    while is_running(&now) {
        bar.set_length(number(&now, "Total"));
        bar.set_position(
            number(&now, "Reissued") + number(&now, "Failed") + number(&now, "LeftOut"),
        );
        if number(&now, "Failed") > 0 {
            bar.set_message(format!("({} refused)", number(&now, "Failed")));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        let answer = client.call(KEYSTEAD, "DescribeReissue", &input).await?;
        now = of(&answer).clone();
    }
    bar.finish_and_clear();
    Ok(now)
}

async fn all(client: &Client) -> Result<Vec<Value>, Failure> {
    let mut found = Vec::new();
    let mut input = json!({});
    loop {
        let page = client.call(KEYSTEAD, "ListReissues", &input).await?;
        let entries = page.get("Reissues").and_then(Value::as_array);
        found.extend(entries.into_iter().flatten().cloned());
        match page.get("NextToken") {
            Some(token) if !token.is_null() => input = json!({ "NextToken": token }),
            _ => return Ok(found),
        }
    }
}

fn report(reissue: &Value, json: bool) {
    if json {
        println!("{reissue}");
        return;
    }
    println!(
        "{}  {}: {} of {} reissued, {} refused, {} left out",
        text(reissue, "ReissueArn"),
        text(reissue, "Status"),
        number(reissue, "Reissued"),
        number(reissue, "Total"),
        number(reissue, "Failed"),
        number(reissue, "LeftOut"),
    );
    if number(reissue, "Failed") > 0 {
        println!(
            "  last refused: {} ({}); it is tried again until the certificate's end",
            text(reissue, "FailedCertificateArn"),
            text(reissue, "FailureReason"),
        );
    }
}

fn of(answer: &Value) -> &Value {
    answer.get("Reissue").unwrap_or(&Value::Null)
}

fn is_running(reissue: &Value) -> bool {
    ["COUNTING", "RUNNING"].contains(&text(reissue, "Status"))
}

fn number(reissue: &Value, name: &str) -> u64 {
    reissue.get(name).and_then(Value::as_u64).unwrap_or(0)
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or("?")
}

/// Often enough to see it move; a look costs one read.
const BETWEEN_LOOKS: Duration = Duration::from_millis(300);
