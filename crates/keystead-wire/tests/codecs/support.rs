//! Schemas for the cases, and short ways to write values.

use keystead_wire::schema::{Kind, Member, Range, Schema, TimestampFormat};
use keystead_wire::{Blob, Value};

const fn shape(name: &'static str, kind: Kind) -> Schema {
    Schema {
        name,
        sensitive: false,
        kind,
    }
}

pub(crate) const fn member(name: &'static str, schema: &'static Schema) -> Member {
    Member {
        name,
        wire_name: name,
        schema,
        required: false,
    }
}

const fn list_of(name: &'static str, member: &'static Schema) -> Schema {
    let kind = Kind::List {
        member,
        length: Range::ANY,
        flattened: false,
        wire_name: "member",
    };
    shape(name, kind)
}

const fn map_of(name: &'static str, value: &'static Schema) -> Schema {
    let kind = Kind::Map {
        key: &TEXT,
        value,
        length: Range::ANY,
        flattened: false,
        wire_names: ("key", "value"),
    };
    shape(name, kind)
}

pub(crate) static FLAG: Schema = shape("Boolean", Kind::Boolean);
pub(crate) static INTEGER: Schema = shape("Integer", Kind::Integer(Range::ANY));
pub(crate) static LONG: Schema = shape("Long", Kind::Long(Range::ANY));
pub(crate) static DOUBLE: Schema = shape("Double", Kind::Double);
pub(crate) static BYTES: Schema = shape("Blob", Kind::Blob(Range::ANY));
pub(crate) static INSTANT: Schema = shape("Timestamp", Kind::Timestamp(TimestampFormat::Default));
pub(crate) static TEXT: Schema = shape(
    "String",
    Kind::String {
        length: Range::ANY,
        pattern: None,
        values: &[],
    },
);
pub(crate) static SECRET: Schema = Schema {
    name: "Secret",
    sensitive: true,
    kind: Kind::String {
        length: Range::ANY,
        pattern: None,
        values: &[],
    },
};
pub(crate) static TEXTS: Schema = list_of("Texts", &TEXT);
pub(crate) static TEXT_LISTS: Schema = list_of("TextLists", &TEXTS);
pub(crate) static INTEGERS: Schema = list_of("Integers", &INTEGER);
pub(crate) static FLAGS: Schema = list_of("Flags", &FLAG);
pub(crate) static INSTANTS: Schema = list_of("Instants", &INSTANT);
pub(crate) static BLOBS: Schema = list_of("Blobs", &BYTES);
pub(crate) static TEXT_MAP: Schema = map_of("TextMap", &TEXT);
pub(crate) static TEXTS_MAP: Schema = map_of("TextsMap", &TEXTS);

/// What Smithy's cases call `SimpleScalarStructure`.
pub(crate) static SCALARS: Schema = shape(
    "SimpleScalarStructure",
    Kind::Structure(&[
        member("trueBooleanValue", &FLAG),
        member("falseBooleanValue", &FLAG),
        member("byteValue", &INTEGER),
        member("doubleValue", &DOUBLE),
        member("floatValue", &DOUBLE),
        member("integerValue", &INTEGER),
        member("longValue", &LONG),
        member("shortValue", &INTEGER),
        member("stringValue", &TEXT),
        member("blobValue", &BYTES),
    ]),
);

/// A structure that holds itself in every way, and everything else once.
pub(crate) static KITCHEN: Schema = shape(
    "Kitchen",
    Kind::Structure(&[
        member("String", &TEXT),
        member("Secret", &SECRET),
        member("Boolean", &FLAG),
        member("Integer", &INTEGER),
        member("Long", &LONG),
        member("Double", &DOUBLE),
        member("Blob", &BYTES),
        member("Timestamp", &INSTANT),
        member("ListOfStrings", &TEXTS),
        member("ListOfLists", &TEXT_LISTS),
        member("MapOfStrings", &TEXT_MAP),
        member("MapOfLists", &TEXTS_MAP),
        member("RecursiveStruct", &KITCHEN),
        member("RecursiveList", &KITCHENS),
        member("RecursiveMap", &KITCHEN_MAP),
    ]),
);
static KITCHENS: Schema = list_of("Kitchens", &KITCHEN);
static KITCHEN_MAP: Schema = map_of("KitchenMap", &KITCHEN);

/// A structure of this schema with these members, the others absent.
pub(crate) fn structure<const N: usize>(
    schema: &'static Schema,
    given: [(&str, Value); N],
) -> Value {
    let mut slots = vec![None; schema.members().len()];
    for (name, value) in given {
        let at = schema.members().iter().position(|m| m.name == name);
        slots[at.expect("the schema has this member")] = Some(value);
    }
    Value::Structure(slots)
}

pub(crate) fn kitchen<const N: usize>(given: [(&str, Value); N]) -> Value {
    structure(&KITCHEN, given)
}

pub(crate) fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(crate) fn texts<const N: usize>(members: [&str; N]) -> Value {
    Value::List(members.map(text).to_vec())
}

pub(crate) fn blob(bytes: &str) -> Value {
    Value::Blob(Blob::new(bytes))
}

pub(crate) fn seconds(seconds: i64) -> Value {
    Value::Timestamp(jiff::Timestamp::from_second(seconds).unwrap())
}

pub(crate) fn milliseconds(milliseconds: i64) -> Value {
    Value::Timestamp(jiff::Timestamp::from_millisecond(milliseconds).unwrap())
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.map(|(key, value)| (key.to_owned(), value)).to_vec())
}
