//! Where the operations of a REST service, and the members of their requests and answers, are in HTTP.

use crate::Outcome;
use crate::r#gen::model::{Model, Operation, Target};

/// The value of `OperationDef::http`, in Rust.
pub(crate) fn expression(model: &Model, name: &str, operation: &Operation) -> Outcome<String> {
    let meta = &model.metadata;
    let protocols = meta.protocols.as_deref().unwrap_or_default();
    let speaks = std::iter::once(&meta.protocol).chain(protocols);
    if !speaks.into_iter().any(|protocol| protocol == "rest-json") {
        return Ok("None".to_owned());
    }
    let http = operation.http.as_ref();
    let http = http.ok_or_else(|| format!("{name} does not say where it is in HTTP"))?;
    Ok(format!(
        "Some(&crate::schema::HttpDef {{ method: {:?}, path: &[{}], status: {}, input: &[{}], output: &[{}] }})",
        http.method,
        path(name, &http.request_uri)?,
        http.response_code.unwrap_or(200),
        places(model, name, operation.input.as_ref())?,
        places(model, name, operation.output.as_ref())?,
    ))
}

fn path(name: &str, uri: &str) -> Outcome<String> {
    let path = uri.strip_prefix('/').unwrap_or(uri);
    let label = |part: &str| {
        let label = part.strip_prefix('{')?.strip_suffix('}')?;
        let (kind, label) = match label.strip_suffix('+') {
            Some(label) => ("Greedy", label),
            None => ("Label", label),
        };
        Some((kind, label.to_owned()))
    };
    let greedy = path.split('/').filter_map(label);
    if path.contains('?') || greedy.filter(|(kind, _)| *kind == "Greedy").count() > 1 {
        return Err(format!("{name}: no codec for the path {uri}").into());
    }
    let segment = |part: &str| {
        let (kind, text) = label(part).unwrap_or(("Literal", part.to_owned()));
        format!("crate::schema::Segment::{kind}({text:?}),")
    };
    Ok(path.split('/').map(segment).collect())
}

fn places(model: &Model, name: &str, structure: Option<&Target>) -> Outcome<String> {
    let Some(structure) = structure else {
        return Ok(String::new());
    };
    let shape = model.shape(&structure.shape)?;
    let mut places = String::new();
    for (member, target) in &shape.members.0 {
        let wire_name = target.location_name.as_deref().unwrap_or(member);
        let place = match target.location.as_deref() {
            _ if shape.payload.as_ref() == Some(member) => "Payload".to_owned(),
            None if wire_name == member => "Body".to_owned(),
            Some("uri") => format!("Label({wire_name:?})"),
            Some("querystring") => format!("Query({wire_name:?})"),
            // Ours: botocore knows no member with two places.
            Some("querystring or body") => format!("QueryOrBody({wire_name:?})"),
            Some("header") => format!("Header({:?})", wire_name.to_ascii_lowercase()),
            Some("statusCode") => "Status".to_owned(),
            None => return Err(format!("{name}.{member}: no codec for other names in JSON").into()),
            Some(other) => {
                return Err(format!("{name}.{member}: no codec for the place {other}").into());
            }
        };
        places.push_str(&format!("crate::schema::Place::{place},"));
        if target.timestamp_format.is_some() {
            return Err(format!("{name}.{member}: no codec for a format of its own").into());
        }
    }
    Ok(places)
}
