//! Reads the JSON of a document: shape and places, nothing about meaning.
//!
//! Values are kept as the slices of the source that they were read from, which is how a statement knows its place.
//! The same key twice in an object is refused: "Individual elements must not contain multiple instances of the same
//! key" (IAM user guide, "Grammar of the IAM JSON policy language").

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::condition::Operator;
use crate::malformed::{Fault, Malformed, Position};

/// A document of the right shape.
pub(crate) struct Document<'a> {
    pub(crate) at: Place<'a>,
    pub(crate) version: Option<String>,
    pub(crate) statements: Vec<Draft<'a>>,
}

/// A statement of the right shape.
pub(crate) struct Draft<'a> {
    pub(crate) at: Place<'a>,
    /// Where the statement begins and ends, in bytes of the source.
    pub(crate) span: (usize, usize),
    pub(crate) sid: Option<String>,
    pub(crate) effect: String,
    pub(crate) principals: Option<Choice<Vec<Named>>>,
    pub(crate) actions: Option<Choice<Vec<Text<'a>>>>,
    pub(crate) resources: Option<Choice<Vec<Text<'a>>>>,
    pub(crate) conditions: Vec<Tested>,
}

/// An element or its `Not...` twin.
pub(crate) struct Choice<T> {
    pub(crate) negated: bool,
    pub(crate) value: T,
}

/// A string and where it stands.
pub(crate) struct Text<'a> {
    pub(crate) text: String,
    pub(crate) raw: &'a RawValue,
}

/// One value of a `Principal` and the kind it stands under.
pub(crate) struct Named {
    pub(crate) kind: String,
    pub(crate) text: String,
}

/// One key under one operator.
pub(crate) struct Tested {
    pub(crate) name: String,
    pub(crate) operator: Operator,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

/// Where something stands, as a reader finds it: `Statement[1].Resource, line 7, column 20`.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    source: &'a str,
    path: String,
    offset: usize,
}

impl<'a> Place<'a> {
    /// A part of this, of whose own position nothing is known.
    pub(crate) fn child(&self, element: &str) -> Self {
        Self {
            path: format!("{}.{element}", self.path),
            ..self.clone()
        }
    }

    /// A part of this that stands at a value.
    pub(crate) fn child_at(&self, element: &str, raw: &'a RawValue) -> Self {
        Self {
            offset: offset(self.source, raw),
            ..self.child(element)
        }
    }

    pub(crate) fn fault(&self, fault: Fault, message: impl Into<String>) -> Malformed {
        let mut ruler = Ruler::new(self.source);
        let Position { line, column } = ruler.position(self.offset);
        let path = &self.path;
        Malformed::new(
            fault,
            message,
            format!("{path}, line {line}, column {column}"),
        )
    }

    fn syntax(&self) -> Malformed {
        self.fault(Fault::Syntax, "Syntax errors in policy.")
    }
}

type Read<T> = Result<T, Malformed>;

/// A source text and what can be read from it.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    source: &'a str,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self { source }
    }

    /// Reads the document's elements: `Version`, `Id` and `Statement`.
    pub(crate) fn document(self) -> Read<Document<'a>> {
        let raw: &RawValue = serde_json::from_str(self.source).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            Malformed::new(Fault::Syntax, "Syntax errors in policy.", place)
        })?;
        let top = self.place("document", raw);
        let (mut version, mut statements) = (None, None);
        for (key, value) in fields(raw, &top)? {
            let at = self.place(&key, value);
            match key.as_str() {
                "Version" => {
                    let known = string(value, &at)?;
                    if !matches!(known.as_str(), "2008-10-17" | "2012-10-17") {
                        return Err(at.syntax());
                    }
                    version = Some(known);
                }
                // The grammar keeps Id out of identity-based policies; IAM stores it there all the same.
                "Id" => drop(string(value, &at)?),
                "Statement" => statements = Some(self.statements(value)?),
                _ => return Err(at.syntax()),
            }
        }
        let statements = statements.filter(|statements| !statements.is_empty());
        Ok(Document {
            version,
            statements: statements.ok_or_else(|| top.syntax())?,
            at: top,
        })
    }

    fn statements(self, raw: &'a RawValue) -> Read<Vec<Draft<'a>>> {
        let place = self.place("Statement", raw);
        let list = list(raw).ok_or_else(|| place.syntax())?;
        let single = list.is_empty() || !raw.get().starts_with('[');
        // IAM reports a statement from where the one before it ended, and a single one from inside its brace.
        let mut start = offset(self.source, raw) + 1;
        let mut drafts = Vec::with_capacity(list.len());
        for (index, raw) in list.into_iter().enumerate() {
            let name = match single {
                true => "Statement".to_owned(),
                false => format!("Statement[{index}]"),
            };
            let end = offset(self.source, raw) + raw.get().len();
            drafts.push(statement(raw, self.place(&name, raw), (start, end))?);
            start = end;
        }
        Ok(drafts)
    }

    fn place(self, path: &str, raw: &'a RawValue) -> Place<'a> {
        Place {
            source: self.source,
            path: path.to_owned(),
            offset: offset(self.source, raw),
        }
    }
}

fn statement<'a>(raw: &'a RawValue, at: Place<'a>, span: (usize, usize)) -> Read<Draft<'a>> {
    let (mut sid, mut effect) = (None, None);
    let (mut principals, mut actions, mut resources) = (None, None, None);
    let mut conditions = Vec::new();
    for (key, value) in fields(raw, &at)? {
        let here = at.child_at(&key, value);
        let negated = key.starts_with("Not");
        match key.as_str() {
            "Sid" => sid = Some(string(value, &here)?),
            "Effect" => effect = Some(string(value, &here)?),
            "Principal" | "NotPrincipal" => {
                once(&mut principals, negated, named(value, &here)?, &here)?;
            }
            "Action" | "NotAction" => {
                once(&mut actions, negated, texts(value, &here, false)?, &here)?;
            }
            "Resource" | "NotResource" => {
                once(&mut resources, negated, texts(value, &here, true)?, &here)?;
            }
            "Condition" => conditions = tests(value, &here)?,
            _ => return Err(here.syntax()),
        }
    }
    let effect = effect.ok_or_else(|| at.syntax())?;
    if !["allow", "deny"].contains(&effect.to_ascii_lowercase().as_str()) {
        return Err(at.child("Effect").syntax());
    }
    Ok(Draft {
        at,
        span,
        sid,
        effect,
        principals,
        actions,
        resources,
        conditions,
    })
}

/// Bytes before the value. Values borrow from the source, so that their addresses tell.
fn offset(source: &str, raw: &RawValue) -> usize {
    let (value, start) = (raw.get().as_ptr().addr(), source.as_ptr().addr());
    value.saturating_sub(start).min(source.len())
}

/// Counts lines and columns, forwards only: a document is walked once however many statements it has.
pub(crate) struct Ruler<'a> {
    rest: &'a str,
    passed: usize,
    position: Position,
}

