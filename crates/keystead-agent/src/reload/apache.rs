//! Apache: `apachectl -t`, then USR1, the graceful restart (httpd.apache.org, "Stopping and Restarting"): children end with their requests.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::process::{PidFile, Signal};
use super::program::Program;
use super::{Reload, signalled, usual_timeout, within};
use crate::Failure;

/// `reload = { apache = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileApache {
    pid_file: PathBuf,
    /// `apache2ctl`, `apachectl`, or the server itself where it needs no environment.
    #[serde(default = "control")]
    control: PathBuf,
    config: Option<PathBuf>,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

fn control() -> PathBuf {
    "apachectl".into()
}

impl FileApache {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("apache", self.timeout_seconds)?;
        let names = [Path::new("apache2"), Path::new("httpd")];
        let pid = PidFile::new(self.pid_file, &names)?;
        let mut test = Program::new(&self.control, deadline)?;
        if let Some(config) = &self.config {
            test = test.arg("-f").path(config)?;
        }
        Ok(signalled(Some(test.arg("-t")), pid, Signal::USR1))
    }
}
