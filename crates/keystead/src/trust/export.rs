//! `keystead trust export`: trust stores in the formats that programs read.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use keystead_app::{Env as _, SystemEnv};
use keystead_crypto::trust_store::{self, Trusted};
use serde_json::json;

use super::{Root, roots};
use crate::Failure;
use crate::client::Client;

/// Write the roots as a trust store; while an authority is replaced, the old and the new.
#[derive(clap::Args)]
pub(super) struct Args {
    /// An authority whose roots are wanted (its ARN); may be repeated [default: all that are active].
    #[arg(long = "ca", value_name = "ARN")]
    authorities: Vec<String>,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Pem)]
    format: Format,
    /// Where to [default: to standard output].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Of pkcs12 and jks: the password of the checksum that Java asks for. It protects nothing, as nothing in the store is secret.
    #[arg(long, value_name = "TEXT", default_value = "changeit")]
    password: String,
    /// The authorities below the roots as well, for programs that are not sent them.
    #[arg(long)]
    with_issuing: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Pem,
    Pkcs12,
    Jks,
}

pub(super) async fn run(args: Args, client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let roots = roots(client, &args.authorities, args.with_issuing).await?;
    let bytes = match args.format {
        Format::Pem => roots
            .iter()
            .map(|root| root.pem.as_str())
            .collect::<String>()
            .into_bytes(),
        Format::Pkcs12 => trust_store::pkcs12(&trusted(&roots), &args.password).map_err(failed)?,
        Format::Jks => {
            let now = SystemEnv::default().now().as_millisecond();
            trust_store::jks(&trusted(&roots), &args.password, now).map_err(failed)?
        }
    };
    match &args.out {
        Some(path) => fs::write(path, bytes)
            .map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))?,
        None if !json => std::io::stdout()
            .write_all(&bytes)
            .map_err(|error| Failure(format!("cannot write: {error}")))?,
        None => {}
    }
    if json {
        let shown = roots.iter().map(|root| {
            json!({
                "Alias": root.label(),
                "Sha256": keystead_core::hex(&root.certificate.fingerprint()),
                "NotAfter": root.certificate.not_after,
                "Certificate": root.pem,
            })
        });
        println!("{}", json!({ "Certificates": shown.collect::<Vec<_>>() }));
    }
    Ok(ExitCode::SUCCESS)
}

fn trusted(roots: &[Root]) -> Vec<Trusted> {
    let one = |root: &Root| Trusted {
        alias: root.label(),
        der: root.certificate.der().to_vec(),
    };
    roots.iter().map(one).collect()
}

fn failed(error: keystead_crypto::CryptoError) -> Failure {
    Failure(format!("cannot write the trust store: {error}"))
}
