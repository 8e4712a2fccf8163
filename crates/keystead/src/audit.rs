//! `keystead audit`: read the journal, and prove that it is whole.

mod explain;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use jiff::Timestamp;
use keystead_app::{JOURNAL_DIR, log};
use keystead_crypto::token::Token;
use keystead_store::journal::{self, Filter};
use keystead_store::{Peek, StoreOptions};
use serde_json::{Value, json};

use crate::config::{Config, Overrides};
use crate::{Failure, config};

/// Read and check the audit journal.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead audit show --tail 20
  keystead audit show --event IssueCertificate --since 2026-11-01T00:00:00Z --json | jq .
  keystead audit explain
  keystead audit verify

Both read the data directory; the server may run or not.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
    /// Where the root key lies [default: root.key in the data directory]; for 'verify'.
    #[arg(long, value_name = "FILE", global = true)]
    root_key: Option<PathBuf>,
    /// The server's configuration file, where a token seals the root key; for 'verify'.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Print JSON: for 'show', CloudTrail's events, one a line.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show what was done, the oldest first.
    Show {
        /// Only the last so many.
        #[arg(long, value_name = "N")]
        tail: Option<usize>,
        /// Only calls of this operation, for instance IssueCertificate.
        #[arg(long, value_name = "NAME")]
        event: Option<String>,
        /// Only calls from this time on, for instance 2026-11-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
    },
    /// Tell why a call was refused, and what would have let it through.
    Explain {
        /// The id of the event or of the request; without one, the last call that a policy refused.
        event: Option<String>,
    },
    /// Check that nothing was changed, removed or put in, in the journal and in the log of issued certificates. Exits with
    /// 1 if something was.
    Verify,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let configured = match &args.config {
        Some(file) => {
            let overrides = Overrides {
                data_dir: args.data_dir.clone(),
                ..Overrides::default()
            };
            Some(Config::load(Some(file), overrides)?)
        }
        None => None,
    };
    let dir = match (&configured, &args.data_dir) {
        (Some(config), _) => config.data_dir.clone(),
        (None, Some(dir)) => dir.clone(),
        (None, None) => config::default_data_dir()?,
    };
    match &args.action {
        Action::Show { tail, event, since } => {
            let filter = Filter {
                tail: *tail,
                event_name: event.clone(),
                since: *since,
            };
            show(&dir.join(JOURNAL_DIR), filter, args.json)
        }
        Action::Explain { event } => {
            explain::run(&dir.join(JOURNAL_DIR), event.as_deref(), args.json)
        }
        Action::Verify => {
            let store = opened_by(&dir, configured.as_ref(), args.root_key.as_deref())?;
            verify(&dir.join(JOURNAL_DIR), &store, args.json)
        }
    }
}

/// The store, with the root key that opens it.
fn opened_by(
    dir: &Path,
    config: Option<&Config>,
    root_key: Option<&Path>,
) -> Result<StoreOptions, Failure> {
    let mut store = StoreOptions::new(dir);
    let configured = config.map(|config| config.root_key.as_path());
    if let Some(path) = root_key.or(configured) {
        store = store.root_key_file(path);
    }
    let Some(hsm) = config.map(|config| &config.hsm) else {
        return Ok(store);
    };
    if let Some(name) = &hsm.root_key
        && let Some(options) = hsm.tokens.get(name)
    {
        let token = Token::connect(name, options.clone());
        store = store.root_key_token(token.map_err(|error| Failure(error.to_string()))?);
    }
    Ok(store)
}

fn show(dir: &Path, filter: Filter, json: bool) -> Result<ExitCode, Failure> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut code = ExitCode::SUCCESS;
    for entry in journal::show(dir, filter).map_err(failed)? {
        let written = match entry {
            Ok(entry) if json => writeln!(out, "{}", entry.event),
            Ok(entry) => writeln!(out, "{}", line(&entry.event)),
            Err(error) => {
                eprintln!("keystead: {error}");
                code = ExitCode::FAILURE;
                continue;
            }
        };
        // The reader has seen enough (`| head`).
        if written.is_err() {
            return Ok(code);
        }
    }
    let _ = out.flush();
    Ok(code)
}

/// An event on one line: when, what, how it ended, who, from where.
fn line(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap_or(Value::Null);
    let text = |path: &str| {
        event
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or("-")
            .to_owned()
    };
    let service = text("/eventSource");
    let service = service.strip_suffix(".amazonaws.com").unwrap_or(&service);
    let ending = event
        .get("errorCode")
        .and_then(Value::as_str)
        .unwrap_or("ok");
    format!(
        "{}  {service}:{}  {ending}  {}  {}",
        text("/eventTime"),
        text("/eventName"),
        text("/userIdentity/arn"),
        text("/sourceIPAddress"),
    )
}

fn verify(dir: &std::path::Path, store: &StoreOptions, json: bool) -> Result<ExitCode, Failure> {
    let pinned = journal::pinned(store).map_err(failed)?;
    let report = journal::verify(dir, pinned.as_ref()).map_err(failed)?;
    let log = match Peek::open(store).map_err(failed)? {
        Some(peek) => log::verify(&peek).map_err(failed)?,
        None => log::Report::default(),
    };
    if json {
        println!("{}", found(&report, &log));
    } else {
        print_journal(&report);
        print_log(&log);
    }
    Ok(if report.is_whole() && log.is_whole() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was found, as JSON.
fn found(report: &journal::Report, log: &log::Report) -> Value {
    let breaks = report.breaks.iter().map(|found| {
        json!({ "file": found.file, "line": found.line, "problem": found.problem.to_string() })
    });
    json!({
        "whole": report.is_whole() && log.is_whole(),
        "events": report.events,
        "first": report.first,
        "last": report.last.as_ref().map(|head| head.sequence),
        "breaks": report.break_count,
        "named_breaks": breaks.collect::<Vec<_>>(),
        "log": {
            "whole": log.is_whole(),
            "size": log.size,
            "root": log.root,
            "logged": log.logged,
            "pending": log.pending,
            "older": log.older,
            "problems": log.problem_count,
            "named_problems": log.problems,
        },
    })
}

fn print_journal(report: &journal::Report) {
    if report.is_whole() {
        println!("{} events, an unbroken chain", report.events);
        return;
    }
    println!(
        "{} events, and the chain is broken in {} places:",
        report.events, report.break_count
    );
    for found in &report.breaks {
        println!("  {} line {}: {}", found.file, found.line, found.problem);
    }
}

fn print_log(log: &log::Report) {
    match &log.root {
        Some(root) => println!("{} certificates in the log {}:{root}", log.size, log.size),
        None => println!("nothing in the log of certificates"),
    }
    if log.older > 0 {
        println!("{} certificates are older than the log", log.older);
    }
    if !log.is_whole() {
        println!("the log is broken in {} places:", log.problem_count);
        for problem in &log.problems {
            println!("  {problem}");
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}
