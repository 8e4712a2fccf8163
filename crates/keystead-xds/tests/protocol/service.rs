//! What holds for both variants: storms, slow nodes, sources that fail, limits, the end.

use envoy_types::pb::envoy::service::discovery::v3::DiscoveryRequest;
use keystead_xds::limits::{Limits, REREAD_EVERY};
use keystead_xds::{PeerIdentity, Sds, SecretKind};
use prost::Message;
use tonic::Code;

use crate::client::{self, PEER, client_of, delta, sotw, whole};
use crate::support::TestSource;
use crate::{start, step_names, whole_names, withheld};

#[tokio::test(start_paused = true)]
async fn a_storm_of_changes_is_one_response() {
    let (source, sds) = start();
    source.put_trust("a", "0");
    let mut talk = delta(&sds).await;
    talk.open(&["a"], &[]).await;
    let first = talk.next().await;
    let mut newest = 0;
    for round in 0..5_000 {
        // More than the feed holds, so that it lags as well.
        newest = source.put_trust("a", &round.to_string());
    }
    talk.quiet().await;
    let reads = source.reads();
    talk.ack(&first).await;
    let response = talk.next().await;
    assert_eq!(step_names(&response), [("a", newest)]);
    talk.ack(&response).await;
    talk.quiet().await;
    assert!(source.reads() - reads <= 2, "read once for the storm");
}

#[tokio::test(start_paused = true)]
async fn a_slow_node_holds_up_nobody_and_is_told_to_reconnect() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut slow = delta(&sds).await;
    slow.open(&["a"], &[]).await;
    slow.next().await;
    let mut quick = delta(&sds).await;
    quick.open(&["a"], &[]).await;
    quick.next_ack().await;
    let newest = source.put_trust("a", "two");
    let response = quick.next().await;
    assert_eq!(step_names(&response), [("a", newest)]);
    quick.ack(&response).await;
    assert_eq!(slow.end().await.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_tried_again_and_holds_up_nothing() {
    let (source, sds) = start();
    let a = source.put_trust("a", "one");
    let b = source.put_trust("b", "one");
    source.break_reading("a");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b"], &[]).await;
    let response = talk.next().await;
    assert_eq!(step_names(&response), [("b", b)]);
    assert!(response.removed_resources.is_empty(), "not told to drop it");
    talk.ack(&response).await;
    talk.quiet().await;
    source.mend_reading("a");
    assert_eq!(step_names(&talk.next().await), [("a", a)]);
}

#[tokio::test(start_paused = true)]
async fn a_change_that_nobody_told_is_found_by_the_timer() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a"], &[]).await;
    talk.next_ack().await;
    talk.quiet().await;
    let kind = SecretKind::Validation {
        trust_pem: "two".to_owned(),
    };
    let second = source.put_silently("a", kind);
    talk.quiet().await;
    tokio::time::sleep(REREAD_EVERY).await;
    assert_eq!(step_names(&talk.next().await), [("a", second)]);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_ends_is_opened_again() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a"], &[]).await;
    talk.next_ack().await;
    talk.quiet().await;
    source.end_feeds();
    let second = source.put_trust("a", "two");
    let response = talk.next().await;
    assert_eq!(step_names(&response), [("a", second)]);
    talk.ack(&response).await;
    let third = source.put_trust("a", "three");
    assert_eq!(step_names(&talk.next().await), [("a", third)]);
}

