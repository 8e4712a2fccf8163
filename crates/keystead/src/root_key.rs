//! `keystead root-key`: the forms of the root key's file. The key stays the same, so the server may run or not.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use keystead_crypto::seal::{RootKey, RootKeyFile, SealedRootKey};
use keystead_crypto::token::{Token, TokenOptions};

use crate::config::{Config, Overrides};
use crate::{Failure, memory};

/// Seal the root key by a PKCS #11 token, or copy it.
///
/// A sealed root key is worth nothing without the token. A token that breaks takes the store with it, unless the
/// token has a backup, or the root key a copy in a safe place: make one first.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  keystead root-key show --config /etc/keystead.toml
  keystead root-key copy /media/safe/root.key
  keystead root-key seal --token hsm --config /etc/keystead.toml
  keystead root-key unseal --config /etc/keystead.toml

'keystead up --help' shows how tokens are configured.")]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
    /// The server's configuration file.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// The server's data directory [default: $XDG_DATA_HOME/keystead].
    #[arg(long, value_name = "DIR", global = true)]
    data_dir: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Show where the root key is, and in which form.
    Show,
    /// Seal the root key by a token of the configuration.
    Seal {
        /// The token [default: the configuration's for the root key].
        #[arg(long, value_name = "NAME")]
        token: Option<String>,
    },
    /// Put the root key back in clear.
    Unseal,
    /// Copy the root key, in clear, to a new file.
    Copy {
        /// The new file, for instance on a medium that goes into a safe.
        file: PathBuf,
    },
}

pub(crate) async fn run(args: Args) -> Result<ExitCode, Failure> {
    memory::keep_keys_in()?;
    let overrides = Overrides {
        data_dir: args.data_dir,
        ..Overrides::default()
    };
    let config = Config::load(args.config.as_deref(), overrides)?;
    let path = config.root_key.as_path();
    let file = RootKeyFile::read(path).map_err(failed)?;
    match args.action {
        Action::Show => show(path, &file),
        Action::Seal { token } => {
            let name = token.or_else(|| config.hsm.root_key.clone());
            let name = name.ok_or_else(|| Failure("name a token: --token NAME".into()))?;
            seal(&config, &name, file).await?;
        }
        Action::Unseal => match file {
            RootKeyFile::Clear(_) => println!("the root key in {} is in clear", path.display()),
            RootKeyFile::Sealed(sealed) => {
                let root = open(&config, &sealed).await?;
                root.store_clear(path).map_err(failed)?;
                println!(
                    "the root key {} in {} is in clear now",
                    root.id(),
                    path.display()
                );
                if config.hsm.root_key.is_some() {
                    println!("take 'token' out of [root_key] in the configuration");
                }
            }
        },
        Action::Copy { file: copy } => {
            let root = match file {
                RootKeyFile::Clear(root) => root,
                RootKeyFile::Sealed(sealed) => open(&config, &sealed).await?,
            };
            root.store_copy(&copy).map_err(failed)?;
            println!(
                "the root key {} is in {} too, in clear",
                root.id(),
                copy.display()
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(path: &Path, file: &RootKeyFile) {
    let form = match file {
        RootKeyFile::Clear(_) => "in clear".to_owned(),
        RootKeyFile::Sealed(sealed) => {
            format!(
                "sealed by the token with the serial number {}",
                sealed.serial()
            )
        }
    };
    println!("{}\n  id    {}\n  form  {form}", path.display(), file.id());
}

async fn seal(config: &Config, name: &str, file: RootKeyFile) -> Result<(), Failure> {
    let path = config.root_key.as_path();
    let options = config.hsm.tokens.get(name).ok_or_else(|| {
        Failure(format!(
            "there is no [tokens.{name}] in the configuration: 'keystead up --help' shows one"
        ))
    })?;
    let token = connect(name, options).await?;
    let serial = token
        .status()
        .identity
        .map_or_else(String::new, |identity| identity.serial);
    let root = match file {
        RootKeyFile::Clear(root) => root,
        RootKeyFile::Sealed(sealed) if sealed.serial() == serial => {
            println!(
                "the root key in {} is sealed by {name} already",
                path.display()
            );
            return Ok(());
        }
        RootKeyFile::Sealed(sealed) => open(config, &sealed).await?,
    };
    root.store_sealed(path, &token).await.map_err(failed)?;
    println!(
        "the root key {} in {} is sealed by {name} ({serial}) now",
        root.id(),
        path.display()
    );
    if config.hsm.root_key.as_deref() != Some(name) {
        println!("put into the configuration:\n  [root_key]\n  token = \"{name}\"");
        if path != config.data_dir.join("root.key") {
            println!("  file = \"{}\"", path.display());
        }
    }
    println!(
        "the key in clear may still be readable from the disk and in old backups of the file, until they are overwritten"
    );
    Ok(())
}

/// The root key, opened by whichever of the configuration's tokens can: the one that sealed it, or one that has its keys
/// from a backup.
async fn open(config: &Config, sealed: &SealedRootKey) -> Result<RootKey, Failure> {
    let mut why = Vec::new();
    for (name, options) in &config.hsm.tokens {
        let opened = async {
            let token = connect(name, options).await?;
            sealed.open(&token).await.map_err(failed)
        };
        match opened.await {
            Ok(root) => return Ok(root),
            Err(failure) => why.push(failure.0),
        }
    }
    if why.is_empty() {
        why.push("the configuration has no tokens (--config FILE)".to_owned());
    }
    Err(Failure(format!(
        "the root key is sealed by the token with the serial number {}: {}",
        sealed.serial(),
        why.join("; ")
    )))
}

async fn connect(name: &str, options: &TokenOptions) -> Result<Arc<Token>, Failure> {
    let token = Token::connect(name, options.clone()).map_err(failed)?;
    token.connected(DEADLINE).await.map_err(failed)?;
    Ok(token)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure(error.to_string())
}

/// As long as modules of network HSMs look for their peers, and some more.
const DEADLINE: Duration = Duration::from_secs(20);
