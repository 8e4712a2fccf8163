//! What is asked for, in every protocol, and every way not to be understood.

use crate::client::{Client, Request, identity};
use crate::world::{limits, start};

#[tokio::test]
async fn health_tells_the_phase_and_metrics_tell_the_calls() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let health = client.call(&Request::new("GET", "/health", &[], b"")).await;
    assert_eq!(
        (health.status, health.header("content-type")),
        (200, "application/json")
    );
    assert!(
        health.body.contains("\"status\":\"ready\""),
        "{}",
        health.body
    );

    client.call(&identity()).await;
    let metrics = client
        .call(&Request::new("GET", "/metrics", &[], b""))
        .await;
    assert_eq!(metrics.status, 200);
    let line = "keystead_requests_total{service=\"sts\",operation=\"GetCallerIdentity\",code=\"\"}";
    assert!(metrics.body.contains(line), "{}", metrics.body);
    assert!(!metrics.body.contains("AKID"), "{}", metrics.body);
}

#[tokio::test]
async fn a_query_call_is_answered_and_its_caller_known() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let request = identity().with("user-agent", &"a".repeat(600));
    let answer = client.call(&request).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/xml")
    );
    assert!(
        answer.body.contains("<Account>123456789012</Account>"),
        "{}",
        answer.body
    );
    let id = answer.header("x-amzn-requestid");
    assert!(
        answer.body.contains(id) && id.len() == 36,
        "{}",
        answer.body
    );
    let caller = world.script.last.lock().unwrap().clone().unwrap();
    assert_eq!(caller.region.as_str(), "eu-north-7");
    assert_eq!(caller.source_ip, Some("127.0.0.1".parse().unwrap()));
    assert_eq!(caller.user_agent.len(), 512);
    assert_eq!(caller.request_id, id);
}

/// A GET whose signature and action stand in the URL.
#[tokio::test]
async fn a_presigned_call_is_answered() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let mut request = Request::new("GET", "/", &[], b"");
    let credentials = crate::world::credentials();
    let signer =
        keystead_wire::sigv4::Signer::new(&credentials, "eu-north-7", "sts", crate::world::now());
    let view = keystead_wire::sigv4::RequestView {
        method: "GET",
        path: "/",
        query: "Action=GetCallerIdentity&Version=2011-06-15",
        authority: None,
        headers: &request.headers,
    };
    let query = signer.presign(&view, &keystead_crypto::digest::sha256(b""), 60);
    request.target = format!("/?{query}");
    let answer = client.call(&request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    request.target.push_str("&Extra=1");
    client
        .call(&request)
        .await
        .expect(403, "SignatureDoesNotMatch");
}

#[tokio::test]
async fn errors_come_in_the_protocol_of_the_request() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;

    let json = client.call(&crate::client::describe_node()).await;
    json.expect(400, "ResourceNotFoundException");
    assert_eq!(json.header("content-type"), "application/x-amz-json-1.1");

    let query = client
        .call(&Request::query("Action=Nothing&Version=2011-06-15").signed("sts"))
        .await;
    query.expect(400, "InvalidAction");
    assert_eq!(query.header("content-type"), "text/xml");

    let headers = [
        ("smithy-protocol", "rpc-v2-cbor"),
        ("content-type", "application/cbor"),
    ];
    let path = "/service/ACMPrivateCA/operation/DescribeCertificateAuthority";
    let arn = "arn:aws:acm-pca:eu-north-7:123456789012:certificate-authority/none";
    // A map of one entry; its key has 23 bytes, its value one byte's worth of length.
    let length = [0x78, u8::try_from(arn.len()).unwrap()];
    let arn = [
        b"\xa1\x77CertificateAuthorityArn",
        &length[..],
        arn.as_bytes(),
    ]
    .concat();
    let cbor = Request::new("POST", path, &headers, &arn).signed("acm-pca");
    let cbor = client.call(&cbor).await;
    assert_eq!(
        (cbor.status, cbor.header("smithy-protocol")),
        (400, "rpc-v2-cbor")
    );
    assert!(cbor.body.contains("ResourceNotFoundException"), "{cbor:?}");
}

