//! A program that is run, and waited for: nothing of the agent's environment, a process group of its own, and a deadline, at which the whole
//! group is killed. What it prints is shown when it fails, but for private keys.

use std::ffi::OsString;
use std::io::PipeReader;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;
use tokio::process::Command;

use crate::Failure;

/// A program with its arguments.
#[derive(Clone, Debug)]
pub(super) struct Program {
    program: OsString,
    arguments: Vec<OsString>,
    deadline: Duration,
}

impl Program {
    /// A program by its path, or by its name in the usual folders.
    pub(super) fn new(program: &Path, deadline: Duration) -> Result<Self, Failure> {
        let is_name = program.components().count() == 1;
        if program.as_os_str().is_empty() || !(is_name || program.is_absolute()) {
            return Err(Failure::Here(format!(
                "the program is '{}': expected a name or an absolute path",
                program.display()
            )));
        }
        Ok(Self {
            program: program.into(),
            arguments: Vec::new(),
            deadline,
        })
    }

    /// As the configuration file has it.
    pub(super) fn of(argv: Vec<String>, deadline: Duration) -> Result<Self, Failure> {
        let mut argv = argv.into_iter();
        let program = argv.next().unwrap_or_default();
        let mut program = Self::new(program.as_ref(), deadline)?;
        program.arguments.extend(argv.map(OsString::from));
        Ok(program)
    }

    pub(super) fn arg(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// A path as an argument.
    pub(super) fn path(self, path: &Path) -> Result<Self, Failure> {
        self.joined("", path)
    }

    /// A path as an argument, after its option.
    pub(super) fn joined(mut self, option: &str, path: &Path) -> Result<Self, Failure> {
        if !path.is_absolute() {
            return Err(Failure::Here(format!(
                "'{}' is relative: expected an absolute path",
                path.display()
            )));
        }
        let mut argument = OsString::from(option);
        argument.push(path);
        self.arguments.push(argument);
        Ok(self)
    }

    /// Runs it to its end.
    pub(super) async fn run(&self) -> Result<(), Failure> {
        let name = self.program.display();
        let cannot = |error: std::io::Error| Failure::Here(format!("cannot run {name}: {error}"));
        let (child, output) = self.start().map_err(cannot)?;
        let mut group = Group::of(child);
        let mut printed = Vec::new();
        let ended = tokio::time::timeout(self.deadline, ended(&mut group, output, &mut printed));
        let ended = ended.await;
        let printed = shown(&printed);
        match ended {
            Ok(Ok(status)) => {
                // What it has left behind, a server for instance, is not ours to end.
                group.id = None;
                match status.success() {
                    true => Ok(()),
                    false => Err(Failure::Here(format!("{name} failed ({status}){printed}"))),
                }
            }
            Ok(Err(error)) => Err(cannot(error)),
            Err(_) => Err(Failure::Here(format!(
                "{name} did not end within {:?}, and was killed{printed}",
                self.deadline
            ))),
        }
    }

    fn start(&self) -> std::io::Result<(tokio::process::Child, pipe::Receiver)> {
        let (output, input): (PipeReader, _) = std::io::pipe()?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", USUAL_FOLDERS)
            .env("LC_ALL", "C")
            .current_dir("/")
            .process_group(0)
            .kill_on_drop(true)
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input);
        // With the command go our ends of its output, and without them it has an end.
        let child = command.spawn()?;
        Ok((child, pipe::Receiver::from_owned_fd(OwnedFd::from(output))?))
    }
}

/// Waits for the program's end, while what it prints is read, so that it does not wait for us.
async fn ended(
    group: &mut Group,
    mut output: pipe::Receiver,
    printed: &mut Vec<u8>,
) -> std::io::Result<ExitStatus> {
    let mut chunk = [0; 4096];
    let mut open = true;
    let status = loop {
        tokio::select! {
            biased;
            read = output.read(&mut chunk), if open => open = keep(&read, &chunk, printed),
            status = group.child.wait() => break status?,
        }
    };
    // All that it has printed is here by now; what it has left behind may hold the pipe open.
    while open {
        match output.try_read(&mut chunk) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
            read => open = keep(&read, &chunk, printed),
        }
        if printed.len() >= MOST_KEPT {
            break;
        }
    }
    Ok(status)
}

/// Keeps what was read, up to the bound; answers whether there may be more.
fn keep(read: &std::io::Result<usize>, chunk: &[u8], printed: &mut Vec<u8>) -> bool {
    let Ok(length @ 1..) = *read else {
        return false;
    };
    let room = MOST_KEPT.saturating_sub(printed.len());
    printed.extend(chunk.iter().take(length.min(room)));
    true
}

/// A child that leads a group: when it is let go of early, all of the group is killed.
struct Group {
    child: tokio::process::Child,
    id: Option<Pid>,
}

impl Group {
    fn of(child: tokio::process::Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            child,
            id: id.and_then(Pid::from_raw),
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            // It fails only where nobody of the group is left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}

/// The last of what was printed, for a failure's text: without private keys.
fn shown(printed: &[u8]) -> String {
    let text = String::from_utf8_lossy(printed);
    let mut lines = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        let bounds = line.contains("PRIVATE KEY-----");
        if bounds && line.contains("-----BEGIN") {
            inside = true;
            lines.push("[redacted]");
        }
        if !inside && !bounds {
            lines.push(line);
        }
        if bounds && line.contains("-----END") {
            inside = false;
        }
    }
    let text = lines.join("\n");
    let text = text.trim();
    let skipped = text.chars().count().saturating_sub(MOST_SHOWN);
    let text: String = text.chars().skip(skipped).collect();
    match (text.is_empty(), skipped) {
        (true, _) => String::new(),
        (false, 0) => format!(": {text}"),
        (false, _) => format!(": ...{text}"),
    }
}

/// Where programs are that are named without a path (those of root, as Debian's login has them).
const USUAL_FOLDERS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What is read of a program's output: a test names the first thing that is wrong.
const MOST_KEPT: usize = 64 << 10;

/// What is shown of it: a screen.
const MOST_SHOWN: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_not_shown() {
        let printed =
            b"one\n+ echo -----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\ntwo\n";
        assert_eq!(shown(printed), ": one\n[redacted]\ntwo");
        assert_eq!(shown(b" \n"), "");
        assert!(shown(&[b'x'; 5000]).len() < 2010);
    }
}
