//! `keystead lint`: certificates, judged as they would be before Keystead signs them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keystead_core::lint::{self, Finding};
use keystead_crypto::x509::{Certificate, pem};
use serde_json::json;

use crate::Failure;

#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead lint server.pem             what would stop Keystead from signing this
  keystead lint --public server.pem    and what the public web would not take

Each certificate of a file is judged: DER, or PEM with any number of them. The exit code is 1 where
there is a finding.")]
pub(crate) struct Args {
    /// The certificates.
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Judge by the CA/Browser Forum's Baseline Requirements for TLS too.
    #[arg(long)]
    public: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let mut shown = Vec::new();
    let mut clean = true;
    for file in &args.files {
        for (number, certificate) in (1..).zip(certificates(file)?) {
            let findings = judge(certificate.der(), args.public);
            clean &= findings.is_empty();
            let name = format!("{} ({number})", file.display());
            match args.json {
                true => shown.push(json!({
                    "file": file.display().to_string(),
                    "number": number,
                    "findings": findings
                        .iter()
                        .map(|finding| json!({"rule": finding.rule, "message": finding.message}))
                        .collect::<Vec<_>>(),
                })),
                false if findings.is_empty() => println!("{name}: nothing found"),
                false => findings
                    .iter()
                    .for_each(|finding| println!("{name}: {finding}")),
            }
        }
    }
    if args.json {
        println!("{}", serde_json::Value::from(shown));
    }
    Ok(match clean {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn judge(certificate: &[u8], public: bool) -> Vec<Finding> {
    let mut findings = lint::lint_foreign(certificate).err().unwrap_or_default();
    if public {
        findings.extend(lint::lint_public(certificate).err().unwrap_or_default());
    }
    findings
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Failure> {
    let refused =
        |cause: &dyn std::fmt::Display| Failure(format!("cannot read {}: {cause}", file.display()));
    let size = fs::metadata(file).map_err(|error| refused(&error))?.len();
    if size > MAX_FILE {
        return Err(refused(&format!(
            "it has {size} bytes, expected at most {MAX_FILE}"
        )));
    }
    let bytes = fs::read(file).map_err(|error| refused(&error))?;
    // DER begins with a SEQUENCE.
    if bytes.first() == Some(&0x30) {
        let one = Certificate::from_der(&bytes).map_err(|error| refused(&error))?;
        return Ok(vec![one]);
    }
    let ders = pem::certificates(&bytes).map_err(|error| refused(&error))?;
    ders.iter()
        .map(|der| Certificate::from_der(der).map_err(|error| refused(&error)))
        .collect()
}

/// ACM's limit for a chain.
const MAX_FILE: u64 = 2 << 20;
