//! What a CA signed, issued anew: counted, replaced, paced, stopped, and cut off anywhere.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_store::faults::Failure;
use keystead_wire::{acm as wire, keystead as own};

use super::world::{DAY, NODE, World, kind, public};
use crate::acm;
use crate::tasks;

async fn start(
    world: &World,
    from: &str,
    to: Option<&str>,
    per_second: Option<i32>,
) -> Result<own::Reissue, ErrorKind> {
    let input = own::StartReissueRequest {
        certificate_authority_arn: from.into(),
        target_certificate_authority_arn: to.map(Into::into),
        per_second,
    };
    let answer = acm::start_reissue(&world.ctx(), input).await;
    answer.map(|answer| answer.reissue).map_err(kind)
}

async fn look(world: &World, arn: &str) -> own::Reissue {
    let input = own::DescribeReissueRequest {
        reissue_arn: arn.into(),
    };
    acm::describe_reissue(&world.ctx(), input)
        .await
        .unwrap()
        .reissue
}

/// How many were counted, replaced, refused, left out.
fn counts(reissue: &own::Reissue) -> [i64; 4] {
    [
        reissue.total,
        reissue.reissued,
        reissue.failed,
        reissue.left_out,
    ]
}

async fn several(world: &World, ca: &str, count: usize) -> Vec<String> {
    let mut arns = Vec::new();
    for _ in 0..count {
        arns.push(world.private(ca).await);
    }
    arns
}

#[tokio::test]
async fn everything_that_can_be_is_replaced_once() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let arns = several(&world, &ca, 40).await;
    world.associate(&arns[0], NODE).await.unwrap();
    world.export(&arns[1]).await.unwrap();
    let input = wire::RevokeCertificateRequest {
        certificate_arn: arns[1].clone(),
        revocation_reason: wire::RevocationReason::Superseded,
    };
    acm::revoke_certificate(&world.ctx(), input).await.unwrap();
    let elsewhere = world.private(&world.ca().await).await;
    let waiting = world.request(public("a.example.com")).await.unwrap();
    world.pass(SignedDuration::from_secs(1));

    let begun = start(&world, &ca, None, None).await.unwrap();
    assert_eq!(begun.status, own::ReissueStatus::Counting);
    world.pass(SignedDuration::from_secs(1));
    let late = world.private(&ca).await;
    assert_eq!(
        start(&world, &ca, None, None).await.map(drop),
        Err(ErrorKind::Conflict),
        "one at a time"
    );
    world.run_due().await;
    let ended = look(&world, &begun.reissue_arn).await;
    assert_eq!(ended.status, own::ReissueStatus::Completed);
    // The one requested later may be counted; it is never replaced.
    assert_eq!(counts(&ended), [41, 39, 0, 2]);
    for (number, arn) in arns.iter().enumerate() {
        let version = match number {
            1 => 1,
            _ => 2,
        };
        assert_eq!(world.delivered(arn).await.version, version, "{number}");
    }
    for untouched in [&elsewhere, &late] {
        assert_eq!(world.delivered(untouched).await.version, 1);
    }
    let shown = world.describe(&waiting).await;
    assert_eq!(
        shown.status,
        Some(wire::CertificateStatus::PendingValidation)
    );
    // And again, since the first is over.
    let again = start(&world, &ca, None, None).await.unwrap();
    world.run_due().await;
    assert_eq!(
        counts(&look(&world, &again.reissue_arn).await),
        [41, 40, 0, 1]
    );
    let ctx = world.ctx();
    let listed = acm::list_reissues(&ctx, own::ListReissuesRequest::default());
    assert_eq!(listed.await.unwrap().reissues.len(), 2);
}

#[tokio::test]
async fn a_successor_takes_over_what_it_issues() {
    let world = World::new().await;
    let (old, new) = (world.ca().await, world.ca().await);
    let arns = several(&world, &old, 3).await;
    assert_eq!(
        start(&world, &old, Some(&new), None).await.map(drop),
        Err(ErrorKind::AccessDenied),
        "it has not granted it"
    );
    world.grant(&new).await;
    let begun = start(&world, &old, Some(&new), None).await.unwrap();
    world.run_due().await;
    let ended = look(&world, &begun.reissue_arn).await;
    assert_eq!(counts(&ended), [3, 3, 0, 0]);
    for arn in &arns {
        let shown = world.describe(arn).await;
        assert_eq!(shown.certificate_authority_arn.as_ref(), Some(&new));
        let summary = shown.renewal_summary.unwrap();
        assert_eq!(summary.renewal_status, wire::RenewalStatus::Success);
    }
    let rest = start(&world, &old, None, None).await;
    assert_eq!(
        rest.map(drop),
        Err(ErrorKind::AccessDenied),
        "the old one never granted it"
    );
    // Both versions are revoked where they were issued.
    world.export(&arns[2]).await.unwrap();
    let input = wire::RevokeCertificateRequest {
        certificate_arn: arns[2].clone(),
        revocation_reason: wire::RevocationReason::KeyCompromise,
    };
    acm::revoke_certificate(&world.ctx(), input).await.unwrap();
    let ctx = world.ctx();
    let serials = super::searching::serials(&world, &arns[2]).await;
    for (ca, serial) in [&old, &new].into_iter().zip(serials) {
        let revoked =
            crate::pca::internal::has_revoked(&world.app, ctx.account(), &ctx.region, ca, &serial);
        assert!(revoked.await.unwrap());
    }
    // From here on they are the new one's, renewals included.
    world.associate(&arns[0], NODE).await.unwrap();
    world.pass_and_run(DAY * 340).await;
    assert_eq!(world.delivered(&arns[0]).await.version, 3);
}

