//! A process that a pid file names: that it is there, that it is the right program's, and a signal that reaches no other.
//!
//! A pid file outlives its process, and numbers are used again: so the process is held by a descriptor (pidfd_open(2)) before it is
//! looked at, and the signal goes to what is held.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};

use crate::Failure;

pub(super) use rustix::process::Signal;

/// A pid file, and what its process may be.
#[derive(Clone, Debug)]
pub(super) struct PidFile {
    path: PathBuf,
    /// Names or paths; anything, where there are none.
    programs: Vec<PathBuf>,
}

impl PidFile {
    pub(super) fn new(path: PathBuf, programs: &[impl AsRef<Path>]) -> Result<Self, Failure> {
        if !path.is_absolute() {
            return Err(Failure::Here(format!(
                "the pid file is '{}': expected an absolute path",
                path.display()
            )));
        }
        let programs = programs.iter().map(|program| program.as_ref().to_owned());
        Ok(Self {
            path,
            programs: programs.collect(),
        })
    }

    /// Sends the signal, to this process and no other.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        let pid = self.pid()?;
        let told = |what: String| Failure::Here(format!("{} ({})", what, self.path.display()));
        let number = pid.as_raw_nonzero();
        let gone = |error: &dyn std::fmt::Display| {
            told(format!(
                "the server does not run: process {number}: {error}"
            ))
        };
        let held = pidfd_open(pid, PidfdFlags::empty()).map_err(|error| gone(&error))?;
        if !self.programs.is_empty() {
            let runs = runs(pid).map_err(|error| gone(&error))?;
            if !self.programs.iter().any(|program| is(&runs, program)) {
                return Err(told(format!(
                    "process {number} is {}: expected {}",
                    runs.display(),
                    list(&self.programs)
                )));
            }
        }
        pidfd_send_signal(held, signal)
            .map_err(|error| told(format!("cannot signal process {number}: {error}")))
    }

    fn pid(&self) -> Result<Pid, Failure> {
        let told = |what: String| Failure::Here(format!("{}: {what}", self.path.display()));
        let mut text = String::new();
        let file = File::open(&self.path);
        file.and_then(|file| file.take(LONGEST).read_to_string(&mut text))
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound => told("the server does not run: it has no pid file".into()),
                _ => told(format!("cannot read the pid file: {error}")),
            })?;
        let number = text.lines().next().unwrap_or_default().trim();
        // To signal 0 or a negative number is to signal a group.
        let number = number.parse::<i32>().ok().filter(|pid| *pid > 0);
        let pid = number.and_then(Pid::from_raw).ok_or_else(|| {
            told("there is no process id in it; expected a positive number".into())
        })?;
        // The first process is the machine's own, but for a container's server.
        if pid.is_init() && self.programs.is_empty() {
            return Err(told("the process is 1: say which executable it is".into()));
        }
        Ok(pid)
    }
}

/// What the process runs: the path, or its name alone where that is all that others may see.
fn runs(pid: Pid) -> std::io::Result<PathBuf> {
    let proc = PathBuf::from(format!("/proc/{}", pid.as_raw_nonzero()));
    match std::fs::read_link(proc.join("exe")) {
        Ok(path) => {
            // What was replaced by an update goes on running (proc(5)).
            let text = path.to_string_lossy();
            Ok(text.strip_suffix(" (deleted)").unwrap_or(&text).into())
        }
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            let name = std::fs::read_to_string(proc.join("comm"))?;
            Ok(name.trim_end().into())
        }
        Err(error) => Err(error),
    }
}

fn is(runs: &Path, program: &Path) -> bool {
    if program.is_absolute() && runs.is_absolute() {
        // Distributions have links to programs.
        let found = program.canonicalize();
        return runs == program || found.is_ok_and(|found| found == runs);
    }
    runs.file_name().is_some() && runs.file_name() == program.file_name()
}

fn list(programs: &[PathBuf]) -> String {
    let names: Vec<_> = programs
        .iter()
        .map(|program| program.display().to_string())
        .collect();
    names.join(" or ")
}

/// PostgreSQL's has some lines more.
const LONGEST: u64 = 4 << 10;
