//! A signal to the process that a pid file names, for servers that Keystead does not know.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::process::{PidFile, Signal};
use super::program::Program;
use super::{Reload, signalled, usual_timeout, within};
use crate::Failure;

/// `reload = { signal = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSignal {
    pid_file: PathBuf,
    #[serde(default)]
    signal: Name,
    /// What the process has to be: a name, or a path.
    executable: Option<PathBuf>,
    /// A program and its arguments.
    test: Option<Vec<String>>,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

/// Those that servers read their files anew for.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
enum Name {
    #[default]
    #[serde(rename = "HUP")]
    Hup,
    #[serde(rename = "USR1")]
    Usr1,
    #[serde(rename = "USR2")]
    Usr2,
    #[serde(rename = "WINCH")]
    Winch,
}

impl FileSignal {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("signal", self.timeout_seconds)?;
        let executable: Vec<&Path> = self.executable.iter().map(PathBuf::as_path).collect();
        let pid = PidFile::new(self.pid_file, &executable)?;
        let test = self.test.map(|argv| Program::of(argv, deadline));
        let signal = match self.signal {
            Name::Hup => Signal::HUP,
            Name::Usr1 => Signal::USR1,
            Name::Usr2 => Signal::USR2,
            Name::Winch => Signal::WINCH,
        };
        Ok(signalled(test.transpose()?, pid, signal))
    }
}
