//! What only Secrets Manager refuses, by meaning.

use crate::{Error, ErrorKind};

/// See [`ErrorKind::Secrets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The KMS key does not open what it sealed.
    Decryption,
    /// The KMS key does not seal.
    Encryption,
    /// Something has to be done first.
    Precondition,
    /// The policy lets everybody in.
    PublicPolicy,
}

impl Fault {
    /// A refusal of this kind with this message.
    pub fn error(self, message: impl Into<String>) -> Error {
        Error::new(ErrorKind::Secrets(self), message)
    }
}
