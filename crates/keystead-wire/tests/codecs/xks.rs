//! The external key store proxy API: its paths below any prefix, its requests, its refusals.

use http::request::Parts;
use http::{Request, StatusCode};
use keystead_wire::kms_xks_proxy as wire;
use keystead_wire::schema::Protocol;
use keystead_wire::value::Blob;
use keystead_wire::{ErrorAnswer, FromValue as _, IntoValue as _, Operation as _, identify, xks};

const BEHIND: &str = r#"{"awsPrincipalArn":"arn:aws:iam::123456789012:user/Alice","kmsKeyArn":"arn:aws:kms:us-east-2:123456789012:key/1","kmsOperation":"Encrypt","kmsRequestId":"r"}"#;

fn head(method: &str, path: &str) -> Parts {
    let request = Request::builder().method(method).uri(path);
    request.body(()).unwrap().into_parts().0
}

fn behind() -> wire::UseRequestMetadata {
    wire::UseRequestMetadata {
        aws_principal_arn: "arn:aws:iam::123456789012:user/Alice".into(),
        aws_source_vpc: None,
        aws_source_vpce: None,
        kms_key_arn: "arn:aws:kms:us-east-2:123456789012:key/1".into(),
        kms_operation: "Encrypt".into(),
        kms_request_id: "r".into(),
        kms_via_service: None,
    }
}

#[test]
fn an_operation_is_found_below_any_prefix() {
    for prefix in ["", "/a", "/example/uri/path/prefix", "/kms/xks/v1"] {
        for (end, name) in [
            ("health", "GetHealthStatus"),
            ("keys/one/metadata", "GetKeyMetadata"),
            ("keys/one/encrypt", "Encrypt"),
            ("keys/a.b_c-d/decrypt", "Decrypt"),
        ] {
            // Whatever the scope of the signature says: a wrong one is a matter of authentication.
            for scope in [
                None,
                Some("kms-xks-proxy"),
                Some("kms"),
                Some("rolesanywhere"),
            ] {
                let path = format!("{prefix}/kms/xks/v1/{end}");
                let call = identify(&head("POST", &path), b"", scope).unwrap();
                assert_eq!(call.operation.name, name, "{path}");
                assert_eq!(call.dialect.protocol, Protocol::XksProxy);
            }
        }
    }
}

