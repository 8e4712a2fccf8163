//! Authorities switched off and on, reconfigured, expired, deleted and brought back.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_store::faults::Failure;
use keystead_store::{Batch, Collection, Expect, Versioned};
use keystead_wire::acm_pca as wire;

use super::super::record::{
    AUTHORITIES, Authority, CERTIFICATES, Issued, OWN_CERTIFICATES, OwnCertificate,
};
use super::super::*;
use super::world::*;

const DAY: SignedDuration = SignedDuration::from_hours(24);

#[tokio::test]
async fn an_authority_is_switched_off_and_on() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    use wire::CertificateAuthorityStatus as S;
    world.set_status(&arn, S::Disabled).await.unwrap();
    assert_eq!(world.status(&arn).await, "DISABLED");
    assert_eq!(
        kind(world.install(&arn, "x", None).await),
        Some(ErrorKind::InvalidState)
    );
    world.set_status(&arn, S::Active).await.unwrap();
    assert_eq!(world.status(&arn).await, "ACTIVE");
    assert_eq!(
        kind(world.set_status(&arn, S::Expired).await),
        Some(ErrorKind::InvalidArgs)
    );
    let nothing = wire::UpdateCertificateAuthorityRequest {
        certificate_authority_arn: arn.clone(),
        revocation_configuration: None,
        status: None,
    };
    assert_eq!(
        kind(update_certificate_authority(&world.ctx(), nothing).await),
        Some(ErrorKind::InvalidArgs)
    );
    let pending = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    assert_eq!(
        kind(world.set_status(&pending, S::Disabled).await),
        Some(ErrorKind::InvalidState)
    );
}

#[tokio::test]
async fn revocation_is_configured_one_half_at_a_time() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let update = async |crl_configuration, ocsp_configuration| {
        let input = wire::UpdateCertificateAuthorityRequest {
            certificate_authority_arn: arn.clone(),
            revocation_configuration: Some(wire::RevocationConfiguration {
                crl_configuration,
                ocsp_configuration,
            }),
            status: None,
        };
        update_certificate_authority(&world.ctx(), input)
            .await
            .unwrap();
        world.describe(&arn).await.revocation_configuration.unwrap()
    };
    let crl = wire::CrlConfiguration {
        enabled: true,
        expiration_in_days: Some(7),
        custom_cname: None,
        s3_bucket_name: Some("my-bucket".into()),
        s3_object_acl: None,
        crl_distribution_point_extension_configuration: None,
        crl_type: None,
        custom_path: None,
    };
    let shown = update(Some(crl.clone()), None).await;
    let expected = wire::CrlConfiguration {
        s3_object_acl: Some(wire::S3ObjectAcl::PublicRead),
        ..crl
    };
    assert_eq!(shown.crl_configuration, Some(expected.clone()));
    let ocsp = wire::OcspConfiguration {
        enabled: true,
        ocsp_custom_cname: Some("o.test".into()),
    };
    let shown = update(None, Some(ocsp.clone())).await;
    assert_eq!(shown.crl_configuration, Some(expected));
    assert_eq!(shown.ocsp_configuration, Some(ocsp));
    // The server of this test has no address that anybody could fetch a list from; the name for OCSP is the operator's.
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let got = world.issue_and_get(world.order(&arn, &csr).await).await;
    let leaf = parse(&got.certificate.unwrap());
    assert!(leaf.extension("2.5.29.31").is_none() && leaf.extension("1.3.6.1.5.5.7.1.1").is_some());
}

#[tokio::test]
async fn an_expired_authority_renews_itself_and_nothing_else() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    world.pass(SignedDuration::from_hours(24 * 3653));
    assert_eq!(world.status(&arn).await, "EXPIRED");
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    assert_eq!(
        kind(world.issue(world.order(&arn, &csr).await).await),
        Some(ErrorKind::InvalidState)
    );
    assert_eq!(
        kind(
            world
                .set_status(&arn, wire::CertificateAuthorityStatus::Disabled)
                .await
        ),
        Some(ErrorKind::InvalidState)
    );
    let renewed = world.own_certificate(&arn, years(10)).await;
    world.install(&arn, &renewed, None).await.unwrap();
    assert_eq!(world.status(&arn).await, "ACTIVE");
    world.issue(world.order(&arn, &csr).await).await.unwrap();
}

