//! Renewals: when due, when asked for, when refused; and the end.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::acm::schedule;
use keystead_store::Batch;
use keystead_wire::acm as wire;

use super::world::{DAY, NODE, World};
use crate::acm::record::Loaded;
use crate::tasks;

#[tokio::test]
async fn what_is_used_is_renewed_when_due_and_what_is_not_expires() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let used = world.private(&ca).await;
    let idle = world.private(&ca).await;
    world.associate(&used, NODE).await.unwrap();
    let before = world.describe(&used).await;
    assert_eq!(
        before.renewal_eligibility,
        Some(wire::RenewalEligibility::Eligible)
    );
    assert_eq!(before.in_use_by.unwrap(), [NODE]);

    world.pass_and_run(DAY * 334).await;
    assert_eq!(
        world.describe(&used).await.serial,
        before.serial,
        "not before its time"
    );
    let old = world.delivered(&used).await;
    world.pass_and_run(DAY * 3).await;
    let after = world.describe(&used).await;
    assert_ne!(after.serial, before.serial);
    assert!(after.not_after > before.not_after);
    let summary = after.renewal_summary.unwrap();
    assert_eq!(summary.renewal_status, wire::RenewalStatus::Success);
    assert_eq!(summary.updated_at, world.now());
    let new = world.delivered(&used).await;
    assert_eq!((old.version, new.version), (1, 2));
    assert_ne!(
        old.key.as_pem(),
        new.key.as_pem(),
        "a renewal has a key of its own"
    );
    assert_eq!(world.describe(&idle).await.renewal_summary, None);
    assert_eq!(
        world.versions().await.iter().sum::<u64>(),
        1 + 1 + 2,
        "the version before is kept"
    );

    world.pass(DAY * 60);
    assert_eq!(
        world.describe(&idle).await.status,
        Some(wire::CertificateStatus::Expired)
    );
    tasks::run_due(&world.app).await.unwrap();
    assert_eq!(
        world.describe(&idle).await.status,
        Some(wire::CertificateStatus::Expired)
    );
    assert_eq!(world.renew(&idle).await, Err(ErrorKind::Validation));
    assert_eq!(
        world.describe(&used).await.status,
        Some(wire::CertificateStatus::Issued)
    );

    // And again, a year later: only two versions are ever kept.
    world.pass_and_run(DAY * 300).await;
    assert_eq!(world.delivered(&used).await.version, 3);
    let mut versions = world.versions().await;
    versions.sort_unstable();
    assert_eq!(versions, [1, 2, 3]);
}

#[tokio::test]
async fn renewal_needs_the_grant_and_succeeds_once_it_is_given() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    let before = world.describe(&arn).await;
    assert_eq!(
        before.status,
        Some(wire::CertificateStatus::Issued),
        "a first request needs none"
    );
    assert_eq!(
        world.renew(&arn).await,
        Err(ErrorKind::Validation),
        "neither used nor exported"
    );
    world.export(&arn).await.unwrap();
    assert_eq!(
        world.describe(&arn).await.renewal_eligibility,
        Some(wire::RenewalEligibility::Eligible)
    );

    assert_eq!(world.renew(&arn).await, Ok(()));
    let refused = world.describe(&arn).await;
    let summary = refused.renewal_summary.unwrap();
    assert_eq!(
        summary.renewal_status,
        wire::RenewalStatus::PendingAutoRenewal
    );
    assert_eq!(
        summary.renewal_status_reason,
        Some(wire::FailureReason::PcaAccessDenied)
    );
    assert_eq!(refused.serial, before.serial, "the old one is served");
    assert_eq!(world.delivered(&arn).await.version, 1);

    world.grant(&ca).await;
    world.pass_and_run(SignedDuration::from_mins(1)).await;
    let renewed = world.describe(&arn).await;
    assert_ne!(renewed.serial, before.serial);
    assert_eq!(
        renewed.renewal_summary.unwrap().renewal_status,
        wire::RenewalStatus::Success
    );
    assert_eq!(
        renewed.renewal_eligibility,
        Some(wire::RenewalEligibility::Ineligible),
        "not exported since"
    );
    assert_eq!(world.delivered(&arn).await.version, 2);
}

#[tokio::test]
async fn asking_again_hurries_a_renewal_that_was_refused() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    world.export(&arn).await.unwrap();
    for _ in 0..5 {
        world.renew(&arn).await.unwrap();
    }
    world.grant(&ca).await;
    world.renew(&arn).await.unwrap();
    assert_eq!(world.delivered(&arn).await.version, 2);
}

