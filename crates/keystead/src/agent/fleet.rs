//! `keystead agent list` and `remove`: the agents as the server knows them.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD, text};
use crate::exports::ClientFile;
use crate::table::Table;

/// Show the agents, and whether they are there.
#[derive(clap::Args)]
pub(super) struct List {
    #[command(flatten)]
    server: Server,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Lock an agent out: its certificates are revoked, and what it alone used may be deleted.
#[derive(clap::Args)]
pub(super) struct Remove {
    /// Its name, or its ARN.
    agent: String,
    #[command(flatten)]
    server: Server,
}

#[derive(clap::Args)]
struct Server {
    /// The region that the agents belong to [default: the server's].
    #[arg(long)]
    region: Option<String>,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Server {
    fn client(&self) -> Result<Client, Failure> {
        let mut client = Client::new(&ClientFile::load(self.data_dir.as_deref())?)?;
        if let Some(region) = &self.region {
            client.set_region(region.clone());
        }
        Ok(client)
    }
}

pub(super) async fn list(args: List) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    let agents = client
        .list(KEYSTEAD, "ListAgents", json!({}), "Agents")
        .await?;
    if args.json {
        println!("{}", json!({ "agents": agents }));
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new(["AGENT", "CONTACT", "LAST SEEN", "CERTIFICATE UNTIL", "ROLE"]);
    for agent in &agents {
        let of = |name: &str| agent.get(name).and_then(Value::as_str).unwrap_or("-");
        let there = agent.get("InContact") == Some(&Value::Bool(true));
        table.row([
            of("Name").to_owned(),
            if there { "yes" } else { "lost" }.to_owned(),
            crate::table::time(agent.get("LastSeenAt")),
            crate::table::time(agent.get("CertificateNotAfter")),
            of("RoleArn").to_owned(),
        ]);
    }
    match agents.is_empty() {
        true => println!("no agents; 'keystead agent token --help' tells how to join one"),
        false => print!("{table}"),
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn remove(args: Remove) -> Result<ExitCode, Failure> {
    let client = args.server.client()?;
    let arn = match args.agent.starts_with("arn:") {
        true => args.agent,
        false => {
            let agents = client
                .list(KEYSTEAD, "ListAgents", json!({}), "Agents")
                .await?;
            let name = args.agent.as_str();
            let named = |agent: &&Value| agent.get("Name").and_then(Value::as_str) == Some(name);
            let found = agents.iter().find(named);
            let found = found.ok_or_else(|| Failure(format!("there is no agent {name}")))?;
            text(found, "AgentArn")?.to_owned()
        }
    };
    client
        .call(KEYSTEAD, "DeleteAgent", &json!({ "AgentArn": arn }))
        .await?;
    println!("removed {arn}");
    Ok(ExitCode::SUCCESS)
}
