//! restJson1: which operation a method and a path name, and where members are.

use http::request::Parts;
use http::{Request, Response};
use keystead_wire::rest_json::{decode, encode};
use keystead_wire::schema::{HttpDef, Kind, Place, Protocol, Schema, Segment, TimestampFormat};
use keystead_wire::{ErrorAnswer, Value, identify};

use crate::support::{
    FLAG, INSTANT, INTEGER, TEXT, TEXTS, member, seconds, structure, text, texts,
};

const ID: &str = "01234567-89ab-4cde-8f01-23456789abcd";

static DATE_TIME: Schema = Schema {
    name: "DateTime",
    sensitive: false,
    kind: Kind::Timestamp(TimestampFormat::DateTime),
};

/// A structure with a member for each place.
static PLACES: Schema = Schema {
    name: "Places",
    sensitive: false,
    kind: Kind::Structure(&[
        member("label", &TEXT),
        member("query", &INTEGER),
        member("list", &TEXTS),
        member("either", &TEXT),
        member("header", &TEXT),
        member("flag", &FLAG),
        member("at", &DATE_TIME),
        member("since", &INSTANT),
        member("status", &INTEGER),
    ]),
};

const IN: [Place; 9] = [
    Place::Label("id"),
    Place::Query("q"),
    Place::Query("l"),
    Place::QueryOrBody("either"),
    Place::Header("x-header"),
    Place::Body,
    Place::Body,
    Place::Body,
    Place::Body,
];

static HTTP: HttpDef = HttpDef {
    method: "POST",
    path: &[
        Segment::Literal("things"),
        Segment::Label("id"),
        Segment::Literal("do"),
    ],
    status: 201,
    input: &IN,
    output: &[
        Place::Body,
        Place::Body,
        Place::Body,
        Place::Body,
        Place::Header("x-header"),
        Place::Body,
        Place::Body,
        Place::Body,
        Place::Status,
    ],
};

fn head(method: &str, uri: &str) -> Parts {
    let request = Request::builder().method(method).uri(uri);
    let request = request.header("X-Header", "of a header");
    request.body(()).unwrap().into_parts().0
}

fn places<const N: usize>(given: [(&str, Value); N]) -> Value {
    structure(&PLACES, given)
}

fn read(uri: &str, body: &str) -> Result<Value, ErrorAnswer> {
    decode(&HTTP, &head("POST", uri), body.as_bytes(), &PLACES)
}