impl<'a> Ruler<'a> {
    pub(crate) fn new(source: &'a str) -> Self {
        Self {
            rest: source,
            passed: 0,
            position: Position { line: 1, column: 1 },
        }
    }

    /// The position of an offset that is not before the last one asked for.
    pub(crate) fn position(&mut self, offset: usize) -> Position {
        let split = self
            .rest
            .split_at_checked(offset.saturating_sub(self.passed));
        let (passed, rest) = split.unwrap_or((self.rest, ""));
        for c in passed.chars() {
            if c == '\n' {
                self.position.line += 1;
                self.position.column = 1;
            } else {
                self.position.column += 1;
            }
        }
        self.passed += passed.len();
        self.rest = rest;
        self.position
    }
}

/// Sets an element that excludes its twin.
fn once<T>(slot: &mut Option<Choice<T>>, negated: bool, value: T, at: &Place<'_>) -> Read<()> {
    match slot.replace(Choice { negated, value }) {
        None => Ok(()),
        Some(_) => Err(at.syntax()),
    }
}

/// A JSON object, its members in order, each key once.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members: Vec<(String, &RawValue)> = Vec::new();
                let mut seen = std::collections::HashSet::new();
                while let Some((key, value)) = map.next_entry::<String, &RawValue>()? {
                    if !seen.insert(key.clone()) {
                        return Err(A::Error::custom("a key stands twice"));
                    }
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

fn fields<'a>(raw: &'a RawValue, at: &Place<'_>) -> Read<Vec<(String, &'a RawValue)>> {
    let members: Members<'a> = serde_json::from_str(raw.get()).map_err(|_| at.syntax())?;
    Ok(members.0)
}

/// The values of a list, or the one value that stands without brackets.
fn list(raw: &RawValue) -> Option<Vec<&RawValue>> {
    if raw.get().starts_with('[') {
        serde_json::from_str(raw.get()).ok()
    } else {
        Some(vec![raw])
    }
}

fn string(raw: &RawValue, at: &Place<'_>) -> Read<String> {
    serde_json::from_str(raw.get()).map_err(|_| at.syntax())
}

/// One string or a list of them. IAM takes `null` in a list of resources, and so do we: it names nothing.
fn texts<'a>(raw: &'a RawValue, at: &Place<'_>, nulls: bool) -> Read<Vec<Text<'a>>> {
    let listed = raw.get().starts_with('[');
    let values = list(raw).ok_or_else(|| at.syntax())?;
    let values = values.into_iter();
    let named = values.filter(|raw| !(nulls && listed && raw.get() == "null"));
    named
        .map(|raw| {
            let text = string(raw, at)?;
            Ok(Text { text, raw })
        })
        .collect()
}

fn named(raw: &RawValue, at: &Place<'_>) -> Read<Vec<Named>> {
    if raw.get().starts_with('"') {
        // Only "*" may stand alone; the check of principals refuses other text.
        let text = string(raw, at)?;
        let kind = if text == "*" { "AWS" } else { "" }.to_owned();
        return Ok(vec![Named { kind, text }]);
    }
    let mut named = Vec::new();
    for (kind, values) in fields(raw, at)? {
        for Text { text, .. } in texts(values, at, false)? {
            let kind = kind.clone();
            named.push(Named { kind, text });
        }
    }
    Ok(named)
}

fn tests(raw: &RawValue, at: &Place<'_>) -> Read<Vec<Tested>> {
    let mut tests = Vec::new();
    for (name, keys) in fields(raw, at)? {
        let at = at.child(&name);
        let keys = fields(keys, &at)?;
        // IAM looks at an operator's name only where it has keys.
        let operator = Operator::parse(&name);
        for (key, values) in keys {
            let at = at.child(&key);
            let operator = operator.ok_or_else(|| at.syntax())?;
            let values = list(values).ok_or_else(|| at.syntax())?;
            let values = values.into_iter().map(|raw| scalar(raw, &at));
            tests.push(Tested {
                name: name.clone(),
                operator,
                key,
                values: values.collect::<Read<_>>()?,
            });
        }
    }
    Ok(tests)
}

/// A condition value: `("string" | "number" | "Boolean")`.
fn scalar(raw: &RawValue, at: &Place<'_>) -> Read<String> {
    let text = raw.get();
    match text.chars().next() {
        Some('"') => string(raw, at),
        Some('t' | 'f' | '-' | '0'..='9') => Ok(text.to_owned()),
        _ => Err(at.syntax()),
    }
}
