//! `keystead trust`: what others need to trust what is issued here, and how one authority gives way to
//! another.

mod export;
mod roll_over;
mod system;

use std::path::PathBuf;
use std::process::ExitCode;

use keystead_crypto::x509::{Certificate, pem};
use serde_json::{Value, json};

use crate::Failure;
use crate::client::{ACM_PCA, Client, KEYSTEAD, text};
use crate::exports::ClientFile;

/// Give others what they need to trust what is issued here; replace authorities.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead trust export > roots.pem                        the roots of all authorities
  keystead trust export --ca ARN --format pkcs12 --out trust.p12
  sudo keystead trust install --ca ARN --yes               into this machine's own store; 'uninstall' takes them out
  keystead trust roll-over start OLD=NEW                   replace an authority, in an order in which nothing fails
  keystead trust roll-over status ARN")]
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
    Export(export::Args),
    Install(system::Install),
    Uninstall(system::Uninstall),
    RollOver(roll_over::Args),
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let data_dir = args.data_dir.as_deref();
    let client = || Client::new(&ClientFile::load(data_dir)?);
    match args.action {
        Action::Export(export) => export::run(export, &client()?, args.json).await,
        Action::Install(install) => system::install(install, &client()?, args.json).await,
        Action::Uninstall(uninstall) => system::uninstall(&uninstall, args.json),
        Action::RollOver(roll_over) => roll_over::run(roll_over, &client()?, args.json).await,
    }
}

/// A root that is to be trusted.
struct Root {
    certificate: Certificate,
    pem: String,
}

impl Root {
    /// What people call it: the last part of its name that says anything, and the beginning of its
    /// fingerprint, which tells two of the same name apart.
    fn label(&self) -> String {
        let name = self.certificate.subject.attributes.iter();
        let common_name = name.rev().find(|attribute| attribute.oid.0 == "2.5.4.3");
        let words: String = common_name
            .map_or("", |attribute| attribute.value.as_str())
            .chars()
            .map(|letter| match letter {
                'a'..='z' | '0'..='9' => letter,
                'A'..='Z' => letter.to_ascii_lowercase(),
                _ => '-',
            })
            .take(MAX_WORDS)
            .collect();
        format!("keystead-{}-{}", words.trim_matches('-'), self.short())
    }

    /// The beginning of its fingerprint.
    fn short(&self) -> String {
        let [a, b, c, d, ..] = self.certificate.fingerprint();
        keystead_core::hex(&[a, b, c, d])
    }
}

/// The certificates that the bundles of these authorities hold (of all active ones, where none is named):
/// the roots, and where it is wished what is below them too. Each once, in the order of the authorities.
async fn roots(client: &Client, named: &[String], with_below: bool) -> Result<Vec<Root>, Failure> {
    let mut wanted = named.to_vec();
    if wanted.is_empty() {
        let all = client
            .list(
                ACM_PCA,
                "ListCertificateAuthorities",
                json!({}),
                "CertificateAuthorities",
            )
            .await?;
        for ca in &all {
            // Those without a certificate have nothing to trust, and those deleted should not be.
            if matches!(text(ca, "Status")?, "ACTIVE" | "DISABLED") {
                wanted.push(text(ca, "Arn")?.to_owned());
            }
        }
    }
    let mut found: Vec<Root> = Vec::new();
    for arn in &wanted {
        let input = json!({ "CertificateAuthorityArn": arn });
        let bundle = client.call(KEYSTEAD, "GetTrustBundle", &input).await?;
        let certificates = bundle.get("Certificates").and_then(Value::as_array);
        for text in certificates.into_iter().flatten().filter_map(Value::as_str) {
            let certificate = Certificate::parse(text.as_bytes())
                .map_err(|error| Failure(format!("the server sent no certificate: {error}")))?;
            let there = found
                .iter()
                .any(|root| root.certificate.der() == certificate.der());
            if !there && (with_below || certificate.is_self_issued()) {
                let pem = pem::encode("CERTIFICATE", certificate.der());
                found.push(Root { certificate, pem });
            }
        }
    }
    match found.is_empty() {
        true => Err(Failure(
            "there is no certificate to trust; 'keystead ca create NAME' makes an authority".into(),
        )),
        false => Ok(found),
    }
}

/// Room for a name in a file's name.
const MAX_WORDS: usize = 60;
