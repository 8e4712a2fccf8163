//! Audit reports whose commits fail, one after another.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::pca::Serial;
use keystead_core::x509::KeySpec;
use keystead_store::faults::Failure;
use keystead_store::{Batch, Expect};
use keystead_wire::acm_pca as wire;

use super::super::record::{CERTIFICATES, Issued};
use super::super::reports;
use super::super::*;
use super::world::*;

/// Longer than any wait of the queue, and than a lease.
const WHILE: SignedDuration = SignedDuration::from_mins(10);

/// A bit more than one step of the task writes.
const CERTIFICATES_OF_TWO_STEPS: u64 = 4_200;

fn asking(arn: &str) -> wire::CreateCertificateAuthorityAuditReportRequest {
    wire::CreateCertificateAuthorityAuditReportRequest {
        certificate_authority_arn: arn.into(),
        s3_bucket_name: "reports".into(),
        audit_report_response_format: wire::AuditReportResponseFormat::Csv,
    }
}

async fn described(
    world: &World,
    arn: &str,
    id: &str,
) -> wire::DescribeCertificateAuthorityAuditReportResponse {
    let input = wire::DescribeCertificateAuthorityAuditReportRequest {
        certificate_authority_arn: arn.into(),
        audit_report_id: id.into(),
    };
    describe_certificate_authority_audit_report(&world.ctx(), input)
        .await
        .unwrap()
}

fn written(world: &World, key: &str) -> String {
    let path = world.dir.path().join("data/objects/123456789012/reports");
    std::fs::read_to_string(path.join(key)).unwrap()
}

/// A root that has issued so many certificates: one in truth, whose record is there under many serial numbers.
async fn busy_root(world: &World) -> String {
    let arn = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let order = world.order(&arn, &csr).await;
    let leaf = world.issue(order).await.unwrap();
    world.get(&arn, &leaf).await.unwrap();
    let id = arn.rsplit('/').next().unwrap();
    let prefix = world.ctx().key(id);
    let key = format!("{prefix}/{}", leaf.rsplit('/').next().unwrap());
    let store = &world.app.store;
    let record = store.get::<Issued>(CERTIFICATES, &key).await.unwrap();
    let record = record.unwrap().value;
    let numbers: Vec<u64> = (1..=CERTIFICATES_OF_TWO_STEPS).collect();
    for part in numbers.chunks(500) {
        let mut batch = Batch::new();
        for number in part {
            let serial = Serial::parse(&format!("{number:x}")).unwrap();
            let key = format!("{prefix}/{}", serial.hex());
            batch.put(CERTIFICATES, key, &record, Expect::Absent);
        }
        store.commit(batch).await.unwrap();
    }
    arn
}

#[tokio::test]
async fn a_report_is_whole_whichever_commit_fails() {
    let world = World::new().await;
    let arn = busy_root(&world).await;
    // Its own certificate and the leaf are there beside the many.
    let expected = usize::try_from(CERTIFICATES_OF_TWO_STEPS).unwrap() + 2;
    let store = &world.app.store;
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1.. {
            world.pass(SignedDuration::from_mins(31));
            store.fail_commit(nth, failure);
            let asked = create_certificate_authority_audit_report(&world.ctx(), asking(&arn)).await;
            let asked = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    assert_eq!((error.kind, nth), (ErrorKind::Unavailable, 1));
                    // Whether there is one, nobody was told; if there is, it is written.
                    world.run_due().await;
                    continue;
                }
            };
            let id = asked.audit_report_id.unwrap();
            for _ in 0..5 {
                world.run_due().await;
                world.pass(WHILE);
            }
            let failed = !store.is_to_fail();
            store.fail_commit(0, failure);
            let report = described(&world, &arn, &id).await;
            assert_eq!(
                report.audit_report_status,
                Some(wire::AuditReportStatus::Success),
                "{failure:?} {nth}"
            );
            let text = written(&world, &report.s3_key.unwrap());
            let lines: Vec<&str> = text.lines().skip(1).collect();
            let serials: BTreeSet<&str> = lines
                .iter()
                .map(|line| line.split(',').nth(3).unwrap())
                .collect();
            assert_eq!(lines.len(), expected, "{failure:?} {nth}");
            assert_eq!(serials.len(), expected, "{failure:?} {nth}");
            if !failed {
                assert_eq!(nth, 4, "it is asked for, and written in two steps");
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_report_tells_of_what_was_there_when_it_was_asked_for() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let asked = create_certificate_authority_audit_report(&world.ctx(), asking(&arn))
        .await
        .unwrap();
    world.pass(SignedDuration::from_secs(1));
    let (csr, _) = world.csr(KeySpec::EcP256, "late.test", &[]).await;
    let order = world.order(&arn, &csr).await;
    world.issue_and_get(order).await;
    world.run_due().await;
    let report = described(&world, &arn, &asked.audit_report_id.unwrap()).await;
    assert_eq!(written(&world, &report.s3_key.unwrap()).lines().count(), 2);
}

#[tokio::test]
async fn the_reports_of_an_authority_go_with_it_and_their_objects_stay() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let asked = create_certificate_authority_audit_report(&world.ctx(), asking(&arn))
        .await
        .unwrap();
    world.run_due().await;
    world
        .set_status(&arn, wire::CertificateAuthorityStatus::Disabled)
        .await
        .unwrap();
    world.delete(&arn, Some(7)).await.unwrap();
    world.pass(SignedDuration::from_hours(8 * 24));
    world.run_due().await;
    let id = arn.rsplit('/').next().unwrap();
    let key = world
        .ctx()
        .key(&format!("{id}/{}", asked.audit_report_id.unwrap()));
    let left = world
        .app
        .store
        .get::<reports::Report>(reports::REPORTS, &key)
        .await;
    assert!(left.unwrap().is_none());
    assert!(written(&world, &asked.s3_key.unwrap()).lines().count() > 1);
}