#[test]
fn every_member_is_read_from_its_place() {
    let uri = "/things/arn%3Aa%2Fb%20c/do?q=7&l=x&l=y%26&either=query&unknown=1";
    let body =
        r#"{"flag":true,"at":"1970-01-01T00:00:09Z","since":9,"label":"body","list":["body"]}"#;
    let expected = places([
        ("label", text("arn:a/b c")),
        ("query", Value::Integer(7)),
        ("list", texts(["x", "y&"])),
        ("either", text("query")),
        ("header", text("of a header")),
        ("flag", Value::Boolean(true)),
        ("at", seconds(9)),
        ("since", seconds(9)),
    ]);
    assert_eq!(read(uri, body).unwrap(), expected);
    let least = places([("label", text("x")), ("header", text("of a header"))]);
    assert_eq!(read("/things/x/do", "").unwrap(), least);
    let in_body = read("/things/x/do", r#"{"either":"body"}"#).unwrap();
    let Value::Structure(slots) = in_body else {
        panic!()
    };
    assert_eq!(slots[3], Some(text("body")));
}

#[test]
fn what_cannot_be_read_is_refused_without_its_value() {
    for (uri, body) in [
        ("/things/x/do?q=seven", ""),
        ("/things/%ff/do", ""),
        ("/things/x/do?q=%ff", ""),
        ("/things/x/do", "seven"),
        ("/things/x/do", r#"{"at":"seven"}"#),
        ("/things/x/do", r#"{"since":"1970-01-01T00:00:09Z"}"#),
    ] {
        let error = read(uri, body).unwrap_err();
        assert_eq!(
            (error.code, error.status),
            ("SerializationException", 400),
            "{uri} {body}"
        );
        assert!(!error.message.contains("seven"), "{}", error.message);
    }
}

#[test]
fn a_payload_is_the_whole_body() {
    static ONE: Schema = Schema {
        name: "One",
        sensitive: false,
        kind: Kind::Structure(&[member("document", &TEXT)]),
    };
    static PAYLOAD: HttpDef = HttpDef {
        input: &[Place::Payload],
        output: &[Place::Payload],
        ..HTTP_OF_NOTHING
    };
    let value = decode(&PAYLOAD, &head("POST", "/"), b"not JSON", &ONE).unwrap();
    assert_eq!(value, structure(&ONE, [("document", text("not JSON"))]));
    assert_eq!(encode(&PAYLOAD, &value, &ONE).body, b"not JSON");
    let nothing = decode(&PAYLOAD, &head("POST", "/"), b"", &ONE).unwrap();
    assert_eq!(nothing, structure(&ONE, []));
}

const HTTP_OF_NOTHING: HttpDef = HttpDef {
    method: "POST",
    path: &[],
    status: 200,
    input: &[],
    output: &[],
};

#[test]
fn every_member_is_written_to_its_place() {
    let value = places([
        ("header", text("of a header")),
        ("at", seconds(9)),
        ("since", seconds(9)),
        ("status", Value::Integer(202)),
    ]);
    let answer = encode(&HTTP, &value, &PLACES);
    assert_eq!(answer.status, 202);
    assert_eq!(answer.headers["x-header"], "of a header");
    assert_eq!(answer.body, br#"{"at":"1970-01-01T00:00:09Z","since":9}"#);
    assert_eq!(encode(&HTTP, &places([]), &PLACES).status, 201);
}

fn named(method: &str, uri: &str, scope: Option<&str>) -> Option<&'static str> {
    let call = identify(&head(method, uri), b"", scope).ok()?;
    assert_eq!(call.dialect.protocol, Protocol::RestJson);
    Some(call.operation.name)
}

#[test]
fn method_and_path_name_the_operation() {
    let arn = "arn%3Aaws%3Arolesanywhere%3Aus-east-1%3A123456789012%3Aprofile%2Fx";
    for (method, path, name) in [
        ("GET", "/trustanchors".to_owned(), "ListTrustAnchors"),
        ("POST", "/trustanchors".to_owned(), "CreateTrustAnchor"),
        (
            "GET",
            "/trustanchors?pageSize=1".to_owned(),
            "ListTrustAnchors",
        ),
        ("PATCH", format!("/profile/{ID}"), "UpdateProfile"),
        ("GET", format!("/profile/{arn}"), "GetProfile"),
        ("POST", format!("/crl/{ID}/disable"), "DisableCrl"),
        (
            "PUT",
            format!("/profiles/{ID}/mappings"),
            "PutAttributeMapping",
        ),
    ] {
        for scope in [None, Some("rolesanywhere")] {
            assert_eq!(named(method, &path, scope), Some(name), "{method} {path}");
        }
    }
}

#[test]
fn unknown_paths_are_unknown_operations() {
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/trustanchors/"),
        ("GET", "/profile/"),
        ("DELETE", "/trustanchors"),
        ("POST", "/crl/x/disable/more"),
        ("PATCH", "/put-notifications-settings"),
    ] {
        let refusal = identify(&head(method, path), b"", Some("rolesanywhere")).unwrap_err();
        let answer: Response<bytes::Bytes> = refusal.response("r-1");
        assert_eq!(answer.status(), 404, "{method} {path}");
        assert_eq!(
            answer.headers()["x-amzn-errortype"],
            "UnknownOperationException"
        );
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert!(
            answer
                .body()
                .starts_with(br#"{"message":"RolesAnywhere has no operation "#)
        );
    }
    // A path of no REST service, unsigned or signed for another service, is a query without its action.
    for scope in [None, Some("iam"), Some("nonsense")] {
        let refusal = identify(&head("GET", "/nothing"), b"", scope).unwrap_err();
        assert_eq!(refusal.dialect.protocol, Protocol::Query);
    }
}

#[test]
fn constraints_of_the_model_are_kept_wherever_a_member_is() {
    for (method, uri, body, message) in [
        (
            "GET",
            "/profile/nonsense",
            "",
            "1 validation error detected: Value 'nonsense' at 'profileId' failed to satisfy constraint: Member must \
             satisfy regular expression pattern:",
        ),
        (
            "POST",
            "/trustanchors",
            "{}",
            "2 validation errors detected: Value null at 'name' failed to satisfy constraint: Member must not be null; \
             Value null at 'source' failed",
        ),
        (
            "DELETE",
            "/profiles/01234567-89ab-4cde-8f01-23456789abcd/mappings?certificateField=x",
            "",
            "1 validation error detected: Value 'x' at 'certificateField' failed to satisfy constraint: Member must \
             satisfy enum value set:",
        ),
    ] {
        let parts = head(method, uri);
        let call = identify(&parts, b"", Some("rolesanywhere")).unwrap();
        let error = call.decode(&parts, body.as_bytes()).unwrap_err();
        assert_eq!(error.code, "ValidationException");
        assert!(error.message.starts_with(message), "{}", error.message);
        let answer = call.encode_error(&error, "r-1");
        assert_eq!(answer.headers()["x-amzn-errortype"], "ValidationException");
    }
}
