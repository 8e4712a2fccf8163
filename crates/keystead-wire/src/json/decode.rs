//! Bytes to values.

use std::fmt;

use base64::Engine as _;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::ErrorAnswer;
use crate::scalar;
use crate::schema::{Kind, Member, Schema, TimestampFormat};
use crate::value::Value;

/// Reads a document of this schema, a structure. Everything that is not one is refused with
/// `SerializationException`. Nesting is bounded to 128 levels by the parser.
pub fn decode(bytes: &[u8], schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    if bytes.is_empty() && schema.members().is_empty() {
        return Ok(Value::Structure(Vec::new()));
    }
    let mut parser = serde_json::Deserializer::from_slice(bytes);
    let value = Node { schema }
        .deserialize(&mut parser)
        .and_then(|value| parser.end().map(|()| value))
        .map_err(|error| refuse(&error))?;
    value.ok_or_else(|| ErrorAnswer::serialization("the request body is null, not a JSON object"))
}

/// A fault of the document's form is described with its place; a fault of type in AWS's words.
fn refuse(error: &serde_json::Error) -> ErrorAnswer {
    let text = error.to_string();
    if !error.is_data() {
        return ErrorAnswer::serialization(format!("the request body is not JSON: {text}"));
    }
    let place = format!(" at line {} column {}", error.line(), error.column());
    ErrorAnswer::serialization(text.strip_suffix(&place).unwrap_or(&text))
}

/// Reads one value of a schema; `None` for null.
#[derive(Clone, Copy)]
struct Node {
    schema: &'static Schema,
}

impl Node {
    /// The refusal of a scalar of the wrong kind, in the words of AWS's own parser.
    fn mismatch<E: Error>(self, found: &str) -> E {
        let expected = match self.schema.kind {
            Kind::Boolean => "a Boolean",
            Kind::Integer(_) => "an Integer",
            Kind::Long(_) => "a Long",
            Kind::Double => "a Double",
            Kind::String { .. } => "a String",
            Kind::Blob(_) => "a Blob",
            Kind::Timestamp(TimestampFormat::Default) => "milliseconds since epoch",
            Kind::Timestamp(TimestampFormat::DateTime) => "a timestamp",
            Kind::List { .. } => return E::custom("Expected list or null"),
            Kind::Map { .. } => return E::custom("Expected map or null"),
            Kind::Structure(_) => return E::custom("Expected null"),
        };
        E::custom(format_args!("{found} can not be converted to {expected}"))
    }

    fn whole<E: Error>(self, number: i64) -> Result<Option<Value>, E> {
        match self.schema.kind {
            Kind::Long(_) => Ok(Some(Value::Integer(number))),
            Kind::Integer(range) if scalar::fits_integer(number, range) => {
                Ok(Some(Value::Integer(number)))
            }
            Kind::Double => Ok(Some(Value::Double(number as f64))),
            Kind::Timestamp(TimestampFormat::Default) => scalar::timestamp_from_seconds(number)
                .map(|at| Some(Value::Timestamp(at)))
                .ok_or_else(|| self.mismatch("NUMBER_VALUE")),
            _ => Err(self.mismatch("NUMBER_VALUE")),
        }
    }

    fn text<E: Error>(self, text: &str) -> Result<Option<Value>, E> {
        match self.schema.kind {
            Kind::Blob(_) => scalar::BASE64
                .decode(text)
                .map(|bytes| Some(scalar::blob(bytes, self.schema)))
                .map_err(|_| self.mismatch("a text that is not base64")),
            Kind::Double => scalar::double_from_name(text)
                .map(|number| Some(Value::Double(number)))
                .ok_or_else(|| self.mismatch("STRING_VALUE")),
            Kind::Timestamp(TimestampFormat::DateTime) => text
                .parse()
                .map(|at| Some(Value::Timestamp(at)))
                .map_err(|_| self.mismatch("STRING_VALUE")),
            _ => Err(self.mismatch("STRING_VALUE")),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Node {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.schema.name)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        match self.schema.kind {
            Kind::Boolean => Ok(Some(Value::Boolean(value))),
            _ if value => Err(self.mismatch("TRUE_VALUE")),
            _ => Err(self.mismatch("FALSE_VALUE")),
        }
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.whole(value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => self.whole(value),
            Err(_) => self.visit_f64(value as f64),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        match self.schema.kind {
            Kind::Double => Ok(Some(Value::Double(value))),
            Kind::Timestamp(TimestampFormat::Default) => scalar::timestamp_from_fraction(value)
                .map(|at| Some(Value::Timestamp(at)))
                .ok_or_else(|| self.mismatch("NUMBER_VALUE")),
            // AWS cuts the fraction off.
            Kind::Integer(_) | Kind::Long(_) => match scalar::truncate(value) {
                Some(whole) => self.whole(whole),
                None => Err(self.mismatch("NUMBER_VALUE")),
            },
            _ => Err(self.mismatch("NUMBER_VALUE")),
        }
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        match self.schema.kind {
            Kind::String { .. } => Ok(Some(scalar::string(value.to_owned(), self.schema))),
            _ => self.text(value),
        }
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Self::Value, E> {
        match self.schema.kind {
            Kind::String { .. } => Ok(Some(scalar::string(value, self.schema))),
            _ => self.text(&value),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Kind::List { member, .. } = self.schema.kind else {
            return Err(A::Error::custom("Start of list found where not expected"));
        };
        let mut members = Vec::new();
        while let Some(value) = seq.next_element_seed(Node { schema: member })? {
            members.push(value.unwrap_or(Value::Null));
        }
        Ok(Some(Value::List(members)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        match self.schema.kind {
            Kind::Structure(members) => structure(members, map),
            Kind::Map { value, .. } => {
                let mut entries = Vec::new();
                while let Some(key) = map.next_key::<String>()? {
                    let value = map.next_value_seed(Node { schema: value })?;
                    entries.push((key, value.unwrap_or(Value::Null)));
                }
                Ok(Some(Value::Map(entries)))
            }
            _ => Err(A::Error::custom(
                "Start of structure or map found where not expected.",
            )),
        }
    }
}

fn structure<'de, A: MapAccess<'de>>(
    members: &'static [Member],
    mut map: A,
) -> Result<Option<Value>, A::Error> {
    let mut slots = vec![None; members.len()];
    while let Some(at) = map.next_key_seed(MemberName { members })? {
        match at.and_then(|at| Some((slots.get_mut(at)?, members.get(at)?))) {
            Some((slot, member)) => {
                *slot = map.next_value_seed(Node {
                    schema: member.schema,
                })?;
            }
            None => {
                map.next_value::<IgnoredAny>()?;
            }
        }
    }
    Ok(Some(Value::Structure(slots)))
}

/// Reads the name of a member without keeping it; `None` for a member that the model lacks.
struct MemberName {
    members: &'static [Member],
}

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberName {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.members.iter().position(|member| member.name == name))
    }
}
