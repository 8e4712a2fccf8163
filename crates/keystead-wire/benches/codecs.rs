//! What a request costs before anybody has thought about it, on one thread: finding its operation,
//! decoding, checking, and writing the answer.
//!
//! `cargo bench -p keystead-wire --bench codecs`

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark says what it measures, and stops where it cannot"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::Request;
use http::request::Parts;
use keystead_wire::{
    Call, FromValue, IntoValue, Operation, Shape, Value, acm_pca, cbor, identify, json, sts,
};

/// How long each step is repeated.
const EACH: Duration = Duration::from_millis(400);

type Issue = <acm_pca::IssueCertificate as Operation>::Input;

fn main() {
    sts_by_query();
    let csr = BASE64_STANDARD.encode(vec![7; 480]);
    let document = format!(
        r#"{{"CertificateAuthorityArn":"arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/12345678-1234-1234-1234-123456789012","Csr":"{csr}","SigningAlgorithm":"SHA256WITHECDSA","Validity":{{"Value":30,"Type":"DAYS"}},"IdempotencyToken":"1234"}}"#
    );
    let value = json::decode(document.as_bytes(), Issue::schema()).unwrap();
    let json = head(&[
        ("x-amz-target", "ACMPrivateCA.IssueCertificate"),
        ("content-type", "application/x-amz-json-1.1"),
    ]);
    request("IssueCertificate by awsJson", &json, document.as_bytes());
    let binary = head(&[
        ("smithy-protocol", "rpc-v2-cbor"),
        ("content-type", "application/cbor"),
    ]);
    let document = cbor::encode(&value, Issue::schema());
    request("IssueCertificate by rpc-v2-cbor", &binary, &document);
    let call = identify(&json, &document, None).unwrap();
    measure("  IssueCertificate's answer", || {
        let output = acm_pca::IssueCertificateResponse {
            certificate_arn: Some("arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/12345678-1234-1234-1234-123456789012/certificate/0123456789abcdef0123456789abcdef".to_owned()),
        };
        call.encode_response(&output.into_value(), "b25c6b6e-6e3b-4a5d-8f0e-1f2d3c4b5a69")
    });
}

fn sts_by_query() {
    let head = head(&[("content-type", "application/x-www-form-urlencoded")]);
    let body = b"Action=GetCallerIdentity&Version=2011-06-15";
    request("GetCallerIdentity by query", &head, body);
    let call = identify(&head, body, None).unwrap();
    measure("  GetCallerIdentity's answer", || {
        let output = sts::GetCallerIdentityResponse {
            user_id: Some("AIDAQWERTYUIOPASDFGHJ".to_owned()),
            account: Some("123456789012".to_owned()),
            arn: Some("arn:aws:iam::123456789012:user/somebody".to_owned()),
        };
        call.encode_response(&output.into_value(), "b25c6b6e-6e3b-4a5d-8f0e-1f2d3c4b5a69")
    });
}

/// Measures a request whole, then its parts.
fn request(name: &str, parts: &Parts, body: &[u8]) {
    let whole = |parts: &Parts| -> Value {
        let call: Call = identify(parts, body, None).unwrap();
        call.decode(parts, body).unwrap()
    };
    measure(name, || whole(black_box(parts)));
    measure("  of which finding the operation", || {
        identify(black_box(parts), body, None).unwrap()
    });
    let value = whole(parts);
    let call = identify(parts, body, None).unwrap();
    measure("  of which checking constraints", || {
        keystead_wire::validate::validate(black_box(&value), call.operation.input)
    });
    if call.operation.name == acm_pca::IssueCertificate::NAME {
        measure("  then into its type, with a copy", || {
            Issue::from_value(value.clone()).unwrap()
        });
    }
}

fn head(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post("/service/ACMPrivateCA/operation/IssueCertificate");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn measure<T>(name: &str, mut step: impl FnMut() -> T) {
    for _ in 0..1000 {
        black_box(step());
    }
    let (start, mut times) = (Instant::now(), 0_u32);
    while start.elapsed() < EACH {
        for _ in 0..100 {
            black_box(step());
        }
        times += 100;
    }
    let each = start.elapsed() / times;
    println!("{name:<40} {:>8.2} us", each.as_secs_f64() * 1e6);
}
