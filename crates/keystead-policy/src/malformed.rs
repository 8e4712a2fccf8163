//! Why a document is refused, and where.

use std::fmt;

/// A document that is not a policy of its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Which rule it breaks, for services that have their own words for it.
    pub fault: Fault,
    /// What is wrong, in IAM's words where they are known (the text of `MalformedPolicyDocument`).
    pub message: String,
    /// Where: a path into the document, line and column.
    pub place: String,
}

/// The rule that a document breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not JSON, or not the grammar.
    Syntax,
    /// A version that this kind of policy does not have.
    Version,
    /// A value that IAM's older parser refuses: an effect's case, a date, an ARN cut short.
    Legacy,
    /// A statement id that stands twice or has other characters than letters and digits.
    Sid,
    /// An action that is missing, or is not `vendor:action`.
    Action,
    /// A resource that is missing, forbidden, or not an ARN.
    Resource,
    /// A principal that is missing, forbidden, or names nobody who could call.
    Principal,
}

/// A place in a document's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Lines from 1.
    pub line: usize,
    /// Characters from 1.
    pub column: usize,
}

impl Malformed {
    pub(crate) fn new(fault: Fault, message: impl Into<String>, place: impl Into<String>) -> Self {
        Self {
            fault,
            message: message.into(),
            place: place.into(),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at {})", self.message, self.place)
    }
}

impl std::error::Error for Malformed {}
