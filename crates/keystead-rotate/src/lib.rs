//! Rotators: real passwords, changed in real servers. The only crate that names database clients.
//!
//! A visit ([`Rotators::visit`]) is one login or one change, under deadlines; `keystead_core::rotation` decides which comes
//! next. A file for a kind of server, each with the same two functions: `log_in` and `change`. What they promise:
//!
//! - a change may be repeated: it ends in the same state however often it is made, and wherever it was cut off;
//! - `Unreachable` means that nothing was changed, `Unknown` that something may have been;
//! - no password is part of an argument of a process, a log or an error. Statements are sent with what they need to say
//!   quoted by the server's own rules, and where a server takes a hash it gets no password at all;
//! - a password crosses a network only over TLS whose certificate is verified for the host's name, and only to hosts that the
//!   operator allows (`reach`).
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::string_slice
    )
)]

mod command;
mod limits;
mod mysql;
mod password_file;
mod postgres;
mod reach;
mod redis;
mod silence;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Instant;

use keystead_core::rotation::{Change, Deed, Engine, Heard, Job, Rotator};
use rustls_pki_types::CertificateDer;

use reach::Server;
use silence::Silences;

pub use command::Command;
pub use reach::Allowed;

/// What the operator says of rotation.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Where servers may be; by default loopback and private networks.
    pub allow: Option<Vec<Allowed>>,
    /// Authorities of servers' certificates, beside those that the machine trusts.
    pub authorities: Vec<CertificateDer<'static>>,
    /// Files of user names and hashes, by the names that functions have.
    pub password_files: BTreeMap<String, PathBuf>,
    /// Commands, by the names that functions have.
    pub commands: BTreeMap<String, Command>,
}

/// The rotators, ready to visit servers.
#[derive(Debug, Default)]
pub struct Rotators {
    options: Options,
    trust: OnceLock<reach::Trust>,
    silences: Silences,
}

impl Rotators {
    /// Rotators under these rules.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            ..Self::default()
        }
    }

    /// Whether there is such a rotator: files and commands are what the operator has named.
    pub fn knows(&self, rotator: &Rotator) -> bool {
        match rotator {
            Rotator::User(_) | Rotator::Certificate => true,
            Rotator::Alternating(engine) => *engine != Engine::Redis,
            Rotator::PasswordFile(name) => self.options.password_files.contains_key(name),
            Rotator::Command(name) => self.options.commands.contains_key(name),
        }
    }

    /// Does one thing at a server; at one that says nothing, for one secret at a time.
    pub async fn visit(&self, job: &Job) -> Heard {
        let begun = Instant::now();
        if let Some(heard) = self.silences.keeps_away(job, begun) {
            return heard;
        }
        let heard = self.carry_out(job).await;
        self.silences.note(job, &heard, begun, Instant::now());
        heard
    }

    async fn carry_out(&self, job: &Job) -> Heard {
        match &job.rotator {
            Rotator::User(engine) | Rotator::Alternating(engine) => {
                match self.reach(&job.place, *engine).await {
                    Ok(server) => at_server(*engine, &server, &job.deed).await,
                    Err(cause) => Heard::new(Change::Unreachable, cause),
                }
            }
            Rotator::PasswordFile(name) => match self.options.password_files.get(name) {
                Some(path) => password_file::visit(path, &job.deed).await,
                None => unnamed("password file", name),
            },
            Rotator::Command(name) => match self.options.commands.get(name) {
                Some(command) => command::run(command, job).await,
                None => unnamed("command", name),
            },
            // Nobody is visited for it.
            Rotator::Certificate => Heard::new(Change::Unreachable, "a certificate has no server"),
        }
    }
}

async fn at_server(engine: Engine, server: &Server, deed: &Deed) -> Heard {
    match (engine, deed) {
        (Engine::MySql, Deed::Try(login)) => mysql::log_in(server, login).await,
        (Engine::MySql, Deed::Set(wanted)) => mysql::change(server, wanted).await,
        (Engine::PostgreSql, Deed::Try(login)) => postgres::log_in(server, login).await,
        (Engine::PostgreSql, Deed::Set(wanted)) => postgres::change(server, wanted).await,
        (Engine::Redis, Deed::Try(login)) => redis::log_in(server, login).await,
        (Engine::Redis, Deed::Set(wanted)) => redis::change(server, wanted).await,
    }
}

fn unnamed(what: &str, name: &str) -> Heard {
    let cause = format!("the configuration names no {what} '{name}'");
    Heard::new(Change::Unreachable, cause)
}