#[tokio::test(start_paused = true)]
async fn closing_ends_every_stream_and_admits_no_other() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut talk = sotw(&sds).await;
    talk.open(&["a"], "").await;
    talk.next().await;
    sds.close();
    assert_eq!(talk.end().await.code(), Code::Unavailable);
    let mut client = client_of(&sds, Some(PEER));
    let refused = client.stream_secrets(tokio_stream::pending()).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_an_identity_gets_nothing() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut client = client_of(&sds, None);
    let open = client.stream_secrets(tokio_stream::pending()).await;
    assert_eq!(open.unwrap_err().code(), Code::Unauthenticated);
    let open = client.delta_secrets(tokio_stream::pending()).await;
    assert_eq!(open.unwrap_err().code(), Code::Unauthenticated);
    let fetched = client.fetch_secrets(whole(&["a"])).await;
    assert_eq!(fetched.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(source.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_breaks_a_rule_ends_the_stream() {
    let long = "x".repeat(3_000);
    let many: Vec<String> = (0..11).map(|number| format!("n{number}")).collect();
    let node = |id: &str| {
        let mut node = client::node();
        node.as_mut().unwrap().id = id.to_owned();
        node
    };
    let cases = [
        ("no node", Code::InvalidArgument, whole(&["a"])),
        (
            "no node id",
            Code::InvalidArgument,
            DiscoveryRequest {
                node: node(""),
                ..whole(&["a"])
            },
        ),
        (
            "a node id that breaks lines",
            Code::InvalidArgument,
            DiscoveryRequest {
                node: node("a\nb"),
                ..whole(&["a"])
            },
        ),
        (
            "another type",
            Code::InvalidArgument,
            DiscoveryRequest {
                node: node("n"),
                type_url: "type.googleapis.com/envoy.config.cluster.v3.Cluster".to_owned(),
                ..whole(&["a"])
            },
        ),
        (
            "wildcard",
            Code::InvalidArgument,
            DiscoveryRequest {
                node: node("n"),
                ..whole(&["*"])
            },
        ),
        (
            "empty name",
            Code::InvalidArgument,
            DiscoveryRequest {
                node: node("n"),
                ..whole(&[""])
            },
        ),
        (
            "long name",
            Code::InvalidArgument,
            DiscoveryRequest {
                node: node("n"),
                ..whole(&[&long])
            },
        ),
        (
            "many names",
            Code::ResourceExhausted,
            DiscoveryRequest {
                node: node("n"),
                resource_names: many,
                ..Default::default()
            },
        ),
    ];
    let limits = Limits {
        names_per_stream: 10,
        ..Limits::default()
    };
    let sds = Sds::start(TestSource::new(), limits);
    for (case, code, request) in cases {
        let mut talk = sotw(&sds).await;
        talk.send(request).await;
        assert_eq!(talk.end().await.code(), code, "{case}");
    }
    let mut silent = sotw(&sds).await;
    assert_eq!(silent.end().await.code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn no_names_means_nothing_not_everything() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut talk = sotw(&sds).await;
    talk.open(&[], "").await;
    talk.quiet().await;
    let mut talk = delta(&sds).await;
    talk.open(&[], &[]).await;
    talk.quiet().await;
    assert_eq!(source.reads(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_has_so_many_streams_and_no_more() {
    let limits = Limits {
        streams_per_peer: 2,
        ..Limits::default()
    };
    let sds = Sds::start(TestSource::new(), limits);
    let first = sotw(&sds).await;
    first.open(&["a"], "").await;
    let _second = delta(&sds).await;
    let mut client = client_of(&sds, Some(PEER));
    let third = client.delta_secrets(tokio_stream::pending()).await;
    assert_eq!(third.unwrap_err().code(), Code::ResourceExhausted);
    let other = PeerIdentity::Certificate {
        name: "n".to_owned(),
    };
    let mut other = client_of(&sds, Some(other));
    other.delta_secrets(tokio_stream::pending()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fetch_answers_once() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.put_trust("b", "one");
    source.deny(&PEER, "b");
    let mut client = client_of(&sds, Some(PEER));
    let request = DiscoveryRequest {
        node: client::node(),
        ..whole(&["b", "a", "a", "c"])
    };
    let response = client
        .fetch_secrets(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(whole_names(&response), ["a"]);
    assert_eq!(source.reported(&withheld("b", true)), 1);
    source.break_reading("a");
    let refused = client.fetch_secrets(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    assert_eq!(sds.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_large_subscription_arrives_in_several_responses() {
    let (source, sds) = start();
    let names: Vec<String> = (0..600).map(|number| format!("n{number:04}")).collect();
    let big = "x".repeat(10_000);
    for name in &names {
        source.put_trust(name, &big);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut talk = delta(&sds).await;
    talk.open(&names, &[]).await;
    let mut seen = Vec::new();
    while seen.len() < names.len() {
        let response = talk.next().await;
        assert!(response.resources.len() <= 256 && response.encoded_len() < 2 << 20);
        seen.extend(
            response
                .resources
                .iter()
                .map(|resource| resource.name.clone()),
        );
        talk.ack(&response).await;
    }
    assert_eq!(seen, names);
    talk.quiet().await;
}
