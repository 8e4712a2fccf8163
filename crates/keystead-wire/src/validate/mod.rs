//! The constraints of the model, checked after decoding, in AWS's words:
//! `1 validation error detected: Value 'x' at 'certificateArn' failed to satisfy constraint: Member
//! must have length greater than or equal to 20`.
//!
//! AWS documents the constraints and not the sentences; these are as its services answer. Paths
//! are in lower camel case, members of lists are `tags.1.member.key`. A broken scalar in a list is
//! reported for the list, with every constraint of its members. Secrets are not repeated, and long
//! values are cut.

mod text;

use crate::error::ErrorAnswer;
use crate::schema::{Kind, Member, Pattern, Range, Schema};
use crate::value::Value;
use text::{Path, constraints, shown};

/// How many broken constraints one answer reports; a request that breaks more is refused no
/// better for a longer list.
const MAX_REPORTED: usize = 10;

/// Checks a decoded request; refuses with `ValidationException`.
pub fn validate(value: &Value, schema: &'static Schema) -> Result<(), ErrorAnswer> {
    let mut report = Report {
        problems: Vec::new(),
    };
    report.value(value, schema, Path::Root);
    let count = report.problems.len();
    if count == 0 {
        return Ok(());
    }
    let errors = if count == 1 { "error" } else { "errors" };
    Err(ErrorAnswer::validation(format!(
        "{count} validation {errors} detected: {}",
        report.problems.join("; ")
    )))
}

struct Report {
    problems: Vec<String>,
}

impl Report {
    fn value(&mut self, value: &Value, schema: &'static Schema, path: Path<'_>) {
        if self.problems.len() >= MAX_REPORTED {
            return;
        }
        match (value, &schema.kind) {
            (Value::Structure(slots), Kind::Structure(members)) => {
                self.structure(slots, members, path);
            }
            (Value::List(members), Kind::List { member, length, .. }) => {
                self.list(value, members, member, schema, path);
                self.length(value, members.len(), *length, schema, path);
            }
            (Value::Map(entries), Kind::Map { length, .. }) => {
                self.map(value, entries, schema, path);
                self.length(value, entries.len(), *length, schema, path);
            }
            _ => {
                if let Some(broken) = broken(value, schema) {
                    for broken in broken.sentences() {
                        self.add(value, schema, path, &broken);
                    }
                }
            }
        }
    }

    fn structure(&mut self, slots: &[Option<Value>], members: &'static [Member], path: Path<'_>) {
        for (member, slot) in members.iter().zip(slots) {
            let path = Path::Member(&path, member.name);
            match slot {
                Some(value) => self.value(value, member.schema, path),
                None if member.required => {
                    self.add(&Value::Null, member.schema, path, "Member must not be null");
                }
                None => {}
            }
        }
    }

    fn list(
        &mut self,
        list: &Value,
        members: &[Value],
        of: &'static Schema,
        schema: &'static Schema,
        path: Path<'_>,
    ) {
        if is_scalar(of) {
            if members.iter().any(|value| is_broken(value, of)) {
                let sentence = format!("Member must satisfy constraint: [{}]", constraints(of));
                self.add(list, schema, path, &sentence);
            }
            return;
        }
        for (at, value) in members.iter().enumerate() {
            self.member(value, of, Path::Element(&path, at + 1));
        }
    }

    fn map(
        &mut self,
        map: &Value,
        entries: &[(String, Value)],
        schema: &'static Schema,
        path: Path<'_>,
    ) {
        let Kind::Map { key, value: of, .. } = &schema.kind else {
            return;
        };
        if entries.iter().any(|(name, _)| text_is_broken(name, key)) {
            let sentence = format!("Map keys must satisfy constraint: [{}]", constraints(key));
            self.add(map, schema, path, &sentence);
        }
        if is_scalar(of) {
            if entries.iter().any(|(_, value)| is_broken(value, of)) {
                let sentence = format!("Map value must satisfy constraint: [{}]", constraints(of));
                self.add(map, schema, path, &sentence);
            }
            return;
        }
        for (name, value) in entries {
            self.member(value, of, Path::Entry(&path, name));
        }
    }

    /// A member of a list or map that is no scalar.
    fn member(&mut self, value: &Value, of: &'static Schema, path: Path<'_>) {
        match value {
            Value::Null => self.add(value, of, path, "Member must not be null"),
            _ => self.value(value, of, path),
        }
    }

    fn length(
        &mut self,
        value: &Value,
        length: usize,
        permitted: Range,
        schema: &'static Schema,
        path: Path<'_>,
    ) {
        if let Some(sentence) = text::outside(length as i64, permitted, "length") {
            self.add(value, schema, path, &sentence);
        }
    }

    fn add(&mut self, value: &Value, schema: &'static Schema, path: Path<'_>, constraint: &str) {
        if self.problems.len() < MAX_REPORTED {
            let value = shown(value, schema);
            self.problems.push(format!(
                "Value{value} at '{path}' failed to satisfy constraint: {constraint}"
            ));
        }
    }
}

/// Which constraints a scalar breaks.
struct Broken {
    values: Option<&'static [&'static str]>,
    pattern: Option<&'static Pattern>,
    outside: Option<String>,
}

impl Broken {
    fn sentences(self) -> impl Iterator<Item = String> {
        let values = self.values.map(text::enumeration);
        let pattern = self.pattern.map(text::pattern);
        [values, pattern, self.outside].into_iter().flatten()
    }
}

fn is_scalar(schema: &Schema) -> bool {
    !matches!(
        schema.kind,
        Kind::Structure(_) | Kind::List { .. } | Kind::Map { .. }
    )
}

/// Whether a scalar in a list or map breaks a constraint; being null is one.
fn is_broken(value: &Value, schema: &'static Schema) -> bool {
    matches!(value, Value::Null) || broken(value, schema).is_some()
}

fn text_is_broken(text: &str, schema: &'static Schema) -> bool {
    broken_text(text, schema).is_some()
}

fn broken(value: &Value, schema: &'static Schema) -> Option<Broken> {
    let outside = match (value, &schema.kind) {
        (Value::String(text), _) => return broken_text(text, schema),
        (Value::SecretString(secret), _) => return broken_text(secret.expose(), schema),
        (Value::Integer(number), Kind::Integer(range) | Kind::Long(range)) => {
            text::outside(*number, *range, "value")
        }
        (Value::Blob(bytes), Kind::Blob(range)) => {
            text::outside(bytes.len() as i64, *range, "length")
        }
        (Value::SecretBlob(secret), Kind::Blob(range)) => {
            text::outside(secret.expose().len() as i64, *range, "length")
        }
        _ => None,
    };
    outside.map(|outside| Broken {
        values: None,
        pattern: None,
        outside: Some(outside),
    })
}

fn broken_text(text: &str, schema: &'static Schema) -> Option<Broken> {
    let Kind::String {
        length,
        pattern,
        values,
    } = schema.kind
    else {
        return None;
    };
    let values = (!values.is_empty() && !values.contains(&text)).then_some(values);
    let pattern = pattern.filter(|pattern| !pattern.matches(text));
    let outside = match length {
        Range::ANY => None,
        _ => text::outside(text.chars().count() as i64, length, "length"),
    };
    let sound = values.is_none() && pattern.is_none() && outside.is_none();
    (!sound).then_some(Broken {
        values,
        pattern,
        outside,
    })
}
