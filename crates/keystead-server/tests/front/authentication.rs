//! Every way not to be who one says one is, in both families of error codes.

use keystead_wire::sigv4::{Credentials, Signer};

use crate::client::{Client, Request, describe_node, identity};
use crate::world::{credentials, limits, now, start};

fn json() -> Request {
    let arn = "arn:aws:keystead:eu-north-7:123456789012:node/n";
    Request::json(
        "Keystead_20261101.DescribeNode",
        &format!("{{\"NodeArn\":\"{arn}\"}}"),
    )
}

fn query() -> Request {
    Request::query("Action=GetCallerIdentity&Version=2011-06-15")
}

/// The same fault in both protocols.
async fn refused(
    fault: impl Fn(Request, &str) -> Request,
    json_code: &str,
    (query_code, query_status): (&str, u16),
    message: &str,
) {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let answer = client.call(&fault(json(), "keystead")).await;
    answer.expect(400, json_code);
    assert!(answer.body.contains(message), "{}", answer.body);
    let answer = client.call(&fault(query(), "sts")).await;
    answer.expect(query_status, query_code);
    assert_eq!(
        world.script.ended.load(std::sync::atomic::Ordering::SeqCst),
        0
    );
    // The connection can still be used, by those who may.
    assert_eq!(client.call(&identity()).await.status, 200);
}

#[tokio::test]
async fn unsigned() {
    refused(
        |request, _| request,
        "MissingAuthenticationTokenException",
        ("MissingAuthenticationToken", 403),
        "Missing Authentication Token",
    )
    .await;
}

#[tokio::test]
async fn incomplete() {
    refused(
        |request, _| request.with("authorization", "AWS4-HMAC-SHA256 Credential=x"),
        "IncompleteSignatureException",
        ("IncompleteSignature", 400),
        "Authorization header requires 'Signature' parameter.",
    )
    .await;
}

#[tokio::test]
async fn mismatched_by_the_body() {
    refused(
        |request, service| {
            let mut signed = request.signed(service);
            signed.body.push(b'&');
            signed
        },
        "InvalidSignatureException",
        ("SignatureDoesNotMatch", 403),
        "The request signature we calculated does not match the signature you provided.",
    )
    .await;
}

#[tokio::test]
async fn signed_by_another_secret() {
    refused(
        |request, service| {
            let other = Credentials {
                secret_access_key: "wrong".to_owned().into(),
                ..credentials()
            };
            request.signed_by(&Signer::new(&other, "eu-north-7", service, now()))
        },
        "InvalidSignatureException",
        ("SignatureDoesNotMatch", 403),
        "The request signature we calculated",
    )
    .await;
}

#[tokio::test]
async fn stale() {
    refused(
        |request, service| {
            let past = now() - jiff::SignedDuration::from_secs(301);
            request.signed_by(&Signer::new(&credentials(), "eu-north-7", service, past))
        },
        "InvalidSignatureException",
        ("SignatureDoesNotMatch", 403),
        "Signature expired: 20261121T115459Z is now earlier than 20261121T115500Z \
         (20261121T120000Z - 5 min.)",
    )
    .await;
}

#[tokio::test]
async fn from_the_future() {
    refused(
        |request, service| {
            let future = now() + jiff::SignedDuration::from_secs(301);
            request.signed_by(&Signer::new(&credentials(), "eu-north-7", service, future))
        },
        "InvalidSignatureException",
        ("SignatureDoesNotMatch", 403),
        "Signature not yet current: 20261121T120501Z",
    )
    .await;
}

#[tokio::test]
async fn an_unknown_key() {
    refused(
        |request, service| {
            let other = Credentials {
                access_key_id: "AKIDOTHER".into(),
                ..credentials()
            };
            request.signed_by(&Signer::new(&other, "eu-north-7", service, now()))
        },
        "UnrecognizedClientException",
        ("InvalidClientTokenId", 403),
        "The security token included in the request is invalid.",
    )
    .await;
}

#[tokio::test]
async fn a_session_token_that_belongs_to_no_key() {
    refused(
        |request, service| {
            let other = Credentials {
                session_token: Some("t".to_owned().into()),
                ..credentials()
            };
            request.signed_by(&Signer::new(&other, "eu-north-7", service, now()))
        },
        "UnrecognizedClientException",
        ("InvalidClientTokenId", 403),
        "The security token included in the request is invalid.",
    )
    .await;
}

#[tokio::test]
async fn a_session_that_is_over() {
    refused(
        |request, service| {
            let other = Credentials {
                session_token: Some("expired".to_owned().into()),
                ..credentials()
            };
            request.signed_by(&Signer::new(&other, "eu-north-7", service, now()))
        },
        "ExpiredTokenException",
        ("ExpiredToken", 403),
        "The security token included in the request is expired",
    )
    .await;
}

#[tokio::test]
async fn what_takes_no_signature_is_nobodys() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let call = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleSessionName=me\
                &RoleArn=arn:aws:iam::123456789012:role/r&WebIdentityToken=none";
    // The backend is asked, with or without a signature that is worth nothing.
    for request in [
        Request::query(call),
        Request::query(call).with("authorization", "AWS4-HMAC-SHA256 x"),
    ] {
        let answer = client.call(&request).await;
        answer.expect(400, "ResourceNotFoundException");
        let last = world.script.last.lock().unwrap().take().unwrap();
        assert_eq!(
            (last.principal.arn.as_str(), last.region.as_str()),
            ("", "us-east-1")
        );
    }
}

#[tokio::test]
async fn scoped_to_another_service() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let answer = client.call(&json().signed("sts")).await;
    answer.expect(400, "InvalidSignatureException");
    let message = "Credential should be scoped to correct service: 'keystead'.";
    assert!(answer.body.contains(message), "{}", answer.body);
}

/// The second call of a scope uses the kept signing key; a wrong signature must not profit.
#[tokio::test]
async fn a_kept_signing_key_forgives_nothing() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    for _ in 0..2 {
        client
            .call(&describe_node())
            .await
            .expect(400, "ResourceNotFoundException");
    }
    let mut bent = describe_node();
    bent.body.push(b' ');
    client
        .call(&bent)
        .await
        .expect(400, "InvalidSignatureException");
}
