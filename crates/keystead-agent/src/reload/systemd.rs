//! A unit of systemd: `systemctl reload`, which waits for its `ExecReload`. A test may be given, since units have none.

use serde::Deserialize;

use super::program::Program;
use super::{Reload, Way, usual_timeout, within};
use crate::Failure;

/// `reload = { systemd = { unit = ".." } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileUnit {
    unit: String,
    /// A program and its arguments.
    test: Option<Vec<String>>,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

impl FileUnit {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("systemd", self.timeout_seconds)?;
        // systemd.unit(5): letters, digits, and these.
        let is_name = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
        if self.unit.is_empty() || self.unit.starts_with('-') || !self.unit.chars().all(is_name) {
            return Err(Failure::Here(format!(
                "reload of systemd: unit is '{}': expected the name of one, 'nginx.service' for instance",
                self.unit
            )));
        }
        let test = self.test.map(|argv| Program::of(argv, deadline));
        let systemctl = Program::new("systemctl".as_ref(), deadline)?;
        Ok(Reload {
            test: test.transpose()?,
            way: Way::Program(systemctl.arg("reload").arg("--").arg(&self.unit)),
        })
    }
}
