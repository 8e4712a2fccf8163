//! An answer from values.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::json;
use crate::schema::{HttpDef, Kind, Place, Schema};
use crate::value::Value;

/// An answer, but for the headers that every answer has.
#[derive(Debug, Default, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers that members are in.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Writes the members of an answer, each to its place.
pub fn encode(http: &HttpDef, value: &Value, schema: &Schema) -> Answer {
    let mut answer = Answer {
        status: http.status,
        ..Answer::default()
    };
    let (Value::Structure(slots), Kind::Structure(members)) = (value, &schema.kind) else {
        answer.body = json::encode(value, schema);
        return answer;
    };
    let mut document = slots.clone();
    let mut payload = None;
    for ((slot, member), place) in document.iter_mut().zip(*members).zip(http.output) {
        if *place == Place::Body {
            continue;
        }
        match (place, slot.take()) {
            (Place::Payload, value) => payload = Some(value.map(|value| raw(value, member.schema))),
            (Place::Status, Some(Value::Integer(status))) => {
                answer.status = u16::try_from(status).unwrap_or(http.status);
            }
            (Place::Header(name), Some(value)) => {
                if let (Ok(name), Some(value)) = (HeaderName::try_from(*name), header(&value)) {
                    answer.headers.insert(name, value);
                }
            }
            _ => {}
        }
    }
    answer.body = match payload {
        Some(payload) => payload.unwrap_or_default(),
        None => json::encode(&Value::Structure(document), schema),
    };
    answer
}

/// A member that is the whole body.
fn raw(value: Value, schema: &Schema) -> Vec<u8> {
    match value {
        Value::Blob(bytes) => bytes.into_inner(),
        Value::String(text) => text.into_bytes(),
        value => json::encode(&value, schema),
    }
}

/// A member in a header; secrets go into none.
fn header(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => HeaderValue::try_from(text).ok(),
        Value::Boolean(truth) => HeaderValue::try_from(truth.to_string()).ok(),
        Value::Integer(number) => Some((*number).into()),
        _ => None,
    }
}
