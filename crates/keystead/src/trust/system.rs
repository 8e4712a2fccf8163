//! `keystead trust install`: roots into the store that the programs of this machine share, and out again.
//!
//! Each distribution has a directory for what its administrator trusts, and a program that makes of it what
//! libraries read. The files are named after us, so that they are found again, and nothing else is touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use serde_json::json;

use super::roots;
use crate::Failure;
use crate::client::Client;

/// Have the programs of this machine trust the roots.
#[derive(clap::Args)]
pub(super) struct Install {
    /// An authority whose roots are wanted (its ARN); may be repeated [default: all that are active].
    #[arg(long = "ca", value_name = "ARN")]
    authorities: Vec<String>,
    #[command(flatten)]
    target: Target,
}

/// Take out of this machine's store what 'install' put there.
#[derive(clap::Args)]
pub(super) struct Uninstall {
    #[command(flatten)]
    target: Target,
}

#[derive(clap::Args)]
struct Target {
    /// Do it; without this, it is only said what would be done.
    #[arg(long)]
    yes: bool,
    /// The root of the file system [default: /].
    #[arg(long, value_name = "DIR", default_value = "/")]
    prefix: PathBuf,
}

/// Where a kind of distribution keeps what its administrator trusts.
struct Store {
    directory: &'static str,
    refresh: &'static [&'static str],
}

/// Debian and its like (update-ca-certificates(8)); Fedora, RHEL and theirs (update-ca-trust(8)); SUSE
/// (update-ca-certificates(8) of its own); Arch (update-ca-trust(8)).
const STORES: [Store; 4] = [
    Store {
        directory: "usr/local/share/ca-certificates",
        refresh: &["update-ca-certificates"],
    },
    Store {
        directory: "etc/pki/ca-trust/source/anchors",
        refresh: &["update-ca-trust", "extract"],
    },
    Store {
        directory: "etc/pki/trust/anchors",
        refresh: &["update-ca-certificates"],
    },
    Store {
        directory: "etc/ca-certificates/trust-source/anchors",
        refresh: &["update-ca-trust", "extract"],
    },
];

pub(super) async fn install(
    args: Install,
    client: &Client,
    json: bool,
) -> Result<ExitCode, Failure> {
    let (store, directory) = find(&args.target)?;
    let mut files = Vec::new();
    for root in roots(client, &args.authorities, false).await? {
        files.push((directory.join(format!("{}.crt", root.label())), root.pem));
    }
    let paths: Vec<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    if !args.target.yes {
        return Ok(ask("write", &paths, store, json));
    }
    for (path, pem) in &files {
        write(path, pem)?;
    }
    done("installed", &paths, store, &args.target, json)
}

pub(super) fn uninstall(args: &Uninstall, json: bool) -> Result<ExitCode, Failure> {
    let (store, directory) = find(&args.target)?;
    let read = |error| Failure(format!("cannot read {}: {error}", directory.display()));
    let mut paths = Vec::new();
    for entry in fs::read_dir(&directory).map_err(read)? {
        let path = entry.map_err(read)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with("keystead-") && name.ends_with(".crt")) {
            paths.push(path);
        }
    }
    paths.sort();
    let shown: Vec<&Path> = paths.iter().map(PathBuf::as_path).collect();
    if !args.target.yes {
        return Ok(ask("remove", &shown, store, json));
    }
    for path in &paths {
        fs::remove_file(path)
            .map_err(|error| Failure(format!("cannot remove {}: {error}", path.display())))?;
    }
    done("removed", &shown, store, &args.target, json)
}

fn find(target: &Target) -> Result<(&'static Store, PathBuf), Failure> {
    let found = STORES.iter().find_map(|store| {
        let directory = target.prefix.join(store.directory);
        directory.is_dir().then_some((store, directory))
    });
    found.ok_or_else(|| {
        let known: Vec<&str> = STORES.iter().map(|store| store.directory).collect();
        Failure(format!(
            "this machine has none of the trust stores that are known here ({}); 'keystead trust export' writes the roots to a file",
            known.join(", ")
        ))
    })
}

/// All of it or nothing: a store with half a certificate would break every program.
fn write(path: &Path, pem: &str) -> Result<(), Failure> {
    let new = path.with_extension("new");
    fs::write(&new, pem)
        .and_then(|()| fs::rename(&new, path))
        .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))
}

/// Says what would be done; nobody has agreed to it yet.
fn ask(what: &str, paths: &[&Path], store: &Store, json: bool) -> ExitCode {
    if json {
        println!("{}", json!({ "Done": false, "Files": paths }));
    } else {
        for path in paths {
            println!("would {what} {}", path.display());
        }
        println!("would run {}", store.refresh.join(" "));
        println!("\nEvery program of this machine follows. To do it, add --yes.");
    }
    ExitCode::FAILURE
}

/// Has the machine make of the directory what its programs read. Under another root than this machine's
/// that is left to who made it.
fn done(
    what: &str,
    paths: &[&Path],
    store: &Store,
    target: &Target,
    json: bool,
) -> Result<ExitCode, Failure> {
    if target.prefix == Path::new("/")
        && let [program, arguments @ ..] = store.refresh
    {
        let ran = Command::new(program).args(arguments).output();
        let ran = ran.map_err(|error| Failure(format!("cannot run {program}: {error}")))?;
        if !ran.status.success() {
            return Err(Failure(format!(
                "{program} failed: {}",
                String::from_utf8_lossy(&ran.stderr).trim()
            )));
        }
    }
    if json {
        println!("{}", json!({ "Done": true, "Files": paths }));
    } else {
        for path in paths {
            println!("{what} {}", path.display());
        }
    }
    Ok(ExitCode::SUCCESS)
}
