//! The neutral tree between bytes and the generated types: what every codec reads and writes.

use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;
use zeroize::{Zeroize, Zeroizing};

/// A decoded value, already in the form that its [`Schema`](crate::schema::Schema) asks for.
///
/// Secrets have variants of their own, so that `Debug` of any tree is safe to print.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A truth value.
    Boolean(bool),
    /// A whole number of any width the models know (8 to 64 bits).
    Integer(i64),
    /// A floating-point number.
    Double(f64),
    /// Text, including enumeration members.
    String(String),
    /// Text that the model marks sensitive.
    SecretString(Sensitive<String>),
    /// Bytes.
    Blob(Blob),
    /// Bytes that the model marks sensitive.
    SecretBlob(Sensitive<Vec<u8>>),
    /// An instant.
    Timestamp(Timestamp),
    /// Nothing, where a list or map has a member for it; an absent member of a structure is an
    /// empty slot instead.
    Null,
    /// A list; its members have one schema.
    List(Vec<Value>),
    /// A map from text, in the order of the document; its values have one schema.
    Map(Vec<(String, Value)>),
    /// A structure: one slot a member, in the order of the schema's members.
    Structure(Vec<Option<Value>>),
}

/// Bytes from or for the wire; `Debug` prints their number alone.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Blob(Vec<u8>);

impl Blob {
    /// Takes the bytes.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    /// Gives the bytes up.
    pub fn into_inner(self) -> Vec<u8> {
        self.0
    }
}

impl Deref for Blob {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Blob {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blob({} bytes)", self.0.len())
    }
}

/// A secret that the model marks sensitive: never printed, wiped when dropped.
///
/// Equality is for tests and for shapes that are compared; it is not constant-time, so never
/// compare a guess with it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sensitive<T: Zeroize>(Zeroizing<T>);

impl<T: Zeroize> Sensitive<T> {
    /// Wraps a secret.
    pub fn new(secret: T) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// The secret itself; do not print or store it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T: Zeroize> From<T> for Sensitive<T> {
    fn from(secret: T) -> Self {
        Self::new(secret)
    }
}

impl<T: Zeroize> fmt::Debug for Sensitive<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sensitive(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_tree_shows_no_secret() {
        let tree = Value::Structure(vec![
            Some(Value::SecretString("hunter2".to_owned().into())),
            Some(Value::SecretBlob(b"hunter2".to_vec().into())),
            Some(Value::Blob(Blob::new(*b"hunter2"))),
        ]);
        let printed = format!("{tree:?}");
        assert!(!printed.contains("hunter2"), "{printed}");
        assert!(!printed.contains("104"), "{printed}");
        assert!(printed.contains("Sensitive(redacted)"), "{printed}");
    }

    #[test]
    fn a_slot_stays_small() {
        assert!(size_of::<Option<Value>>() <= 32);
    }
}
