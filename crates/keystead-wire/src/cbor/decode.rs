//! Bytes to values.

use minicbor::data::{Tag, Type};
use minicbor::decode::{Decoder, Error};

use crate::error::ErrorAnswer;
use crate::scalar;
use crate::schema::{Kind, Member, Schema};
use crate::value::Value;

/// How deep a document may nest; the same as the JSON parser's bound, far beyond any model.
const MAX_DEPTH: usize = 128;

/// Reads a document of this schema, a structure. An empty body is an empty structure. Everything
/// else that is not one is refused with `SerializationException`.
pub fn decode(bytes: &[u8], schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    if bytes.is_empty() {
        return Ok(Value::Structure(vec![None; schema.members().len()]));
    }
    let mut decoder = Decoder::new(bytes);
    let value = value(&mut decoder, schema, MAX_DEPTH)?
        .ok_or_else(|| ErrorAnswer::serialization("the request body is null, not a map"))?;
    if decoder.position() != bytes.len() {
        return Err(ErrorAnswer::serialization(
            "the request body goes on after the end of its CBOR map",
        ));
    }
    Ok(value)
}

fn malformed(error: &Error) -> ErrorAnswer {
    ErrorAnswer::serialization(format!("the request body is not well-formed CBOR: {error}"))
}

/// The refusal of an item of the wrong type.
fn mismatch(schema: &Schema, found: Type) -> ErrorAnswer {
    let expected = match schema.kind {
        Kind::Boolean => "a boolean",
        Kind::Integer(_) => "a 32-bit integer",
        Kind::Long(_) => "a 64-bit integer",
        Kind::Double => "a number",
        Kind::String { .. } => "a text string",
        Kind::Blob(_) => "a byte string",
        Kind::Timestamp(_) => "a number of seconds under tag 1",
        Kind::List { .. } => "an array",
        Kind::Map { .. } | Kind::Structure(_) => "a map",
    };
    ErrorAnswer::serialization(format!(
        "{found} found where {expected} is expected, for {}",
        schema.name
    ))
}

/// Reads one item; `None` for null and undefined.
fn value(
    decoder: &mut Decoder<'_>,
    schema: &'static Schema,
    depth: usize,
) -> Result<Option<Value>, ErrorAnswer> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(ErrorAnswer::serialization(format!(
            "the request body nests deeper than {MAX_DEPTH} levels"
        )));
    };
    let found = decoder.datatype().map_err(|e| malformed(&e))?;
    if matches!(found, Type::Null | Type::Undefined) {
        decoder.skip().map_err(|e| malformed(&e))?;
        return Ok(None);
    }
    let read = match (&schema.kind, found) {
        (Kind::Boolean, Type::Bool) => decoder.bool().map(Value::Boolean),
        (Kind::Integer(_) | Kind::Long(_), _) if is_whole(found) => {
            return whole(decoder, schema, found).map(Some);
        }
        (Kind::Double, _) if is_whole(found) => {
            decoder.int().map(|n| Value::Double(i128::from(n) as f64))
        }
        (Kind::Double, _) if is_float(found) => decoder.f64().map(Value::Double),
        (Kind::String { .. }, Type::String) => decoder
            .str()
            .map(|text| scalar::string(text.to_owned(), schema)),
        (Kind::String { .. }, Type::StringIndef) => decoder
            .str_iter()
            .and_then(Iterator::collect::<Result<String, Error>>)
            .map(|text| scalar::string(text, schema)),
        (Kind::Blob(_), Type::Bytes) => decoder
            .bytes()
            .map(|bytes| scalar::blob(bytes.to_vec(), schema)),
        (Kind::Blob(_), Type::BytesIndef) => decoder
            .bytes_iter()
            .and_then(|parts| parts.collect::<Result<Vec<_>, Error>>())
            .map(|parts| scalar::blob(parts.concat(), schema)),
        (Kind::Timestamp(_), Type::Tag) => return timestamp(decoder, schema).map(Some),
        (Kind::List { member, .. }, Type::Array | Type::ArrayIndef) => {
            return list(decoder, member, depth).map(Some);
        }
        (Kind::Map { value, .. }, Type::Map | Type::MapIndef) => {
            return map(decoder, value, depth).map(Some);
        }
        (Kind::Structure(members), Type::Map | Type::MapIndef) => {
            return structure(decoder, members, depth).map(Some);
        }
        _ => return Err(mismatch(schema, found)),
    };
    read.map(Some).map_err(|e| malformed(&e))
}

