//! The rules of the xDS protocol, seen by a node that speaks it by hand.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

#[path = "support/client.rs"]
mod client;
mod support;

use std::sync::Arc;

use client::{NODE, PEER, client_of, delta, sotw, step, whole};
use envoy_types::pb::envoy::extensions::transport_sockets::tls::v3::Secret;
use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse,
};
use envoy_types::pb::google::protobuf::Any;
use keystead_xds::limits::Limits;
use keystead_xds::{Change, Event, PeerIdentity, Sds};
use prost::Message;
use support::TestSource;
use tonic::Code;

fn start() -> (Arc<TestSource>, Sds) {
    let source = TestSource::new();
    let sds = Sds::start(source.clone(), Limits::default());
    (source, sds)
}

fn name_of(any: &Any) -> String {
    Secret::decode(any.value.as_slice()).unwrap().name
}

/// The names in a response.
fn whole_names(response: &DiscoveryResponse) -> Vec<String> {
    response.resources.iter().map(name_of).collect()
}

/// The names and versions in a response.
fn step_names(response: &DeltaDiscoveryResponse) -> Vec<(&str, u64)> {
    for resource in &response.resources {
        assert_eq!(name_of(resource.resource.as_ref().unwrap()), resource.name);
    }
    let versions = response.resources.iter();
    versions
        .map(|resource| (resource.name.as_str(), resource.version.parse().unwrap()))
        .collect()
}

fn accepted(resource: &str, version: u64) -> Event {
    Event::Accepted {
        resource: resource.to_owned(),
        version,
    }
}

fn rejected(resource: &str, version: u64, detail: &str) -> Event {
    Event::Rejected {
        resource: resource.to_owned(),
        version,
        detail: detail.to_owned(),
    }
}

fn withheld(resource: &str, denied: bool) -> Event {
    Event::Withheld {
        resource: resource.to_owned(),
        denied,
    }
}

