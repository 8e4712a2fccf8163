//! What is written is read back the same; rubbish is refused and never panics.

use std::fmt::Write as _;

use http::Request;
use keystead_wire::query::{self, Form};
use keystead_wire::schema::{AccessDef, Auth, Kind, Member, OperationDef, Schema};
use keystead_wire::validate::validate;
use keystead_wire::{Blob, Sensitive, Value, cbor, identify, json, services, sts};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use quick_xml::Reader;
use quick_xml::events::Event;

use crate::support::*;

static OPERATION: OperationDef = OperationDef {
    service: &sts::SERVICE,
    name: "Try",
    input: &KITCHEN,
    output: &KITCHEN,
    has_output: true,
    errors: &[],
    result_wrapper: Some("TryResult"),
    auth: Auth::AccessKey,
    access: AccessDef {
        action: None,
        resource: "*",
        keys: &[],
    },
    http: None,
};

/// A scalar of this schema; `chars` is an expression for the characters that texts may have.
fn scalar(schema: &'static Schema, chars: &'static str) -> BoxedStrategy<Value> {
    match schema.kind {
        Kind::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        Kind::Integer(_) => any::<i32>().prop_map(|n| Value::Integer(n.into())).boxed(),
        Kind::Long(_) => any::<i64>().prop_map(Value::Integer).boxed(),
        // Numbers that every decimal form carries exactly.
        Kind::Double => any::<i32>()
            .prop_map(|n| Value::Double(f64::from(n) / 64.0))
            .boxed(),
        Kind::Blob(_) => vec(any::<u8>(), 0..40)
            .prop_map(|bytes| Value::Blob(Blob::new(bytes)))
            .boxed(),
        Kind::Timestamp(_) => (-377_705_023_201_000_i64..253_402_207_200_000)
            .prop_map(milliseconds)
            .boxed(),
        Kind::String { .. } if schema.sensitive => chars
            .prop_map(|text| Value::SecretString(Sensitive::new(text)))
            .boxed(),
        _ => chars.prop_map(Value::String).boxed(),
    }
}

/// A value of the kitchen; `least` is the least number of members that a list or map has, and with
/// one no structure is empty either.
fn kitchen_value(chars: &'static str, least: usize, depth: u32) -> BoxedStrategy<Value> {
    value_of(&KITCHEN, chars, least, depth)
}

fn value_of(
    schema: &'static Schema,
    chars: &'static str,
    least: usize,
    depth: u32,
) -> BoxedStrategy<Value> {
    match schema.kind {
        Kind::List { member, .. } => vec(value_of(member, chars, least, depth), least..4)
            .prop_map(Value::List)
            .boxed(),
        Kind::Map { value, .. } => {
            let entries = (chars, value_of(value, chars, least, depth));
            vec(entries, least..4).prop_map(Value::Map).boxed()
        }
        Kind::Structure(members) => {
            let slot = |member: &Member| {
                if depth == 0 && member.name.starts_with("Recursive") {
                    return Just(None).boxed();
                }
                let value = value_of(member.schema, chars, least, depth.saturating_sub(1));
                match least > 0 && member.name == "String" {
                    true => value.prop_map(Some).boxed(),
                    false => option::weighted(0.3, value).boxed(),
                }
            };
            let slots: Vec<_> = members.iter().map(slot).collect();
            slots.prop_map(Value::Structure).boxed()
        }
        _ => scalar(schema, chars),
    }
}

/// The form of a request, as a client would write it.
fn write_form(value: &Value, schema: &'static Schema, name: &str, out: &mut String) {
    let dotted = |part: &str| match name {
        "" => part.to_owned(),
        _ => format!("{name}.{part}"),
    };
    match (value, &schema.kind) {
        (Value::Structure(slots), Kind::Structure(members)) => {
            for (member, slot) in members.iter().zip(slots) {
                if let Some(value) = slot {
                    write_form(value, member.schema, &dotted(member.wire_name), out);
                }
            }
        }
        (Value::List(values), Kind::List { member, .. }) => {
            for (at, value) in values.iter().enumerate() {
                write_form(value, member, &dotted(&format!("member.{}", at + 1)), out);
            }
        }
        (Value::Map(entries), Kind::Map { value: of, .. }) => {
            for (at, (key, value)) in entries.iter().enumerate() {
                let key_name = dotted(&format!("entry.{}.key", at + 1));
                let value_name = dotted(&format!("entry.{}.value", at + 1));
                write_form(&text(key), &TEXT, &key_name, out);
                write_form(value, of, &value_name, out);
            }
        }
        _ => {
            let value = scalar_text(value);
            let value =
                percent_encoding::utf8_percent_encode(&value, percent_encoding::NON_ALPHANUMERIC);
            write!(out, "{name}={value}&").unwrap();
        }
    }
}

