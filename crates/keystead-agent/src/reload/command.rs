//! A command of the operator's own. A program and its arguments, never a shell; it is told nothing, and what it needs stands in the files.

use serde::Deserialize;

use super::program::Program;
use super::{Reload, Way, usual_timeout, within};
use crate::Failure;

/// `reload = { command = { run = ["/usr/local/bin/reload", "web"] } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCommand {
    run: Vec<String>,
    test: Option<Vec<String>>,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

impl FileCommand {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("command", self.timeout_seconds)?;
        let test = self.test.map(|argv| Program::of(argv, deadline));
        Ok(Reload {
            test: test.transpose()?,
            way: Way::Program(Program::of(self.run, deadline)?),
        })
    }
}
