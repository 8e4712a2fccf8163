//! The sentences: paths, echoed values, constraints.

use std::fmt;

use crate::schema::{Kind, Pattern, Range, Schema};
use crate::value::Value;

/// How many characters of a value are repeated; enough to recognise it, and no mirror for
/// megabytes.
const MAX_SHOWN: usize = 1024;

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum Path<'a> {
    /// The request itself.
    Root,
    /// A member of a structure.
    Member(&'a Path<'a>, &'static str),
    /// A member of a list, counted from 1.
    Element(&'a Path<'a>, usize),
    /// The value under a key of a map.
    Entry(&'a Path<'a>, &'a str),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Member(Path::Root, name) => f.write_str(&lower_first(name)),
            Path::Member(above, name) => write!(f, "{above}.{}", lower_first(name)),
            Path::Element(above, at) => write!(f, "{above}.{at}.member"),
            Path::Entry(above, key) => write!(f, "{above}.{}.member", cut(key)),
        }
    }
}

/// ` 'x'` with its leading blank; ` null` for null; nothing for a secret.
pub(super) fn shown(value: &Value, schema: &Schema) -> String {
    if matches!(value, Value::Null) {
        return " null".to_owned();
    }
    if holds_secret(value, schema) {
        return String::new();
    }
    let mut text = String::new();
    show(value, schema, &mut text);
    format!(" '{}'", cut(&text))
}

/// Whether a value is a secret or has one inside.
fn holds_secret(value: &Value, schema: &Schema) -> bool {
    schema.sensitive
        || match value {
            Value::SecretString(_) | Value::SecretBlob(_) => true,
            Value::List(members) => match schema.kind {
                Kind::List { member, .. } => members.iter().any(|v| holds_secret(v, member)),
                _ => false,
            },
            Value::Map(entries) => match schema.kind {
                Kind::Map { value: of, .. } => entries.iter().any(|(_, v)| holds_secret(v, of)),
                _ => false,
            },
            Value::Structure(slots) => {
                let mut pairs = schema.members().iter().zip(slots);
                pairs.any(|(member, slot)| {
                    let value = slot.as_ref();
                    value.is_some_and(|value| holds_secret(value, member.schema))
                })
            }
            _ => false,
        }
}

/// A value as AWS's Java services print it.
fn show(value: &Value, schema: &Schema, out: &mut String) {
    if out.len() > MAX_SHOWN {
        return;
    }
    match (value, &schema.kind) {
        (Value::Boolean(flag), _) => out.push_str(if *flag { "true" } else { "false" }),
        (Value::Integer(number), _) => out.push_str(&number.to_string()),
        (Value::Double(number), _) => out.push_str(&number.to_string()),
        (Value::String(text), _) => out.push_str(text),
        (Value::Timestamp(at), _) => out.push_str(&at.to_string()),
        (Value::Blob(bytes), _) => {
            let length = bytes.len();
            let buffer = format!("java.nio.HeapByteBuffer[pos=0 lim={length} cap={length}]");
            out.push_str(&buffer);
        }
        (Value::List(members), Kind::List { member, .. }) => {
            let each = members.iter().map(|value| ("", value, *member));
            show_all("[", each, "]", out);
        }
        (Value::Map(entries), Kind::Map { value: of, .. }) => {
            let each = entries
                .iter()
                .map(|(key, value)| (key.as_str(), value, *of));
            show_all("{", each, "}", out);
        }
        (Value::Structure(slots), _) => {
            out.push_str(schema.name);
            let pairs = schema.members().iter().zip(slots);
            let each = pairs.filter_map(|(m, slot)| Some((m.name, slot.as_ref()?, m.schema)));
            show_all("(", each, ")", out);
        }
        (Value::Null, _) => out.push_str("null"),
        (Value::SecretString(_) | Value::SecretBlob(_) | Value::List(_) | Value::Map(_), _) => {}
    }
}

fn show_all<'a>(
    open: &str,
    each: impl Iterator<Item = (&'a str, &'a Value, &'a Schema)>,
    close: &str,
    out: &mut String,
) {
    out.push_str(open);
    for (at, (name, value, schema)) in each.enumerate() {
        if out.len() > MAX_SHOWN {
            break;
        }
        if at > 0 {
            out.push_str(", ");
        }
        if !name.is_empty() {
            out.push_str(name);
            out.push('=');
        }
        show(value, schema, out);
    }
    out.push_str(close);
}

/// At most [`MAX_SHOWN`] characters of a text.
fn cut(text: &str) -> &str {
    match text.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => text.get(..end).unwrap_or(text),
        None => text,
    }
}

/// `CertificateArn` to `certificateArn`, `CRLSign` to `cRLSign`, as AWS's services write it.
fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// What is broken when a number, or a length, is not within the permitted range.
pub(super) fn outside(number: i64, permitted: Range, what: &str) -> Option<String> {
    match permitted {
        Range { min: Some(min), .. } if number < min => Some(at_least(min, what)),
        Range { max: Some(max), .. } if number > max => Some(at_most(max, what)),
        _ => None,
    }
}

pub(super) fn enumeration(values: &[&str]) -> String {
    let values = values.join(", ");
    format!("Member must satisfy enum value set: [{values}]")
}

pub(super) fn pattern(pattern: &Pattern) -> String {
    let source = pattern.source;
    format!("Member must satisfy regular expression pattern: {source}")
}

fn at_least(min: i64, what: &str) -> String {
    format!("Member must have {what} greater than or equal to {min}")
}

fn at_most(max: i64, what: &str) -> String {
    format!("Member must have {what} less than or equal to {max}")
}

/// Every constraint of a scalar, in the order in which AWS lists them for the members of a list.
pub(super) fn constraints(schema: &Schema) -> String {
    let (range, what) = match schema.kind {
        Kind::String { length, .. } => (length, "length"),
        Kind::Blob(length) => (length, "length"),
        Kind::Integer(range) | Kind::Long(range) => (range, "value"),
        _ => (Range::ANY, ""),
    };
    let mut out = String::new();
    let ends = [
        range.max.map(|max| at_most(max, what)),
        range.min.map(|min| at_least(min, what)),
    ];
    for sentence in ends.into_iter().flatten() {
        out.push_str(&sentence);
        out.push_str(", ");
    }
    if let Kind::String {
        pattern: given,
        values,
        ..
    } = schema.kind
    {
        if let Some(given) = given {
            out.push_str(&pattern(given));
            out.push_str(", ");
        }
        if !values.is_empty() {
            out.push_str(&enumeration(values));
            out.push_str(", ");
        }
    }
    out.push_str("Member must not be null");
    out
}
