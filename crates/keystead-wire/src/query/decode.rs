//! Parameters to values.

use crate::error::ErrorAnswer;
use crate::query::form::{Form, Node, malformed};
use crate::scalar;
use crate::schema::{Kind, Member, Schema};
use crate::value::Value;

/// Reads the members of a structure from a form; parameters that the model lacks (`Action`,
/// `Version`, those of a presigned URL) are passed over.
pub fn decode(form: &Form<'_>, schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    let root = form.tree()?;
    structure(&root, schema.members())
}

fn structure(node: &Node<'_>, members: &'static [Member]) -> Result<Value, ErrorAnswer> {
    let slot = |member: &'static Member| {
        let name = match member.schema.kind {
            // A flattened list takes the name of its members, where the model gives one.
            Kind::List {
                flattened: true,
                wire_name,
                ..
            } if wire_name != "member" => wire_name,
            _ => member.wire_name,
        };
        let child = node.children.get(name);
        child.map(|child| value(child, member.schema)).transpose()
    };
    let slots: Result<Vec<_>, _> = members.iter().map(slot).collect();
    Ok(Value::Structure(slots?))
}

fn value(node: &Node<'_>, schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    match &schema.kind {
        Kind::Structure(members) => structure(node, members),
        Kind::List {
            member,
            flattened,
            wire_name,
            ..
        } => {
            let nodes = if *flattened {
                node.numbered()
            } else {
                let level = node.children.get(wire_name);
                let level = level.or_else(|| node.children.get("member"));
                level.map(Node::numbered).unwrap_or_default()
            };
            let members: Result<_, _> = nodes.into_iter().map(|node| value(node, member)).collect();
            Ok(Value::List(members?))
        }
        Kind::Map {
            value: of,
            flattened,
            wire_names: (key_name, value_name),
            ..
        } => {
            let nodes = if *flattened {
                node.numbered()
            } else {
                let level = node.children.get("entry");
                level.map(Node::numbered).unwrap_or_default()
            };
            let mut entries = Vec::with_capacity(nodes.len());
            for node in nodes {
                let key = node.children.get(key_name).and_then(|key| key.value);
                let key = key.ok_or_else(|| malformed("an entry of a map has no key"))?;
                let given = node.children.get(value_name);
                let given = given.map(|given| value(given, of)).transpose()?;
                entries.push((key.to_owned(), given.unwrap_or(Value::Null)));
            }
            Ok(Value::Map(entries))
        }
        _ => scalar_value(node.value.unwrap_or_default(), schema),
    }
}

fn scalar_value(text: &str, schema: &'static Schema) -> Result<Value, ErrorAnswer> {
    // The value is not repeated: it may be a secret.
    scalar::parse(text, schema)
        .ok_or_else(|| malformed(format!("a parameter is not a valid {}", schema.name)))
}
