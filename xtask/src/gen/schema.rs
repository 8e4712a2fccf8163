//! Schemas as Rust statics, and their one-line description in the documentation of fields.

use crate::Outcome;
use crate::r#gen::model::{Shape, Target};
use crate::r#gen::names::screaming;

/// The static of one shape; `translated` is its pattern in the syntax of the `regex` crate.
pub(crate) fn emit(name: &str, shape: &Shape, translated: Option<&str>) -> Outcome<String> {
    let ident = screaming(name);
    let (mut out, mut pattern) = (String::new(), "None".to_owned());
    if let (Some(source), Some(translated)) = (&shape.pattern, translated) {
        pattern = format!("Some(&{ident}_PATTERN)");
        out = format!(
            "\nstatic {ident}_PATTERN: Pattern = Pattern::new({source:?}, {translated:?});\n"
        );
    }
    let range = range(shape);
    let kind = match shape.kind.as_str() {
        "boolean" => "Kind::Boolean".to_owned(),
        "integer" => format!("Kind::Integer({range})"),
        "long" => format!("Kind::Long({range})"),
        "float" | "double" => "Kind::Double".to_owned(),
        "string" => format!(
            "Kind::String {{ length: {range}, pattern: {pattern}, values: &{:?} }}",
            shape.values
        ),
        "blob" => format!("Kind::Blob({range})"),
        "timestamp" => match shape.timestamp_format.as_deref() {
            None => "Kind::Timestamp(crate::schema::TimestampFormat::Default)".to_owned(),
            Some("iso8601") => {
                "Kind::Timestamp(crate::schema::TimestampFormat::DateTime)".to_owned()
            }
            Some(other) => return Err(format!("{name}: no codec for timestamps as {other}").into()),
        },
        "list" => format!(
            "Kind::List {{ member: &{}, length: {range}, flattened: {}, wire_name: {:?} }}",
            target(name, &shape.member)?,
            shape.flattened,
            wire_name(&shape.member, "member"),
        ),
        "map" => format!(
            "Kind::Map {{ key: &{}, value: &{}, length: {range}, flattened: {}, wire_names: ({:?}, {:?}) }}",
            target(name, &shape.key)?,
            target(name, &shape.value)?,
            shape.flattened,
            wire_name(&shape.key, "key"),
            wire_name(&shape.value, "value"),
        ),
        "structure" => {
            let members: String = shape
                .members
                .0
                .iter()
                .map(|(m, t)| member(shape, m, t))
                .collect();
            format!("Kind::Structure(&[{members}])")
        }
        other => return Err(format!("{name}: no schema for {other}").into()),
    };
    Ok(out
        + &format!(
            "\npub(crate) static {ident}: Schema = Schema {{ name: {name:?}, sensitive: {}, kind: {kind} }};\n",
            shape.sensitive
        ))
}

fn member(shape: &Shape, name: &str, target: &Target) -> String {
    format!(
        "Member {{ name: {name:?}, wire_name: {:?}, schema: &{}, required: {} }},",
        target.location_name.as_deref().unwrap_or(name),
        screaming(&target.shape),
        shape.required.contains(name)
    )
}

fn target(name: &str, target: &Option<Target>) -> Outcome<String> {
    let target = target
        .as_ref()
        .ok_or_else(|| format!("{name} does not say what it contains"))?;
    Ok(screaming(&target.shape))
}

fn wire_name<'a>(target: &'a Option<Target>, default: &'a str) -> &'a str {
    let given = target
        .as_ref()
        .and_then(|target| target.location_name.as_deref());
    given.unwrap_or(default)
}

fn range(shape: &Shape) -> String {
    match (shape.min, shape.max) {
        (None, None) => "Range::ANY".to_owned(),
        (min, max) => format!("Range {{ min: {min:?}, max: {max:?} }}"),
    }
}

/// What values a shape admits, in a few words.
pub(crate) fn describe(shape: &Shape) -> String {
    let limits = |unit: &str| match (shape.min, shape.max) {
        (Some(min), Some(max)) if min == max => format!(" of {min}{unit}"),
        (Some(min), Some(max)) => format!(" of {min} to {max}{unit}"),
        (Some(min), None) => format!(" of at least {min}{unit}"),
        (None, Some(max)) => format!(" of at most {max}{unit}"),
        (None, None) => String::new(),
    };
    let secret = if shape.sensitive { "secret " } else { "" };
    match shape.kind.as_str() {
        "string" if !shape.values.is_empty() => "one of the values".to_owned(),
        "string" => format!("{secret}text{}", limits(" characters")),
        "blob" => format!("{secret}bytes{}", limits("")),
        "integer" | "long" => format!("number{}", limits("")),
        "float" | "double" => "number".to_owned(),
        "boolean" => "truth value".to_owned(),
        "timestamp" => "instant".to_owned(),
        "list" => format!("list{}", limits("")),
        "map" => format!("map{}", limits("")),
        _ => "structure".to_owned(),
    }
}
