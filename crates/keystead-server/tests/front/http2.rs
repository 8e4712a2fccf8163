//! HTTP/2, told from HTTP/1 by its first bytes.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use keystead_crypto::digest;
use keystead_wire::sigv4::{RequestView, Signer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::client::PATIENCE;
use crate::world::{Script, credentials, limits, now, start, start_with};

pub type Sender = SendRequest<Full<Bytes>>;

pub async fn connect(address: SocketAddr) -> Sender {
    over(TcpStream::connect(address).await.unwrap()).await
}

pub async fn over<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(stream: S) -> Sender {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

/// A signed request with an `:authority` in the place of a `host` header.
pub fn request(target: &str, service: &str, body: &'static str) -> http::Request<Full<Bytes>> {
    let builder = http::Request::post("http://localhost:1234/");
    let builder = match target {
        "" => builder.header("content-type", "application/x-www-form-urlencoded"),
        target => builder
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target),
    };
    let (mut parts, ()) = builder.body(()).unwrap().into_parts();
    let credentials = credentials();
    let signer = Signer::new(&credentials, "eu-north-7", service, now());
    let payload = digest::sha256(body.as_bytes());
    let added = signer.sign(&RequestView::of(&parts), &payload).unwrap();
    parts.headers.extend(added);
    http::Request::from_parts(parts, Full::new(body.into()))
}

pub fn identity() -> http::Request<Full<Bytes>> {
    request("", "sts", "Action=GetCallerIdentity&Version=2011-06-15")
}

pub async fn answer(sender: &mut Sender, request: http::Request<Full<Bytes>>) -> (u16, String) {
    let exchange = async {
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    tokio::time::timeout(PATIENCE, exchange)
        .await
        .expect("no answer: the server hangs")
}

#[tokio::test]
async fn a_signed_call_is_answered() {
    let world = start(limits()).await;
    let mut sender = connect(world.address).await;
    let (status, body) = answer(&mut sender, identity()).await;
    assert_eq!(status, 200, "{body}");
    assert!(body.contains("<Account>123456789012</Account>"), "{body}");
    let (status, _) = answer(
        &mut sender,
        request("Keystead_20261101.DescribeNode", "sts", "{}"),
    )
    .await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn calls_of_one_connection_do_not_wait_for_each_other() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let world = start_with(limits(), script, |front| front).await;
    let mut sender = connect(world.address).await;
    let body = "{\"NodeArn\":\"arn:aws:keystead:eu-north-7:123456789012:node/n\"}";
    sender.ready().await.unwrap();
    let slow = sender.send_request(request("Keystead_20261101.DescribeNode", "keystead", body));
    let slow = tokio::spawn(slow);
    world.begun().await;
    assert_eq!(answer(&mut sender, identity()).await.0, 200);
    world.script.go_on.as_ref().unwrap().add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status(), 400);
}

#[tokio::test]
async fn an_oversize_body_is_refused() {
    let world = start(limits()).await;
    let mut sender = connect(world.address).await;
    let large: &'static str = " ".repeat(1024 * 1024 + 1).leak();
    let (status, body) = answer(
        &mut sender,
        request("Keystead_20261101.DescribeNode", "keystead", large),
    )
    .await;
    assert_eq!(status, 413, "{body}");
    assert_eq!(answer(&mut sender, identity()).await.0, 200);
}

#[tokio::test]
async fn a_drained_connection_finishes_its_calls() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let world = start_with(limits(), script, |front| front).await;
    let mut sender = connect(world.address).await;
    let body = "{\"NodeArn\":\"arn:aws:keystead:eu-north-7:123456789012:node/n\"}";
    sender.ready().await.unwrap();
    let slow = tokio::spawn(sender.send_request(request(
        "Keystead_20261101.DescribeNode",
        "keystead",
        body,
    )));
    world.begun().await;
    let lifecycle = world.lifecycle.clone();
    let drained = tokio::spawn(async move { lifecycle.drain(PATIENCE).await });
    world
        .lifecycle
        .reached(keystead_server::Phase::Draining)
        .await;
    world.script.go_on.as_ref().unwrap().add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status(), 400);
    assert!(drained.await.unwrap());
}
