//! HAProxy, in two ways.
//!
//! - Its runtime API (management guide, "Unix Socket commands"): the pair is handed over its socket, `set ssl cert` and `commit ssl cert`, and used for the next
//!   handshake; no process is replaced. The file on the disk is what it starts with the next time.
//! - USR2 to the master of `haproxy -W` (management guide, "Starting HAProxy"): it starts new workers, and old ones finish their connections.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use zeroize::Zeroizing;

use super::process::{PidFile, Signal};
use super::program::Program;
use super::{Placed, Reload, Way, signalled, usual_timeout, within};
use crate::Failure;

/// `reload = { haproxy = { socket = ".." } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRuntime {
    /// Of `stats socket`, with `level admin`.
    socket: PathBuf,
    /// The file as the configuration names it (`crt`); may be left out where the placement has one file.
    certificate: Option<PathBuf>,
    /// To be tested, so that the next start is one.
    config: Option<PathBuf>,
    #[serde(default = "binary")]
    binary: PathBuf,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

/// `reload = { haproxy_master = { ... } }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileMaster {
    pid_file: PathBuf,
    config: PathBuf,
    #[serde(default = "binary")]
    binary: PathBuf,
    #[serde(default = "usual_timeout")]
    timeout_seconds: u64,
}

fn binary() -> PathBuf {
    "haproxy".into()
}

fn test(binary: &Path, config: &Path, deadline: Duration) -> Result<Program, Failure> {
    Program::new(binary, deadline)?
        .arg("-c")
        .arg("-q")
        .arg("-f")
        .path(config)
}

impl FileRuntime {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("haproxy", self.timeout_seconds)?;
        if let Some(certificate) = &self.certificate {
            name(certificate)?;
        }
        let config = self.config.as_deref();
        let test = config.map(|config| test(&self.binary, config, deadline));
        Ok(Reload {
            test: test.transpose()?,
            way: Way::Haproxy(Runtime {
                socket: self.socket,
                certificate: self.certificate,
                deadline,
            }),
        })
    }
}

impl FileMaster {
    pub(super) fn checked(self) -> Result<Reload, Failure> {
        let deadline = within("haproxy_master", self.timeout_seconds)?;
        let pid = PidFile::new(self.pid_file, &[&self.binary])?;
        let test = test(&self.binary, &self.config, deadline)?;
        Ok(signalled(Some(test), pid, Signal::USR2))
    }
}

/// The socket of a running HAProxy.
#[derive(Clone, Debug)]
pub(super) struct Runtime {
    socket: PathBuf,
    certificate: Option<PathBuf>,
    deadline: Duration,
}

impl Runtime {
    /// Hands it the pair.
    pub(super) async fn hand(&self, placed: &Placed<'_>) -> Result<(), Failure> {
        let certificate = match (&self.certificate, placed.paths) {
            (Some(certificate), _) | (None, [certificate]) => name(certificate)?,
            (None, _) => {
                return Err(Failure::Here(
                    "the placement has several files: say which is HAProxy's ('certificate', as its configuration has it in 'crt')".into(),
                ));
            }
        };
        let handing = tokio::time::timeout(self.deadline, self.replace(certificate, placed));
        handing.await.unwrap_or_else(|_| {
            Err(Failure::Here(format!(
                "HAProxy did not answer at {} within {:?}",
                self.socket.display(),
                self.deadline
            )))
        })
    }

    async fn replace(&self, certificate: &str, placed: &Placed<'_>) -> Result<(), Failure> {
        let mut command = Zeroizing::new(String::with_capacity(
            placed.certificate_pem.len() + placed.key_pem.len() + certificate.len() + 64,
        ));
        command.push_str(&format!("set ssl cert {certificate} <<\n"));
        // An empty line ends what is handed over.
        let lines = placed.certificate_pem.lines().chain(placed.key_pem.lines());
        for line in lines.map(str::trim).filter(|line| !line.is_empty()) {
            command.push_str(line);
            command.push('\n');
        }
        command.push('\n');
        let set = self.ask(&command).await?;
        let is_set = set.contains("Transaction created") || set.contains("Transaction updated");
        let failed = match is_set {
            false => format!("HAProxy does not take {certificate}: {}", set.trim()),
            true => {
                let committed = self
                    .ask(&format!("commit ssl cert {certificate}\n"))
                    .await?;
                if committed.contains("Success!") {
                    return Ok(());
                }
                format!("HAProxy does not use {certificate}: {}", committed.trim())
            }
        };
        // Else the next one would be refused. Where nothing was begun there is nothing to end.
        let _ = self.ask(&format!("abort ssl cert {certificate}\n")).await;
        Err(Failure::Here(failed))
    }

    /// One command: HAProxy answers, and closes.
    async fn ask(&self, command: &str) -> Result<String, Failure> {
        let failed = |error: std::io::Error| {
            Failure::Here(format!(
                "cannot speak to HAProxy at {}: {error}",
                self.socket.display()
            ))
        };
        let mut stream = UnixStream::connect(&self.socket).await.map_err(failed)?;
        stream.write_all(command.as_bytes()).await.map_err(failed)?;
        let mut answer = Vec::new();
        let read = stream.take(LONGEST_ANSWER).read_to_end(&mut answer).await;
        read.map_err(failed)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }
}

/// A path that is one word of a command.
fn name(path: &Path) -> Result<&str, Failure> {
    let text = path.to_str().filter(|text| {
        let ends = |c: char| c.is_whitespace() || c.is_control() || ";\\<\"'".contains(c);
        !text.is_empty() && !text.contains(ends)
    });
    text.ok_or_else(|| {
        Failure::Here(format!(
            "HAProxy can't be told of '{}': expected a path without blanks and quotes",
            path.display()
        ))
    })
}

/// A line or two for each certificate that is told of.
const LONGEST_ANSWER: u64 = 16 << 10;