fn scalar_text(value: &Value) -> String {
    use base64::Engine as _;
    match value {
        Value::Boolean(flag) => flag.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Double(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::SecretString(secret) => secret.expose().clone(),
        Value::Blob(bytes) => base64::prelude::BASE64_STANDARD.encode(bytes),
        Value::Timestamp(at) => at.to_string(),
        other => panic!("{other:?} is no scalar"),
    }
}

/// An element of a parsed XML document.
#[derive(Debug, Default)]
struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    fn parse(document: &str) -> Self {
        let mut reader = Reader::from_str(document);
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event().unwrap() {
                Event::Start(start) => open.push(Self {
                    name: start.name().as_ref().to_owned(),
                    ..Self::default()
                }),
                Event::End(_) => {
                    let done = open.pop().unwrap();
                    open.last_mut().unwrap().children.push(done);
                }
                Event::Text(text) => {
                    open.last_mut().unwrap().text += &text;
                }
                Event::GeneralRef(reference) => {
                    let name = reference.to_string();
                    let resolved = quick_xml::escape::unescape(&format!("&{name};"))
                        .unwrap()
                        .into_owned();
                    open.last_mut().unwrap().text += &resolved;
                }
                Event::Eof => return open.pop().unwrap(),
                other => panic!("{other:?}"),
            }
        }
    }

    fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// As a value: by the form decoder, for scalars are written alike.
    fn value(&self, schema: &'static Schema) -> Value {
        match schema.kind {
            Kind::Structure(members) => Value::Structure(
                members
                    .iter()
                    .map(|m| Some(self.child(m.wire_name)?.value(m.schema)))
                    .collect(),
            ),
            Kind::List { member, .. } => Value::List(
                self.children
                    .iter()
                    .map(|child| child.value(member))
                    .collect(),
            ),
            Kind::Map { value, .. } => Value::Map(
                self.children
                    .iter()
                    .map(|entry| {
                        let key = entry.child("key").unwrap().text.clone();
                        (key, entry.child("value").unwrap().value(value))
                    })
                    .collect(),
            ),
            _ => {
                let member = KITCHEN
                    .members()
                    .iter()
                    .find(|m| std::ptr::eq(m.schema, schema));
                let member = member.expect("every scalar stands in the kitchen");
                let value = percent_encoding::utf8_percent_encode(
                    &self.text,
                    percent_encoding::NON_ALPHANUMERIC,
                );
                let form = format!("{}={value}", member.wire_name);
                let form = Form::parse(Some(&form), b"").unwrap();
                let Value::Structure(slots) = query::decode(&form, &KITCHEN).unwrap() else {
                    panic!("a form is a structure");
                };
                slots.into_iter().flatten().next().unwrap()
            }
        }
    }
}

