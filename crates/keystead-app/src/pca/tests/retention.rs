//! Expired certificates leave when it is time, and take nothing with them that others need.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_store::faults::Failure;

use super::super::record::{CERTIFICATES, Issued};
use super::world::*;
use crate::log;

const DAY: SignedDuration = SignedDuration::from_hours(24);

async fn issued_for(world: &World, root: &str, for_days: i64) -> String {
    let (csr, _) = world
        .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
        .await;
    let mut order = world.order(root, &csr).await;
    order.validity = days(for_days);
    let arn = world.issue(order).await.unwrap();
    world.get(root, &arn).await.unwrap();
    arn
}

fn key(root: &str, arn: &str) -> String {
    let id = root.rsplit('/').next().unwrap();
    let serial = arn.rsplit('/').next().unwrap();
    format!("123456789012/us-east-1/{id}/{serial}")
}

#[tokio::test]
async fn without_a_wish_everything_is_kept() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let arn = issued_for(&world, &root, 1).await;
    world.pass(DAY * 1000);
    world.run_due().await;
    assert!(world.get(&root, &arn).await.is_ok());
}

#[tokio::test]
async fn what_expired_long_ago_goes_and_its_place_in_the_log_stays() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (short, long) = (
        issued_for(&world, &root, 1).await,
        issued_for(&world, &root, 300).await,
    );
    log::append_all(&world.app).await.unwrap();
    world.keep_expired(Some(DAY * 10));
    let world = world.restart().await;
    world.run_due().await;
    world.pass(DAY * 10);
    world.run_due().await;
    assert!(world.get(&root, &short).await.is_ok(), "not ten days yet");
    world.pass(DAY * 2);
    world.run_due().await;
    let gone = world.get(&root, &short).await.unwrap_err();
    assert_eq!(gone.kind, ErrorKind::NotFound);
    assert!(world.get(&root, &long).await.is_ok());
    let (gone, kept) = (key(&root, &short), world.ctx().now);
    let logged = log::has_done_with(&world.app.store, &gone, kept).await;
    assert!(logged.unwrap(), "its place in the log is taken for ever");

    // Whoever changes their mind has the rest kept.
    world.keep_expired(None);
    let world = world.restart().await;
    world.pass(DAY * 1000);
    world.run_due().await;
    assert!(world.get(&root, &long).await.is_ok());
}

#[tokio::test]
async fn nothing_goes_before_it_is_logged_and_a_crash_loses_nothing() {
    for failure in [Failure::Refused, Failure::Unheard] {
        let world = World::new().await;
        world.keep_expired(Some(DAY));
        let world = world.restart().await;
        let root = world.root(KeySpec::EcP256).await;
        let arn = issued_for(&world, &root, 1).await;
        world.pass(DAY * 3);
        world.run_due().await;
        assert!(world.get(&root, &arn).await.is_ok(), "it is not in the log");
        log::append_all(&world.app).await.unwrap();
        world.app.store.fail_commit(2, failure);
        world.pass(DAY);
        world.run_due().await;
        world.app.store.fail_commit(0, failure);
        world.pass(DAY);
        world.run_due().await;
        let key = key(&root, &arn);
        let found = world.app.store.get::<Issued>(CERTIFICATES, &key).await;
        assert!(found.unwrap().is_none(), "{failure:?}");
    }
}
