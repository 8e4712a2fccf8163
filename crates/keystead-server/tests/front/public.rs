//! What anybody may fetch: on the common listener beside everything else, on one of its own alone.

use keystead_server::Endpoint;

use crate::client::{Client, Request, identity};
use crate::world::{LIST, Script, World, limits, start, start_on};

const OCSP: [(&str, &str); 1] = [("content-type", "application/ocsp-request")];

/// A listener that anybody may reach.
async fn public() -> World {
    let endpoint = Endpoint::Public("127.0.0.1:0".parse().unwrap());
    start_on(vec![endpoint], limits(), Script::default(), |front| front).await
}

#[tokio::test]
async fn a_list_comes_with_what_caches_need() {
    for world in [start(limits()).await, public().await] {
        let mut client = Client::connect(world.address).await;
        let path = format!("/any/folder/{LIST}.crl");
        let answer = client.call(&Request::new("GET", &path, &[], b"")).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, "0\0"));
        assert_eq!(answer.header("content-type"), "application/pkix-crl");
        // It holds for thirty seconds more.
        let control = "public, max-age=30, must-revalidate, no-transform";
        assert_eq!(answer.header("cache-control"), control);
        assert_eq!(answer.header("etag"), "\"7\"");
        let now = "Sat, 21 Nov 2026 12:00:00 GMT";
        assert_eq!(answer.header("last-modified"), now);
        assert_eq!(answer.header("expires"), "Sat, 21 Nov 2026 12:00:30 GMT");
        for (name, value) in [("if-none-match", "\"7\""), ("if-modified-since", now)] {
            let kept = Request::new("GET", &path, &[(name, value)], b"");
            let answer = client.call(&kept).await;
            assert_eq!((answer.status, answer.body.as_str()), (304, ""));
            assert_eq!(answer.header("etag"), "\"7\"");
        }
        let other = path.replace("0123", "3210");
        let answer = client.call(&Request::new("GET", &other, &[], b"")).await;
        assert_eq!(answer.status, 404);
        let answer = client
            .call(&Request::new(
                "PUT",
                &path.replace("/any/folder", "/crl"),
                &[],
                b"",
            ))
            .await;
        assert_eq!((answer.status, answer.header("allow")), (405, "GET, HEAD"));
    }
}

#[tokio::test]
async fn an_answer_is_kept_where_it_was_fetched_and_not_where_it_was_sent_for() {
    for world in [start(limits()).await, public().await] {
        let mut client = Client::connect(world.address).await;
        let sent = client
            .call(&Request::new("POST", "/ocsp", &OCSP, b"request"))
            .await;
        assert_eq!((sent.status, sent.body.as_str()), (200, "request"));
        assert_eq!(sent.header("content-type"), "application/ocsp-response");
        assert_eq!(sent.header("cache-control"), "no-store");
        // The base64 of the DER of SEQUENCE {}.
        let fetched = client
            .call(&Request::new("GET", "/ocsp/MAA%3D", &[], b""))
            .await;
        assert_eq!((fetched.status, fetched.body.as_str()), (200, "0\0"));
        let control = "public, max-age=60, must-revalidate, no-transform";
        assert_eq!(fetched.header("cache-control"), control);
        let tag = fetched.header("etag").to_owned();
        let kept = Request::new("GET", "/ocsp/MAA%3D", &[("if-none-match", &tag)], b"");
        assert_eq!(client.call(&kept).await.status, 304);
        let empty = client.call(&Request::new("GET", "/ocsp/", &[], b"")).await;
        assert_eq!(
            (empty.status, empty.header("cache-control")),
            (200, "no-store")
        );
    }
}

#[tokio::test]
async fn a_request_that_is_too_large_is_refused() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let large = Request::new("POST", "/ocsp", &OCSP, &[b'x'; 16 * 1024 + 1]);
    let answer = client.call(&large).await;
    assert_eq!((answer.status, answer.header("connection")), (413, ""));
    let fits = Request::new("POST", "/ocsp", &OCSP, &[b'x'; 16 * 1024]);
    assert_eq!(client.call(&fits).await.status, 200);
}

#[tokio::test]
async fn a_listener_for_everybody_serves_nothing_else() {
    let world = public().await;
    let mut client = Client::connect(world.address).await;
    for path in ["/health", "/metrics", "/", "/crl/"] {
        let answer = client.call(&Request::new("GET", path, &[], b"")).await;
        assert_eq!(answer.status, 404, "{path}");
    }
    let mut call = identity();
    let answer = client.call(&call).await;
    assert_eq!(answer.status, 405);
    call.set("content-type", "application/grpc");
    let answer = client.call(&call).await;
    assert_eq!(answer.status, 405);
    // Under a name of the operator's own an OCSP request has no folder.
    let answer = client.call(&Request::new("GET", "/MAA=", &[], b"")).await;
    assert_eq!(answer.header("content-type"), "application/ocsp-response");
}

#[tokio::test]
async fn a_signed_request_for_such_a_file_is_not_for_the_public() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let path = format!("/bucket/{LIST}.crl");
    let signed = Request::new("GET", &path, &[], b"").signed("s3");
    let answer = client.call(&signed).await;
    assert_ne!(answer.header("content-type"), "application/pkix-crl");
}
