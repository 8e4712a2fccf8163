//! Why something did not come about.

use std::fmt;

/// What went wrong, by who can do something about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The server can't be reached, or does not answer as it should: worth another try.
    Unreachable(String),
    /// The server refused: its code, and its text.
    Refused {
        /// For instance `AccessDeniedException`.
        code: String,
        /// For the reader.
        message: String,
    },
    /// Something on this machine is not as it has to be.
    Here(String),
}

impl Failure {
    /// Whether the server refused with this code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { code, .. } if code == wanted)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(text) | Self::Here(text) => f.write_str(text),
            Self::Refused { code, message } => write!(f, "the server answered {code}: {message}"),
        }
    }
}

impl std::error::Error for Failure {}
