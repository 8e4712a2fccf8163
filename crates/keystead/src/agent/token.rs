//! `keystead agent token`: what one machine needs to become an agent, in one word.

use std::path::PathBuf;
use std::process::ExitCode;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD, text};
use crate::exports::ClientFile;

/// Print a token that makes one machine an agent, once.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead agent token --role arn:aws:iam::123456789012:role/web
  keystead agent token --role arn:aws:iam::123456789012:role/web --name web-1 --from 10.0.7.0/24 --valid 1d
  keystead agent token --role arn:aws:iam::123456789012:role/web | ssh web-1 keystead agent join -

The private CA, the trust anchor and the profile that agents share are made if they are missing. The role has to trust
rolesanywhere.amazonaws.com; what it lacks is said. The token is a secret until it was used, or its time is over.")]
pub(super) struct Args {
    /// The role that the agent becomes (its ARN): its policies say what it may have.
    #[arg(long, value_name = "ARN")]
    role: String,
    /// What the agent has to be called; an agent of that name is replaced.
    #[arg(long)]
    name: Option<String>,
    /// The address, or the network, that the token has to be used from.
    #[arg(long, value_name = "ADDRESS[/BITS]")]
    from: Option<String>,
    /// How long the token can be used: a number and s, m, h or d, a week at most.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = seconds)]
    valid: i64,
    /// How long each of the agent's certificates is valid; it renews them by itself.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = seconds)]
    certificate_valid: i64,
    /// The trust anchor (its ARN) to use in place of the one that agents share; needs --profile.
    #[arg(long, value_name = "ARN", requires = "profile")]
    trust_anchor: Option<String>,
    /// The profile (its ARN) to use in place of the one that agents share.
    #[arg(long, value_name = "ARN", requires = "trust_anchor")]
    profile: Option<String>,
    /// The URL under which the machine reaches the server [default: the one that this machine uses].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// The region that the agent belongs to [default: the server's].
    #[arg(long)]
    region: Option<String>,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let mut client = Client::new(&file)?;
    if let Some(region) = args.region {
        client.set_region(region);
    }
    let input = json!({
        "RoleArn": args.role,
        "Name": args.name,
        "Address": args.from,
        "ValidSeconds": args.valid,
        "CertificateValidHours": args.certificate_valid.div_euclid(3600),
        "TrustAnchorArn": args.trust_anchor,
        "ProfileArn": args.profile,
    });
    let made = client
        .call(KEYSTEAD, "CreateJoinToken", &without_null(input))
        .await?;
    let endpoint = args.endpoint.unwrap_or_else(|| file.endpoint.clone());
    let token = format!("{}.{}", text(&made, "Token")?, way(&endpoint, &file)?);
    if args.json {
        let mut made = made;
        if let Some(made) = made.as_object_mut() {
            made.insert("Token".into(), token.into());
        }
        println!("{made}");
        return Ok(ExitCode::SUCCESS);
    }
    for missing in made
        .get("Missing")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        eprintln!("keystead: {}", missing.as_str().unwrap_or_default());
    }
    eprintln!("For one machine, there: keystead agent join -   (and this on its standard input)");
    println!("{token}");
    Ok(ExitCode::SUCCESS)
}

/// Where the server is and what proves that it is the right one: not a secret, and not the server's business.
fn way(endpoint: &str, file: &ClientFile) -> Result<String, Failure> {
    let roots = match &file.ca_bundle {
        None => None,
        Some(path) => Some(
            std::fs::read_to_string(path)
                .map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?,
        ),
    };
    let way = without_null(json!({ "endpoint": endpoint, "roots": roots }));
    Ok(URL_SAFE_NO_PAD.encode(way.to_string()))
}

fn without_null(mut object: Value) -> Value {
    if let Some(members) = object.as_object_mut() {
        members.retain(|_, value| !value.is_null());
    }
    object
}

fn seconds(text: &str) -> Result<i64, String> {
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err("expected a number and s, m, h or d, for instance 1h".into()),
    };
    let digits = text.trim_end_matches(['s', 'm', 'h', 'd']);
    let number: Option<i64> = digits.parse().ok().filter(|number| *number > 0);
    let seconds = number.and_then(|number| number.checked_mul(unit));
    seconds.ok_or_else(|| format!("'{digits}' is not a number above zero"))
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, expected) in [("90s", 90), ("5m", 300), ("1h", 3600), ("30d", 2_592_000)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for bad in ["", "h", "0h", "-1h", "5", "5y", "99999999999999999d"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
