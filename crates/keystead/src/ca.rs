//! `keystead ca`: a root and an authority below it that issues, in one command.
//!
//! AWS's own way takes eight calls and their order. This makes the same calls, and may be cut off
//! anywhere: each step looks at what is there and does what is missing, so that running the command
//! again goes on where it ended. What belongs to a name is found by tags.

mod log;

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_core::hex;
use keystead_core::x509::KeySpec;
use keystead_crypto::digest;
use serde_json::{Value, json};

use crate::Failure;
use crate::client::{ACM_PCA, Client, text};
use crate::exports::ClientFile;

/// Make a certificate authority that is ready to issue; see the log of all that was issued.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead ca create prod                                a root, and below it one that issues
  keystead ca create prod --organization 'Example Corp' --country DE --key-algorithm EC_secp384r1
  keystead ca create jobs --mode short-lived --root ARN  below a root that is there already
  keystead ca log head                                   the log of all that was issued

'create' may be run again: it finishes what was cut off, and prints the same.")]
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
    Create(Create),
    Log(log::Args),
}

/// Make a root, and below it an authority that issues, from which ACM may issue and renew.
#[derive(clap::Args)]
struct Create {
    /// What to call it; its certificates say 'NAME root CA' and 'NAME issuing CA'.
    name: String,
    /// The organization in the certificates' subjects.
    #[arg(long, value_name = "NAME")]
    organization: Option<String>,
    /// The country in the certificates' subjects: two letters.
    #[arg(long, value_name = "CODE")]
    country: Option<String>,
    /// The kind of both keys: RSA_2048, RSA_3072, RSA_4096, EC_prime256v1, EC_secp384r1, EC_secp521r1, ML_DSA_44, ML_DSA_65 or ML_DSA_87.
    #[arg(long, value_name = "KIND", default_value = "EC_prime256v1", value_parser = key_spec)]
    key_algorithm: KeySpec,
    /// How long the root's certificate is valid: a number and d, m or y.
    #[arg(long, value_name = "TIME", default_value = "10y", value_parser = validity)]
    root_validity: Validity,
    /// How long the issuing authority's certificate is valid.
    #[arg(long, value_name = "TIME", default_value = "5y", value_parser = validity)]
    validity: Validity,
    /// What the authority issues: anything, or certificates of at most seven days.
    #[arg(long, value_enum, default_value_t = Mode::GeneralPurpose)]
    mode: Mode,
    /// A root (its ARN) that is there already, to put the issuing authority below.
    #[arg(long, value_name = "ARN")]
    root: Option<String>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Mode {
    GeneralPurpose,
    ShortLived,
}

/// A length of time as ACM-PCA has it.
#[derive(Clone)]
struct Validity {
    value: u32,
    unit: &'static str,
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let client = Client::new(&file)?;
    let wanted = match args.action {
        Action::Create(wanted) => wanted,
        Action::Log(log) => return log::run(log, &client, args.json).await,
    };
    let root = match &wanted.root {
        Some(arn) => arn.clone(),
        None => root(&client, &wanted).await?,
    };
    let issuing = issuing(&client, &wanted, &root).await?;
    if args.json {
        println!("{}", json!({ "RootArn": root, "IssuingArn": issuing }));
        return Ok(ExitCode::SUCCESS);
    }
    println!("root     {root}\nissuing  {issuing}\n");
    println!(
        "Next: a certificate that is renewed by itself, and what its clients need to trust it:"
    );
    println!(
        "  aws acm request-certificate --domain-name web.example.internal --certificate-authority-arn {issuing}"
    );
    println!("  keystead trust export --ca {issuing} --out trust.pem");
    Ok(ExitCode::SUCCESS)
}

/// The root of this name, active; made as far as it isn't there.
async fn root(client: &Client, wanted: &Create) -> Result<String, Failure> {
    let arn = authority(client, wanted, Role::Root).await?;
    if active(client, &arn).await? {
        return Ok(arn);
    }
    let order = json!({
        "TemplateArn": "arn:aws:acm-pca:::template/RootCACertificate/V1",
        "CertificateAuthorityArn": arn,
        "Validity": wanted.root_validity.json(),
    });
    let (certificate, _) = issued(client, &arn, order).await?;
    let import =
        json!({ "CertificateAuthorityArn": arn, "Certificate": STANDARD.encode(certificate) });
    client
        .call(ACM_PCA, "ImportCertificateAuthorityCertificate", &import)
        .await?;
    Ok(arn)
}

/// The issuing authority of this name below `root`, active, and open to ACM.
async fn issuing(client: &Client, wanted: &Create, root: &str) -> Result<String, Failure> {
    let arn = authority(client, wanted, Role::Issuing).await?;
    if !active(client, &arn).await? {
        let order = json!({
            "TemplateArn": "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1",
            "CertificateAuthorityArn": root,
            "Validity": wanted.validity.json(),
        });
        let (certificate, chain) = issued(client, &arn, order).await?;
        let import = json!({
            "CertificateAuthorityArn": arn,
            "Certificate": STANDARD.encode(certificate),
            "CertificateChain": STANDARD.encode(chain),
        });
        client
            .call(ACM_PCA, "ImportCertificateAuthorityCertificate", &import)
            .await?;
    }
    let permission = to_acm(&arn);
    match client
        .try_call(ACM_PCA, "CreatePermission", &permission)
        .await?
    {
        Err(refused) if !refused.code.ends_with("PermissionAlreadyExistsException") => {
            Err(refused.into())
        }
        _ => Ok(arn),
    }
}

/// What has Certificate Manager renew what it issued from this authority.
pub(crate) fn to_acm(arn: &str) -> Value {
    json!({
        "CertificateAuthorityArn": arn,
        "Actions": ["IssueCertificate", "GetCertificate", "ListPermissions"],
        "Principal": "acm.amazonaws.com",
    })
}

#[derive(Clone, Copy)]
enum Role {
    Root,
    Issuing,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Issuing => "issuing",
        }
    }
}

