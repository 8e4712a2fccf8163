//! Between intent and certificate: what a crash leaves is completed, with the same serial number.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::pca::{Published, Template, Validity, ValidityUnit};
use keystead_core::x509::KeySpec;
use keystead_crypto::x509::Csr;
use keystead_store::faults::Failure;
use keystead_store::{Haste, StoreError, Stored};
use keystead_wire::acm_pca as wire;

use super::super::authorities::authority;
use super::super::complete::{ISSUE_QUEUE, complete};
use super::super::issue::{Intent, Order, intend, prepare};
use super::super::record::{Authority, CERTIFICATES, Intended, Issued};
use super::world::*;

fn order(csr: &Csr) -> Order<'_> {
    Order {
        template: Template::DEFAULT,
        subject_der: &csr.subject_der,
        extensions: &csr.extensions,
        spki_der: &csr.spki_der,
        api: None,
        signature: KeySpec::EcP256.default_signature(),
        validity: Validity {
            value: 1,
            unit: ValidityUnit::Years,
        },
        not_before: None,
        published: Published::default(),
        requested_by: None,
    }
}

/// What is there right after the intent: the certificate's name and the stored bytes.
async fn left_halfway(world: &World, root: &str) -> (String, Vec<u8>, Intent) {
    let (csr, _) = world
        .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
        .await;
    let ctx = world.ctx();
    let found = authority(&ctx, root).await.unwrap();
    let prepared = prepare(&found.value, order(&Csr::parse(&csr).unwrap()), ctx.now).unwrap();
    let intent = intend(&world.app.store, &found, prepared, None, ctx.now)
        .await
        .unwrap();
    let serial = intent.serial.hex();
    let key = format!("{}/{serial}", found.key);
    let queued = world.app.store.queued::<Intended>(ISSUE_QUEUE, &key).await;
    let tbs = queued.unwrap().unwrap().value.tbs;
    (format!("{root}/certificate/{serial}"), tbs, intent)
}

/// What is stored under the certificate's name.
async fn stored(world: &World, arn: &str) -> Option<Issued> {
    let (authority, serial) = arn.rsplit_once("/certificate/").unwrap();
    let found = authority_of(world, authority).await;
    let key = format!("{}/{serial}", found.key);
    let found = world.app.store.get::<Issued>(CERTIFICATES, &key).await;
    found.unwrap().map(|stored| stored.value)
}

async fn authority_of(world: &World, arn: &str) -> Stored<Authority> {
    authority(&world.ctx(), arn).await.unwrap().into_inner()
}

#[tokio::test]
async fn what_a_crash_left_is_completed_as_it_was_intended() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (arn, tbs, _) = left_halfway(&world, &root).await;
    let world = world.restart().await;
    // Whoever was issuing may still be at it; the task does not compete with it.
    world.run_due().await;
    assert!(stored(&world, &arn).await.is_none());
    world.pass(SignedDuration::from_secs(11));
    world.run_due().await;
    let completed = stored(&world, &arn).await.unwrap();
    let got = world.get(&root, &arn).await.unwrap();
    let leaf = got.certificate.unwrap();
    assert_eq!(parse(&leaf).der(), completed.certificate);
    assert_eq!(parse(&leaf).tbs_der(), tbs);
    assert_eq!(
        world.openssl_verify(&leaf, &[], &got.certificate_chain.unwrap()),
        Ok(())
    );
}

#[tokio::test]
async fn who_asks_for_an_intended_certificate_gets_it() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (arn, tbs, intent) = left_halfway(&world, &root).await;
    let got = world.get(&root, &arn).await.unwrap();
    let leaf = parse(&got.certificate.unwrap());
    assert_eq!(leaf.tbs_der(), tbs);
    // Whoever intended it, and the task, find it done.
    let found = authority_of(&world, &root).await;
    let by_issuer = complete(&world.app, &found.value, intent, Haste::Now)
        .await
        .unwrap();
    assert_eq!(by_issuer.certificate, leaf.der());
    world.pass(SignedDuration::from_secs(11));
    world.run_due().await;
    let stored = stored(&world, &arn).await.unwrap();
    assert_eq!(stored.certificate, leaf.der());
}

