//! Postfix: `postfix check`, then `postfix reload` (postfix(1)). Its servers end with what they are at; the next ones read the files anew.

use std::path::PathBuf;

use serde::Deserialize;

use super::program::Program;
use super::{Reload, Way, usual_timeout, within};
use crate::Failure;

/// `reload = { postfix = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilePostfix {
    /// Where it is not the usual one.
    config_directory: Option<PathBuf>,
    #[serde(default = "binary")]
    binary: PathBuf,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

fn binary() -> PathBuf {
    "postfix".into()
}

impl FilePostfix {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("postfix", self.timeout_seconds)?;
        let mut program = Program::new(&self.binary, deadline)?;
        if let Some(directory) = &self.config_directory {
            program = program.arg("-c").path(directory)?;
        }
        Ok(Reload {
            test: Some(program.clone().arg("check")),
            way: Way::Program(program.arg("reload")),
        })
    }
}
