//! `keystead env`: the shell exports that point the AWS tools at the server.
//!
//! The server leaves what a client needs in `client.json` in its data directory, readable by its
//! owner alone; nothing secret is ever put on a command line.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use keystead_wire::sigv4::Credentials;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{Failure, config};

/// Print the shell exports that point the AWS tools at the server.
#[derive(clap::Args)]
#[command(after_help = "\
Example:
  eval \"$(keystead env)\"
  aws acm-pca list-certificate-authorities")]
pub(crate) struct Args {
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Print JSON instead of shell exports.
    #[arg(long)]
    json: bool,
}

/// What a client on this machine needs to reach the server.
#[derive(Serialize, Deserialize)]
pub(crate) struct ClientFile {
    /// The URL of every service.
    pub(crate) endpoint: String,
    /// The root access key's id; `None` where that key was deleted or made inactive.
    pub(crate) access_key_id: Option<String>,
    /// The root access key's secret.
    pub(crate) secret_access_key: Option<String>,
    /// The region to use where none is said.
    pub(crate) region: String,
    /// The CA that signed the server's TLS certificate, where TLS is on.
    pub(crate) ca_bundle: Option<PathBuf>,
    /// The Unix socket of secret discovery, for Envoys on this machine.
    pub(crate) xds_socket: PathBuf,
}

impl ClientFile {
    /// Reads the file of the server whose data directory is `dir` (or the default one).
    pub(crate) fn load(dir: Option<&Path>) -> Result<Self, Failure> {
        let dir = match dir {
            Some(dir) => dir.to_owned(),
            None => config::default_data_dir()?,
        };
        let path = dir.join(FILE_NAME);
        let text = fs::read_to_string(&path).map_err(|error| {
            Failure(format!(
                "cannot read {}: {error}; start the server with 'keystead up' first, or name its data directory with --data-dir",
                path.display()
            ))
        })?;
        serde_json::from_str(&text).map_err(|error| {
            Failure(format!(
                "{} is damaged ({error}); restarting the server writes it anew",
                path.display()
            ))
        })
    }

    /// Writes the file, readable by its owner alone, all of it or nothing.
    pub(crate) fn store(&self, dir: &Path) -> Result<(), Failure> {
        let path = dir.join(FILE_NAME);
        let new = dir.join(format!("{FILE_NAME}.new"));
        let write = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            serde_json::to_writer_pretty(&mut file, self)?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| Failure(format!("cannot write {}: {error}", path.display())))
    }

    /// The environment variables for the AWS tools.
    pub(crate) fn variables(&self) -> Vec<(&'static str, String)> {
        let bundle = self.ca_bundle.as_ref();
        let variables = [
            ("AWS_ENDPOINT_URL", Some(self.endpoint.clone())),
            (ACCESS_KEY_ID, self.access_key_id.clone()),
            (SECRET_ACCESS_KEY, self.secret_access_key.clone()),
            ("AWS_DEFAULT_REGION", Some(self.region.clone())),
            (
                "AWS_CA_BUNDLE",
                bundle.map(|bundle| bundle.display().to_string()),
            ),
        ];
        let set = variables
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        set.collect()
    }

    /// What to sign with: the root access key, or where that is out of use, what the environment has for
    /// the AWS tools.
    pub(crate) fn credentials(&self) -> Result<Credentials, Failure> {
        if let (Some(id), Some(secret)) = (&self.access_key_id, &self.secret_access_key) {
            return Ok(Credentials {
                access_key_id: id.clone(),
                secret_access_key: Zeroizing::new(secret.clone()),
                session_token: None,
            });
        }
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (variable(ACCESS_KEY_ID), variable(SECRET_ACCESS_KEY)) {
            (Some(access_key_id), Some(secret)) => Ok(Credentials {
                access_key_id,
                secret_access_key: Zeroizing::new(secret),
                session_token: variable("AWS_SESSION_TOKEN").map(Zeroizing::new),
            }),
            _ => Err(Failure(format!(
                "the root access key was deleted or made inactive: set {ACCESS_KEY_ID} and {SECRET_ACCESS_KEY} to those of another administrator"
            ))),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let client = ClientFile::load(args.data_dir.as_deref())?;
    if args.json {
        let object: serde_json::Map<_, _> = client
            .variables()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        println!("{}", serde_json::Value::Object(object));
    } else {
        for (name, value) in client.variables() {
            println!("export {name}={}", quoted(&value));
        }
        // A session token left from another account would be sent along and refused.
        println!("unset AWS_SESSION_TOKEN AWS_PROFILE");
    }
    Ok(ExitCode::SUCCESS)
}

/// `text` as one word of a POSIX shell.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

const FILE_NAME: &str = "client.json";

/// Where the AWS tools take the id of their access key from.
const ACCESS_KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// Where the AWS tools take its secret from.
const SECRET_ACCESS_KEY: &str = "AWS_SECRET_ACCESS_KEY";

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_quote_in_a_value_stays_one_word() {
        assert_eq!(quoted("a'b"), r"'a'\''b'");
        assert_eq!(quoted("$(x) `y`"), "'$(x) `y`'");
    }
}