/// The authority that plays this role for the name, whatever its state; made if there is none.
async fn authority(client: &Client, wanted: &Create, role: Role) -> Result<String, Failure> {
    let subject = subject(wanted, role);
    if let Some(found) = find(client, wanted, role, &subject).await? {
        return Ok(found);
    }
    let token =
        digest::sha256(format!("keystead ca create {} {}", role.name(), wanted.name).as_bytes());
    let input = json!({
        "CertificateAuthorityType": match role {
            Role::Root => "ROOT",
            Role::Issuing => "SUBORDINATE",
        },
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": wanted.key_algorithm.pca_name(),
            "SigningAlgorithm": wanted.key_algorithm.default_signature().pca_name(),
            "Subject": subject,
        },
        "UsageMode": match (role, wanted.mode) {
            (Role::Issuing, Mode::ShortLived) => "SHORT_LIVED_CERTIFICATE",
            _ => "GENERAL_PURPOSE",
        },
        "Tags": tags(&wanted.name, role),
        // Two that run at the same time make one.
        "IdempotencyToken": hex(&token).get(..32),
    });
    let created = client
        .call(ACM_PCA, "CreateCertificateAuthority", &input)
        .await?;
    Ok(text(&created, "CertificateAuthorityArn")?.to_owned())
}

fn subject(wanted: &Create, role: Role) -> Value {
    let mut subject = json!({ "CommonName": format!("{} {} CA", wanted.name, role.name()) });
    let given = [
        ("Organization", &wanted.organization),
        ("Country", &wanted.country),
    ];
    for (name, value) in given {
        if let (Some(object), Some(value)) = (subject.as_object_mut(), value) {
            object.insert(name.into(), value.as_str().into());
        }
    }
    subject
}

fn tags(name: &str, role: Role) -> Value {
    json!([
        { "Key": "keystead:ca", "Value": name },
        { "Key": "keystead:ca-role", "Value": role.name() },
    ])
}

/// An authority with the tags of this name and role that is not deleted. There are at most some
/// hundred authorities, and only those with the subject are asked for their tags.
async fn find(
    client: &Client,
    wanted: &Create,
    role: Role,
    subject: &Value,
) -> Result<Option<String>, Failure> {
    let all = client
        .list(
            ACM_PCA,
            "ListCertificateAuthorities",
            json!({}),
            "CertificateAuthorities",
        )
        .await?;
    for ca in all {
        let configuration = ca.get("CertificateAuthorityConfiguration");
        let of = |name: &str| configuration.and_then(|configuration| configuration.get(name));
        let same_name =
            of("Subject").and_then(|found| found.get("CommonName")) == subject.get("CommonName");
        if !same_name || ca.get("Status").and_then(Value::as_str) == Some("DELETED") {
            continue;
        }
        let arn = text(&ca, "Arn")?;
        let which = json!({ "CertificateAuthorityArn": arn });
        let theirs = client.list(ACM_PCA, "ListTags", which, "Tags").await?;
        let ours = tags(&wanted.name, role);
        if !ours
            .as_array()
            .is_some_and(|ours| ours.iter().all(|tag| theirs.contains(tag)))
        {
            continue;
        }
        let kind = of("KeyAlgorithm").and_then(Value::as_str);
        if kind != Some(wanted.key_algorithm.pca_name()) || of("Subject") != Some(subject) {
            return Err(Failure(format!(
                "there is a {} authority of the name '{}' already, with another key algorithm or subject: {arn}; \
                 choose another name, or the same options",
                role.name(),
                wanted.name
            )));
        }
        return Ok(Some(arn.to_owned()));
    }
    Ok(None)
}

