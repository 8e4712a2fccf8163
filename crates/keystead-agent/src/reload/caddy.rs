//! Caddy: `caddy validate`, then `caddy reload --force`: without it a configuration whose text is the same is not loaded again
//! (caddyserver.com, "Command line").

use std::path::PathBuf;

use serde::Deserialize;

use super::program::Program;
use super::{Reload, Way, usual_timeout, within};
use crate::Failure;

/// `reload = { caddy = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileCaddy {
    config: PathBuf,
    /// Of the configuration, where its name does not say it: `caddyfile`.
    adapter: Option<String>,
    /// Of its administration, where the configuration does not say it.
    address: Option<String>,
    #[serde(default = "binary")]
    binary: PathBuf,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

fn binary() -> PathBuf {
    "caddy".into()
}

impl FileCaddy {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("caddy", self.timeout_seconds)?;
        let program = |verb: &str| -> Result<Program, Failure> {
            let program = Program::new(&self.binary, deadline)?.arg(verb);
            let program = program.arg("--config").path(&self.config)?;
            Ok(match &self.adapter {
                Some(adapter) => program.arg("--adapter").arg(adapter),
                None => program,
            })
        };
        let mut reload = program("reload")?.arg("--force");
        if let Some(address) = &self.address {
            reload = reload.arg("--address").arg(address);
        }
        Ok(Reload {
            test: Some(program("validate")?),
            way: Way::Program(reload),
        })
    }
}
