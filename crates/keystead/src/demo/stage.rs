//! What a demo starts, so that all of it ends with the demo: a folder and child processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::Failure;

/// A folder of the demo's own and the processes that run in it. Dropping it ends them too, but only
/// [`end`](Self::end) waits until they have ended, which the folder must not be removed before.
pub(super) struct Stage {
    dir: TempDir,
    actors: Vec<Actor>,
}

struct Actor {
    name: &'static str,
    child: Child,
    log: PathBuf,
}

impl Stage {
    /// An empty stage in a new temporary folder.
    pub(super) fn new() -> Result<Self, Failure> {
        let dir = tempfile::Builder::new().prefix("keystead-demo-").tempdir();
        let dir =
            dir.map_err(|error| Failure(format!("cannot make a temporary folder: {error}")))?;
        Ok(Self {
            dir,
            actors: Vec::new(),
        })
    }

    /// The folder.
    pub(super) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Starts a process; what it prints goes to a file in the folder.
    pub(super) fn start(
        &mut self,
        name: &'static str,
        mut command: Command,
    ) -> Result<(), Failure> {
        let failed = |error: std::io::Error| Failure(format!("cannot start {name}: {error}"));
        let log = self.dir().join(format!("{name}.log"));
        let output = File::create(&log).map_err(failed)?;
        let errors = output.try_clone().map_err(failed)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        self.actors.push(Actor { name, child, log });
        Ok(())
    }

    /// Fails, with what it said last, when a process has ended.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        for actor in &mut self.actors {
            if let Ok(Some(status)) = actor.child.try_wait() {
                let log = fs::read_to_string(&actor.log).unwrap_or_default();
                let lines: Vec<_> = log.lines().rev().take(LAST_LINES).collect();
                let last: Vec<_> = lines.into_iter().rev().collect();
                return Err(Failure(format!(
                    "{} ended ({status}); it said:\n{}",
                    actor.name,
                    last.join("\n")
                )));
            }
        }
        Ok(())
    }

    /// Ends every process, the last one first, and removes the folder.
    pub(super) async fn end(mut self) {
        while let Some(mut actor) = self.actors.pop() {
            // Fails only if it has ended already.
            let _ = actor.child.kill().await;
        }
        if let Err(error) = self.dir.close() {
            tracing::warn!(%error, "the demo's folder was not removed");
        }
    }
}

/// Enough to see why a process ended, and still one screen.
const LAST_LINES: usize = 12;