#[tokio::test(start_paused = true)]
async fn whole_a_change_reaches_a_node_once_and_its_answer_the_operator() {
    let (source, sds) = start();
    let first = source.put_trust("a", "one");
    let mut talk = sotw(&sds).await;
    talk.open(&["a"], "").await;
    let response = talk.next().await;
    assert_eq!(whole_names(&response), ["a"]);
    talk.ack(&response, &["a"]).await;
    talk.quiet().await;
    assert_eq!(source.reported(&accepted("a", first)), 1);

    source.tell(Change::Resource("a".to_owned()));
    talk.quiet().await;

    let second = source.put_trust("a", "two");
    let newer = talk.next().await;
    assert!(newer.version_info > response.version_info, "versions sort");
    assert_ne!(newer.nonce, response.nonce);
    talk.ack(&newer, &["a"]).await;
    talk.quiet().await;
    assert_eq!(source.reported(&accepted("a", second)), 1);
    let (node, event) = source.events()[0].clone();
    assert_eq!((node.identity, node.id.as_str()), (PEER, NODE));
    assert_eq!(event, Event::Connected);

    drop(talk);
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(source.reported(&Event::Disconnected), 1);
    assert_eq!(sds.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn step_only_what_changed_is_sent() {
    let (source, sds) = start();
    let (a, b) = (source.put_trust("a", "one"), source.put_trust("b", "one"));
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b"], &[]).await;
    let response = talk.next().await;
    assert_eq!(step_names(&response), [("a", a), ("b", b)]);
    talk.ack(&response).await;
    talk.quiet().await;
    assert_eq!(source.reported(&accepted("b", b)), 1);

    let b = source.put_trust("b", "two");
    let response = talk.next().await;
    assert_eq!(step_names(&response), [("b", b)]);
    assert!(response.removed_resources.is_empty());
    talk.ack(&response).await;
    talk.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whole_a_denied_secret_looks_like_none_until_it_is_granted() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.deny(&PEER, "a");
    let mut talk = sotw(&sds).await;
    talk.open(&["a", "missing"], "").await;
    talk.quiet().await;
    source.tell(Change::Lagged);
    talk.quiet().await;
    assert_eq!(source.reported(&withheld("a", true)), 1, "told once");
    assert_eq!(source.reported(&withheld("missing", false)), 1);

    source.allow(&PEER, "a");
    assert_eq!(whole_names(&talk.next().await), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn step_a_denied_secret_looks_like_none_until_it_is_granted() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.deny(&PEER, "a");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "missing"], &[]).await;
    talk.quiet().await;
    source.tell(Change::Lagged);
    talk.quiet().await;
    assert_eq!(source.reported(&withheld("a", true)), 1, "told once");
    assert_eq!(source.reported(&withheld("missing", false)), 1);

    source.allow(&PEER, "a");
    let response = talk.next().await;
    assert_eq!(step_names(&response)[0].0, "a");
    talk.ack(&response).await;
    talk.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn step_what_is_deleted_or_withdrawn_is_removed_once() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.put_trust("b", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b"], &[]).await;
    talk.next_ack().await;
    talk.quiet().await;

    source.remove("a");
    let response = talk.next().await;
    assert_eq!(response.removed_resources, ["a"]);
    talk.ack(&response).await;
    source.deny(&PEER, "b");
    let response = talk.next().await;
    assert_eq!(response.removed_resources, ["b"]);
    talk.ack(&response).await;
    source.tell(Change::Lagged);
    talk.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whole_a_rejected_version_is_told_and_not_sent_again() {
    let (source, sds) = start();
    let good = source.put_trust("a", "good");
    let mut talk = sotw(&sds).await;
    talk.open(&["a"], "").await;
    let response = talk.next().await;
    talk.ack(&response, &["a"]).await;
    let bad = source.put_trust("a", "bad");
    let response = talk.next().await;
    talk.nack(&response, &["a"], "not a\ncertificate").await;
    for _ in 0..3 {
        source.tell(Change::Resource("a".to_owned()));
        source.tell(Change::Lagged);
        talk.quiet().await;
    }
    assert_eq!(source.reported(&rejected("a", bad, "not a certificate")), 1);
    assert_eq!(source.reported(&accepted("a", good)), 1);
    assert_eq!(source.reported(&accepted("a", bad)), 0);

    source.put_trust("a", "better");
    assert_eq!(whole_names(&talk.next().await), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn step_one_broken_secret_does_not_hold_up_its_neighbours() {
    let (source, sds) = start();
    let a = source.put_trust("a", "good");
    let b = source.put_trust("b", "bad");
    let c = source.put_trust("c", "good");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b", "c"], &[]).await;
    let together = talk.next().await;
    assert_eq!(together.resources.len(), 3);
    talk.nack(&together, "one of them is broken").await;
    for (name, version) in [("a", a), ("b", b), ("c", c)] {
        let alone = talk.next().await;
        assert_eq!(step_names(&alone), [(name, version)]);
        if name == "b" {
            talk.nack(&alone, "broken").await;
        } else {
            talk.ack(&alone).await;
        }
    }
    talk.quiet().await;
    source.tell(Change::Lagged);
    talk.quiet().await;
    assert_eq!(source.reported(&accepted("a", a)), 1);
    assert_eq!(source.reported(&rejected("b", b, "broken")), 1);
    assert_eq!(source.reported(&accepted("c", c)), 1);
}

#[tokio::test(start_paused = true)]
async fn whole_a_node_that_comes_back_is_sent_what_it_lacks() {
    let (source, sds) = start();
    for name in ["c", "b", "a"] {
        source.put_trust(name, "one");
    }
    let mut talk = sotw(&sds).await;
    talk.open(&["a", "b"], "").await;
    let response = talk.next().await;
    talk.ack(&response, &["a", "b"]).await;
    let version = response.version_info;
    drop(talk);

    // Another process with the same records.
    let sds = Sds::start(source.clone(), Limits::default());
    let mut same = sotw(&sds).await;
    same.open(&["a", "b"], &version).await;
    same.quiet().await;
    let b = source.put_trust("b", "two");
    let response = same.next().await;
    assert_eq!(whole_names(&response), ["b"]);
    same.ack(&response, &["a", "b"]).await;
    same.quiet().await;
    assert_eq!(source.reported(&accepted("b", b)), 1);

    // The record of c is the oldest, so the newest version is the same with and without it.
    let mut more = sotw(&sds).await;
    more.open(&["a", "b", "c"], &response.version_info).await;
    assert_eq!(whole_names(&more.next().await), ["a", "b", "c"]);
    let mut fewer = sotw(&sds).await;
    fewer.open(&["b"], &response.version_info).await;
    assert_eq!(whole_names(&fewer.next().await), ["b"]);
    let mut stale = sotw(&sds).await;
    stale.open(&["a", "b"], &version).await;
    assert_eq!(whole_names(&stale.next().await), ["a", "b"]);
    let mut foreign = sotw(&sds).await;
    foreign.open(&["a", "b"], "somebody-else-7").await;
    assert_eq!(whole_names(&foreign.next().await), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn step_a_node_that_comes_back_is_sent_what_it_lacks() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.put_trust("b", "one");
    source.put_trust("c", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b", "c"], &[]).await;
    let response = talk.next().await;
    talk.ack(&response).await;
    talk.quiet().await;
    let known = response.resources.iter();
    let known: Vec<_> = known
        .map(|r| (r.name.as_str(), r.version.as_str()))
        .collect();
    drop(talk);

    let sds = Sds::start(source.clone(), Limits::default());
    let mut same = delta(&sds).await;
    same.open(&["a", "b", "c"], &known).await;
    same.quiet().await;
    drop(same);

    let b = source.put_trust("b", "two");
    source.remove("c");
    let d = source.put_trust("d", "one");
    let mut behind = delta(&sds).await;
    behind.open(&["a", "b", "c", "d"], &known).await;
    let response = behind.next().await;
    assert_eq!(step_names(&response), [("b", b), ("d", d)]);
    assert_eq!(response.removed_resources, ["c"]);

    let mut foreign = delta(&sds).await;
    foreign.open(&["d"], &[("d", "sha256:5e5a")]).await;
    assert_eq!(step_names(&foreign.next().await), [("d", d)]);
}

#[tokio::test(start_paused = true)]
async fn whole_names_may_change_on_an_open_stream() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.put_trust("b", "one");
    let mut talk = sotw(&sds).await;
    talk.open(&["a"], "").await;
    let first = talk.next().await;
    talk.ack(&first, &["a"]).await;
    talk.ack(&first, &["a", "b"]).await;
    let second = talk.next().await;
    assert_eq!(whole_names(&second), ["b"], "a is there already");
    talk.ack(&second, &["b"]).await;
    talk.quiet().await;
    source.put_trust("a", "two");
    talk.quiet().await;
    // Asked for anew, a is sent again.
    talk.ack(&second, &["a", "b"]).await;
    let third = talk.next().await;
    assert_eq!(whole_names(&third), ["a"]);
    talk.ack(&third, &[]).await;
    source.put_trust("a", "three");
    talk.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn step_names_may_change_on_an_open_stream() {
    let (source, sds) = start();
    let a = source.put_trust("a", "one");
    source.put_trust("b", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a"], &[]).await;
    talk.next_ack().await;
    talk.quiet().await;
    talk.send(step(&["a"], &[])).await;
    let again = talk.next().await;
    assert_eq!(step_names(&again), [("a", a)], "it may have forgotten");
    talk.ack(&again).await;
    talk.send(step(&["b"], &["a", "phantom"])).await;
    let response = talk.next().await;
    assert_eq!(step_names(&response)[0].0, "b");
    talk.ack(&response).await;
    source.put_trust("a", "two");
    talk.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn whole_a_request_about_an_older_response_is_void() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.put_trust("b", "one");
    let mut talk = sotw(&sds).await;
    talk.open(&["a"], "").await;
    let old = talk.next().await;
    talk.ack(&old, &["a"]).await;
    talk.quiet().await;
    let second = source.put_trust("a", "two");
    let new = talk.next().await;
    talk.nack(&old, &["a", "b"], "about the old one").await;
    talk.quiet().await;
    assert_eq!(
        source.reported(&rejected("a", second, "about the old one")),
        0
    );
    talk.ack(&new, &["a", "b"]).await;
    assert_eq!(whole_names(&talk.next().await), ["b"]);
    assert_eq!(source.reported(&accepted("a", second)), 1);
}

#[tokio::test(start_paused = true)]
async fn step_a_stale_nonce_voids_the_answer_but_not_the_subscription() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    source.put_trust("b", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a"], &[]).await;
    let old = talk.next().await;
    talk.ack(&old).await;
    let second = source.put_trust("a", "two");
    let new = talk.next().await;
    let request = DeltaDiscoveryRequest {
        response_nonce: old.nonce.clone(),
        ..step(&["b"], &[])
    };
    talk.send(request).await;
    talk.quiet().await;
    talk.ack(&new).await;
    assert_eq!(step_names(&talk.next().await)[0].0, "b");
    assert_eq!(source.reported(&accepted("a", second)), 1);
}

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
    let kind = keystead_xds::SecretKind::Validation {
        trust_pem: "two".to_owned(),
    };
    let second = source.put_silently("a", kind);
    talk.quiet().await;
    tokio::time::sleep(keystead_xds::limits::REREAD_EVERY).await;
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