#[tokio::test]
async fn what_is_refused_is_counted_and_goes_on_by_itself() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let arn = world.private(&ca).await;
    let begun = start(&world, &ca, None, None).await.unwrap();
    world.ungrant(&ca).await;
    world.run_due().await;
    let ended = look(&world, &begun.reissue_arn).await;
    assert_eq!(ended.status, own::ReissueStatus::Completed);
    assert_eq!(counts(&ended), [1, 0, 1, 0]);
    assert_eq!(ended.failed_certificate_arn.as_ref(), Some(&arn));
    assert_eq!(ended.failure_reason.as_deref(), Some("PCA_ACCESS_DENIED"));
    let summary = world.describe(&arn).await.renewal_summary.unwrap();
    assert_eq!(
        summary.renewal_status,
        wire::RenewalStatus::PendingAutoRenewal
    );
    assert_eq!(
        world.delivered(&arn).await.version,
        1,
        "the old one is served"
    );
    world.grant(&ca).await;
    world.pass_and_run(SignedDuration::from_mins(1)).await;
    assert_eq!(world.delivered(&arn).await.version, 2);
}

#[tokio::test]
async fn the_pace_is_kept_and_a_stop_stops() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let arns = several(&world, &ca, 5).await;
    let begun = start(&world, &ca, None, Some(2)).await.unwrap();
    world.run_due().await;
    world.pass_and_run(SignedDuration::from_millis(1001)).await;
    let halfway = look(&world, &begun.reissue_arn).await;
    assert_eq!(counts(&halfway), [5, 2, 0, 0]);
    let stop = || own::StopReissueRequest {
        reissue_arn: begun.reissue_arn.clone(),
    };
    let stopped = acm::stop_reissue(&world.ctx(), stop())
        .await
        .unwrap()
        .reissue;
    assert_eq!(stopped.status, own::ReissueStatus::Stopped);
    assert_eq!(stopped.ended_at, Some(world.now()));
    let twice = acm::stop_reissue(&world.ctx(), stop()).await;
    assert_eq!(twice.map(drop).map_err(kind), Err(ErrorKind::InvalidState));
    world.pass_and_run(SignedDuration::from_secs(60)).await;
    assert_eq!(
        counts(&look(&world, &begun.reissue_arn).await),
        [5, 2, 0, 0]
    );
    let mut versions = Vec::new();
    for arn in &arns {
        versions.push(world.delivered(arn).await.version);
    }
    assert_eq!(versions.iter().filter(|version| **version == 2).count(), 2);
    // Another one is free to begin.
    start(&world, &ca, None, None).await.unwrap();
}

#[tokio::test]
async fn cut_off_at_any_commit_everything_is_replaced_once_and_counted_once() {
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1..40 {
            let world = World::new().await;
            let ca = world.ca().await;
            world.grant(&ca).await;
            let arns = several(&world, &ca, 3).await;
            let begun = start(&world, &ca, None, None).await.unwrap();
            let issued = super::crash::issued_by(&world).await;
            world.app.store.fail_commit(nth, failure);
            // The step that fails ends; what its leases keep comes back when they have ended.
            let _ = tasks::run_due(&world.app).await;
            let failed = !world.app.store.is_to_fail();
            world.app.store.fail_commit(0, failure);
            for _ in 0..4 {
                world.pass_and_run(SignedDuration::from_secs(61)).await;
            }
            let ended = look(&world, &begun.reissue_arn).await;
            assert_eq!(
                ended.status,
                own::ReissueStatus::Completed,
                "{failure:?} {nth}"
            );
            let [total, reissued, refused, left_out] = counts(&ended);
            assert_eq!(
                (total, reissued + refused, left_out),
                (3, 3, 0),
                "{failure:?} {nth}"
            );
            for arn in &arns {
                assert_eq!(world.delivered(arn).await.version, 2, "{failure:?} {nth}");
            }
            assert_eq!(
                super::crash::issued_by(&world).await,
                issued + 3,
                "{failure:?} {nth}"
            );
            if !failed {
                assert!(nth > 8, "there are more commits than that");
                break;
            }
        }
    }
}

#[tokio::test]
async fn who_may_not_issue_may_not_begin() {
    let world = World::new().await;
    let ca = world.ca().await;
    world.grant(&ca).await;
    let no_ca = format!("{}0", ca.trim_end_matches(|c: char| c != '-'));
    assert_eq!(
        start(&world, &ca, Some(&no_ca), None).await.map(drop),
        Err(ErrorKind::NotFound)
    );
    assert_eq!(
        start(&world, "arn", None, None).await.map(drop),
        Err(ErrorKind::InvalidArn)
    );
}
