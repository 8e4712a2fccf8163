//! `keystead xks`: proxies through which AWS's KMS uses keys that stay here.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::{Map, Value, json};

use crate::Failure;
use crate::client::{Client, KEYSTEAD};
use crate::exports::ClientFile;

/// Let AWS's KMS use keys that stay here (external key store proxy).
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead xks create home                          make a proxy; prints its credential, this once
  keystead xks expose PROXY alias/payroll           let AWS use this key, under its id
  keystead xks expose PROXY alias/payroll --as payroll --principal 'arn:aws:iam::123456789012:*'
  keystead xks show PROXY
  keystead xks rotate PROXY                         one more credential; then 'delete-credential' the older

On AWS: create a custom key store of type EXTERNAL_KEY_STORE with what 'create' prints, connect it, and create KMS keys
in it with the external key ids. AWS reaches the proxy under https://NAME on port 443, with a certificate of a public
authority. PROXY is the ARN that 'create' and 'list' print.")]
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
    /// Make a proxy and print its credential.
    Create {
        /// What to call it.
        name: String,
        /// What stands in its path before /kms/xks/v1, for instance /home [default: one that nobody guesses].
        #[arg(long, value_name = "PREFIX")]
        prefix: Option<String>,
    },
    /// List the proxies.
    List,
    /// Show a proxy, its credentials' ids and the keys that it exposes.
    Show {
        /// The proxy's ARN.
        proxy: String,
    },
    /// Let who has the proxy's credential encrypt and decrypt with a key.
    Expose {
        /// The proxy's ARN.
        proxy: String,
        /// The key: its id, its ARN or an alias.
        key: String,
        /// The external key id by which AWS names it [default: the key's id].
        #[arg(long = "as", value_name = "ID")]
        external: Option<String>,
        /// Who at AWS may use it: a principal's ARN, with * and ? as wildcards; may be repeated [default: anybody].
        #[arg(long = "principal", value_name = "ARN")]
        principals: Vec<String>,
        /// The KMS key at AWS that may use it, with wildcards; may be repeated [default: any].
        #[arg(long = "kms-key", value_name = "ARN")]
        kms_keys: Vec<String>,
    },
    /// Take a key out of the proxy.
    Withdraw {
        /// The proxy's ARN.
        proxy: String,
        /// Its external key id.
        external: String,
    },
    /// Make a second credential and print it; the first works on.
    Rotate {
        /// The proxy's ARN.
        proxy: String,
    },
    /// Delete one of two credentials.
    DeleteCredential {
        /// The proxy's ARN.
        proxy: String,
        /// The id of the access key.
        access_key_id: String,
    },
    /// Delete a proxy; its keys stay.
    Delete {
        /// The proxy's ARN.
        proxy: String,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let client = Client::new(&file)?;
    let call = |operation: &'static str, input: Value| {
        let client = &client;
        async move { client.call(KEYSTEAD, operation, &input).await }
    };
    let of = |proxy: &str| json!({ "XksProxyArn": proxy });
    let answer = match args.action {
        Action::Create { name, prefix } => {
            let mut input = json!({ "Name": name });
            set(&mut input, "UriPathPrefix", prefix);
            let answer = call("CreateXksProxy", input).await?;
            if !args.json {
                println!("{}\n", text(&answer, "XksProxyArn"));
                print_credential(&answer);
            }
            answer
        }
        Action::Rotate { proxy } => {
            let answer = call("RotateXksProxyCredential", of(&proxy)).await?;
            if !args.json {
                print_credential(&answer);
            }
            answer
        }
        Action::List => return list(&client, args.json).await,
        Action::Show { proxy } => {
            let answer = call("DescribeXksProxy", of(&proxy)).await?;
            if !args.json {
                print_proxy(answer.get("XksProxy").unwrap_or(&Value::Null));
            }
            answer
        }
        Action::Expose {
            proxy,
            key,
            external,
            principals,
            kms_keys,
        } => {
            let mut input = json!({ "XksProxyArn": proxy, "KeyId": key, "AwsPrincipals": principals, "AwsKmsKeys": kms_keys });
            set(&mut input, "ExternalKeyId", external);
            let answer = call("ExposeXksKey", input).await?;
            if !args.json {
                println!("{}", text(&answer, "ExternalKeyId"));
            }
            answer
        }
        Action::Withdraw { proxy, external } => {
            let input = json!({ "XksProxyArn": proxy, "ExternalKeyId": external });
            call("WithdrawXksKey", input).await?
        }
        Action::DeleteCredential {
            proxy,
            access_key_id,
        } => {
            let input = json!({ "XksProxyArn": proxy, "AccessKeyId": access_key_id });
            call("DeleteXksProxyCredential", input).await?
        }
        Action::Delete { proxy } => call("DeleteXksProxy", of(&proxy)).await?,
    };
    if args.json {
        println!("{answer}");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(client: &Client, json: bool) -> Result<ExitCode, Failure> {
    let mut input = json!({});
    loop {
        let page = client.call(KEYSTEAD, "ListXksProxies", &input).await?;
        for proxy in entries(&page, "XksProxies") {
            match json {
                true => println!("{proxy}"),
                false => println!(
                    "{}  {}  {}",
                    text(proxy, "XksProxyArn"),
                    text(proxy, "UriPath"),
                    text(proxy, "Name")
                ),
            }
        }
        match page.get("NextToken") {
            Some(token) => input = json!({ "NextToken": token }),
            None => return Ok(ExitCode::SUCCESS),
        }
    }
}

/// As AWS's console takes it from a file (specification, "XKS proxy configuration in AWS KMS console").
fn print_credential(answer: &Value) {
    let file = json!({
        "XksProxyUriPath": answer.get("UriPath"),
        "XksProxyAuthenticationCredential": answer.get("Credential"),
    });
    println!("{file:#}");
}

fn print_proxy(proxy: &Value) {
    println!("{}  {}", text(proxy, "UriPath"), text(proxy, "Name"));
    for credential in entries(proxy, "Credentials") {
        println!("  credential {}", text(credential, "AccessKeyId"));
    }
    for key in entries(proxy, "Keys") {
        println!("  {}  {}", text(key, "ExternalKeyId"), text(key, "KeyArn"));
        for (what, name) in [("principal", "AwsPrincipals"), ("KMS key", "AwsKmsKeys")] {
            for pattern in entries(key, name).filter_map(Value::as_str) {
                println!("    {what} {pattern}");
            }
        }
    }
}

fn set(input: &mut Value, name: &str, value: Option<String>) {
    if let (Some(object), Some(value)) = (input.as_object_mut(), value) {
        Map::insert(object, name.to_owned(), value.into());
    }
}

fn entries<'a>(object: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    let list = object.get(name).and_then(Value::as_array);
    list.into_iter().flatten()
}

fn text<'a>(object: &'a Value, name: &str) -> &'a str {
    object.get(name).and_then(Value::as_str).unwrap_or("?")
}
