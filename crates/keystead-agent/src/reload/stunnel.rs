//! stunnel: HUP (stunnel(8), "SIGNALS"). It has no test of its configuration; one that it can't read leaves the old in use.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::process::{PidFile, Signal};
use super::{Reload, signalled};
use crate::Failure;

/// `reload = { stunnel = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileStunnel {
    pid_file: PathBuf,
}

impl FileStunnel {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let names = [Path::new("stunnel"), Path::new("stunnel4")];
        let pid = PidFile::new(self.pid_file, &names)?;
        Ok(signalled(None, pid, Signal::HUP))
    }
}
