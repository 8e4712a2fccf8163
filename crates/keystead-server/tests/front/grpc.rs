//! gRPC by content type, and what it learns of its peer.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use keystead_server::Peer;

use crate::client::PATIENCE;
use crate::http2::{Sender, connect};
use crate::world::{Script, limits, start, start_with};

fn call() -> http::Request<Full<Bytes>> {
    http::Request::post("http://localhost/some.Service/Method")
        .header("content-type", "application/grpc")
        .body(Full::default())
        .unwrap()
}

async fn status(sender: &mut Sender) -> (u16, String) {
    sender.ready().await.unwrap();
    let response = tokio::time::timeout(PATIENCE, sender.send_request(call())).await;
    let response = response.expect("no answer: the server hangs").unwrap();
    let grpc = response
        .headers()
        .get("grpc-status")
        .map_or("", |value| value.to_str().unwrap());
    (response.status().as_u16(), grpc.to_owned())
}

/// Answers with the peer's port as its gRPC status.
#[derive(Clone)]
struct Echo;

impl tower_service::Service<http::Request<Incoming>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Incoming>) -> Self::Future {
        let peer = request.extensions().get::<Arc<Peer>>().unwrap();
        let port = peer.address.unwrap().port();
        let response = http::Response::builder().header("grpc-status", port.to_string());
        std::future::ready(Ok(response.body(tonic::body::Body::empty()).unwrap()))
    }
}

#[tokio::test]
async fn where_none_is_served_it_says_so() {
    let world = start(limits()).await;
    let mut sender = connect(world.address).await;
    assert_eq!(status(&mut sender).await, (200, "12".to_owned()));
}

#[tokio::test]
async fn the_service_learns_who_is_there() {
    let world = start_with(limits(), Script::default(), |front| front.with_grpc(Echo)).await;
    let stream = tokio::net::TcpStream::connect(world.address).await.unwrap();
    let port = stream.local_addr().unwrap().port();
    let mut sender = crate::http2::over(stream).await;
    assert_eq!(status(&mut sender).await, (200, port.to_string()));
}

#[tokio::test]
async fn draining_sends_nodes_away_for_a_while() {
    let script = Script {
        go_on: Some(tokio::sync::Semaphore::new(0)),
        ..Script::default()
    };
    let world = start_with(limits(), script, |front| front.with_grpc(Echo)).await;
    let mut busy = crate::client::Client::connect(world.address).await;
    busy.write(&crate::client::describe_node().bytes()).await;
    world.begun().await;
    let lifecycle = world.lifecycle.clone();
    let drained = tokio::spawn(async move { lifecycle.drain(PATIENCE).await });
    world
        .lifecycle
        .reached(keystead_server::Phase::Draining)
        .await;
    let mut sender = connect(world.address).await;
    assert_eq!(status(&mut sender).await, (200, "14".to_owned()));
    world.script.go_on.as_ref().unwrap().add_permits(1);
    assert!(drained.await.unwrap());
}
