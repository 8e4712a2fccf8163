//! Every way a request can fail to be authentic, with AWS's code, status and words.

use keystead_wire::sigv4::{AuthError, Claim, ErrorStyle, RequestView, Rules, Signer, SigningKey};

use super::{NOW, Request, SECRET, at, credentials};

fn request() -> Request {
    Request::new(
        "POST",
        "/",
        &[
            "host:127.0.0.1:4700",
            "x-amz-target:Service.Operation",
            "content-type:application/x-amz-json-1.1",
        ],
        b"{}",
    )
}

fn signed() -> Request {
    let credentials = credentials(None);
    request().signed(&Signer::new(&credentials, "us-east-1", "acm", at(NOW)))
}

fn presigned(service: &str, expires: i64) -> Request {
    let credentials = credentials(Some("token"));
    let bare = Request::new(
        "GET",
        "/?Action=GetCallerIdentity",
        &["host:localhost"],
        b"",
    );
    bare.presigned(
        &Signer::new(&credentials, "eu-west-1", service, at(NOW)),
        expires,
    )
}

fn refusal(request: &Request) -> AuthError {
    request
        .verify(at(NOW), "acm", Rules::STANDARD, SECRET)
        .unwrap_err()
}

#[track_caller]
fn json(error: &AuthError, code: &str, message: &str) {
    let answer = error.answer(ErrorStyle::Json);
    assert_eq!(
        (answer.code, answer.status, answer.message.as_str()),
        (code, 400, message)
    );
}

#[test]
fn what_is_well_signed_is_accepted() {
    let good = signed();
    let verified = good
        .verify(at(NOW), "acm", Rules::STANDARD, SECRET)
        .unwrap();
    assert_eq!(
        verified.signed_headers().collect::<Vec<_>>(),
        ["content-type", "host", "x-amz-date", "x-amz-target"]
    );
    assert_eq!((verified.date(), verified.service()), ("20150830", "acm"));
    assert!(!verified.presigned());
    assert_eq!(
        Claim::read(&signed().view()).unwrap().service(),
        Some("acm")
    );
    assert_eq!(
        Claim::read(&request().view()).err(),
        Some(AuthError::Missing)
    );
    let shown = format!("{verified:?}");
    assert!(
        !shown.contains(&signed().header("authorization")[150..]),
        "{shown}"
    );
}

#[test]
fn nothing_signed() {
    json(
        &refusal(&request()),
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    );
}

#[test]
fn parts_missing_or_malformed() {
    let cases = [
        (
            "AWS4-HMAC-SHA256",
            "Authorization header requires 'Credential' parameter. Authorization header requires \
             'Signature' parameter. Authorization header requires 'SignedHeaders' parameter.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b",
            "Authorization header requires 'Signature' parameter.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a, SignedHeaders",
            "Invalid key=value pair (missing equal-sign) in Authorization header.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=a, Credential=b",
            "'Credential' is given more than once: give it once.",
        ),
        (
            "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1, SignedHeaders=host;x-amz-target, Signature=0",
            "Credential must have exactly 5 slash-delimited elements, e.g. \
             keyid/date/region/service/term, got 'AKID/20150830/us-east-1'",
        ),
        (
            "AWS4-ECDSA-P256-SHA256 Credential=a, SignedHeaders=host;x-amz-target, Signature=0",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' (only AWS4-HMAC-SHA256 for now). ",
        ),
    ];
    for (header, message) in cases {
        let mut request = signed();
        request.set("authorization", header);
        json(&refusal(&request), "IncompleteSignatureException", message);
    }
}

#[test]
fn dates_missing_or_malformed() {
    let mut request = signed();
    request.headers.remove("x-amz-date");
    json(
        &refusal(&request),
        "IncompleteSignatureException",
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    );
    request.set("x-amz-date", "2015-08-30");
    json(
        &refusal(&request),
        "IncompleteSignatureException",
        "Date must be in ISO-8601 'basic format'. Got '2015-08-30'. See \
         http://en.wikipedia.org/wiki/ISO_8601",
    );
    request.set("x-amz-date", "20150830T123600Z");
    request
        .headers
        .append("x-amz-date", "20150830T123600Z".parse().unwrap());
    json(
        &refusal(&request),
        "IncompleteSignatureException",
        "'x-amz-date' is given more than once: give it once.",
    );
}

#[test]
fn the_date_header_will_do() {
    let mut request = signed();
    request.headers.remove("x-amz-date");
    request.set("date", "Sun, 30 Aug 2015 12:36:00 GMT");
    // Well-formed, so only the signature is wrong, which covered another header.
    assert_eq!(refusal(&request), AuthError::Mismatch);
}

