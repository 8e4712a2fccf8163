//! awsQuery: the cases of `smithy-aws-protocol-tests/model/awsQuery` (Smithy, Apache-2.0).

use keystead_wire::query::{self, Form};
use keystead_wire::schema::{AccessDef, Auth, Kind, Member, OperationDef, Range, Schema};
use keystead_wire::{ErrorAnswer, Value, sts};

use crate::support::*;

const fn flat_list(name: &'static str, wire_name: &'static str) -> Schema {
    Schema {
        name,
        sensitive: false,
        kind: Kind::List {
            member: &TEXT,
            length: Range::ANY,
            flattened: true,
            wire_name,
        },
    }
}

const fn named(name: &'static str, wire_name: &'static str, schema: &'static Schema) -> Member {
    Member {
        name,
        wire_name,
        schema,
        required: false,
    }
}

static FLAT: Schema = flat_list("Flat", "member");
static FLAT_RENAMED: Schema = flat_list("FlatRenamed", "Hi");
static ITEMS: Schema = Schema {
    name: "ListWithXmlName",
    sensitive: false,
    kind: Kind::List {
        member: &TEXT,
        length: Range::ANY,
        flattened: false,
        wire_name: "item",
    },
};
static FLAT_MAP: Schema = Schema {
    name: "FlatMap",
    sensitive: false,
    kind: Kind::Map {
        key: &TEXT,
        value: &TEXT,
        length: Range::ANY,
        flattened: true,
        wire_names: ("K", "V"),
    },
};
static INPUT: Schema = Schema {
    name: "Input",
    sensitive: false,
    kind: Kind::Structure(&[
        member("Foo", &TEXT),
        member("Baz", &FLAG),
        member("Bam", &INTEGER),
        member("Boo", &DOUBLE),
        member("Qux", &BYTES),
        member("Time", &INSTANT),
        member("ListArg", &TEXTS),
        member("FlattenedListArg", &FLAT),
        member("ListArgWithXmlNameMember", &ITEMS),
        member("FlattenedListArgWithXmlName", &FLAT_RENAMED),
        member("MapArg", &TEXT_MAP),
        named("RenamedMapArg", "Renamed", &TEXT_MAP),
        named("FlattenedMap", "KVP", &FLAT_MAP),
        member("Nested", &INPUT),
        member("Complex", &INPUTS),
    ]),
};
static INPUTS: Schema = Schema {
    name: "Inputs",
    sensitive: false,
    kind: Kind::List {
        member: &INPUT,
        length: Range::ANY,
        flattened: false,
        wire_name: "member",
    },
};
static OPERATION: OperationDef = OperationDef {
    service: &sts::SERVICE,
    name: "Try",
    input: &INPUT,
    output: &INPUT,
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

fn input<const N: usize>(given: [(&str, Value); N]) -> Value {
    structure(&INPUT, given)
}

fn decode(body: &str) -> Result<Value, ErrorAnswer> {
    query::decode(&Form::parse(None, body.as_bytes())?, &INPUT)
}

#[test]
fn requests() {
    let foo_bar = || map([("foo", text("Foo")), ("bar", text("Bar"))]);
    let hi = |s| input([("Foo", text(s))]);
    let cases = [
        (
            "Foo=val1&Baz=true",
            input([("Foo", text("val1")), ("Baz", Value::Boolean(true))]),
        ),
        ("Baz=false", input([("Baz", Value::Boolean(false))])),
        ("Bam=10", input([("Bam", Value::Integer(10))])),
        ("Boo=10.8", input([("Boo", Value::Double(10.8))])),
        (
            "Boo=-Infinity",
            input([("Boo", Value::Double(f64::NEG_INFINITY))]),
        ),
        ("Qux=dmFsdWU%3D", input([("Qux", blob("value"))])),
        (
            "Time=2015-01-25T08%3A00%3A00Z",
            input([("Time", seconds(1_422_172_800))]),
        ),
        (
            "Time=2015-01-25T09%3A00%3A00%2B01%3A00",
            input([("Time", seconds(1_422_172_800))]),
        ),
        ("Time=1422172800", input([("Time", seconds(1_422_172_800))])),
        (
            "ListArg.member.1=foo&ListArg.member.2=bar&ListArg.member.3=baz",
            input([("ListArg", texts(["foo", "bar", "baz"]))]),
        ),
        // Numbers order the members, not the places in the text; they may have gaps.
        (
            "ListArg.member.10=c&ListArg.member.2=b&ListArg.member.1=a",
            input([("ListArg", texts(["a", "b", "c"]))]),
        ),
        ("ListArg=", input([("ListArg", texts([]))])),
        (
            "Complex.member.1.Foo=hello&Complex.member.2.Foo=hola",
            input([("Complex", Value::List(vec![hi("hello"), hi("hola")]))]),
        ),
        (
            "FlattenedListArg.1=A&FlattenedListArg.2=B",
            input([("FlattenedListArg", texts(["A", "B"]))]),
        ),
        (
            "ListArgWithXmlNameMember.item.1=A&ListArgWithXmlNameMember.item.2=B",
            input([("ListArgWithXmlNameMember", texts(["A", "B"]))]),
        ),
        (
            "Hi.1=A&Hi.2=B",
            input([("FlattenedListArgWithXmlName", texts(["A", "B"]))]),
        ),
        (
            "MapArg.entry.1.key=foo&MapArg.entry.1.value=Foo&MapArg.entry.2.key=bar&MapArg.entry.2.value=Bar",
            input([("MapArg", foo_bar())]),
        ),
        (
            "Renamed.entry.1.key=foo&Renamed.entry.1.value=Foo",
            input([("RenamedMapArg", map([("foo", text("Foo"))]))]),
        ),
        (
            "KVP.1.K=foo&KVP.1.V=Foo&KVP.2.K=bar&KVP.2.V=Bar",
            input([("FlattenedMap", foo_bar())]),
        ),
        (
            "Nested.Foo=foo&Nested.Baz=true&Nested.Nested.Foo=baz",
            input([(
                "Nested",
                input([
                    ("Foo", text("foo")),
                    ("Baz", Value::Boolean(true)),
                    ("Nested", input([("Foo", text("baz"))])),
                ]),
            )]),
        ),
        ("Action=Try&Version=2020-01-08", input([])),
        ("", input([])),
        ("&&Foo=a+b%26c&", input([("Foo", text("a b&c"))])),
        ("Foo", input([("Foo", text(""))])),
    ];
    for (body, value) in cases {
        assert_eq!(decode(body), Ok(value), "{body}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let deep = "Nested.".repeat(200) + "Foo=x";
    let many = "Foo=x&".repeat(10_001);
    let bodies = [
        "Bam=x",
        "Bam=1.5",
        "Bam=3000000000",
        "Baz=yes",
        "Boo=x",
        "Qux=%2A",
        "Time=today",
        "Foo=%ff",
        "Foo=+%ff",
        "MapArg.entry.1.value=x",
        "Nested.Bam=",
        &deep,
        &many,
    ];
    for body in bodies {
        let error = decode(body).unwrap_err();
        assert_eq!(
            (error.code, error.status),
            ("MalformedInput", 400),
            "{}",
            error.message
        );
        assert!(
            !error.message.contains("today"),
            "the value is not repeated"
        );
    }
}

#[test]
fn the_query_string_counts_as_well() {
    let form = Form::parse(Some("Action=Try&Foo=url"), b"Bam=1").unwrap();
    let expected = input([("Foo", text("url")), ("Bam", Value::Integer(1))]);
    assert_eq!(query::decode(&form, &INPUT), Ok(expected));
}

#[test]
fn answers() {
    let value = input([
        ("Foo", text("<a> & \"b\"\r\n\u{1}")),
        ("Baz", Value::Boolean(true)),
        ("Bam", Value::Integer(-3)),
        ("Boo", Value::Double(6.5)),
        ("Qux", blob("value")),
        ("Time", milliseconds(1_398_796_238_120)),
        ("ListArg", texts(["foo", "bar"])),
        ("FlattenedListArg", texts(["hi", "bye"])),
        ("ListArgWithXmlNameMember", texts(["x"])),
        ("FlattenedListArgWithXmlName", texts(["yep"])),
        ("MapArg", map([("hi", text("Foo"))])),
        ("RenamedMapArg", map([])),
        ("FlattenedMap", map([("a", text("A")), ("b", text("B"))])),
        ("Nested", input([("Foo", text(""))])),
    ]);
    let expected = "<TryResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><TryResult>\
        <Foo>&lt;a&gt; &amp; &quot;b&quot;&#xD;\n\u{fffd}</Foo><Baz>true</Baz><Bam>-3</Bam><Boo>6.5</Boo>\
        <Qux>dmFsdWU=</Qux><Time>2014-04-29T18:30:38.12Z</Time>\
        <ListArg><member>foo</member><member>bar</member></ListArg>\
        <FlattenedListArg>hi</FlattenedListArg><FlattenedListArg>bye</FlattenedListArg>\
        <ListArgWithXmlNameMember><item>x</item></ListArgWithXmlNameMember><Hi>yep</Hi>\
        <MapArg><entry><key>hi</key><value>Foo</value></entry></MapArg><Renamed></Renamed>\
        <KVP><K>a</K><V>A</V></KVP><KVP><K>b</K><V>B</V></KVP><Nested><Foo></Foo></Nested>\
        </TryResult><ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></TryResponse>";
    let written = String::from_utf8(query::encode(&value, &OPERATION, "r-1")).unwrap();
    assert_eq!(written, expected);
}

#[test]
fn errors() {
    let error = ErrorAnswer::new("InvalidGreeting", 400, "Hi <you>");
    let written = String::from_utf8(query::encode_error(&error, Some("urn:x"), "foo-id")).unwrap();
    assert_eq!(
        written,
        "<ErrorResponse xmlns=\"urn:x\"><Error><Type>Sender</Type><Code>InvalidGreeting</Code>\
         <Message>Hi &lt;you&gt;</Message></Error><RequestId>foo-id</RequestId></ErrorResponse>"
    );
    let error = ErrorAnswer::internal("oh");
    let written = String::from_utf8(query::encode_error(&error, None, "x")).unwrap();
    assert!(written.contains("<Type>Receiver</Type><Code>InternalFailure</Code>"));
}
