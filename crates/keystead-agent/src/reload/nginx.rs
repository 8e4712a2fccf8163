//! nginx: `nginx -t`, then HUP ("Controlling nginx", nginx.org): old workers finish their connections.
//!
//! Where `ssl_certificate` and `ssl_certificate_key` have a variable in them (of `map`; `set` comes too late), nginx reads the files at every
//! handshake: `reload = "none"`, and both in one folder that is replaced in one step.

use std::path::PathBuf;

use serde::Deserialize;

use super::process::{PidFile, Signal};
use super::program::Program;
use super::{Reload, signalled, usual_timeout, within};
use crate::Failure;

/// `reload = { nginx = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileNginx {
    pid_file: PathBuf,
    #[serde(default = "binary")]
    binary: PathBuf,
    config: Option<PathBuf>,
    prefix: Option<PathBuf>,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

fn binary() -> PathBuf {
    "nginx".into()
}

impl FileNginx {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("nginx", self.timeout_seconds)?;
        let pid = PidFile::new(self.pid_file, &[&self.binary])?;
        let mut test = Program::new(&self.binary, deadline)?.arg("-t").arg("-q");
        if let Some(prefix) = &self.prefix {
            test = test.arg("-p").path(prefix)?;
        }
        if let Some(config) = &self.config {
            test = test.arg("-c").path(config)?;
        }
        Ok(signalled(Some(test), pid, Signal::HUP))
    }
}
