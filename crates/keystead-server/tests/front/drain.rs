//! Starting and stopping without losing a call.

use std::sync::Arc;
use std::time::Duration;

use keystead_server::{Endpoint, Front, Lifecycle, Listeners, Metrics, Phase, serve};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::client::{Client, PATIENCE, Request, describe_node, identity};
use crate::world::{Fake, Script, limits, start, start_with};

fn health() -> Request {
    Request::new("GET", "/health", &[], b"")
}

#[tokio::test]
async fn nothing_is_served_before_everything_is_open() {
    let lifecycle = Arc::new(Lifecycle::new());
    let metrics = Metrics::install().unwrap();
    let front = Front::new(Fake(Arc::default()), lifecycle.clone(), limits(), metrics);
    let listeners = Listeners::bind(vec![Endpoint::Plain("127.0.0.1:0".parse().unwrap())]).unwrap();
    let address = listeners.addresses()[0];
    tokio::spawn(serve(listeners, Arc::new(front)));
    let mut client = Client::connect(address).await;
    let answer = client.call(&health()).await;
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("starting"), "{}", answer.body);
    client
        .call(&identity())
        .await
        .expect(503, "ServiceUnavailable");
    client.closed().await;
    lifecycle.ready();
    let mut client = Client::connect(address).await;
    assert_eq!(client.call(&health()).await.status, 200);
    assert_eq!(client.call(&identity()).await.status, 200);
}

#[tokio::test]
async fn draining_finishes_what_is_under_way_and_begins_nothing() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let world = start_with(limits(), script, |front| front).await;
    let mut idle = Client::connect(world.address).await;
    assert_eq!(idle.call(&identity()).await.status, 200);
    let mut busy = Client::connect(world.address).await;
    busy.write(&describe_node().bytes()).await;
    world.begun().await;

    let lifecycle = world.lifecycle.clone();
    let drained = tokio::spawn(async move { lifecycle.drain(PATIENCE).await });
    world.lifecycle.reached(Phase::Draining).await;
    assert_eq!(idle.closed().await, b"");
    let mut late = Client::connect(world.address).await;
    let answer = late.call(&health()).await;
    assert_eq!((answer.status, answer.header("connection")), (503, "close"));
    assert!(answer.body.contains("draining"), "{}", answer.body);
    let mut late = Client::connect(world.address).await;
    late.call(&identity())
        .await
        .expect(503, "ServiceUnavailable");

    world.script.go_on.as_ref().unwrap().add_permits(1);
    let answer = busy.response().await;
    answer.expect(400, "ResourceNotFoundException");
    assert_eq!(answer.header("connection"), "close");
    assert!(drained.await.unwrap(), "draining timed out");
    tokio::time::timeout(PATIENCE, world.served)
        .await
        .unwrap()
        .unwrap();
    assert!(
        TcpStream::connect(world.address).await.is_err(),
        "still listening"
    );
}

#[tokio::test]
async fn draining_ends_even_if_a_call_does_not() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let world = start_with(limits(), script, |front| front).await;
    let mut busy = Client::connect(world.address).await;
    busy.write(&describe_node().bytes()).await;
    world.begun().await;
    assert!(!world.lifecycle.drain(Duration::from_millis(100)).await);
    busy.closed().await;
    tokio::time::timeout(PATIENCE, world.served)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn an_idle_server_stops_at_once() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    assert_eq!(client.call(&identity()).await.status, 200);
    assert!(world.lifecycle.drain(PATIENCE).await);
    client.closed().await;
}
