//! Too much, too slow, too many: each has an answer and an end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use keystead_server::Limits;
use tokio::sync::Semaphore;

use crate::client::{Client, PATIENCE, Request, describe_node, identity};
use crate::world::{Script, limits, start, start_with};

const SHORT: Duration = Duration::from_millis(200);

#[tokio::test]
async fn a_body_that_says_it_is_too_large() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let large = vec![b' '; 1024 * 1024 + 1];
    let answer = client
        .call(&Request::json(
            "Keystead_20261101.DescribeNode",
            &String::from_utf8(large).unwrap(),
        ))
        .await;
    answer.expect(413, "RequestEntityTooLargeException");
    // It was read and thrown away, so the connection is in step.
    assert_eq!(client.call(&identity()).await.status, 200);
}

#[tokio::test]
async fn a_body_that_turns_out_too_large() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let request = Request::query("").with("transfer-encoding", "chunked");
    client.write(request.head().as_bytes()).await;
    let piece = [b"10000\r\n".to_vec(), vec![b'a'; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..20 {
        client.write(&piece).await;
    }
    client.write(b"0\r\n\r\n").await;
    client.response().await.expect(413, "RequestEntityTooLarge");
    assert_eq!(client.call(&identity()).await.status, 200);
}

/// Certificate services take chains of two megabytes.
#[tokio::test]
async fn services_have_limits_of_their_own() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let two = " ".repeat(2 * 1024 * 1024);
    let unsigned = client
        .call(&Request::json("CertificateManager.ImportCertificate", &two))
        .await;
    unsigned.expect(400, "MissingAuthenticationTokenException");
    let four = two.repeat(2);
    let answer = client
        .call(&Request::json(
            "CertificateManager.ImportCertificate",
            &four,
        ))
        .await;
    answer.expect(413, "RequestEntityTooLargeException");
}

#[tokio::test]
async fn a_body_that_comes_too_slowly() {
    let world = start(Limits {
        body_deadline: SHORT,
        ..limits()
    })
    .await;
    for (request, code) in [
        (
            Request::json("Keystead_20261101.DescribeNode", "{\"NodeArn\""),
            "RequestTimeoutException",
        ),
        (Request::query("Action="), "RequestTimeout"),
    ] {
        let mut client = Client::connect(world.address).await;
        let head = request
            .head()
            .replace("content-length: ", "content-length: 1");
        client.write(head.as_bytes()).await;
        client.write(&request.body).await;
        let answer = client.response().await;
        answer.expect(408, code);
        assert_eq!(answer.header("connection"), "close");
        assert_eq!(client.closed().await, b"");
    }
}

#[tokio::test]
async fn a_body_that_ends_before_its_end() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let request = describe_node();
    client
        .write(&request.bytes()[..request.bytes().len() - 1])
        .await;
    client.finish().await;
    let rest = String::from_utf8(client.closed().await).unwrap();
    assert!(
        rest.is_empty() || rest.starts_with("HTTP/1.1 400"),
        "{rest}"
    );
    assert_eq!(world.script.ended.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_head_that_comes_too_slowly() {
    let world = start(Limits {
        header_timeout: SHORT,
        ..limits()
    })
    .await;
    let mut client = Client::connect(world.address).await;
    client.write(b"POST / HTTP/1.1\r\nhost: local").await;
    client.closed().await;
}

#[tokio::test]
async fn a_head_that_is_too_large() {
    let world = start(limits()).await;
    let mut client = Client::connect(world.address).await;
    let request = identity().with("x-padding", &"a".repeat(40_000));
    client.try_write(&request.bytes()).await;
    let answer = client.closed().await;
    assert!(
        answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );

    let mut client = Client::connect(world.address).await;
    let mut request = identity();
    for number in 0..120 {
        request.set(&format!("x-number-{number}"), "1");
    }
    client.try_write(&request.bytes()).await;
    let answer = client.closed().await;
    assert!(
        answer.starts_with(b"HTTP/1.1 431"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
}

#[tokio::test]
async fn a_call_that_takes_too_long_is_answered_and_still_ends() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let limits = Limits {
        request_deadline: SHORT,
        ..limits()
    };
    let world = start_with(limits, script, |front| front).await;
    let mut client = Client::connect(world.address).await;
    client
        .call(&describe_node())
        .await
        .expect(503, "ServiceUnavailable");
    world.script.go_on.as_ref().unwrap().add_permits(1);
    assert!(world.lifecycle.drain(PATIENCE).await);
    assert_eq!(world.script.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_caller_who_hangs_up_does_not_break_the_call_off() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let world = start_with(limits(), script, |front| front).await;
    let mut client = Client::connect(world.address).await;
    client.write(&describe_node().bytes()).await;
    world.begun().await;
    drop(client);
    world.script.go_on.as_ref().unwrap().add_permits(1);
    assert!(world.lifecycle.drain(PATIENCE).await);
    assert_eq!(world.script.ended.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn callers_are_slowed_down_when_memory_is_short() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let limits = Limits {
        call_memory: keystead_server::limits::CALL_BYTES,
        ..limits()
    };
    let world = start_with(limits, script, |front| front).await;
    let mut first = Client::connect(world.address).await;
    first.write(&describe_node().bytes()).await;
    world.begun().await;
    let mut second = Client::connect(world.address).await;
    second
        .call(&describe_node())
        .await
        .expect(400, "ThrottlingException");
    let mut third = Client::connect(world.address).await;
    third.call(&identity()).await.expect(400, "Throttling");
    world.script.go_on.as_ref().unwrap().add_permits(1);
    first
        .response()
        .await
        .expect(400, "ResourceNotFoundException");
    let mut fourth = Client::connect(world.address).await;
    assert_eq!(fourth.call(&identity()).await.status, 200);
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let world = start(Limits {
        connections: 1,
        ..limits()
    })
    .await;
    let mut first = Client::connect(world.address).await;
    assert_eq!(first.call(&identity()).await.status, 200);
    let mut second = Client::connect(world.address).await;
    second.write(&identity().bytes()).await;
    let early = tokio::time::timeout(SHORT, second.try_response()).await;
    assert!(early.is_err(), "{early:?}");
    drop(first);
    assert_eq!(second.response().await.status, 200);
}

#[tokio::test]
async fn idle_connections_are_closed_and_busy_ones_are_not() {
    let script = Script {
        go_on: Some(Semaphore::new(0)),
        ..Script::default()
    };
    let limits = Limits {
        idle_timeout: SHORT,
        ..limits()
    };
    let world = start_with(limits, script, |front| front).await;
    let mut busy = Client::connect(world.address).await;
    busy.write(&describe_node().bytes()).await;
    let mut idle = Client::connect(world.address).await;
    assert_eq!(idle.call(&identity()).await.status, 200);
    assert_eq!(idle.closed().await, b"");
    world.script.go_on.as_ref().unwrap().add_permits(1);
    busy.response()
        .await
        .expect(400, "ResourceNotFoundException");
}
