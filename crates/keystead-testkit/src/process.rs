//! A program as a throw-away child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// A child process that is killed when the handle is dropped. What it prints goes to a file, and is
/// shown when the test fails.
pub struct Process {
    child: Child,
    name: String,
    output: PathBuf,
}

impl Process {
    /// Starts `command`; both of its outputs go to `<dir>/<name>.log`.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub fn start(mut command: Command, name: &str, dir: &Path) -> Self {
        let output = dir.join(format!("{name}.log"));
        let file = File::create(&output).expect("a log file in the test's own folder");
        let errors = file.try_clone().expect("a second handle of a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| panic!("{name} does not start: {error}"));
        Self {
            child,
            name: name.to_owned(),
            output,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it has printed until now.
    pub fn output(&self) -> String {
        let bytes = std::fs::read(&self.output).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child of ours")
    }

    /// Goes on only while it runs.
    ///
    /// # Panics
    ///
    /// With what it printed, when it has ended.
    pub fn assert_running(&mut self) {
        if let Some(status) = self.ended() {
            panic!("{} ended ({status}): {}", self.name, self.output());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            eprintln!("{} said: {}", self.name, self.output());
        }
    }
}
