//! hitch: `hitch --test`, then HUP (hitch(8)): old workers finish their connections.

use std::path::PathBuf;

use serde::Deserialize;

use super::process::{PidFile, Signal};
use super::program::Program;
use super::{Reload, signalled, usual_timeout, within};
use crate::Failure;

/// `reload = { hitch = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileHitch {
    pid_file: PathBuf,
    config: PathBuf,
    #[serde(default = "binary")]
    binary: PathBuf,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

fn binary() -> PathBuf {
    "hitch".into()
}

impl FileHitch {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("hitch", self.timeout_seconds)?;
        let pid = PidFile::new(self.pid_file, &[&self.binary])?;
        let test = Program::new(&self.binary, deadline)?.arg("--test");
        let test = test.arg("--config").path(&self.config)?;
        Ok(signalled(Some(test), pid, Signal::HUP))
    }
}
