//! The real `keystead` binary on a free port, with a data directory of its own.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

use crate::wait::until;

/// How long a start may take before a test calls it hung: a debug build on a busy two-core machine.
const START: Duration = Duration::from_secs(60);
/// How long a stop may take.
const STOP: Duration = Duration::from_secs(30);

/// How to start a server.
#[derive(Clone)]
pub struct Start {
    binary: PathBuf,
    folder: Arc<TempDir>,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Start {
    /// A server from this binary (in an integration test: `env!("CARGO_BIN_EXE_keystead")`) with a new,
    /// empty data directory, on a port of its own choice.
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            folder: Arc::new(tempfile::tempdir().expect("a temporary folder")),
            arguments: Vec::new(),
            variables: Vec::new(),
        }
    }

    /// One more argument of `keystead up`.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A variable in the server's environment.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Moves the server's clock, for instance `60d` ahead (builds with the feature `testing` only).
    pub fn clock_offset(self, offset: &str) -> Self {
        self.arg("--clock-offset").arg(offset)
    }

    /// The data directory, which the first start makes.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Starts the server and waits until it is ready.
    ///
    /// # Errors
    ///
    /// When it ends before that: what it said, and how it ended.
    pub fn start(self) -> Result<Keystead, Failure> {
        let mut child = self.command().spawn().expect("the binary starts");
        let (sender, lines) = channel();
        let said = Arc::new(Mutex::new(String::new()));
        follow(child.stdout.take().expect("piped"), &said, Some(sender));
        follow(child.stderr.take().expect("piped"), &said, None);
        if let Err(reason) = wait_ready(&lines) {
            // It is on its way out, or it hangs: either way it must not outlive the test.
            let hung = reason == Unready::Hung;
            if hung {
                child.kill().ok();
            }
            let status = child.wait().expect("a child of ours");
            return Err(Failure {
                said: said.lock().expect("no reader panics").clone(),
                status: status.code(),
                hung,
            });
        }
        let variables = self.exports();
        Ok(Keystead {
            child,
            start: self,
            variables,
            said,
        })
    }

    /// Runs another subcommand of the same binary to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.binary);
        command.args(arguments).stdin(Stdio::null());
        command.output().expect("the binary starts")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(["up", "--listen", "127.0.0.1:0", "--data-dir"]);
        command.arg(self.data_dir()).args(&self.arguments);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.env("HOME", self.folder.path());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn exports(&self) -> BTreeMap<String, String> {
        let dir = self.data_dir();
        let dir = dir.to_str().expect("a temporary folder has a plain name");
        let output = self.run(&["env", "--json", "--data-dir", dir]);
        assert!(output.status.success(), "keystead env: {output:?}");
        serde_json::from_slice(&output.stdout).expect("`keystead env --json` prints an object")
    }
}

/// A server that did not become ready.
#[derive(Debug)]
pub struct Failure {
    /// Everything that it printed.
    pub said: String,
    /// Its exit code; `None` when a signal ended it.
    pub status: Option<i32>,
    /// It neither became ready nor ended.
    pub hung: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.hung { "hung" } else { "ended" };
        write!(f, "the server {how} ({:?}): {}", self.status, self.said)
    }
}

/// A running server.
pub struct Keystead {
    child: Child,
    start: Start,
    variables: BTreeMap<String, String>,
    said: Arc<Mutex<String>>,
}

impl Keystead {
    /// What `keystead env` exports: the endpoint and the root access key.
    pub fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }

    /// The URL that AWS's tools talk to.
    pub fn endpoint(&self) -> &str {
        &self.variables["AWS_ENDPOINT_URL"]
    }

    /// Host and port of the endpoint.
    pub fn authority(&self) -> &str {
        let endpoint = self.endpoint();
        endpoint
            .split_once("://")
            .map_or(endpoint, |(_, rest)| rest)
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.start.data_dir()
    }

    /// A folder of this server alone, for files of the test.
    pub fn home(&self) -> &Path {
        self.start.folder.path()
    }

    /// How it was started: the same again, after a change to the data directory or the arguments.
    pub fn how(&self) -> Start {
        self.start.clone()
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has printed until now.
    pub fn said(&self) -> String {
        self.said.lock().expect("no reader panics").clone()
    }

    /// Ends it as a power cut would (SIGKILL) and returns how to start it again.
    pub fn kill(mut self) -> Start {
        self.end();
        self.start.clone()
    }

    /// Asks it to stop (SIGTERM) and returns its exit code.
    ///
    /// # Panics
    ///
    /// When it does not stop in time.
    pub fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(
            asked.is_ok_and(|status| status.success()),
            "kill -TERM {pid}"
        );
        let status = until("the server to stop", STOP, || {
            self.child.try_wait().expect("a child of ours")
        });
        status.code()
    }

    /// Ends it as a power cut would, and starts it on the same data directory.
    ///
    /// # Panics
    ///
    /// When it does not start again.
    pub fn restart(self) -> Self {
        match self.kill().start() {
            Ok(server) => server,
            Err(failure) => panic!("{failure}"),
        }
    }

    fn end(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Keystead {
    fn drop(&mut self) {
        self.end();
    }
}

#[derive(PartialEq, Eq)]
enum Unready {
    Ended,
    Hung,
}

fn wait_ready(lines: &Receiver<String>) -> Result<(), Unready> {
    loop {
        match lines.recv_timeout(START) {
            Ok(line) if line == "ready" => return Ok(()),
            Ok(_) => {}
            Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Err(Unready::Ended),
            Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return Err(Unready::Hung),
        }
    }
}

/// Keeps what a pipe says, so that the child never blocks on it; sends each line on if asked to.
fn follow(
    pipe: impl Read + Send + 'static,
    said: &Arc<Mutex<String>>,
    lines: Option<Sender<String>>,
) {
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            let Ok(line) = line else { break };
            if let Ok(mut said) = said.lock() {
                said.push_str(&line);
                said.push('\n');
            }
            if let Some(lines) = &lines {
                // Nobody listens any more once it is ready.
                lines.send(line).ok();
            }
        }
    });
}
