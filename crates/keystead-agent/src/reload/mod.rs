//! Having a program load what was placed.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use crate::Failure;

/// `reload` of the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum FileReload {
    /// A command.
    Command {
        /// The program and its arguments.
        run: Vec<String>,
        /// The same, to test the configuration.
        test: Option<Vec<String>>,
        /// How long each may take.
        seconds: Option<u64>,
    },
}

/// A way to have a program load what was placed.
pub struct Reload(FileReload);

/// What was placed.
pub struct Placed<'a> {
    /// The certificate with its chain.
    pub certificate_pem: &'a str,
    /// Its key.
    pub key_pem: &'a str,
    /// The files.
    pub paths: &'a [PathBuf],
}

impl Reload {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub fn of(file: FileReload) -> Result<Self, Failure> {
        Ok(Self(file))
    }

    /// Has the configuration tested.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub async fn test(&self) -> Result<(), Failure> {
        let FileReload::Command { test, seconds, .. } = &self.0;
        match test {
            Some(test) => run(test, *seconds).await,
            None => Ok(()),
        }
    }

    /// Has it loaded.
    ///
    /// # Errors
    /// [`Failure::Here`].
    pub async fn reload(&self, _placed: &Placed<'_>) -> Result<(), Failure> {
        let FileReload::Command {
            run: argv, seconds, ..
        } = &self.0;
        run(argv, *seconds).await
    }
}

async fn run(argv: &[String], seconds: Option<u64>) -> Result<(), Failure> {
    let (program, arguments) = argv
        .split_first()
        .ok_or_else(|| Failure::Here("there is no command".into()))?;
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true);
    let limit = Duration::from_secs(seconds.unwrap_or(30));
    let ended = tokio::time::timeout(limit, command.output()).await;
    let ended = ended
        .map_err(|_| {
            Failure::Here(format!(
                "{program} did not end within {} s",
                limit.as_secs()
            ))
        })?
        .map_err(|error| Failure::Here(format!("{program}: {error}")))?;
    match ended.status.success() {
        true => Ok(()),
        false => Err(Failure::Here(format!(
            "{program}: {}: {}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr).trim()
        ))),
    }
}
