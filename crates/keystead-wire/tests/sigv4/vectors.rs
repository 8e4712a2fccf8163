//! AWS's published vectors: we verify what they signed, and sign as they did.

use keystead_wire::sigv4::{Rules, Signer};
use serde_json::Value;

use super::{Request, SECRET, at, credentials};

struct Case {
    name: String,
    request: Request,
    added: Vec<String>,
    authorization: String,
    query_target: Option<String>,
    token: Option<String>,
    rules: Rules,
    declare_payload: bool,
    region: String,
    service: String,
    time: jiff::Timestamp,
}

fn cases() -> Vec<Case> {
    let document: Value = serde_json::from_str(include_str!("vectors.json")).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let lines = |value: &Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(text)
            .collect::<Vec<_>>()
    };
    assert_eq!(document["credentials"]["secret_access_key"], SECRET);
    assert_eq!(document["credentials"]["access_key_id"], "AKIDEXAMPLE");
    let case = |case: &Value| {
        let common = |name: &str| text(case.get(name).unwrap_or(&document[name]));
        let headers = lines(&case["headers"]);
        let headers: Vec<&str> = headers.iter().map(String::as_str).collect();
        Case {
            name: text(&case["name"]),
            request: Request::new(
                &text(&case["method"]),
                &text(&case["target"]),
                &headers,
                case["body"].as_str().unwrap_or_default().as_bytes(),
            ),
            added: lines(&case["signed_headers_added"]),
            authorization: text(&case["authorization"]),
            query_target: case["query_target"].as_str().map(str::to_owned),
            token: case["token"].as_str().map(str::to_owned),
            rules: Rules {
                normalize_path: case["normalize"].as_bool().unwrap(),
                token_signed: !case["omit_token"].as_bool().unwrap_or(false),
                ..Rules::STANDARD
            },
            declare_payload: case["sign_body"].as_bool().unwrap(),
            region: common("region"),
            service: common("service"),
            time: jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", common("timestamp"))
                .unwrap()
                .to_zoned(jiff::tz::TimeZone::UTC)
                .unwrap()
                .timestamp(),
        }
    };
    document["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(case)
        .collect()
}

impl Case {
    fn signed(&self) -> Request {
        let added: Vec<&str> = self.added.iter().map(String::as_str).collect();
        let mut request = self.request.clone();
        request
            .headers
            .extend(Request::new("", "", &added, b"").headers);
        request.set("authorization", &self.authorization);
        request
    }
}

#[test]
fn the_suite_is_complete() {
    let cases = cases();
    assert_eq!(cases.len(), 42);
    assert_eq!(
        cases
            .iter()
            .filter(|case| case.query_target.is_some())
            .count(),
        38
    );
}

#[test]
fn every_published_header_signature_verifies() {
    for case in cases() {
        let signed = case.signed();
        let verified = signed.verify(case.time, &case.service, case.rules, SECRET);
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(
            verified.session_token(),
            case.token.as_deref(),
            "{}",
            case.name
        );
        assert_eq!(verified.access_key_id(), "AKIDEXAMPLE");
        assert_eq!(verified.region(), case.region);
    }
}

#[test]
fn every_published_query_signature_verifies() {
    for case in cases() {
        let Some(target) = &case.query_target else {
            continue;
        };
        let (_, query) = target.split_once('?').unwrap();
        let request = Request {
            query: query.to_owned(),
            ..case.request.clone()
        };
        let verified = request.verify(case.time, &case.service, case.rules, SECRET);
        let verified = verified.unwrap_or_else(|error| panic!("{}: {error}", case.name));
        assert_eq!(
            verified.session_token(),
            case.token.as_deref(),
            "{}",
            case.name
        );
        assert!(verified.presigned());
    }
}

#[test]
fn we_sign_as_the_vectors_do() {
    for case in cases() {
        let credentials = credentials(case.token.as_deref());
        let signer = Signer {
            rules: case.rules,
            declare_payload: case.declare_payload,
            ..Signer::new(
                &credentials,
                &case.region,
                &case.service,
                at("2015-08-30T12:36:00Z"),
            )
        };
        let signer = Signer {
            time: case.time,
            ..signer
        };
        let signed = case.request.clone().signed(&signer);
        assert_eq!(
            signed.header("authorization"),
            case.authorization,
            "{}",
            case.name
        );
        assert_eq!(signed.headers, case.signed().headers, "{}", case.name);
        let Some(target) = &case.query_target else {
            continue;
        };
        let (_, expected) = target.split_once("&X-Amz-Signature=").unwrap();
        let presigned = case.request.clone().presigned(&signer, 3600);
        let (_, signature) = presigned.query.split_once("&X-Amz-Signature=").unwrap();
        assert_eq!(signature, expected, "{}", case.name);
    }
}
