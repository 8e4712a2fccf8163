//! `keystead status`: is the server ready, are its tokens, and what does it deliver where.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD};
use crate::exports::ClientFile;
use crate::table::{self, Table};

/// Show whether the server and its tokens are ready, and what it delivers where.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead status
  keystead status --json | jq '.nodes[].Deliveries'
  keystead status --json | jq '.placements[] | select(.Status != \"PROVEN\")'
  keystead status --json | jq '.tokens[].CloudHsmClusterId'

Exits with 0 when the server is ready, every token is connected, no node refused what it was sent, and no placement of an
agent is late, failed, lost, or near the end of what it serves; else with 1.")]
pub(crate) struct Args {
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let client = Client::new(&file)?;
    let (ready, health) = client.health().await?;
    let nodes = client
        .list(KEYSTEAD, "ListNodes", json!({}), "Nodes")
        .await?;
    let placements = client
        .list(KEYSTEAD, "ListPlacements", json!({}), "Placements")
        .await?;
    let agents = client
        .list(KEYSTEAD, "ListAgents", json!({}), "Agents")
        .await?;
    let tokens = tokens(&client).await?;
    let refused = nodes
        .iter()
        .flat_map(deliveries)
        .any(|delivery| delivery.get("LastNack").is_some());
    let missed = tokens
        .iter()
        .any(|token| text(token, "State") != "CONNECTED");
    if args.json {
        println!(
            "{}",
            json!({
                "endpoint": file.endpoint,
                "ready": ready,
                "health": health,
                "tokens": tokens,
                "nodes": nodes,
                "agents": agents,
                "placements": placements,
            })
        );
    } else {
        println!(
            "{} {}",
            file.endpoint,
            if ready { "ready" } else { "not ready" }
        );
        tokens.iter().for_each(print_token);
        for node in &nodes {
            print(node);
        }
        print_placements(&agents, &placements);
        if nodes.is_empty() && agents.is_empty() {
            println!(
                "no nodes and no agents; 'keystead envoy --help' and 'keystead agent token --help' tell how to get one"
            );
        }
    }
    let healthy =
        |placement: &Value| matches!(text(placement, "Status"), "PENDING" | "PLACED" | "PROVEN");
    Ok(
        if ready && !refused && !missed && placements.iter().all(healthy) {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        },
    )
}

/// The tokens; none where the caller may not know of them, in another account than the first.
async fn tokens(client: &Client) -> Result<Vec<Value>, Failure> {
    let answer = client.try_call(KEYSTEAD, "ListTokens", &json!({})).await?;
    match answer {
        Ok(mut answer) => match answer.get_mut("Tokens").map(Value::take) {
            Some(Value::Array(tokens)) => Ok(tokens),
            _ => Ok(Vec::new()),
        },
        Err(refused) if refused.code == "AccessDeniedException" => Ok(Vec::new()),
        Err(refused) => Err(refused.into()),
    }
}

fn print_token(token: &Value) {
    let state = text(token, "State").to_lowercase();
    println!("token {}  {state}", text(token, "Name"));
    let uses = token.get("Uses").and_then(Value::as_array);
    for used in uses.into_iter().flatten() {
        let what = match used.as_str() {
            Some("ROOT_KEY") => "seals the root key",
            Some("CERTIFICATE_AUTHORITIES") => "has the keys of new certificate authorities",
            _ => continue,
        };
        println!("  {what}");
    }
    let shown = [
        ("Reason", ""),
        ("CloudHsmClusterId", "for custom key stores: "),
        ("Label", "label "),
        ("SerialNumber", "serial number "),
    ];
    for (name, before) in shown {
        if let Some(value) = token.get(name).and_then(Value::as_str) {
            println!("  {before}{value}");
        }
    }
    match token.get("StuckCalls").and_then(Value::as_i64) {
        None | Some(0) => {}
        Some(stuck) => println!("  its module does not let {stuck} calls go"),
    }
}

fn deliveries(node: &Value) -> impl Iterator<Item = &Value> {
    node.get("Deliveries")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
}

fn print(node: &Value) {
    println!("{}", text(node, "Name"));
    for delivery in deliveries(node) {
        let connected = delivery.get("Connected") == Some(&Value::Bool(true));
        let state = match (delivery.get("VersionAcked"), connected) {
            (Some(version), true) => format!("serves version {}", version.as_str().unwrap_or("?")),
            (Some(version), false) => {
                format!("last seen with version {}", version.as_str().unwrap_or("?"))
            }
            (None, true) => "connected, nothing accepted yet".to_owned(),
            (None, false) => "not connected".to_owned(),
        };
        println!("  {}  {state}", text(delivery, "ResourceName"));
        if let Some(reason) = delivery.get("LastNack").and_then(Value::as_str) {
            println!(
                "    refused version {}: {reason}",
                text(delivery, "VersionSent")
            );
        }
    }
}

/// Who serves what, since when, and why not.
fn print_placements(agents: &[Value], placements: &[Value]) {
    let name = |arn: &str| arn.rsplit('/').next().unwrap_or(arn).to_owned();
    let mut table = Table::new([
        "AGENT",
        "PLACEMENT",
        "STATE",
        "SINCE",
        "UNTIL",
        "WHAT",
        "WHY",
    ]);
    for placement in placements {
        let resources = placement.get("Resources").and_then(Value::as_array);
        let resources = resources.into_iter().flatten();
        let arns: Vec<String> = resources
            .map(|resource| {
                text(resource, "Arn")
                    .splitn(6, ':')
                    .last()
                    .unwrap_or("?")
                    .to_owned()
            })
            .collect();
        table.row([
            name(text(placement, "AgentArn")),
            text(placement, "Name").to_owned(),
            text(placement, "Status").to_lowercase(),
            table::time(placement.get("Since")),
            table::time(placement.get("NotAfter")),
            arns.join(" "),
            placement
                .get("Reason")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        ]);
    }
    if !placements.is_empty() {
        print!("{table}");
    }
    for agent in agents
        .iter()
        .filter(|agent| agent.get("InContact") == Some(&Value::Bool(false)))
    {
        let seen = table::time(agent.get("LastSeenAt"));
        println!("agent {} is not heard of since {seen}", text(agent, "Name"));
    }
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or("?")
}