fn is_whole(found: Type) -> bool {
    use Type::{I8, I16, I32, I64, Int, U8, U16, U32, U64};
    matches!(found, U8 | U16 | U32 | U64 | I8 | I16 | I32 | I64 | Int)
}

fn is_float(found: Type) -> bool {
    matches!(found, Type::F16 | Type::F32 | Type::F64)
}

fn whole(
    decoder: &mut Decoder<'_>,
    schema: &'static Schema,
    found: Type,
) -> Result<Value, ErrorAnswer> {
    let number = decoder.int().map_err(|e| malformed(&e))?;
    let number = i64::try_from(number).map_err(|_| mismatch(schema, found))?;
    match schema.kind {
        Kind::Integer(range) if !scalar::fits_integer(number, range) => {
            Err(mismatch(schema, found))
        }
        _ => Ok(Value::Integer(number)),
    }
}

fn timestamp(decoder: &mut Decoder<'_>, schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    let tag = decoder.tag().map_err(|e| malformed(&e))?;
    let found = decoder.datatype().map_err(|e| malformed(&e))?;
    let at = if tag != Tag::new(1) {
        None
    } else if is_whole(found) {
        let seconds = decoder.int().map_err(|e| malformed(&e))?;
        let seconds = i64::try_from(seconds).ok();
        seconds.and_then(scalar::timestamp_from_seconds)
    } else if is_float(found) {
        let seconds = decoder.f64().map_err(|e| malformed(&e))?;
        scalar::timestamp_from_fraction(seconds)
    } else {
        None
    };
    at.map(Value::Timestamp)
        .ok_or_else(|| mismatch(schema, found))
}

fn list(
    decoder: &mut Decoder<'_>,
    member: &'static Schema,
    depth: usize,
) -> Result<Value, ErrorAnswer> {
    let mut left = decoder.array().map_err(|e| malformed(&e))?;
    let mut members = Vec::new();
    while more(decoder, &mut left)? {
        members.push(value(decoder, member, depth)?.unwrap_or(Value::Null));
    }
    Ok(Value::List(members))
}

fn map(decoder: &mut Decoder<'_>, of: &'static Schema, depth: usize) -> Result<Value, ErrorAnswer> {
    let mut left = decoder.map().map_err(|e| malformed(&e))?;
    let mut entries = Vec::new();
    while more(decoder, &mut left)? {
        let key = text(decoder)?;
        let value = value(decoder, of, depth)?;
        entries.push((key, value.unwrap_or(Value::Null)));
    }
    Ok(Value::Map(entries))
}

fn structure(
    decoder: &mut Decoder<'_>,
    members: &'static [Member],
    depth: usize,
) -> Result<Value, ErrorAnswer> {
    let mut left = decoder.map().map_err(|e| malformed(&e))?;
    let mut slots = vec![None; members.len()];
    while more(decoder, &mut left)? {
        let at = match decoder.datatype().map_err(|e| malformed(&e))? {
            Type::String => {
                let name = decoder.str().map_err(|e| malformed(&e))?;
                members.iter().position(|member| member.name == name)
            }
            _ => {
                let name = text(decoder)?;
                members.iter().position(|member| member.name == name)
            }
        };
        match at.and_then(|at| Some((slots.get_mut(at)?, members.get(at)?))) {
            Some((slot, member)) => *slot = value(decoder, member.schema, depth)?,
            None => decoder.skip().map_err(|e| malformed(&e))?,
        }
    }
    Ok(Value::Structure(slots))
}

/// Whether an array or map goes on: its count says so, or no break comes.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, ErrorAnswer> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None => match decoder.datatype().map_err(|e| malformed(&e))? {
            Type::Break => {
                decoder.skip().map_err(|e| malformed(&e))?;
                Ok(false)
            }
            _ => Ok(true),
        },
    }
}

/// The key of a map, in one piece or several.
fn text(decoder: &mut Decoder<'_>) -> Result<String, ErrorAnswer> {
    let text = match decoder.datatype().map_err(|e| malformed(&e))? {
        Type::StringIndef => decoder.str_iter().and_then(Iterator::collect),
        _ => decoder.str().map(str::to_owned),
    };
    text.map_err(|e| malformed(&e))
}
