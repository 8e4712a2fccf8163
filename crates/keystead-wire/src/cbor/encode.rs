//! Values to bytes.

use crate::error::ErrorAnswer;
use crate::scalar;
use crate::schema::{Kind, Member, Schema};
use crate::value::Value;

/// The major types of RFC 8949, section 3.1, that this protocol writes.
const UNSIGNED: u8 = 0;
const NEGATIVE: u8 = 1;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;

const FALSE: u8 = 0xf4;
const TRUE: u8 = 0xf5;
const NULL: u8 = 0xf6;
const SINGLE: u8 = 0xfa;
const DOUBLE: u8 = 0xfb;

/// Writes a value of this schema.
pub fn encode(value: &Value, schema: &Schema) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(value, schema, &mut out);
    out
}

/// Writes an error: `__type`, the absolute shape id, and the text in the member that the model
/// names for it.
pub fn encode_error(error: &ErrorAnswer, namespace: &str, message_member: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(96 + error.message.len());
    head(MAP, 2, &mut out);
    text("__type", &mut out);
    text(&format!("{namespace}#{}", error.code), &mut out);
    text(message_member, &mut out);
    text(&error.message, &mut out);
    out
}

fn write(value: &Value, schema: &Schema, out: &mut Vec<u8>) {
    match (value, &schema.kind) {
        (Value::Boolean(flag), _) => out.push(if *flag { TRUE } else { FALSE }),
        (Value::Integer(number), _) => integer(*number, out),
        (Value::Double(number), _) => float(*number, out),
        (Value::String(string), _) => text(string, out),
        (Value::SecretString(secret), _) => text(secret.expose(), out),
        (Value::Blob(blob), _) => bytes(blob, out),
        (Value::SecretBlob(secret), _) => bytes(secret.expose(), out),
        (Value::Timestamp(at), _) => {
            head(TAG, 1, out);
            match scalar::seconds_and_milliseconds(*at) {
                (seconds, 0) => integer(seconds, out),
                _ => float(at.as_millisecond() as f64 / 1000.0, out),
            }
        }
        (Value::List(members), Kind::List { member, .. }) => {
            head(ARRAY, members.len() as u64, out);
            members.iter().for_each(|value| write(value, member, out));
        }
        (Value::Map(entries), Kind::Map { value: of, .. }) => {
            head(MAP, entries.len() as u64, out);
            for (key, value) in entries {
                text(key, out);
                write(value, of, out);
            }
        }
        (Value::Structure(slots), Kind::Structure(members)) => structure(slots, members, out),
        // A tree that does not follow its schema; generated types cannot make one.
        (Value::Null | Value::List(_) | Value::Map(_) | Value::Structure(_), _) => out.push(NULL),
    }
}

fn structure(slots: &[Option<Value>], members: &[Member], out: &mut Vec<u8>) {
    let present = members.iter().zip(slots);
    let present = present.filter_map(|(member, slot)| Some((member, slot.as_ref()?)));
    head(MAP, present.clone().count() as u64, out);
    for (member, value) in present {
        text(member.name, out);
        write(value, member.schema, out);
    }
}

fn integer(number: i64, out: &mut Vec<u8>) {
    if number < 0 {
        head(NEGATIVE, !number as u64, out);
    } else {
        head(UNSIGNED, number as u64, out);
    }
}

/// Single precision where it says the same, as the protocol asks; never half precision.
fn float(number: f64, out: &mut Vec<u8>) {
    let single = number as f32;
    if f64::from(single) == number || number.is_nan() {
        out.push(SINGLE);
        out.extend_from_slice(&single.to_be_bytes());
    } else {
        out.push(DOUBLE);
        out.extend_from_slice(&number.to_be_bytes());
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    head(TEXT, text.len() as u64, out);
    out.extend_from_slice(text.as_bytes());
}

fn bytes(bytes: &[u8], out: &mut Vec<u8>) {
    head(BYTES, bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// The head of an item: major type and argument, as short as it goes (RFC 8949, section 3).
fn head(major: u8, argument: u64, out: &mut Vec<u8>) {
    let major = major << 5;
    match argument {
        0..24 => out.push(major | argument as u8),
        24..0x100 => out.extend_from_slice(&[major | 24, argument as u8]),
        0x100..0x1_0000 => {
            out.push(major | 25);
            out.extend_from_slice(&(argument as u16).to_be_bytes());
        }
        0x1_0000..0x1_0000_0000 => {
            out.push(major | 26);
            out.extend_from_slice(&(argument as u32).to_be_bytes());
        }
        _ => {
            out.push(major | 27);
            out.extend_from_slice(&argument.to_be_bytes());
        }
    }
}
