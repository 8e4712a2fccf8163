//! `keystead secret`: what a person does by hand for secrets that rotate.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keystead_core::rotation::{
    Change, Credential, Deed, Engine, Heard, Job, Login, Place, Rotator, Wanted,
};
use keystead_rotate::Rotators;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::Failure;
use crate::client::{Client, SECRETS_MANAGER};
use crate::config::{Config, Overrides};
use crate::exports::ClientFile;

/// Repair the password of a secret that rotates.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  keystead secret repair shop/database --administrator root --password-file ./root-password

A database that was restored from an old backup takes none of the passwords that its secret has. 'repair' logs in as
an administrator and gives the user the secret's current password again; rotation then goes on by itself. It runs
where it is called: the administrator's password goes to the database alone.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Have the server take the current password again.
    Repair {
        /// The secret's name or ARN.
        secret: String,
        /// The administrator's name at the server.
        #[arg(long, value_name = "NAME")]
        administrator: String,
        /// A file whose first line is the administrator's password.
        #[arg(long, value_name = "FILE")]
        password_file: PathBuf,
        /// The server's configuration file, for its [rotation].
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    let Action::Repair {
        secret,
        administrator,
        password_file,
        config,
    } = &args.action;
    let file = ClientFile::load(args.data_dir.as_deref())?;
    let client = Client::new(&file)?;
    let config = Config::load(config.as_deref(), Overrides::default())?;
    let rotators = Rotators::new(config.rotation);
    let administrator = Login {
        user: administrator.clone(),
        password: first_line(password_file)?,
    };
    repair(&client, &rotators, secret, administrator).await?;
    Ok(ExitCode::SUCCESS)
}

async fn repair(
    client: &Client,
    rotators: &Rotators,
    secret: &str,
    administrator: Login,
) -> Result<(), Failure> {
    let input = json!({ "SecretId": secret });
    let described = client
        .call(SECRETS_MANAGER, "DescribeSecret", &input)
        .await?;
    let engine = engine_of(secret, &described)?;
    let value = client
        .call(SECRETS_MANAGER, "GetSecretValue", &input)
        .await?;
    let text = value.get("SecretString").and_then(Value::as_str);
    let current = Credential::parse(text.unwrap_or_default(), Some(engine)).map_err(Failure)?;
    let at = |deed| Job {
        // The one user's road, also where two take turns: only the current one is put right.
        rotator: Rotator::User(engine),
        place: Place {
            host: current.host.clone().unwrap_or_default(),
            port: current.port,
            database: current.database.clone(),
            tls: current.tls,
        },
        deed,
    };
    let user = || Login {
        user: current.username.clone(),
        password: current.password.clone(),
    };
    let heard = rotators.visit(&at(Deed::Try(user()))).await;
    match heard.outcome {
        Change::Done => {
            println!("The current password of {secret} logs in: there is nothing to repair.");
            return Ok(());
        }
        Change::NotPermitted => {}
        _ => return Err(because("the server can't be asked", &heard)),
    }
    let wanted = Wanted {
        by: Some(administrator),
        login: user(),
        like: None,
        keep: None,
    };
    let heard = rotators.visit(&at(Deed::Set(wanted))).await;
    if heard.outcome != Change::Done {
        return Err(because(
            "the administrator could not set the password",
            &heard,
        ));
    }
    let heard = rotators.visit(&at(Deed::Try(user()))).await;
    if heard.outcome != Change::Done {
        return Err(because("the password is set, and does not log in", &heard));
    }
    println!("The server takes the current password of {secret} again.");
    Ok(())
}

/// The server whose users the secret's rotator changes.
fn engine_of(secret: &str, described: &Value) -> Result<Engine, Failure> {
    let function = described.get("RotationLambdaARN").and_then(Value::as_str);
    let function = function.and_then(|arn| arn.rsplit(':').next());
    let rotator = function.and_then(Rotator::named).ok_or_else(|| {
        Failure(format!(
            "{secret} is not rotated by one of Keystead's rotators"
        ))
    })?;
    rotator.engine().ok_or_else(|| {
        Failure(format!(
            "{secret} is of a file or a command, where there is no administrator"
        ))
    })
}

fn because(what: &str, heard: &Heard) -> Failure {
    Failure(format!("{what}: {}", heard.cause))
}

fn first_line(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| Failure(format!("cannot read {}: {error}", path.display())))?;
    let text = Zeroizing::new(text);
    let line = text.lines().next().unwrap_or_default();
    match line.is_empty() {
        true => Err(Failure(format!("{} has no password in it", path.display()))),
        false => Ok(Zeroizing::new(line.to_owned())),
    }
}