/// Whether the authority is active; `false` while it waits for its certificate.
async fn active(client: &Client, arn: &str) -> Result<bool, Failure> {
    let which = json!({ "CertificateAuthorityArn": arn });
    let described = client
        .call(ACM_PCA, "DescribeCertificateAuthority", &which)
        .await?;
    let ca = described.get("CertificateAuthority");
    match ca.and_then(|ca| ca.get("Status")).and_then(Value::as_str) {
        Some("ACTIVE") => Ok(true),
        Some("PENDING_CERTIFICATE" | "CREATING") => Ok(false),
        other => Err(Failure(format!(
            "the authority {arn} is {}; enable, restore or delete it first",
            other.unwrap_or("in an unknown state")
        ))),
    }
}

/// The certificate for the key of the authority `of`, as the order says, and its chain.
async fn issued(client: &Client, of: &str, mut order: Value) -> Result<(String, String), Failure> {
    let this = json!({ "CertificateAuthorityArn": of });
    let csr = client
        .once_there(ACM_PCA, "GetCertificateAuthorityCsr", &this, "Csr")
        .await?;
    let issuer = text(&order, "CertificateAuthorityArn")?.to_owned();
    let described = client
        .call(
            ACM_PCA,
            "DescribeCertificateAuthority",
            &json!({ "CertificateAuthorityArn": issuer }),
        )
        .await?;
    let signing = described
        .pointer("/CertificateAuthority/CertificateAuthorityConfiguration/SigningAlgorithm");
    if let Some(order) = order.as_object_mut() {
        order.insert(
            "SigningAlgorithm".into(),
            signing.cloned().unwrap_or_default(),
        );
        order.insert(
            "IdempotencyToken".into(),
            hex(&digest::sha256(of.as_bytes())).get(..32).into(),
        );
        order.insert("Csr".into(), STANDARD.encode(csr).into());
    }
    let answer = client.call(ACM_PCA, "IssueCertificate", &order).await?;
    let which = json!({
        "CertificateAuthorityArn": issuer,
        "CertificateArn": text(&answer, "CertificateArn")?,
    });
    let certificate = client
        .once_there(ACM_PCA, "GetCertificate", &which, "Certificate")
        .await?;
    let got = client.call(ACM_PCA, "GetCertificate", &which).await?;
    // A root has none.
    let chain = got.get("CertificateChain").and_then(Value::as_str);
    Ok((certificate, chain.unwrap_or_default().to_owned()))
}

impl Validity {
    fn json(&self) -> Value {
        json!({ "Value": self.value, "Type": self.unit })
    }
}

fn validity(text: &str) -> Result<Validity, String> {
    let unit = match text.chars().last() {
        Some('d') => "DAYS",
        Some('m') => "MONTHS",
        Some('y') => "YEARS",
        _ => return Err("expected a number and d, m or y, for instance 5y".into()),
    };
    let digits = text.trim_end_matches(['d', 'm', 'y']);
    let value = digits.parse().ok().filter(|value| *value > 0);
    value
        .map(|value| Validity { value, unit })
        .ok_or_else(|| format!("'{digits}' is not a number above zero"))
}

fn key_spec(text: &str) -> Result<KeySpec, String> {
    KeySpec::from_pca_name(text).ok_or_else(|| {
        let known: Vec<&str> = KeySpec::ALL.into_iter().map(KeySpec::pca_name).collect();
        format!("expected one of {}", known.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_validity_is_a_number_and_a_unit() {
        for (text, value, unit) in [("10y", 10, "YEARS"), ("6m", 6, "MONTHS"), ("7d", 7, "DAYS")] {
            let read = validity(text).unwrap();
            assert_eq!((read.value, read.unit), (value, unit));
        }
        for bad in ["", "y", "0d", "-1d", "5", "5h", "y5", "5dd5d"] {
            assert!(validity(bad).is_err(), "{bad}");
        }
    }
}
