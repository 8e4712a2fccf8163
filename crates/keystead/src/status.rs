//! `keystead status`: is the server ready, and what does it deliver where.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD};
use crate::exports::ClientFile;

/// Show whether the server is ready and what it delivers where.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead status
  keystead status --json | jq '.nodes[].Deliveries'

Exits with 0 when the server is ready and no node refused what it was sent, else with 1.")]
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
    let nodes = nodes(&client).await?;
    let refused = nodes
        .iter()
        .flat_map(deliveries)
        .any(|delivery| delivery.get("LastNack").is_some());
    if args.json {
        println!(
            "{}",
            json!({ "endpoint": file.endpoint, "ready": ready, "health": health, "nodes": nodes })
        );
    } else {
        println!(
            "{} {}",
            file.endpoint,
            if ready { "ready" } else { "not ready" }
        );
        for node in &nodes {
            print(node);
        }
        if nodes.is_empty() {
            println!("no nodes; 'keystead envoy --help' tells how to register one");
        }
    }
    Ok(if ready && !refused {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn nodes(client: &Client) -> Result<Vec<Value>, Failure> {
    let mut nodes = Vec::new();
    let mut input = json!({});
    loop {
        let mut page = client.call(KEYSTEAD, "ListNodes", &input).await?;
        if let Some(Value::Array(found)) = page.get_mut("Nodes").map(Value::take) {
            nodes.extend(found);
        }
        match page.get("NextToken") {
            Some(token) => input = json!({ "NextToken": token }),
            None => return Ok(nodes),
        }
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

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or("?")
}
