//! The incremental variant.

use envoy_types::pb::envoy::service::discovery::v3::DeltaDiscoveryRequest;
use keystead_xds::limits::Limits;
use keystead_xds::{Change, Sds};
use tonic::Code;

use crate::client::{PEER, delta, step};
use crate::support::TestSource;
use crate::{accepted, rejected, start, step_names, withheld};

#[tokio::test(start_paused = true)]
async fn only_what_changed_is_sent() {
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
async fn a_denied_secret_looks_like_none_until_it_is_granted() {
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
async fn what_is_deleted_or_withdrawn_is_removed_once() {
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
async fn one_broken_secret_does_not_hold_up_its_neighbours() {
    let (source, sds) = start();
    let a = source.put_trust("a", "good");
    let b = source.put_trust("b", "bad");
    let c = source.put_trust("c", "good");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b", "c"], &[]).await;
    let together = talk.next().await;
    assert_eq!(together.resources.len(), 3);
    talk.nack(&together, "one of them is broken").await;
    // Nor does a newcomer travel with one that is under suspicion.
    let n = source.put_trust("0", "good");
    talk.send(step(&["0"], &[])).await;
    for (name, version) in [("a", a), ("0", n), ("b", b), ("c", c)] {
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
async fn a_node_that_comes_back_is_sent_what_it_lacks() {
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
async fn names_may_change_on_an_open_stream() {
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
async fn what_a_node_knows_counts_on_a_new_stream_only() {
    let (source, sds) = start();
    let a = source.put_trust("a", "one");
    let mut talk = delta(&sds).await;
    talk.open(&[], &[]).await;
    let known = [("a".to_owned(), format!("{a:020}"))];
    let request = DeltaDiscoveryRequest {
        initial_resource_versions: known.into(),
        ..step(&["a"], &[])
    };
    talk.send(request).await;
    assert_eq!(step_names(&talk.next().await), [("a", a)]);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_dropped_makes_room() {
    let source = TestSource::new();
    let limits = Limits {
        names: 2,
        ..Limits::default()
    };
    let sds = Sds::start(source.clone(), limits);
    source.put_trust("c", "one");
    let mut talk = delta(&sds).await;
    talk.open(&["a", "b"], &[]).await;
    talk.send(step(&["c"], &["a"])).await;
    talk.next_ack().await;
    talk.send(step(&["d"], &[])).await;
    assert_eq!(talk.end().await.code(), Code::ResourceExhausted);
}

#[tokio::test(start_paused = true)]
async fn a_stale_nonce_voids_the_answer_but_not_the_subscription() {
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
