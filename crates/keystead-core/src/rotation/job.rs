//! What a rotator is asked to do at a server, and what it answers: one login, or one change.

use std::fmt;

use zeroize::Zeroizing;

use super::machine::{Change, Sight};
use super::rotator::Rotator;

/// One visit at a server.
pub struct Job {
    /// What kind of server.
    pub rotator: Rotator,
    /// Where it is.
    pub place: Place,
    /// What to do there.
    pub deed: Deed,
}

/// Where a server is, and how it is spoken to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// A name or an address; empty where the rotator knows by itself.
    pub host: String,
    /// The port; `None` for the usual one.
    pub port: Option<u16>,
    /// The database to connect to.
    pub database: Option<String>,
    /// Whether TLS is wanted.
    pub tls: Option<bool>,
}

/// A user with a password.
#[derive(Clone)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: Zeroizing<String>,
}

/// What to do at a server.
pub enum Deed {
    /// Log in, and nothing else.
    Try(Login),
    /// Have the server take a password.
    Set(Wanted),
}

/// A change to make.
pub struct Wanted {
    /// Who asks; `None` where whoever runs Keystead does.
    pub by: Option<Login>,
    /// The user and the password to take.
    pub login: Login,
    /// The user whose rights this one gets, where two take turns: it is made if it is not there.
    pub like: Option<String>,
    /// The password in use, which goes on being taken where the server can take two.
    pub keep: Option<Zeroizing<String>>,
}

/// What came of a visit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The outcome. For a login, [`Change::Done`] means that it works and [`Change::NotPermitted`] that it is refused.
    pub outcome: Change,
    /// What the operator may read of it. It never holds a secret.
    pub cause: String,
}

impl Heard {
    /// An outcome with its cause.
    pub fn new(outcome: Change, cause: impl fmt::Display) -> Self {
        Self {
            outcome,
            cause: cause.to_string(),
        }
    }

    /// It is done.
    pub fn done() -> Self {
        Self::new(Change::Done, "")
    }

    /// What it says of the login that was tried.
    pub fn sight(&self) -> Sight {
        match self.outcome {
            Change::Done => Sight::Works,
            Change::NotPermitted => Sight::Refused,
            Change::Rejected | Change::Unreachable | Change::Unknown => Sight::Unreachable,
        }
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Login({}, [redacted])", self.user)
    }
}
