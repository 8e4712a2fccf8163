//! Between the neutral tree and Rust types: the traits that generated code implements.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::error::ErrorAnswer;
use crate::schema::{OperationDef, Schema};
use crate::value::{Blob, Sensitive, Value};

/// An operation as a type: its request, its response, its entry in the tables.
pub trait Operation {
    /// The request.
    type Input: Shape;
    /// The response.
    type Output: Shape;
    /// The operation's name, for instance `IssueCertificate`.
    const NAME: &'static str;
    /// The operation's entry in the tables.
    const DEF: &'static OperationDef;
}

/// A structure of a model, with the schema that codecs and validation follow.
pub trait Shape: FromValue + IntoValue {
    /// The structure's schema.
    fn schema() -> &'static Schema;
}

/// What can be made from a neutral value.
pub trait FromValue: Sized {
    /// Takes `value` apart. Fails only on a tree that was not decoded and validated by the schema
    /// of this type.
    fn from_value(value: Value) -> Result<Self, ShapeError>;
}

/// What can become a neutral value.
pub trait IntoValue {
    /// Turns into the tree that this type's schema describes.
    fn into_value(self) -> Value;
}

/// A tree that does not fit the type: a fault of the program, since validation comes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeError {
    /// The shape in which it was noticed.
    pub shape: &'static str,
    /// What was wrong with it.
    pub problem: &'static str,
}

impl ShapeError {
    /// A misfit in this shape.
    pub fn new(shape: &'static str, problem: &'static str) -> Self {
        Self { shape, problem }
    }
}

impl fmt::Display for ShapeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value does not fit {}: {}", self.shape, self.problem)
    }
}

impl std::error::Error for ShapeError {}

impl From<ShapeError> for ErrorAnswer {
    fn from(error: ShapeError) -> Self {
        Self::internal(error.to_string())
    }
}

/// The slots of a structure while a generated type takes them, in the schema's order.
#[derive(Debug)]
pub(crate) struct Fields {
    shape: &'static str,
    slots: std::vec::IntoIter<Option<Value>>,
}

impl Fields {
    /// Opens a structure of this schema.
    pub(crate) fn open(value: Value, schema: &'static Schema) -> Result<Self, ShapeError> {
        match value {
            Value::Structure(slots) => Ok(Self {
                shape: schema.name,
                slots: slots.into_iter(),
            }),
            _ => Err(ShapeError::new(schema.name, "expected a structure")),
        }
    }

    /// The next member, which must be there.
    pub(crate) fn required<T: FromValue>(&mut self) -> Result<T, ShapeError> {
        self.optional()?
            .ok_or(ShapeError::new(self.shape, "a required member is missing"))
    }

    /// The next member, if it is there.
    pub(crate) fn optional<T: FromValue>(&mut self) -> Result<Option<T>, ShapeError> {
        self.slots.next().flatten().map(T::from_value).transpose()
    }
}

macro_rules! plain {
    ($($type:ty, $name:literal, $pattern:pat => $from:expr, $this:ident => $into:expr;)*) => {$(
        impl FromValue for $type {
            fn from_value(value: Value) -> Result<Self, ShapeError> {
                match value {
                    $pattern => $from,
                    _ => Err(ShapeError::new($name, "the value is of another kind")),
                }
            }
        }

        impl IntoValue for $type {
            fn into_value(self) -> Value {
                let $this = self;
                $into
            }
        }
    )*};
}

plain! {
    bool, "a truth value", Value::Boolean(b) => Ok(b), b => Value::Boolean(b);
    i32, "a 32-bit number",
        Value::Integer(n) => n.try_into().map_err(|_| ShapeError::new("a 32-bit number", "out of range")),
        n => Value::Integer(n.into());
    i64, "a number", Value::Integer(n) => Ok(n), n => Value::Integer(n);
    f64, "a floating-point number", Value::Double(n) => Ok(n), n => Value::Double(n);
    String, "text", Value::String(s) => Ok(s), s => Value::String(s);
    Blob, "bytes", Value::Blob(b) => Ok(b), b => Value::Blob(b);
    Timestamp, "a timestamp", Value::Timestamp(t) => Ok(t), t => Value::Timestamp(t);
    Sensitive<String>, "secret text", Value::SecretString(s) => Ok(s), s => Value::SecretString(s);
    Sensitive<Vec<u8>>, "secret bytes", Value::SecretBlob(b) => Ok(b), b => Value::SecretBlob(b);
}

impl<T: FromValue> FromValue for Box<T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        T::from_value(value).map(Box::new)
    }
}

impl<T: IntoValue> IntoValue for Box<T> {
    fn into_value(self) -> Value {
        (*self).into_value()
    }
}

impl<T: FromValue> FromValue for Vec<T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        match value {
            Value::List(members) => members.into_iter().map(T::from_value).collect(),
            _ => Err(ShapeError::new("a list", "the value is of another kind")),
        }
    }
}

impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self) -> Value {
        Value::List(self.into_iter().map(T::into_value).collect())
    }
}

impl<T: FromValue> FromValue for BTreeMap<String, T> {
    fn from_value(value: Value) -> Result<Self, ShapeError> {
        match value {
            Value::Map(entries) => entries
                .into_iter()
                .map(|(key, value)| Ok((key, T::from_value(value)?)))
                .collect(),
            _ => Err(ShapeError::new("a map", "the value is of another kind")),
        }
    }
}

impl<T: IntoValue> IntoValue for BTreeMap<String, T> {
    fn into_value(self) -> Value {
        Value::Map(
            self.into_iter()
                .map(|(key, value)| (key, value.into_value()))
                .collect(),
        )
    }
}
