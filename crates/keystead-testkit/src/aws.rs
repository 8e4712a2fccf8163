//! The real aws CLI, pointed at a server.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::keystead::Keystead;
use crate::tools::tool;

/// The aws CLI with a server's own credentials and nothing else: no configuration file of whoever runs
/// the test, no instance metadata.
pub struct Aws<'a> {
    server: &'a Keystead,
}

impl<'a> Aws<'a> {
    /// A client of `server`.
    pub fn new(server: &'a Keystead) -> Self {
        Self { server }
    }

    /// `aws ARGUMENTS... --output json`, its answer parsed; an empty answer is `null`.
    ///
    /// # Panics
    ///
    /// When the call fails, with what the CLI said.
    pub fn call(&self, arguments: &[&str]) -> Value {
        let output = self.output(arguments);
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "aws {arguments:?}: {complaint}");
        match output.stdout.as_slice() {
            [] => Value::Null,
            text => serde_json::from_slice(text).expect("the CLI prints JSON"),
        }
    }

    /// What the CLI says of a call that must fail.
    ///
    /// # Panics
    ///
    /// When the call succeeds.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.output(arguments);
        assert!(!output.status.success(), "aws {arguments:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn output(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(tool("aws"));
        command
            .args(arguments)
            .args(["--output", "json", "--no-cli-pager"]);
        isolate(&mut command, self.server.home());
        command.envs(self.server.variables());
        command.stdin(Stdio::null());
        command.output().expect("the aws CLI starts")
    }
}

/// Takes away everything of the caller's environment that AWS's tools read.
fn isolate(command: &mut Command, home: &Path) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("AWS_") {
            command.env_remove(name);
        }
    }
    command
        .env("HOME", home)
        .env("AWS_EC2_METADATA_DISABLED", "true");
}
