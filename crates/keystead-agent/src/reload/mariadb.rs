//! MariaDB and MySQL: a statement (`FLUSH SSL`, MariaDB documentation, "FLUSH"; `ALTER INSTANCE RELOAD TLS`, MySQL manual), by the server's own client. Who logs in, and how,
//! stands in an options file, since arguments can be read by everybody; without one it is the agent's own user, over the socket. A pair that it can't read is
//! refused, and the old stays in use.

use std::path::PathBuf;

use serde::Deserialize;

use super::program::Program;
use super::{Reload, Way, usual_timeout, within};
use crate::Failure;

/// `reload = { mariadb = { ... } }`, and the same for `mysql`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileClient {
    /// With `[client]`: user, password, socket or host and port.
    defaults_file: Option<PathBuf>,
    socket: Option<PathBuf>,
    client: Option<PathBuf>,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

impl FileClient {
    pub(super) fn checked(self, kind: &str, statement: &str) -> Result<Reload, Failure> {
        let deadline = within(kind, self.timeout_seconds)?;
        let client = self.client.unwrap_or_else(|| kind.into());
        let mut program = Program::new(&client, deadline)?;
        // Has to be the first of its arguments.
        program = match &self.defaults_file {
            Some(file) => program.joined("--defaults-file=", file)?,
            None => program.arg("--no-defaults"),
        };
        if let Some(socket) = &self.socket {
            program = program.joined("--socket=", socket)?;
        }
        program = program.arg("--batch").arg("--execute").arg(statement);
        Ok(Reload {
            test: None,
            way: Way::Program(program),
        })
    }
}