#[tokio::test]
async fn a_deleted_authority_comes_back_or_goes_for_good() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let certificate = world.issue(world.order(&arn, &csr).await).await.unwrap();
    let refused = world.delete(&arn, None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert_eq!(
        refused.message,
        "The certificate authority is not in a valid state for deletion."
    );
    world
        .set_status(&arn, wire::CertificateAuthorityStatus::Disabled)
        .await
        .unwrap();
    world.delete(&arn, Some(7)).await.unwrap();
    let shown = world.describe(&arn).await;
    assert_eq!(
        shown.status,
        Some(wire::CertificateAuthorityStatus::Deleted)
    );
    assert_eq!(
        shown.restorable_until.unwrap().as_second(),
        START + 7 * 86_400
    );
    assert_eq!(
        kind(world.get(&arn, &certificate).await),
        Some(ErrorKind::InvalidState)
    );
    let input = wire::ListTagsRequest {
        max_results: None,
        next_token: None,
        certificate_authority_arn: arn.clone(),
    };
    assert_eq!(
        list_tags(&world.ctx(), input).await.unwrap_err().message,
        "The certificate authority is in the DELETED state and must be restored to complete this action."
    );

    world.pass(DAY * 6);
    world.run_due().await;
    let restore = async || {
        let input = wire::RestoreCertificateAuthorityRequest {
            certificate_authority_arn: arn.clone(),
        };
        restore_certificate_authority(&world.ctx(), input).await
    };
    restore().await.unwrap();
    assert_eq!(world.status(&arn).await, "DISABLED");
    assert!(world.get(&arn, &certificate).await.is_ok());
    assert_eq!(kind(restore().await), Some(ErrorKind::InvalidState));

    world.delete(&arn, Some(7)).await.unwrap();
    world.pass(DAY * 7);
    // Gone from the instant on, whether or not the task has been there.
    assert_eq!(
        kind(world.try_describe(&arn).await),
        Some(ErrorKind::NotFound)
    );
    assert_eq!(kind(restore().await), Some(ErrorKind::NotFound));
    world.run_due().await;
    assert_eq!(left::<Authority>(&world, AUTHORITIES).await, 0);
    assert_eq!(left::<Issued>(&world, CERTIFICATES).await, 0);
    assert_eq!(left::<OwnCertificate>(&world, OWN_CERTIFICATES).await, 0);
}

/// An authority of an older version: nobody noted what its path allows, and nothing waits to tell of its end.
#[tokio::test]
async fn what_older_authorities_lack_comes_with_the_first_look() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let store = &world.app.store;
    let as_it_was = async || {
        store
            .scan::<Authority>(AUTHORITIES, "", None, 2)
            .await
            .unwrap()
            .remove(0)
    };
    let told = async |key: &str| {
        store
            .queued::<()>(EXPIRE_QUEUE, key)
            .await
            .unwrap()
            .is_some()
    };
    let now = as_it_was().await;
    let mut older = now.value.clone();
    let installed = older.ca.installed.as_mut().unwrap();
    assert!(installed.bounds.take().is_some());
    let mut batch = Batch::new();
    batch.cancel(EXPIRE_QUEUE, now.key.as_str());
    batch.put(AUTHORITIES, now.key.as_str(), &older, Expect::Any);
    store.commit(batch).await.unwrap();
    assert!(!told(&now.key).await);
    for failing in [true, false] {
        store.fail_commit(usize::from(failing), Failure::Refused);
        assert_eq!(world.try_describe(&arn).await.is_err(), failing);
        assert_eq!(told(&now.key).await, !failing);
    }
    assert_eq!(as_it_was().await.value.ca, now.value.ca);
    let version = as_it_was().await.version;
    world.describe(&arn).await;
    assert_eq!(as_it_was().await.version, version, "once is enough");
}

async fn left<T: Versioned>(world: &World, collection: Collection) -> usize {
    world
        .app
        .store
        .scan::<T>(collection, "", None, 10)
        .await
        .unwrap()
        .len()
}

#[tokio::test]
async fn changes_at_the_same_time_all_count() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let tag = |number: usize| {
        let (ctx, arn) = (world.ctx(), arn.clone());
        async move {
            let tags = vec![wire::Tag {
                key: format!("k{number}"),
                value: Some("v".into()),
            }];
            let input = wire::TagCertificateAuthorityRequest {
                certificate_authority_arn: arn,
                tags,
            };
            tag_certificate_authority(&ctx, input).await
        }
    };
    let all = futures::future::join_all((0..6).map(tag)).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    let input = wire::ListTagsRequest {
        max_results: None,
        next_token: None,
        certificate_authority_arn: arn,
    };
    assert_eq!(
        list_tags(&world.ctx(), input)
            .await
            .unwrap()
            .tags
            .unwrap()
            .len(),
        6
    );
}
