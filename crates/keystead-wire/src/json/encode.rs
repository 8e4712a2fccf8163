//! Values to bytes.

use base64::Engine as _;

use crate::error::ErrorAnswer;
use crate::scalar;
use crate::schema::{Kind, Member, Schema, TimestampFormat};
use crate::value::Value;

/// Writes a value of this schema.
pub fn encode(value: &Value, schema: &Schema) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(value, schema, &mut out);
    out
}

/// Writes an error: `__type` and the text in the member that the model names for it.
pub fn encode_error(error: &ErrorAnswer, message_member: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + error.message.len());
    out.extend_from_slice(b"{\"__type\":");
    text(error.code, &mut out);
    if !error.message.is_empty() {
        out.push(b',');
        text(message_member, &mut out);
        out.push(b':');
        text(&error.message, &mut out);
    }
    out.push(b'}');
    out
}

/// Writes an error whose code is told elsewhere: the text alone, in the member that the model names for it.
pub fn encode_message(message: &str, message_member: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(32 + message.len());
    out.push(b'{');
    text(message_member, &mut out);
    out.push(b':');
    text(message, &mut out);
    out.push(b'}');
    out
}

fn write(value: &Value, schema: &Schema, out: &mut Vec<u8>) {
    match (value, &schema.kind) {
        (Value::Boolean(true), _) => out.extend_from_slice(b"true"),
        (Value::Boolean(false), _) => out.extend_from_slice(b"false"),
        (Value::Integer(number), _) => out.extend_from_slice(number.to_string().as_bytes()),
        (Value::Double(number), _) => match scalar::double_name(*number) {
            Some(name) => text(name, out),
            None => out.extend_from_slice(format!("{number:?}").as_bytes()),
        },
        (Value::String(string), _) => text(string, out),
        (Value::SecretString(secret), _) => text(secret.expose(), out),
        (Value::Blob(bytes), _) => base64(bytes, out),
        (Value::SecretBlob(secret), _) => base64(secret.expose(), out),
        (Value::Timestamp(at), Kind::Timestamp(TimestampFormat::DateTime)) => {
            text(&scalar::date_time(*at), out);
        }
        (Value::Timestamp(at), _) => match scalar::seconds_and_milliseconds(*at) {
            (seconds, 0) => out.extend_from_slice(seconds.to_string().as_bytes()),
            _ => out.extend_from_slice(fraction(at.as_millisecond()).as_bytes()),
        },
        (Value::List(members), Kind::List { member, .. }) => {
            let each = members.iter().map(|value| (None, value, *member));
            sequence(b"[]", each, out);
        }
        (Value::Map(entries), Kind::Map { value: of, .. }) => {
            let each = entries
                .iter()
                .map(|(key, value)| (Some(key.as_str()), value, *of));
            sequence(b"{}", each, out);
        }
        (Value::Structure(slots), Kind::Structure(members)) => structure(slots, members, out),
        // A tree that does not follow its schema; generated types cannot make one.
        (Value::Null | Value::List(_) | Value::Map(_) | Value::Structure(_), _) => {
            out.extend_from_slice(b"null");
        }
    }
}

fn structure(slots: &[Option<Value>], members: &[Member], out: &mut Vec<u8>) {
    let present = members.iter().zip(slots);
    let each = present.filter_map(|(member, slot)| {
        let value = slot.as_ref()?;
        Some((Some(member.name), value, member.schema))
    });
    sequence(b"{}", each, out);
}

fn sequence<'a>(
    [open, close]: &[u8; 2],
    each: impl Iterator<Item = (Option<&'a str>, &'a Value, &'a Schema)>,
    out: &mut Vec<u8>,
) {
    out.push(*open);
    for (at, (name, value, schema)) in each.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        if let Some(name) = name {
            text(name, out);
            out.push(b':');
        }
        write(value, schema, out);
    }
    out.push(*close);
}

/// Seconds with their milliseconds, for instance `1398796238.123`.
fn fraction(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "-" } else { "" };
    let whole = milliseconds.unsigned_abs();
    format!("{sign}{}.{:03}", whole / 1000, whole % 1000)
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(scalar::BASE64.encode(bytes).as_bytes());
    out.push(b'"');
}

/// Text in quotes; what must be escaped is escaped (RFC 8259, section 7), and the rest copied as it is.
fn text(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let escaped = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    out.push(b'"');
    for plain in text.as_bytes().split_inclusive(escaped) {
        let Some((&last, before)) = plain.split_last().filter(|(last, _)| escaped(last)) else {
            out.extend_from_slice(plain);
            continue;
        };
        out.extend_from_slice(before);
        match last {
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                out.extend_from_slice(b"\\u00");
                let digits = [last >> 4, last & 0xf].map(usize::from);
                out.extend(digits.iter().filter_map(|&digit| HEX.get(digit)));
            }
            _ => out.extend_from_slice(&[b'\\', last]),
        }
    }
    out.push(b'"');
}
