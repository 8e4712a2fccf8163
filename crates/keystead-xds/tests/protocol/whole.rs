//! The state-of-the-world variant.

use std::time::Duration;

use keystead_xds::limits::Limits;
use keystead_xds::{Change, Event, Sds};

use crate::client::{NODE, PEER, sotw};
use crate::{accepted, rejected, start, whole_names, withheld};

#[tokio::test(start_paused = true)]
async fn a_change_reaches_a_node_once_and_its_answer_the_operator() {
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
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(source.reported(&Event::Disconnected), 1);
    assert_eq!(sds.streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_denied_secret_looks_like_none_until_it_is_granted() {
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
async fn a_rejected_version_is_told_and_not_sent_again() {
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
async fn a_node_that_comes_back_is_sent_what_it_lacks() {
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
async fn names_may_change_on_an_open_stream() {
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
async fn a_request_about_an_older_response_is_void() {
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
    let last = talk.next().await;
    assert_eq!(whole_names(&last), ["b"]);
    assert_eq!(source.reported(&accepted("a", second)), 1);
    talk.ack(&last, &["b"]).await;
    talk.ack(&new, &["a", "b"]).await;
    talk.quiet().await;
}

#[tokio::test(start_paused = true)]
async fn there_is_no_word_for_a_removal() {
    let (source, sds) = start();
    source.put_trust("a", "one");
    let mut talk = sotw(&sds).await;
    talk.open(&["a"], "").await;
    let response = talk.next().await;
    talk.ack(&response, &["a"]).await;
    talk.quiet().await;
    source.remove("a");
    talk.quiet().await;
    source.put_trust("a", "again");
    assert_eq!(whole_names(&talk.next().await), ["a"]);
}