/// Any text.
const ANY: &str = "\\PC{0,12}|[\\x00-\\x7f]{0,12}";
/// Any text that XML can hold.
const PRINTABLE: &str = "[\\t\\n\\r -~\u{a0}-\u{ff}\u{1f600}-\u{1f64f}]{0,12}";

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn json_documents(value in kitchen_value(ANY, 0, 3)) {
        let written = json::encode(&value, &KITCHEN);
        prop_assert_eq!(json::decode(&written, &KITCHEN), Ok(value));
    }

    #[test]
    fn cbor_documents(value in kitchen_value(ANY, 0, 3)) {
        let written = cbor::encode(&value, &KITCHEN);
        prop_assert_eq!(cbor::decode(&written, &KITCHEN), Ok(value));
    }

    /// A form cannot say that a list or structure is there and empty, so none is.
    #[test]
    fn forms(value in kitchen_value(ANY, 1, 2)) {
        let mut written = String::new();
        write_form(&value, &KITCHEN, "", &mut written);
        let form = Form::parse(None, written.as_bytes()).unwrap();
        prop_assert_eq!(query::decode(&form, &KITCHEN), Ok(value));
    }

    #[test]
    fn xml_documents(value in kitchen_value(PRINTABLE, 0, 2)) {
        let written = String::from_utf8(query::encode(&value, &OPERATION, "r-1")).unwrap();
        let document = Element::parse(&written);
        let result = document.child("TryResponse").unwrap().child("TryResult").unwrap();
        prop_assert_eq!(result.value(&KITCHEN), value);
    }

    #[test]
    fn rubbish_never_panics(bytes in vec(any::<u8>(), 0..200)) {
        for schema in [&KITCHEN, &SCALARS] {
            let _ = json::decode(&bytes, schema);
            let _ = cbor::decode(&bytes, schema);
            if let Ok(form) = Form::parse(None, &bytes) {
                let _ = query::decode(&form, schema);
            }
        }
    }

    /// Documents that were right once, with a byte changed, cut or doubled.
    #[test]
    fn damaged_documents_never_panic(
        value in kitchen_value(ANY, 0, 2),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..3,
    ) {
        let mut form = String::new();
        write_form(&value, &KITCHEN, "", &mut form);
        let documents = [json::encode(&value, &KITCHEN), cbor::encode(&value, &KITCHEN), form.into_bytes()];
        for (which, mut document) in documents.into_iter().enumerate() {
            if document.is_empty() {
                continue;
            }
            let at = at.index(document.len());
            match how {
                0 => document[at] = byte,
                1 => document.truncate(at),
                _ => document.insert(at, byte),
            }
            match which {
                0 => drop(json::decode(&document, &KITCHEN)),
                1 => drop(cbor::decode(&document, &KITCHEN)),
                _ => drop(Form::parse(None, &document).map(|form| query::decode(&form, &KITCHEN))),
            }
        }
    }

    /// Whatever decodes can be checked and answered, for every operation that is served.
    #[test]
    fn served_operations_take_anything(document in document(), choice in any::<prop::sample::Index>()) {
        let operations: Vec<_> = services().iter().flat_map(|service| service.operations).collect();
        let schema = operations[choice.index(operations.len())].input;
        if let Ok(value) = json::decode(document.as_bytes(), schema) {
            let _ = validate(&value, schema);
        }
    }

    #[test]
    fn identification_never_panics(
        path in "/[ -~&&[^#?<>\"{}|\\\\^`\\[\\]]]{0,40}",
        target in option::of("[ -~]{0,40}"),
        smithy in option::of("rpc-v2-cbor|[ -~]{0,12}"),
        body in vec(any::<u8>(), 0..60),
    ) {
        let mut request = Request::builder().method("POST").uri(path)
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(target) = target { request = request.header("x-amz-target", target); }
        if let Some(smithy) = smithy { request = request.header("smithy-protocol", smithy); }
        if let Ok(request) = request.body(()) {
            let (parts, ()) = request.into_parts();
            if let Err(refusal) = identify(&parts, &body, None) {
                prop_assert!(!refusal.response("r").body().is_empty());
            }
        }
    }
}

/// A JSON document with the member names of the models.
fn document() -> impl Strategy<Value = String> {
    let names: Vec<_> = services()
        .iter()
        .flat_map(|service| service.operations)
        .flat_map(|operation| operation.input.members())
        .map(|member| member.name)
        .collect();
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        ANY.prop_map(|text| serde_json::Value::String(text).to_string()),
        Just("[]".to_owned()),
        Just("[\"x\",null]".to_owned()),
        Just("[{}]".to_owned()),
        Just("{}".to_owned()),
    ];
    vec((proptest::sample::select(names), scalar), 0..8).prop_map(|members| {
        let members: Vec<_> = members
            .into_iter()
            .map(|(name, value)| format!("\"{name}\":{value}"))
            .collect();
        format!("{{{}}}", members.join(","))
    })
}
