//! PostgreSQL: HUP to the postmaster, which reads its certificate anew (PostgreSQL manual, "Secure TCP/IP Connections with SSL"). One that it
//! can't read leaves the old in use. It has no test of its configuration.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::process::{PidFile, Signal};
use super::{Reload, signalled};
use crate::Failure;

/// `reload = { postgresql = { data_directory = ".." } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePostgresql {
    data_directory: PathBuf,
}

impl FilePostgresql {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let names = [Path::new("postgres"), Path::new("postmaster")];
        // Its first line is the postmaster's ("Database File Layout").
        let pid = PidFile::new(self.data_directory.join("postmaster.pid"), &names)?;
        Ok(signalled(None, pid, Signal::HUP))
    }
}