#[test]
fn other_paths_and_methods_are_refused_in_its_own_form() {
    for (method, path, scope, status, name) in [
        (
            "GET",
            "/a/kms/xks/v1/health",
            None,
            405,
            "UnsupportedOperationException",
        ),
        (
            "POST",
            "/a/kms/xks/v1",
            Some("kms-xks-proxy"),
            404,
            "InvalidUriPathException",
        ),
        (
            "POST",
            "/a/kms/xks/v2/health",
            None,
            404,
            "InvalidUriPathException",
        ),
        (
            "POST",
            "/a/kms/xks/v1/keys//encrypt",
            None,
            404,
            "InvalidUriPathException",
        ),
        (
            "POST",
            "/a/kms/xks/v1/keys/a/b/encrypt",
            None,
            404,
            "InvalidUriPathException",
        ),
        (
            "POST",
            "/nothing",
            Some("kms-xks-proxy"),
            404,
            "InvalidUriPathException",
        ),
    ] {
        let refusal = identify(&head(method, path), b"", scope).unwrap_err();
        let answer = refusal.response("r-1");
        assert_eq!(answer.status().as_u16(), status, "{method} {path}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let (named, message) = xks::refusal(answer.body()).unwrap();
        assert_eq!(named, name, "{method} {path}");
        assert!(!message.is_empty());
    }
}

#[test]
fn members_of_a_request_come_from_path_and_document() {
    let parts = head("POST", "/example/prefix/kms/xks/v1/keys/on%65/encrypt");
    let call = identify(&parts, b"", None).unwrap();
    let body = format!(
        r#"{{"requestMetadata":{BEHIND},"plaintext":"SGVsbG8gV29ybGQh","encryptionAlgorithm":"AES_GCM","new":1}}"#
    );
    let value = call.decode(&parts, body.as_bytes()).unwrap();
    let request = wire::EncryptRequest::from_value(value).unwrap();
    assert_eq!(request.uri_path_prefix, "example/prefix");
    assert_eq!(request.external_key_id, "one");
    assert_eq!(request.plaintext.expose(), b"Hello World!");
    assert_eq!(request.request_metadata, behind());
}

/// The example of the specification, "Encrypt".
#[test]
fn a_callers_request_has_its_labels_in_the_path_alone() {
    let request = wire::EncryptRequest {
        uri_path_prefix: String::new(),
        external_key_id: "one".into(),
        request_metadata: behind(),
        additional_authenticated_data: Some(Blob::new(*b"project=nile,department=marketing")),
        plaintext: b"Hello World!".to_vec().into(),
        encryption_algorithm: wire::EncryptionAlgorithm::AesGcm,
        ciphertext_data_integrity_value_algorithm: Some(wire::DataIntegrityAlgorithm::Sha256),
    };
    let base = "/a/kms/xks/v1";
    let (path, body) = xks::request(wire::Encrypt::DEF, base, &request.into_value());
    assert_eq!(path, "/a/kms/xks/v1/keys/one/encrypt");
    let expected = format!(
        r#"{{"requestMetadata":{BEHIND},"additionalAuthenticatedData":"cHJvamVjdD1uaWxlLGRlcGFydG1lbnQ9bWFya2V0aW5n","plaintext":"SGVsbG8gV29ybGQh","encryptionAlgorithm":"AES_GCM","ciphertextDataIntegrityValueAlgorithm":"SHA_256"}}"#
    );
    assert_eq!(String::from_utf8(body).unwrap(), expected);
    let health = wire::GetHealthStatusRequest {
        uri_path_prefix: String::new(),
        request_metadata: wire::HealthRequestMetadata {
            kms_operation: "KmsHealthCheck".into(),
            kms_request_id: "r".into(),
        },
    };
    let (path, _) = xks::request(wire::GetHealthStatus::DEF, base, &health.into_value());
    assert_eq!(path, "/a/kms/xks/v1/health");
}

#[test]
fn refusals_have_the_specifications_names_and_statuses() {
    let call = identify(&head("POST", "/kms/xks/v1/keys/one/encrypt"), b"", None).unwrap();
    for (error, name, status) in [
        (ErrorAnswer::serialization("x"), "ValidationException", 400),
        (ErrorAnswer::validation("x"), "ValidationException", 400),
        (ErrorAnswer::internal("x"), "InternalException", 500),
        (
            ErrorAnswer::new("ThrottlingException", 400, "x"),
            "ThrottlingException",
            429,
        ),
        (
            ErrorAnswer::new("ServiceUnavailable", 503, "x"),
            "DependencyTimeoutException",
            503,
        ),
        (
            ErrorAnswer::new("RequestEntityTooLargeException", 413, "x"),
            "UnsupportedOperationException",
            501,
        ),
        (
            ErrorAnswer::new("KeyNotFoundException", 404, "x"),
            "KeyNotFoundException",
            404,
        ),
    ] {
        let answer = call.encode_error(&error, "r-1");
        let expected = StatusCode::from_u16(status).unwrap();
        assert_eq!(answer.status(), expected, "{name}");
        assert_eq!(
            xks::refusal(answer.body()).unwrap(),
            (name.into(), "x".into())
        );
    }
}

#[test]
fn a_message_is_short_and_printable() {
    let call = identify(&head("POST", "/kms/xks/v1/health"), b"", None).unwrap();
    let message = format!("über\n{}", "a".repeat(1000));
    let answer = call.encode_error(&ErrorAnswer::validation(message), "r-1");
    let (_, message) = xks::refusal(answer.body()).unwrap();
    assert_eq!(message.len(), 511);
    assert!(message.starts_with("?ber?aaa"), "{message}");
}

#[test]
fn what_is_no_refusal_is_told_apart() {
    for body in ["", "{}", "[]", "<html>", r#"{"errorName":1}"#] {
        assert_eq!(xks::refusal(body.as_bytes()), None, "{body}");
    }
    let named = xks::refusal(br#"{"errorName":"\u0041"}"#);
    assert_eq!(named, Some(("A".into(), String::new())));
    let null = xks::refusal(br#"{"errorName":"A","errorMessage":null}"#);
    assert_eq!(null, Some(("A".into(), String::new())));
}