#[test]
fn scopes_of_elsewhere() {
    let mut request = signed();
    let header = request.header("authorization");
    let elsewhere = header.replace(
        "20150830/us-east-1/acm/aws4_request",
        "20150831/US/kms/aws5_request",
    );
    request.set("authorization", &elsewhere);
    json(
        &refusal(&request),
        "InvalidSignatureException",
        "Credential should be scoped to a valid region, not 'US'. Credential should be scoped to \
         correct service: 'acm'. Credential should be scoped with a valid terminator: \
         'aws4_request', not 'aws5_request'. Date in Credential scope does not match YYYYMMDD from \
         ISO-8601 version of date from HTTP: '20150831' != '20150830', from '20150830T123600Z'.",
    );
}

#[test]
fn headers_that_must_be_signed() {
    for (header, message) in [
        (
            "host;",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            ";x-amz-target",
            "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
        ),
    ] {
        let mut request = signed();
        let without = request.header("authorization").replace(header, "");
        request.set("authorization", &without);
        json(&refusal(&request), "InvalidSignatureException", message);
    }
}

#[test]
fn too_old_and_too_new() {
    let verify = |now: &str| {
        signed()
            .verify(at(now), "acm", Rules::STANDARD, SECRET)
            .map(drop)
    };
    assert!(verify("2015-08-30T12:41:00Z").is_ok());
    assert!(verify("2015-08-30T12:31:00Z").is_ok());
    json(
        &verify("2015-08-30T12:41:01Z").unwrap_err(),
        "InvalidSignatureException",
        "Signature expired: 20150830T123600Z is now earlier than 20150830T123601Z \
         (20150830T124101Z - 5 min.)",
    );
    let early = verify("2015-08-30T12:30:59Z").unwrap_err();
    json(
        &early,
        "InvalidSignatureException",
        "Signature not yet current: 20150830T123600Z is still later than 20150830T123559Z \
         (20150830T123059Z + 5 min.)",
    );
    let answer = early.answer(ErrorStyle::Query);
    assert_eq!((answer.code, answer.status), ("SignatureDoesNotMatch", 403));
}

#[test]
fn wrong_secret_wrong_signature_wrong_body() {
    let mismatch = "The request signature we calculated does not match the signature you provided. \
                    Check your AWS Secret Access Key and signing method. Consult the service \
                    documentation for details.";
    let wrong_secret = signed()
        .verify(at(NOW), "acm", Rules::STANDARD, "other")
        .unwrap_err();
    json(&wrong_secret, "InvalidSignatureException", mismatch);

    let good = signed();
    let header = good.header("authorization");
    let (head, signature) = header.split_once("Signature=").unwrap();
    for wrong in [
        "",
        "0",
        "zz",
        &signature.to_uppercase(),
        &signature[1..],
        &format!("{signature}0"),
    ] {
        let mut request = good.clone();
        request.set("authorization", &format!("{head}Signature={wrong}"));
        let error = refusal(&request);
        json(&error, "InvalidSignatureException", mismatch);
    }

    let mut request = signed();
    request.body = b"{ }".to_vec();
    assert_eq!(refusal(&request), AuthError::Mismatch);
}

#[test]
fn a_declared_payload_hash_must_be_the_bodys() {
    let credentials = credentials(None);
    let signer = Signer {
        declare_payload: true,
        ..Signer::new(&credentials, "us-east-1", "acm", at(NOW))
    };
    let good = request().signed(&signer);
    assert!(good.verify(at(NOW), "acm", Rules::STANDARD, SECRET).is_ok());
    let swapped = Request {
        body: b"[]".to_vec(),
        ..good
    };
    assert_eq!(refusal(&swapped), AuthError::Mismatch);
}

