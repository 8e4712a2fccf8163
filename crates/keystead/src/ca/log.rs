//! `keystead ca log`: the log of all that private CAs issued. What the server says is checked here, with
//! nothing but the head that it signed.

use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_core::hex;
use keystead_core::x509::KeySpec;
use keystead_crypto::merkle::{self, Hash};
use keystead_crypto::x509::{self, Certificate, pem};
use serde_json::{Value, json};

use crate::Failure;
use crate::client::{ACM_PCA, Client, KEYSTEAD, text};

/// Show the log of all that was issued, and prove what is in it.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead ca log head                     how long it is, and its hash: keep both somewhere else
  keystead ca log head --after 1000:HASH   prove that it begins with what was kept
  keystead ca log prove CERTIFICATE_ARN    prove that a certificate is in it

'keystead audit verify' computes all of it anew.")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show the signed head.
    Head {
        /// A head that was kept: its size and its hash.
        #[arg(long, value_name = "SIZE:HASH", value_parser = kept)]
        after: Option<Kept>,
    },
    /// Prove that a certificate is in the log.
    Prove {
        /// The certificate's ARN.
        certificate: String,
    },
}

/// An earlier head.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    size: u64,
    root: Hash,
}

pub(super) async fn run(args: Args, client: &Client, json: bool) -> Result<ExitCode, Failure> {
    match args.action {
        Action::Head { after } => head(client, after, json).await,
        Action::Prove { certificate } => prove(client, &certificate, json).await,
    }
}

async fn head(client: &Client, after: Option<Kept>, json: bool) -> Result<ExitCode, Failure> {
    let input = match &after {
        Some(kept) => json!({ "FirstSize": kept.size }),
        None => json!({}),
    };
    let answer = client
        .call(KEYSTEAD, "GetCertificateLogHead", &input)
        .await?;
    let head = Head::checked(answer.get("Head").unwrap_or(&Value::Null))?;
    if let Some(kept) = &after {
        let path = path(&answer, "ConsistencyProof")?;
        let (first, second) = ((kept.size, &kept.root), (head.size, &head.root));
        if !merkle::proves_consistency(first, second, &path) {
            return Err(Failure(format!(
                "the log does NOT begin with the one of {} certificates that was kept: something in it was changed",
                kept.size
            )));
        }
    }
    if json {
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{}:{}", head.size, hex(&head.root));
    match &after {
        Some(kept) => println!(
            "{} certificates; it begins with the {} that were kept",
            head.size, kept.size
        ),
        None => println!(
            "{} certificates; keep the line above, and give it to --after later",
            head.size
        ),
    }
    Ok(ExitCode::SUCCESS)
}

async fn prove(client: &Client, arn: &str, json: bool) -> Result<ExitCode, Failure> {
    let authority = arn.split_once("/certificate/").map_or(arn, |(ca, _)| ca);
    let which = json!({ "CertificateAuthorityArn": authority, "CertificateArn": arn });
    let got = client.call(ACM_PCA, "GetCertificate", &which).await?;
    let certificate = Certificate::parse(text(&got, "Certificate")?.as_bytes())
        .map_err(|error| Failure(format!("the server sent no certificate: {error}")))?;
    let input = json!({ "CertificateArn": arn });
    let answer = client
        .call(KEYSTEAD, "GetCertificateLogProof", &input)
        .await?;
    let head = Head::checked(answer.get("Head").unwrap_or(&Value::Null))?;
    let index = answer.get("LeafIndex").and_then(Value::as_u64);
    let index = index.ok_or_else(|| Failure("the server's answer has no LeafIndex".into()))?;
    let path = path(&answer, "InclusionProof")?;
    let leaf = merkle::leaf_hash(certificate.der());
    if !merkle::proves_inclusion(&leaf, index, head.size, &path, &head.root) {
        return Err(Failure(format!(
            "the server's proof is NOT one: {arn} is not what the log has at {index}"
        )));
    }
    if json {
        println!("{answer}");
    } else {
        println!(
            "{arn}\nis number {index} of {} in the log {}:{}",
            head.size,
            head.size,
            hex(&head.root)
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// A head whose signature verifies.
struct Head {
    size: u64,
    root: Hash,
}

impl Head {
    fn checked(head: &Value) -> Result<Self, Failure> {
        let broken = |what: &str| Failure(format!("the head of the log is not whole: {what}"));
        let blob = |name| {
            let decoded = STANDARD.decode(text(head, name)?);
            decoded.map_err(|_| broken("something in it is not base64"))
        };
        let size = head.get("Size").and_then(Value::as_u64);
        let size = size.ok_or_else(|| broken("it has no size"))?;
        let root = unhex(text(head, "RootHash")?).ok_or_else(|| broken("it has no hash"))?;
        let (signed, signature) = (blob("SignedBytes")?, blob("Signature")?);
        // TreeHeadDataV2: 8 bytes of time, 8 of size, a length and the hash (RFC 9162 section 4.10).
        let says = [&size.to_be_bytes()[..], &[32], &root].concat();
        if signed
            .get(8..)
            .and_then(|rest| rest.strip_prefix(says.as_slice()))
            != Some([0, 0].as_slice())
        {
            return Err(broken("what is signed is something else"));
        }
        let key = pem::blocks(text(head, "PublicKey")?).ok();
        let key = key.and_then(|blocks| blocks.into_iter().next());
        let key = key.ok_or_else(|| broken("it has no key"))?;
        let algorithm = KeySpec::EcP256.default_signature();
        x509::verify_signature(&key.der, algorithm, &signed, &signature)
            .map_err(|_| broken("its signature does not verify"))?;
        Ok(Self { size, root })
    }
}

fn path(answer: &Value, name: &str) -> Result<Vec<Hash>, Failure> {
    let hashes = answer.get(name).and_then(Value::as_array);
    let hashes = hashes.into_iter().flatten();
    let path: Option<Vec<Hash>> = hashes.map(|hash| hash.as_str().and_then(unhex)).collect();
    path.ok_or_else(|| Failure("the server's proof is not a list of hashes".into()))
}

fn kept(text: &str) -> Result<Kept, String> {
    let parts = text.split_once(':');
    let kept = parts.and_then(|(size, root)| {
        Some(Kept {
            size: size.parse().ok()?,
            root: unhex(root)?,
        })
    });
    kept.ok_or_else(|| "expected SIZE:HASH as 'keystead ca log head' prints it".into())
}

fn unhex(text: &str) -> Option<Hash> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (place, pair) in hash.iter_mut().zip(text.as_bytes().chunks(2)) {
        *place = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_head_is_a_size_and_a_hash() {
        let hash = "0".repeat(63) + "a";
        let read = kept(&format!("17:{hash}")).unwrap();
        assert_eq!((read.size, read.root[31]), (17, 10));
        for bad in [
            "",
            "17",
            &hash,
            &format!("x:{hash}"),
            "1:00",
            &format!("1:{hash}0"),
        ] {
            assert!(kept(bad).is_err(), "{bad}");
        }
    }
}
