//! A request to values.

use http::request::Parts;
use percent_encoding::percent_decode_str;

use super::route;
use crate::error::ErrorAnswer;
use crate::query::Form;
use crate::schema::{HttpDef, Kind, Place, Schema};
use crate::value::Value;
use crate::{json, scalar};

/// Reads the members of a request, each from its place. What cannot be read is refused with
/// `SerializationException`.
pub fn decode(
    http: &HttpDef,
    parts: &Parts,
    body: &[u8],
    schema: &'static Schema,
) -> Result<Value, ErrorAnswer> {
    let form = Form::parse(parts.uri.query(), &[])
        .map_err(|error| ErrorAnswer::serialization(error.message))?;
    let mut slots = document(http, body, schema)?;
    slots.resize(schema.members().len(), None);
    let members = schema.members().iter().zip(http.input);
    for (slot, (member, place)) in slots.iter_mut().zip(members) {
        let schema = member.schema;
        match place {
            Place::Body => {}
            Place::Payload => *slot = payload(body, schema)?,
            Place::Label(name) => {
                let sent = route::label(http, parts.uri.path(), name).unwrap_or_default();
                let text = percent_decode_str(sent).decode_utf8();
                let text = text.map_err(|_| unfit(name, schema))?;
                *slot = Some(scalar(&text, name, schema)?);
            }
            Place::Query(name) => *slot = parameter(&form, name, schema)?,
            Place::QueryOrBody(name) => {
                if let Some(value) = parameter(&form, name, schema)? {
                    *slot = Some(value);
                }
            }
            Place::Header(name) => {
                let sent = parts.headers.get(*name);
                let text = sent.map(|sent| sent.to_str().map_err(|_| unfit(name, schema)));
                let value = text.map(|text| scalar(text?, name, schema));
                *slot = value.transpose()?;
            }
            // Answers alone have one.
            Place::Status => *slot = None,
        }
    }
    Ok(Value::Structure(slots))
}

/// The members that are in the body's document; nothing where none is, or the body is empty.
fn document(
    http: &HttpDef,
    body: &[u8],
    schema: &'static Schema,
) -> Result<Vec<Option<Value>>, ErrorAnswer> {
    let in_document = |place: &Place| matches!(place, Place::Body | Place::QueryOrBody(_));
    if body.is_empty() || !http.input.iter().any(in_document) {
        return Ok(Vec::new());
    }
    match json::decode(body, schema)? {
        Value::Structure(slots) => Ok(slots),
        _ => Err(ErrorAnswer::serialization(
            "the request body is not a JSON object",
        )),
    }
}

fn payload(body: &[u8], schema: &'static Schema) -> Result<Option<Value>, ErrorAnswer> {
    if body.is_empty() {
        return Ok(None);
    }
    match schema.kind {
        Kind::Blob(_) => Ok(Some(scalar::blob(body.to_vec(), schema))),
        Kind::String { .. } => match std::str::from_utf8(body) {
            Ok(text) => Ok(Some(scalar::string(text.to_owned(), schema))),
            Err(_) => Err(ErrorAnswer::serialization("the request body is not UTF-8")),
        },
        _ => json::decode(body, schema).map(Some),
    }
}

/// A parameter of the query; a list is as many of the same name.
fn parameter(
    form: &Form<'_>,
    name: &str,
    schema: &'static Schema,
) -> Result<Option<Value>, ErrorAnswer> {
    let mut sent = form.all(name);
    let Kind::List { member, .. } = schema.kind else {
        return sent
            .next()
            .map(|text| scalar(text, name, schema))
            .transpose();
    };
    let members: Result<Vec<_>, _> = sent.map(|text| scalar(text, name, member)).collect();
    let members = members?;
    Ok((!members.is_empty()).then_some(Value::List(members)))
}

fn scalar(text: &str, name: &str, schema: &Schema) -> Result<Value, ErrorAnswer> {
    scalar::parse(text, schema).ok_or_else(|| unfit(name, schema))
}

/// The value is not repeated: it may be a secret.
fn unfit(name: &str, schema: &Schema) -> ErrorAnswer {
    ErrorAnswer::serialization(format!("{name} is not a valid {}", schema.name))
}