#[tokio::test]
async fn what_is_not_understood_is_refused_and_the_connection_lives_on() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let cases = [
        (
            Request::json("ACMPrivateCA.Fly", "{}"),
            400,
            "UnknownOperationException",
        ),
        (
            Request::json("NoSuchService.Fly", "{}"),
            400,
            "UnknownOperationException",
        ),
        (Request::json("", "{}"), 400, "UnknownOperationException"),
        (
            Request::json("Keystead_20261101.DescribeNode", "{}")
                .with("content-type", "text/plain"),
            400,
            "UnknownOperationException",
        ),
        (
            Request::json("Keystead_20261101.DescribeNode", "{\"NodeArn\":").signed("keystead"),
            400,
            "SerializationException",
        ),
        (
            Request::json("Keystead_20261101.DescribeNode", "[]").signed("keystead"),
            400,
            "SerializationException",
        ),
        (
            Request::json("Keystead_20261101.DescribeNode", "{}").signed("keystead"),
            400,
            "ValidationException",
        ),
        (Request::new("GET", "/", &[], b""), 400, "MissingAction"),
        (
            Request::new("DELETE", "/nowhere?x=%zz", &[], b""),
            400,
            "MissingAction",
        ),
        (
            Request::query("Action=Fly&Version=2011-06-15"),
            400,
            "InvalidAction",
        ),
        (
            Request::query("Action=GetCallerIdentity&Version=1999-01-01"),
            400,
            "InvalidAction",
        ),
    ];
    for (request, status, code) in cases {
        client.call(&request).await.expect(status, code);
    }
    assert_eq!(client.call(&identity()).await.status, 200);
}

#[tokio::test]
async fn a_panic_is_a_500_for_its_caller_alone() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let answer = client
        .call(&Request::json("Keystead_20261101.ListNodes", "{}").signed("keystead"))
        .await;
    answer.expect(500, "InternalFailure");
    assert!(!answer.body.contains("secrets"), "{}", answer.body);
    assert_eq!(client.call(&identity()).await.status, 200);
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let first = identity().bytes();
    let second = crate::client::describe_node().bytes();
    let third = Request::new("GET", "/health", &[], b"").bytes();
    client.write(&[first, second, third].concat()).await;
    assert_eq!(client.response().await.status, 200);
    client
        .response()
        .await
        .expect(400, "ResourceNotFoundException");
    assert!(client.response().await.body.contains("ready"));
}

/// Whatever bytes come, the server answers or closes, and goes on serving.
#[tokio::test]
async fn nonsense_does_no_harm() {
    let world = start(limits()).await;
    let mut seed = 0x9e37_79b9_u32;
    let mut noise = move |length: usize| -> Vec<u8> {
        std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed as u8
        })
        .take(length)
        .collect()
    };
    for round in 0..200 {
        let mut client = Client::connect(world.address).await;
        let bytes = match round % 4 {
            0 => noise(round),
            1 => [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), noise(64)].concat(),
            2 => [
                b"POST / HTTP/1.1\r\nhost: x\r\n".to_vec(),
                noise(32),
                b"\r\n\r\n".to_vec(),
            ]
            .concat(),
            _ => [
                Request::json("Keystead_20261101.DescribeNode", "")
                    .with("transfer-encoding", "chunked")
                    .head()
                    .into_bytes(),
                noise(48),
            ]
            .concat(),
        };
        client.try_write(&bytes).await;
        // Says that no more will come, so that only an answer or an end is left.
        client.finish().await;
        let answer = client.closed().await;
        assert!(
            !answer.starts_with(b"HTTP/1.1 5"),
            "{}",
            String::from_utf8_lossy(&answer)
        );
    }
    let mut client = Client::connect(world.address).await;
    assert_eq!(client.call(&identity()).await.status, 200);
}
