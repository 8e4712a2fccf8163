//! Values to XML.

use crate::error::ErrorAnswer;
use crate::scalar;
use crate::schema::{Kind, OperationDef, Schema};
use crate::value::Value;
use base64::Engine as _;

/// The namespace of faults that belong to no service, as AWS's front end writes it.
const FAULT_NAMESPACE: &str = "http://webservices.amazon.com/AWSFault/2005-15-09";

/// Writes the answer of an operation.
pub fn encode(value: &Value, operation: &OperationDef, request_id: &str) -> Vec<u8> {
    let mut out = String::with_capacity(512);
    let response = format!("{}Response", operation.name);
    let namespace = operation.service.xml_namespace.unwrap_or_default();
    open_with_namespace(&response, namespace, &mut out);
    if let Some(wrapper) = operation.result_wrapper {
        element(wrapper, &mut out, |out| {
            content(value, operation.output, out);
        });
    }
    element("ResponseMetadata", &mut out, |out| {
        element("RequestId", out, |out| text(request_id, out));
    });
    close(&response, &mut out);
    out.into_bytes()
}

/// Writes an error, in the namespace of the service where one is known.
pub fn encode_error(error: &ErrorAnswer, namespace: Option<&str>, request_id: &str) -> Vec<u8> {
    let mut out = String::with_capacity(256);
    open_with_namespace(
        "ErrorResponse",
        namespace.unwrap_or(FAULT_NAMESPACE),
        &mut out,
    );
    element("Error", &mut out, |out| {
        let fault = if error.status < 500 {
            "Sender"
        } else {
            "Receiver"
        };
        element("Type", out, |out| text(fault, out));
        element("Code", out, |out| text(error.code, out));
        element("Message", out, |out| text(&error.message, out));
        if let Some(detail) = &error.detail {
            element("Detail", out, |out| text(detail, out));
        }
    });
    element("RequestId", &mut out, |out| text(request_id, out));
    close("ErrorResponse", &mut out);
    out.into_bytes()
}

/// What stands inside the element of a value.
fn content(value: &Value, schema: &Schema, out: &mut String) {
    match (value, &schema.kind) {
        (Value::Boolean(flag), _) => out.push_str(if *flag { "true" } else { "false" }),
        (Value::Integer(number), _) => out.push_str(&number.to_string()),
        (Value::Double(number), _) => match scalar::double_name(*number) {
            Some(name) => out.push_str(name),
            None => out.push_str(&format!("{number:?}")),
        },
        (Value::String(string), _) => text(string, out),
        (Value::SecretString(secret), _) => text(secret.expose(), out),
        (Value::Blob(bytes), _) => out.push_str(&scalar::BASE64.encode(bytes)),
        (Value::SecretBlob(secret), _) => out.push_str(&scalar::BASE64.encode(secret.expose())),
        (Value::Timestamp(at), _) => out.push_str(&scalar::date_time(*at)),
        (
            Value::List(members),
            Kind::List {
                member, wire_name, ..
            },
        ) => {
            for value in members {
                element(wire_name, out, |out| content(value, member, out));
            }
        }
        (Value::Map(entries), Kind::Map { .. }) => {
            for (key, value) in entries {
                element("entry", out, |out| entry(key, value, schema, out));
            }
        }
        (Value::Structure(slots), Kind::Structure(members)) => {
            for (member, slot) in members.iter().zip(slots) {
                if let Some(value) = slot {
                    named(member.wire_name, value, member.schema, out);
                }
            }
        }
        // Null, or a tree that does not follow its schema, which generated types cannot make.
        (Value::Null | Value::List(_) | Value::Map(_) | Value::Structure(_), _) => {}
    }
}

/// The element or elements of a member of a structure.
fn named(name: &str, value: &Value, schema: &Schema, out: &mut String) {
    match (value, &schema.kind) {
        (
            Value::List(members),
            Kind::List {
                member,
                flattened: true,
                wire_name,
                ..
            },
        ) => {
            let name = if *wire_name == "member" {
                name
            } else {
                wire_name
            };
            for value in members {
                element(name, out, |out| content(value, member, out));
            }
        }
        (
            Value::Map(entries),
            Kind::Map {
                flattened: true, ..
            },
        ) => {
            for (key, value) in entries {
                element(name, out, |out| entry(key, value, schema, out));
            }
        }
        _ => element(name, out, |out| content(value, schema, out)),
    }
}

fn entry(key: &str, value: &Value, schema: &Schema, out: &mut String) {
    if let Kind::Map {
        value: of,
        wire_names: (key_name, value_name),
        ..
    } = &schema.kind
    {
        element(key_name, out, |out| text(key, out));
        element(value_name, out, |out| content(value, of, out));
    }
}

fn element(name: &str, out: &mut String, content: impl FnOnce(&mut String)) {
    out.push('<');
    out.push_str(name);
    out.push('>');
    content(out);
    close(name, out);
}

fn open_with_namespace(name: &str, namespace: &str, out: &mut String) {
    out.push('<');
    out.push_str(name);
    if !namespace.is_empty() {
        out.push_str(" xmlns=\"");
        text(namespace, out);
        out.push('"');
    }
    out.push('>');
}

fn close(name: &str, out: &mut String) {
    out.push_str("</");
    out.push_str(name);
    out.push('>');
}

/// Text with its markup escaped. A carriage return is written as a reference, since parsers would
/// turn a bare one into a line feed; characters that XML 1.0 cannot hold become U+FFFD.
fn text(text: &str, out: &mut String) {
    let escaped = |c: char| {
        matches!(c, '&' | '<' | '>' | '"' | '\u{fffe}' | '\u{ffff}')
            || (c < ' ' && c != '\t' && c != '\n')
    };
    let mut rest = text;
    while let Some((plain, c, behind)) = rest.find(escaped).and_then(|at| {
        let (plain, tail) = rest.split_at_checked(at)?;
        let mut tail = tail.chars();
        Some((plain, tail.next()?, tail.as_str()))
    }) {
        out.push_str(plain);
        out.push_str(match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            '"' => "&quot;",
            '\r' => "&#xD;",
            _ => "\u{fffd}",
        });
        rest = behind;
    }
    out.push_str(rest);
}
