//! How a server is told to take what was placed: first its own test of its configuration, then its own kind of reload.
//!
//! A file a kind. Each says what is tested and what is done, and the doing stands in two places: [`program`] runs programs,
//! [`process`] signals processes. That a reload came to an end proves nothing, since most servers keep what they had when they
//! can't read the new: what is served is [`crate::probe`]'s to say.

mod apache;
mod caddy;
mod command;
mod haproxy;
mod hitch;
mod mariadb;
mod nginx;
mod postfix;
mod postgresql;
mod process;
mod program;
mod signal;
mod stunnel;
mod systemd;

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::Failure;
use process::{PidFile, Signal};
use program::Program;

/// `reload` of a placement in the configuration file.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FileReload {
    /// The server reads its files by itself: nginx with a variable of `map` in `ssl_certificate`.
    #[serde(rename = "none")]
    Nothing,
    /// `nginx -t`, then HUP.
    Nginx(nginx::FileNginx),
    /// `set ssl cert` and `commit ssl cert` at HAProxy's socket: no reload at all.
    Haproxy(haproxy::FileRuntime),
    /// `haproxy -c`, then USR2 to the master.
    HaproxyMaster(haproxy::FileMaster),
    /// `apachectl -t`, then USR1.
    Apache(apache::FileApache),
    /// HUP.
    Stunnel(stunnel::FileStunnel),
    /// `hitch --test`, then HUP.
    Hitch(hitch::FileHitch),
    /// `caddy validate`, then `caddy reload --force`.
    Caddy(caddy::FileCaddy),
    /// HUP to the postmaster.
    Postgresql(postgresql::FilePostgresql),
    /// `FLUSH SSL`, by the server's own client.
    Mariadb(mariadb::FileClient),
    /// `ALTER INSTANCE RELOAD TLS`, by the server's own client.
    Mysql(mariadb::FileClient),
    /// `postfix check`, then `postfix reload`.
    Postfix(postfix::FilePostfix),
    /// `systemctl reload`.
    Systemd(systemd::FileUnit),
    /// A signal to the process of a pid file.
    Signal(signal::FileSignal),
    /// A command of the operator's own.
    Command(command::FileCommand),
}

/// What was placed, for servers that are handed it.
#[derive(Clone, Copy)]
pub struct Placed<'a> {
    /// The certificate and its chain, PEM.
    pub certificate_pem: &'a str,
    /// Its private key, PEM.
    pub key_pem: &'a str,
    /// Every file of the placement.
    pub paths: &'a [PathBuf],
}

/// How a server is told, checked.
#[derive(Clone, Debug)]
pub struct Reload {
    test: Option<Program>,
    way: Way,
}

#[derive(Clone, Debug)]
enum Way {
    Nothing,
    Program(Program),
    Signal(PidFile, Signal),
    Haproxy(haproxy::Runtime),
}

impl Reload {
    /// Checks what the file says.
    ///
    /// # Errors
    /// [`Failure::Here`], with what is wrong.
    pub fn of(file: FileReload) -> Result<Self, Failure> {
        match file {
            FileReload::Nothing => Ok(Self {
                test: None,
                way: Way::Nothing,
            }),
            FileReload::Nginx(file) => file.checked(),
            FileReload::Haproxy(file) => file.checked(),
            FileReload::HaproxyMaster(file) => file.checked(),
            FileReload::Apache(file) => file.checked(),
            FileReload::Stunnel(file) => file.checked(),
            FileReload::Hitch(file) => file.checked(),
            FileReload::Caddy(file) => file.checked(),
            FileReload::Postgresql(file) => file.checked(),
            FileReload::Mariadb(file) => file.checked("mariadb", "FLUSH SSL"),
            FileReload::Mysql(file) => file.checked("mysql", "ALTER INSTANCE RELOAD TLS"),
            FileReload::Postfix(file) => file.checked(),
            FileReload::Systemd(file) => file.checked(),
            FileReload::Signal(file) => file.checked(),
            FileReload::Command(file) => file.checked(),
        }
    }

    /// Has the server test its configuration, with the files as they are now; nothing where it has no such test.
    ///
    /// # Errors
    /// [`Failure::Here`], with what the test printed.
    pub async fn test(&self) -> Result<(), Failure> {
        match &self.test {
            Some(program) => program.run().await,
            None => Ok(()),
        }
    }

    /// Tells the server.
    ///
    /// # Errors
    /// [`Failure::Here`]: there is no such process, or it is another program's, or what was run failed or hung.
    pub async fn reload(&self, placed: &Placed<'_>) -> Result<(), Failure> {
        match &self.way {
            Way::Nothing => Ok(()),
            Way::Program(program) => program.run().await,
            Way::Signal(file, signal) => file.signal(*signal),
            Way::Haproxy(runtime) => runtime.hand(placed).await,
        }
    }
}

/// What a signal does, after a test.
fn signalled(test: Option<Program>, file: PidFile, signal: Signal) -> Reload {
    Reload {
        test,
        way: Way::Signal(file, signal),
    }
}

/// A duration out of the configuration file.
fn within(kind: &str, seconds: u64) -> Result<Duration, Failure> {
    match seconds {
        1..=LONGEST_TIMEOUT => Ok(Duration::from_secs(seconds)),
        _ => Err(Failure::Here(format!(
            "reload of {kind}: timeout_seconds is {seconds}: expected 1 to {LONGEST_TIMEOUT}"
        ))),
    }
}

/// A server with thousands of certificates takes seconds to test them.
fn usual_timeout() -> u64 {
    30
}

/// Beyond this a placement's other steps wait too long.
const LONGEST_TIMEOUT: u64 = 600;

#[cfg(test)]
mod tests;