#[tokio::test]
async fn a_renewal_that_never_succeeds_fails_with_the_certificate() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    world.associate(&arn, NODE).await.unwrap();
    for _ in 0..400 {
        world.pass_and_run(DAY).await;
    }
    let shown = world.describe(&arn).await;
    assert_eq!(shown.status, Some(wire::CertificateStatus::Expired));
    let summary = shown.renewal_summary.unwrap();
    assert_eq!(summary.renewal_status, wire::RenewalStatus::Failed);
    assert_eq!(
        summary.renewal_status_reason,
        Some(wire::FailureReason::PcaAccessDenied)
    );
    assert_eq!(
        world.versions().await,
        [1],
        "the key of the attempt is gone"
    );
    assert_eq!(world.app.store.next_due("acm").await.unwrap(), None);
}

#[tokio::test]
async fn many_renewals_at_the_same_time_make_one_version() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let arn = world.private(&ca).await;
    world.associate(&arn, NODE).await.unwrap();
    world.pass(DAY * 340);
    let runs = (0..6).map(|_| tasks::run_due(&world.app));
    let key = acm_key(&arn);
    let reconciles = (0..6).map(|_| crate::acm::issue::at_once(&world.app, &key));
    let (runs, _) = tokio::join!(
        futures::future::join_all(runs),
        futures::future::join_all(reconciles)
    );
    assert!(runs.iter().all(Result::is_ok));
    assert_eq!(world.delivered(&arn).await.version, 2);
    assert_eq!(
        super::crash::issued_by(&world).await,
        3,
        "the CA's own, the first, the renewed"
    );
}

#[tokio::test]
async fn the_loops_do_what_comes_due_and_stop_when_told() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let arn = world.private(&ca).await;
    world.associate(&arn, NODE).await.unwrap();
    let running = tasks::start(&world.app);
    let mut feed = world.app.store.watch();
    world.pass(DAY * 340);
    world.app.nudge.nudge();
    let renewed = async {
        while world.delivered(&arn).await.version < 2 {
            feed.next().await.unwrap();
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), renewed)
        .await
        .unwrap();
    running.stop().await;
}

/// Lets the current version end so long from now, as if it had been issued for that long.
async fn shorten(world: &World, arn: &str, life: SignedDuration) {
    let mut found = Loaded::read(&world.app.store, &acm_key(arn))
        .await
        .unwrap()
        .unwrap();
    let current = found.certificate.current.as_mut().unwrap();
    current.facts.not_before = world.now();
    current.facts.not_after = world.now() + life;
    current.renew_at = Some(schedule::renewal_due(
        current.facts.not_before,
        current.facts.not_after,
        0,
    ));
    let mut batch = Batch::new();
    found.save(&mut batch);
    world.app.store.commit(batch).await.unwrap();
}

#[tokio::test]
async fn six_hours_are_renewed_after_four() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    world.associate(&arn, NODE).await.unwrap();
    shorten(&world, &arn, SignedDuration::from_hours(6)).await;
    world.pass_and_run(SignedDuration::from_mins(239)).await;
    assert_eq!(world.describe(&arn).await.renewal_summary, None);
    // Refused at first: tried again soon enough, and served meanwhile.
    world.pass_and_run(SignedDuration::from_mins(2)).await;
    let refused = world.describe(&arn).await.renewal_summary.unwrap();
    assert_eq!(
        refused.renewal_status,
        wire::RenewalStatus::PendingAutoRenewal
    );
    world.pass_and_run(SignedDuration::from_mins(100)).await;
    assert_eq!(world.delivered(&arn).await.version, 1);
    world.grant(&ca).await;
    world.pass_and_run(SignedDuration::from_mins(10)).await;
    assert_eq!(world.delivered(&arn).await.version, 2);
    let renewed = world.describe(&arn).await;
    assert_eq!(renewed.status, Some(wire::CertificateStatus::Issued));
    assert_eq!(
        renewed.renewal_summary.unwrap().renewal_status,
        wire::RenewalStatus::Success
    );
}

pub(super) fn acm_key(arn: &str) -> String {
    let parts: Vec<_> = arn.split(':').collect();
    format!(
        "{}/{}/{}",
        parts[4],
        parts[3],
        parts[5].trim_start_matches("certificate/")
    )
}
