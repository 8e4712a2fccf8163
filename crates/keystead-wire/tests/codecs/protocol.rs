//! Which operation a request names, and what is answered when it names none.

use http::request::Parts;
use http::{Request, Response};
use keystead_wire::protocol::json_headers;
use keystead_wire::schema::Protocol;
use keystead_wire::{
    Call, ErrorAnswer, FromValue, IntoValue, Refusal, acm_pca, identify, services, sts,
};

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/x-amz-json-1.1";

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn json(target: &str) -> Parts {
    head(
        "POST",
        "/",
        &[("X-Amz-Target", target), ("Content-Type", JSON)],
    )
}

fn cbor(path: &str) -> Parts {
    let headers = [
        ("smithy-protocol", "rpc-v2-cbor"),
        ("content-type", "application/cbor"),
    ];
    head("POST", path, &headers)
}

fn form() -> Parts {
    head(
        "POST",
        "/",
        &[(
            "Content-Type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )],
    )
}

fn named(call: &Call) -> (Protocol, &'static str, &'static str) {
    let operation = call.operation;
    (
        call.dialect.protocol,
        operation.service.service_id,
        operation.name,
    )
}

fn refused(parts: &Parts, body: &[u8]) -> (u16, String, String) {
    let refusal: Refusal = identify(parts, body, None).unwrap_err();
    shown(refusal.response("r-1"))
}

fn shown(response: Response<bytes::Bytes>) -> (u16, String, String) {
    let content_type = response
        .headers()
        .get("content-type")
        .map_or("", |v| v.to_str().unwrap());
    let body = String::from_utf8_lossy(response.body()).into_owned();
    assert_eq!(response.headers()["x-amzn-requestid"], "r-1");
    (response.status().as_u16(), content_type.to_owned(), body)
}

#[test]
fn served_operations_are_found_in_every_protocol() {
    let call = identify(&json("ACMPrivateCA.IssueCertificate"), b"{}", None).unwrap();
    assert_eq!(
        named(&call),
        (Protocol::AwsJson11, "ACM PCA", "IssueCertificate")
    );
    let call = identify(&json("CertificateManager.ListCertificates"), b"{}", None).unwrap();
    assert_eq!(
        named(&call),
        (Protocol::AwsJson11, "ACM", "ListCertificates")
    );
    let call = identify(&json("Keystead_20261101.RegisterNode"), b"{}", None).unwrap();
    assert_eq!(
        named(&call),
        (Protocol::AwsJson11, "Keystead", "RegisterNode")
    );
    let older = head(
        "POST",
        "/",
        &[
            ("X-Amz-Target", "CertificateManager.ListCertificates"),
            ("Content-Type", "application/x-amz-json-1.0"),
        ],
    );
    let call = identify(&older, b"{}", None).unwrap();
    assert_eq!(named(&call).0, Protocol::AwsJson10);
    for path in [
        "/service/ACMPrivateCA/operation/GetCertificate",
        "/v1/x/service/ACMPrivateCA/operation/GetCertificate",
        "/service/com.amazonaws.acmpca.ACMPrivateCA/operation/GetCertificate",
    ] {
        let call = identify(&cbor(path), b"", None).unwrap();
        assert_eq!(
            named(&call),
            (Protocol::RpcV2Cbor, "ACM PCA", "GetCertificate")
        );
    }
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let call = identify(&form(), body, None).unwrap();
    assert_eq!(named(&call), (Protocol::Query, "STS", "GetCallerIdentity"));
    let call = identify(&form(), body, Some("sts")).unwrap();
    assert_eq!(named(&call), (Protocol::Query, "STS", "GetCallerIdentity"));
    let presigned = head(
        "GET",
        "/?Action=GetCallerIdentity&Version=2011-06-15&X-Amz-Date=x",
        &[],
    );
    let call = identify(&presigned, b"", None).unwrap();
    assert_eq!(named(&call), (Protocol::Query, "STS", "GetCallerIdentity"));
    assert!(call.decode(&presigned, b"").is_ok());
}

#[test]
fn unknown_and_unserved_operations_in_json() {
    for (target, needle) in [
        ("ACMPrivateCA.Frobnicate", "has no operation Frobnicate"),
        ("ACMPrivateCA.", "has no operation"),
        ("ACMPrivateCA", "has no operation"),
        ("Nonsense.Frobnicate", "the service Nonsense is not known"),
        ("acmprivateca.IssueCertificate", "not known"),
        ("CertificateManager.CreateAcmeEndpoint", "docs/coverage.md"),
    ] {
        let (status, content_type, body) = refused(&json(target), b"{}");
        assert_eq!((status, &*content_type), (400, JSON), "{target}");
        assert!(
            body.starts_with(r#"{"__type":"UnknownOperationException","message":""#),
            "{body}"
        );
        assert!(body.contains(needle), "{target}: {body}");
    }
}

#[test]
fn json_wants_post_and_its_content_type() {
    let target = ("X-Amz-Target", "CertificateManager.ListCertificates");
    for parts in [
        head("GET", "/", &[target, ("Content-Type", JSON)]),
        head("POST", "/", &[target]),
        head("POST", "/", &[target, ("Content-Type", "text/html")]),
    ] {
        let (status, _, body) = refused(&parts, b"{}");
        assert_eq!(status, 400);
        assert!(
            body.contains("UnknownOperationException") && body.contains(JSON),
            "{body}"
        );
    }
}

#[test]
fn cbor_refusals() {
    let with_target = head(
        "POST",
        "/service/ACMPrivateCA/operation/GetCertificate",
        &[
            ("smithy-protocol", "rpc-v2-cbor"),
            ("x-amz-target", "ACMPrivateCA.GetCertificate"),
        ],
    );
    let other_type = head(
        "POST",
        "/service/ACMPrivateCA/operation/GetCertificate",
        &[
            ("smithy-protocol", "rpc-v2-cbor"),
            ("content-type", "application/json"),
        ],
    );
    let other_protocol = head(
        "POST",
        "/service/A/operation/B",
        &[("smithy-protocol", "rpc-v2-json")],
    );
    let get = head(
        "GET",
        "/service/A/operation/B",
        &[("smithy-protocol", "rpc-v2-cbor")],
    );
    let unknown = "UnknownOperationException";
    for (parts, status, code) in [
        (with_target, 400, "SerializationException"),
        (other_type, 400, "SerializationException"),
        (other_protocol, 404, unknown),
        (get, 404, unknown),
        (cbor("/"), 404, unknown),
        (
            cbor("/service/ACMPrivateCA/operation/Frobnicate"),
            404,
            unknown,
        ),
        (
            cbor("/service/ACMPrivateCA/operation/com.amazonaws.acmpca.GetCertificate"),
            404,
            unknown,
        ),
        (
            cbor("/service/CertificateManager/operation/ListCertificates"),
            404,
            unknown,
        ),
        (cbor("/service/ACMPrivateCA/GetCertificate"), 404, unknown),
    ] {
        let refusal = identify(&parts, b"", None).unwrap_err();
        assert_eq!(
            (refusal.error.status, refusal.error.code),
            (status, code),
            "{}",
            parts.uri
        );
        let response = refusal.response("r-1");
        assert_eq!(response.status().as_u16(), status);
        assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
        assert_eq!(response.headers()["content-type"], "application/cbor");
        let named = [b"#", code.as_bytes()].concat();
        assert!(
            response
                .body()
                .windows(named.len())
                .any(|part| part == named)
        );
    }
}

#[test]
fn query_refusals() {
    for (body, code, message) in [
        ("", "MissingAction", "Missing Action"),
        (
            "Action=&Version=2011-06-15",
            "MissingAction",
            "Missing Action",
        ),
        (
            "Action=Frobnicate&Version=2011-06-15",
            "InvalidAction",
            "Could not find operation Frobnicate for version 2011-06-15",
        ),
        (
            "Action=GetCallerIdentity",
            "InvalidAction",
            "Could not find operation GetCallerIdentity for version NO_VERSION_SPECIFIED",
        ),
        (
            "Action=GetCallerIdentity&Version=2000-01-01",
            "InvalidAction",
            "Could not find operation GetCallerIdentity for version 2000-01-01",
        ),
        (
            "Action=AssumeRoleWithSAML&Version=2011-06-15",
            "InvalidAction",
            "docs/coverage.md",
        ),
        ("Action=%ff", "MalformedInput", "UTF-8"),
    ] {
        let (status, content_type, answer) = refused(&form(), body.as_bytes());
        assert_eq!((status, &*content_type), (400, "text/xml"), "{body}");
        assert!(answer.contains(&format!("<Code>{code}</Code>")), "{answer}");
        assert!(answer.contains(message), "{answer}");
    }
    // A body that is no form is not read as one.
    let plain = head("POST", "/", &[("Content-Type", "text/plain")]);
    let (_, _, answer) = refused(&plain, b"Action=GetCallerIdentity&Version=2011-06-15");
    assert!(answer.contains("MissingAction"));
    // The scope of the credential decides before the version does.
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    assert_eq!(
        identify(&form(), body, Some("iam")).unwrap_err().error.code,
        "InvalidAction"
    );
}

#[test]
fn a_round_by_json() {
    let parts = json("ACMPrivateCA.GetCertificateAuthorityCsr");
    let arn = "arn:aws:acm-pca:eu-west-1:000000000000:certificate-authority/a";
    let body = format!(r#"{{"CertificateAuthorityArn":"{arn}"}}"#);
    let call = identify(&parts, body.as_bytes(), None).unwrap();
    let input = call.decode(&parts, body.as_bytes()).unwrap();
    let input = acm_pca::GetCertificateAuthorityCsrRequest::from_value(input).unwrap();
    assert_eq!(input.certificate_authority_arn, arn);
    let output = acm_pca::GetCertificateAuthorityCsrResponse {
        csr: Some("pem\n".to_owned()),
    };
    let answer = shown(call.encode_response(&output.into_value(), "r-1"));
    assert_eq!(
        answer,
        (200, JSON.to_owned(), r#"{"Csr":"pem\n"}"#.to_owned())
    );

    let error = call.decode(&parts, b"{}").unwrap_err();
    let (status, _, body) = shown(call.encode_error(&error, "r-1"));
    assert_eq!(status, 400);
    assert!(
        body.starts_with(r#"{"__type":"ValidationException","message":"1 validation error"#),
        "{body}"
    );
    let (_, _, body) = shown(call.encode_error(&call.decode(&parts, b"[]").unwrap_err(), "r-1"));
    assert_eq!(
        body,
        r#"{"__type":"SerializationException","Message":"Start of list found where not expected"}"#
    );
}

#[test]
fn a_round_by_query() {
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    let call = identify(&form(), body, None).unwrap();
    let input = call.decode(&form(), body).unwrap();
    assert_eq!(
        sts::GetCallerIdentityRequest::from_value(input),
        Ok(sts::GetCallerIdentityRequest)
    );
    let output = sts::GetCallerIdentityResponse {
        user_id: Some("AIDA".to_owned()),
        account: Some("000000000000".to_owned()),
        arn: Some("arn:aws:iam::000000000000:root".to_owned()),
    };
    let (status, content_type, body) = shown(call.encode_response(&output.into_value(), "r-1"));
    assert_eq!((status, &*content_type), (200, "text/xml"));
    assert_eq!(
        body,
        "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
         <GetCallerIdentityResult><UserId>AIDA</UserId><Account>000000000000</Account>\
         <Arn>arn:aws:iam::000000000000:root</Arn></GetCallerIdentityResult>\
         <ResponseMetadata><RequestId>r-1</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
    );
    // A declared error shows the code that the model gives it.
    let error = ErrorAnswer::new("MalformedPolicyDocumentException", 400, "no");
    let (_, _, body) = shown(call.encode_error(&error, "r-1"));
    assert!(
        body.contains("<Code>MalformedPolicyDocument</Code>"),
        "{body}"
    );
}

#[test]
fn answers_without_a_declared_output_are_empty() {
    let empty = acm_pca::DeletePermissionResponse.into_value();
    let call = identify(&json("ACMPrivateCA.DeletePermission"), b"", None).unwrap();
    assert_eq!(
        shown(call.encode_response(&empty, "r-1")),
        (200, JSON.to_owned(), String::new())
    );
    let call = identify(
        &cbor("/service/ACMPrivateCA/operation/DeletePermission"),
        b"",
        None,
    )
    .unwrap();
    let response = call.encode_response(&empty, "r-1");
    assert!(response.body().is_empty() && !response.headers().contains_key("content-type"));
    assert_eq!(response.headers()["smithy-protocol"], "rpc-v2-cbor");
    // A declared output without members is an empty map.
    let call = identify(&json("Keystead_20261101.DeregisterNode"), b"", None).unwrap();
    let empty = keystead_wire::keystead::DeregisterNodeResponse.into_value();
    assert_eq!(shown(call.encode_response(&empty, "r-1")).2, "{}");
}

#[test]
fn errors_use_the_member_that_the_model_names() {
    let call = identify(&json("CertificateManager.DeleteCertificate"), b"", None).unwrap();
    let body = |code| shown(call.encode_error(&ErrorAnswer::new(code, 400, "m"), "r-1")).2;
    assert_eq!(
        body("ResourceInUseException"),
        r#"{"__type":"ResourceInUseException","message":"m"}"#
    );
    assert_eq!(
        body("AccessDeniedException"),
        r#"{"__type":"AccessDeniedException","Message":"m"}"#
    );
    let strange = ErrorAnswer::new("InternalFailure", 99, "m");
    let response = call.encode_error(&strange, "not a header\n");
    assert_eq!(response.status().as_u16(), 500, "a status that HTTP lacks");
    assert!(!response.headers().contains_key("x-amzn-requestid"));
}

#[test]
fn forms_are_read_only_from_forms() {
    let parts = head("POST", "/?Version=2011-06-15", &[("content-type", FORM)]);
    let call = identify(&parts, b"Action=GetCallerIdentity", None).unwrap();
    assert_eq!(named(&call).2, "GetCallerIdentity");
}

#[test]
fn a_client_names_what_the_server_finds() {
    for service in services() {
        for operation in service.operations {
            let mut parts = head("POST", "/", &[]);
            parts.headers = json_headers(service, operation.name);
            match identify(&parts, b"{}", None) {
                Ok(call) => assert!(std::ptr::eq(call.operation, *operation)),
                Err(_) => assert!(parts.headers.is_empty()),
            }
        }
    }
}

/// Operations and services name each other.
#[test]
fn what_is_printed_of_an_operation_has_an_end() {
    let call = identify(&json("CertificateManager.ListCertificates"), b"{}", None).unwrap();
    assert_eq!(format!("{:?}", call.operation), "acm:ListCertificates");
    assert!(format!("{:?}", call.operation.service).contains("acm:ListCertificates"));
}