/// The payload forms that only S3 takes: a mismatch there means that the form was accepted, because
/// our signer covered another last line.
#[test]
fn unsigned_and_streaming_payloads() {
    let with = |form: &str| {
        let mut request = signed();
        request.set("x-amz-content-sha256", form);
        request
    };
    let unsigned = with("UNSIGNED-PAYLOAD");
    json(
        &refusal(&unsigned),
        "InvalidSignatureException",
        "The body must be signed: send its SHA-256 in 'X-Amz-Content-Sha256', not 'UNSIGNED-PAYLOAD'.",
    );
    let s3 = Rules {
        unsigned_payload: true,
        ..Rules::STANDARD
    };
    assert_eq!(
        unsigned.verify(at(NOW), "acm", s3, SECRET).unwrap_err(),
        AuthError::Mismatch
    );
    json(
        &refusal(&with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD")),
        "InvalidSignatureException",
        "Streaming payloads ('STREAMING-AWS4-HMAC-SHA256-PAYLOAD') are not served here: sign the \
         whole body.",
    );
}

#[test]
fn presigned_requests() {
    let verify = |request: &Request, now: &str| {
        let verified = request.verify(at(now), "sts", Rules::STANDARD, SECRET);
        verified.map(|verified| verified.session_token().map(str::to_owned))
    };
    let good = presigned("sts", 900);
    let token = verify(&good, "2015-08-30T12:51:00Z").unwrap();
    assert_eq!(token.as_deref(), Some("token"));
    assert_eq!(Claim::read(&good.view()).unwrap().service(), Some("sts"));
    let expired = verify(&good, "2015-08-30T12:51:01Z").unwrap_err();
    assert!(
        expired
            .to_string()
            .starts_with("Signature expired: 20150830T123600Z is now earlier")
    );

    let both = Request {
        headers: signed().headers,
        ..good.clone()
    };
    json(
        &verify(&both, NOW).unwrap_err(),
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    );

    let mut bare = Request {
        query: "X-Amz-Algorithm=x".into(),
        ..good.clone()
    };
    json(
        &verify(&bare, NOW).unwrap_err(),
        "IncompleteSignatureException",
        "AWS query-string parameters must include 'X-Amz-Credential'. AWS query-string parameters \
         must include 'X-Amz-Signature'. AWS query-string parameters must include \
         'X-Amz-SignedHeaders'. AWS query-string parameters must include 'X-Amz-Date'. Re-examine \
         the query-string parameters.",
    );
    bare.query = good
        .query
        .replace("X-Amz-Expires=900", "X-Amz-Expires=604801");
    json(
        &verify(&bare, NOW).unwrap_err(),
        "IncompleteSignatureException",
        "X-Amz-Expires must be a number of seconds from 0 to 604800, got '604801'.",
    );
    bare.query = good.query.replace("=900", "=90");
    assert_eq!(verify(&bare, NOW).unwrap_err(), AuthError::Mismatch);
    bare.query = format!("{}&X-Amz-Date=20150830T123600Z", good.query);
    assert!(matches!(verify(&bare, NOW), Err(AuthError::Incomplete(_))));
}

#[test]
fn a_presigned_s3_request_does_not_cover_its_body() {
    let mut request = presigned("s3", 60);
    request.body = b"anything".to_vec();
    assert!(request.verify(at(NOW), "s3", Rules::S3, SECRET).is_ok());
    let elsewhere = presigned("sts", 60);
    let elsewhere = Request {
        body: b"anything".to_vec(),
        ..elsewhere
    };
    assert!(
        elsewhere
            .verify(at(NOW), "sts", Rules::STANDARD, SECRET)
            .is_err()
    );
}

#[test]
fn http2_has_an_authority_for_a_host() {
    let credentials = credentials(None);
    let mut request = Request::new("POST", "/", &[], b"");
    request.authority = Some("localhost:4700".into());
    let mut request = request.signed(&Signer::new(&credentials, "us-east-1", "acm", at(NOW)));
    assert!(
        request
            .verify(at(NOW), "acm", Rules::STANDARD, SECRET)
            .is_ok()
    );
    request.authority = Some("localhost:4701".into());
    assert_eq!(refusal(&request), AuthError::Mismatch);
}

#[test]
fn query_services_have_their_own_codes() {
    let cases = [
        (AuthError::Missing, "MissingAuthenticationToken", 403),
        (
            AuthError::Incomplete("x".into()),
            "IncompleteSignature",
            400,
        ),
        (AuthError::Invalid("x".into()), "SignatureDoesNotMatch", 403),
        (AuthError::Mismatch, "SignatureDoesNotMatch", 403),
        (AuthError::UnknownKey, "InvalidClientTokenId", 403),
        (AuthError::ExpiredToken, "ExpiredToken", 403),
    ];
    for (error, code, status) in cases {
        let answer = error.answer(ErrorStyle::Query);
        assert_eq!((answer.code, answer.status), (code, status));
    }
    json(
        &AuthError::UnknownKey,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    );
    json(
        &AuthError::ExpiredToken,
        "ExpiredTokenException",
        "The security token included in the request is expired",
    );
}

#[test]
fn long_nonsense_is_quoted_in_part() {
    let mut request = signed();
    request.set("x-amz-date", &"9".repeat(5000));
    assert!(refusal(&request).to_string().len() < 300);
}

#[test]
fn secrets_do_not_print() {
    let credentials = credentials(Some("session-secret"));
    let shown = format!(
        "{credentials:?} {:?}",
        SigningKey::derive(SECRET, "20150830", "r", "s")
    );
    assert!(
        !shown.contains(SECRET) && !shown.contains("session-secret"),
        "{shown}"
    );
}

#[test]
fn a_view_borrows_what_was_on_the_wire() {
    let (parts, ()) = http::Request::post("http://h:1/a%20b?x=%2f")
        .body(())
        .unwrap()
        .into_parts();
    let view = RequestView::of(&parts);
    assert_eq!(
        (view.method, view.path, view.query),
        ("POST", "/a%20b", "x=%2f")
    );
    assert_eq!(view.authority, Some("h:1"));
}
