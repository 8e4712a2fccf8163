//! awsJson: the cases of `smithy-aws-protocol-tests/model/awsJson1_1` (Smithy, Apache-2.0), and
//! the refusals that AWS was seen to give.

use keystead_wire::{ErrorAnswer, Value, json};

use crate::support::*;

fn decode(body: &str) -> Result<Value, ErrorAnswer> {
    json::decode(body.as_bytes(), &KITCHEN)
}

fn encode(value: &Value) -> String {
    String::from_utf8(json::encode(value, &KITCHEN)).unwrap()
}

#[test]
fn kitchen_sink() {
    let cases = [
        (
            r#"{"String":"abc xyz"}"#,
            kitchen([("String", text("abc xyz"))]),
        ),
        (
            r#"{"Integer":1234}"#,
            kitchen([("Integer", Value::Integer(1234))]),
        ),
        (
            r#"{"Long":999999999999}"#,
            kitchen([("Long", Value::Integer(999_999_999_999))]),
        ),
        (
            r#"{"Long":1234567890123456789}"#,
            kitchen([("Long", Value::Integer(1_234_567_890_123_456_789))]),
        ),
        (
            r#"{"Double":1234.5}"#,
            kitchen([("Double", Value::Double(1234.5))]),
        ),
        (
            r#"{"Double":"Infinity"}"#,
            kitchen([("Double", Value::Double(f64::INFINITY))]),
        ),
        (
            r#"{"Double":"-Infinity"}"#,
            kitchen([("Double", Value::Double(f64::NEG_INFINITY))]),
        ),
        (
            r#"{"Blob":"YmluYXJ5LXZhbHVl"}"#,
            kitchen([("Blob", blob("binary-value"))]),
        ),
        (
            r#"{"Boolean":true}"#,
            kitchen([("Boolean", Value::Boolean(true))]),
        ),
        (
            r#"{"Boolean":false}"#,
            kitchen([("Boolean", Value::Boolean(false))]),
        ),
        (
            r#"{"Timestamp":946845296}"#,
            kitchen([("Timestamp", seconds(946_845_296))]),
        ),
        (
            r#"{"Timestamp":946845296.123}"#,
            kitchen([("Timestamp", milliseconds(946_845_296_123))]),
        ),
        (
            r#"{"Timestamp":-0.500}"#,
            kitchen([("Timestamp", milliseconds(-500))]),
        ),
        (
            r#"{"ListOfStrings":["abc","mno","xyz"]}"#,
            kitchen([("ListOfStrings", texts(["abc", "mno", "xyz"]))]),
        ),
        (
            r#"{"ListOfStrings":[]}"#,
            kitchen([("ListOfStrings", texts([]))]),
        ),
        (
            r#"{"RecursiveList":[{"RecursiveList":[{"Integer":123}]}]}"#,
            kitchen([(
                "RecursiveList",
                Value::List(vec![kitchen([(
                    "RecursiveList",
                    Value::List(vec![kitchen([("Integer", Value::Integer(123))])]),
                )])]),
            )]),
        ),
        (
            r#"{"MapOfStrings":{"abc":"xyz","mno":"hjk"}}"#,
            kitchen([(
                "MapOfStrings",
                map([("abc", text("xyz")), ("mno", text("hjk"))]),
            )]),
        ),
        (
            r#"{"MapOfStrings":{}}"#,
            kitchen([("MapOfStrings", map([]))]),
        ),
        (
            r#"{"MapOfLists":{"abc":["abc","xyz"],"mno":["xyz","abc"]}}"#,
            kitchen([(
                "MapOfLists",
                map([
                    ("abc", texts(["abc", "xyz"])),
                    ("mno", texts(["xyz", "abc"])),
                ]),
            )]),
        ),
        (
            r#"{"RecursiveStruct":{}}"#,
            kitchen([("RecursiveStruct", kitchen([]))]),
        ),
        (r#"{}"#, kitchen([])),
        (
            r#"{"String":"quote \" slash \\ tab \t bell \u0007 snow ☃"}"#,
            kitchen([("String", text("quote \" slash \\ tab \t bell \u{7} snow ☃"))]),
        ),
    ];
    for (document, value) in cases {
        assert_eq!(decode(document).as_ref(), Ok(&value), "{document}");
        assert_eq!(encode(&value), document);
    }
}

#[test]
fn what_is_read_more_generously_than_written() {
    let cases = [
        // Null members are absent, unknown ones are passed over.
        (r#"{"String":null}"#, kitchen([])),
        (
            r#"{"Unknown":[{"a":1}],"String":"x"}"#,
            kitchen([("String", text("x"))]),
        ),
        // AWS cuts fractions of whole numbers off.
        (
            r#"{"Integer":1.9}"#,
            kitchen([("Integer", Value::Integer(1))]),
        ),
        (r#"{"Double":2}"#, kitchen([("Double", Value::Double(2.0))])),
        // botocore writes instants with a fraction as floating-point numbers.
        (
            r#"{"Timestamp":1.398796238123E9}"#,
            kitchen([("Timestamp", milliseconds(1_398_796_238_123))]),
        ),
        (r#"{"Blob":"YWI"}"#, kitchen([("Blob", blob("ab"))])),
        // Of two members of one name the last counts, as in Java's parsers.
        (
            r#"{"String":"a","String":"b"}"#,
            kitchen([("String", text("b"))]),
        ),
        (
            r#"{"ListOfStrings":[null],"MapOfStrings":{"a":null}}"#,
            kitchen([
                ("ListOfStrings", Value::List(vec![Value::Null])),
                ("MapOfStrings", map([("a", Value::Null)])),
            ]),
        ),
        (
            r#"{"\u0053tring":"escaped name"}"#,
            kitchen([("String", text("escaped name"))]),
        ),
    ];
    for (document, value) in cases {
        assert_eq!(decode(document), Ok(value), "{document}");
    }
}

#[test]
fn wrong_types_are_refused_in_the_words_of_aws() {
    for (document, message) in [
        (
            r#"{"Integer":"1"}"#,
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            r#"{"Integer":true}"#,
            "TRUE_VALUE can not be converted to an Integer",
        ),
        (
            r#"{"Integer":[1]}"#,
            "Start of list found where not expected",
        ),
        (
            r#"{"Integer":{"a":1}}"#,
            "Start of structure or map found where not expected.",
        ),
        (
            r#"{"Integer":3000000000}"#,
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (
            r#"{"Long":1e30}"#,
            "NUMBER_VALUE can not be converted to a Long",
        ),
        (
            r#"{"Long":99999999999999999999}"#,
            "NUMBER_VALUE can not be converted to a Long",
        ),
        (
            r#"{"String":1}"#,
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            r#"{"String":1.5}"#,
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            r#"{"String":false}"#,
            "FALSE_VALUE can not be converted to a String",
        ),
        (
            r#"{"String":["x"]}"#,
            "Start of list found where not expected",
        ),
        (
            r#"{"Secret":{}}"#,
            "Start of structure or map found where not expected.",
        ),
        (
            r#"{"Boolean":"true"}"#,
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (
            r#"{"Boolean":0}"#,
            "NUMBER_VALUE can not be converted to a Boolean",
        ),
        (
            r#"{"Timestamp":"2020-01-01T00:00:00Z"}"#,
            "STRING_VALUE can not be converted to milliseconds since epoch",
        ),
        (
            r#"{"Timestamp":1e300}"#,
            "NUMBER_VALUE can not be converted to milliseconds since epoch",
        ),
        (r#"{"ListOfStrings":"x"}"#, "Expected list or null"),
        (
            r#"{"ListOfStrings":{}}"#,
            "Start of structure or map found where not expected.",
        ),
        (
            r#"{"ListOfStrings":[1]}"#,
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            r#"{"ListOfStrings":[["a"]]}"#,
            "Start of list found where not expected",
        ),
        (r#"{"RecursiveStruct":"x"}"#, "Expected null"),
        (r#"{"RecursiveStruct":1}"#, "Expected null"),
        (
            r#"{"Blob":"*"}"#,
            "a text that is not base64 can not be converted to a Blob",
        ),
        ("[]", "Start of list found where not expected"),
    ] {
        let expected = ErrorAnswer::serialization(message);
        assert_eq!(decode(document), Err(expected), "{document}");
    }
}

#[test]
fn broken_documents_are_refused() {
    let deep = r#"{"RecursiveStruct":"#.repeat(500) + &"}".repeat(500);
    let deep_unknown = r#"{"x":"#.to_owned() + &"[".repeat(100_000);
    let not_utf8 = b"{\"String\":\"\xff\"}".as_slice();
    let documents = [
        "",
        "{",
        "null",
        "1",
        r#""x""#,
        r#"{"String":"x",}"#,
        r#"{} {}"#,
        &deep,
        &deep_unknown,
    ];
    let documents = documents.iter().map(|document| document.as_bytes());
    for document in documents.chain([not_utf8]) {
        let error = json::decode(document, &KITCHEN).unwrap_err();
        let shown = String::from_utf8_lossy(&document[..document.len().min(40)]);
        assert_eq!(
            (error.code, error.status),
            ("SerializationException", 400),
            "{shown}"
        );
        assert!(!error.message.is_empty(), "{shown}");
    }
}

#[test]
fn an_operation_without_input_takes_an_empty_body() {
    static EMPTY: keystead_wire::schema::Schema = keystead_wire::schema::Schema {
        name: "Empty",
        sensitive: false,
        kind: keystead_wire::schema::Kind::Structure(&[]),
    };
    for body in ["", "{}", r#"{"Unknown":1}"#] {
        assert_eq!(
            json::decode(body.as_bytes(), &EMPTY),
            Ok(Value::Structure(vec![]))
        );
    }
}

#[test]
fn secrets_are_wrapped_when_read_and_written_when_sent() {
    let value = decode(r#"{"Secret":"hunter2"}"#).unwrap();
    assert!(!format!("{value:?}").contains("hunter2"));
    assert_eq!(encode(&value), r#"{"Secret":"hunter2"}"#);
}