/// The revocation of a certificate whose issuance is under way is a revocation, not a refusal.
#[tokio::test]
async fn an_intended_certificate_can_be_revoked() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (arn, _, intent) = left_halfway(&world, &root).await;
    let input = wire::RevokeCertificateRequest {
        certificate_authority_arn: root.clone(),
        certificate_serial: intent.serial.hex(),
        revocation_reason: wire::RevocationReason::KeyCompromise,
    };
    super::super::revoke_certificate(&world.ctx(), input)
        .await
        .unwrap();
    let found = authority_of(&world, &root).await;
    complete(&world.app, &found.value, intent, Haste::Now)
        .await
        .unwrap();
    assert!(stored(&world, &arn).await.unwrap().revocation.is_some());
}

#[tokio::test]
async fn a_certificate_is_completed_even_after_its_authority_was_switched_off() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (arn, ..) = left_halfway(&world, &root).await;
    world
        .set_status(&root, wire::CertificateAuthorityStatus::Disabled)
        .await
        .unwrap();
    world.pass(SignedDuration::from_secs(11));
    world.run_due().await;
    assert!(
        world.get(&root, &arn).await.is_ok(),
        "it was promised before"
    );
}

#[tokio::test]
async fn issuer_and_task_make_one_certificate() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (arn, _, intent) = left_halfway(&world, &root).await;
    let found = authority(&world.ctx(), &root).await.unwrap();
    world.pass(SignedDuration::from_secs(11));
    world.run_due().await;
    let by_task = parse(&world.get(&root, &arn).await.unwrap().certificate.unwrap());
    // The issuer wakes up late: what it is given is what was stored.
    let by_issuer = complete(&world.app, &found.value, intent, Haste::Now)
        .await
        .unwrap();
    assert_eq!(by_issuer.certificate, by_task.der());
}

#[tokio::test]
async fn nothing_is_intended_for_an_authority_that_has_changed() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let ctx = world.ctx();
    let found = authority(&ctx, &root).await.unwrap();
    let prepared = prepare(&found.value, order(&Csr::parse(&csr).unwrap()), ctx.now).unwrap();
    world
        .set_status(&root, wire::CertificateAuthorityStatus::Disabled)
        .await
        .unwrap();
    let refused = intend(&world.app.store, &found, prepared, None, ctx.now).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })));
    let order = world.order(&root, &csr).await;
    let refused = world.issue(order).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert_eq!(
        refused.message,
        "The certificate authority is not in a valid state for issuing certificates"
    );
}

/// A key that signs for another authority than the record says, as a fault of memory would have it.
#[tokio::test]
async fn a_signature_of_another_key_does_not_leave() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP384).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let csr = Csr::parse(&csr).unwrap();
    let ctx = world.ctx();
    let found = authority(&ctx, &root).await.unwrap();
    let order = Order {
        signature: KeySpec::EcP384.default_signature(),
        ..order(&csr)
    };
    let prepared = prepare(&found.value, order, ctx.now).unwrap();
    let intent = intend(&world.app.store, &found, prepared, None, ctx.now)
        .await
        .unwrap();
    let stranger = world.app.keys.generate(KeySpec::EcP384).await.unwrap();
    let mixed_up = Authority {
        key: stranger.key,
        ..found.into_inner().value
    };
    assert_eq!(
        kind(complete(&world.app, &mixed_up, intent, Haste::Now).await),
        Some(ErrorKind::Internal)
    );
}

/// The same request under the same token, again after whatever commit of it failed, issues one certificate.
#[tokio::test]
async fn a_token_issues_once_whichever_commit_fails() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let prefix = format!("{}/", authority_of(&world, &root).await.key);
    let store = &world.app.store;
    let all = async || {
        let found = store.scan::<Issued>(CERTIFICATES, &prefix, None, 100).await;
        found.unwrap().len()
    };
    let mut count = all().await;
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1..=3 {
            let order = wire::IssueCertificateRequest {
                idempotency_token: Some(format!("{failure:?}{nth}")),
                ..world.order(&root, &csr).await
            };
            store.fail_commit(nth, failure);
            let first = world.issue(order.clone()).await;
            if let Err(error) = &first {
                assert_eq!(error.kind, ErrorKind::Unavailable);
            }
            let arn = world.issue(order.clone()).await.unwrap();
            if let Ok(first) = first {
                assert_eq!(first, arn);
            }
            // The completion, in the background or by whoever asks, may be what fails.
            let mut got = world.get(&root, &arn).await;
            if got.is_err() {
                got = world.get(&root, &arn).await;
            }
            got.unwrap();
            store.fail_commit(0, failure);
            assert_eq!(world.issue(order).await.unwrap(), arn);
            world.pass(SignedDuration::from_mins(10));
            world.run_due().await;
            count += 1;
            assert_eq!(all().await, count, "{failure:?} {nth}");
        }
    }
}
