//! What Certificate Manager and delivery are given.

use keystead_core::ErrorKind;
use keystead_core::x509::{GeneralName, KeySpec, Name, NameAttribute, Oid};
use keystead_wire::acm_pca as wire;

use super::super::internal::{AcmRequest, IssuedCertificate, issue_for_acm, must_exist, trust};
use super::super::*;
use super::world::*;
use crate::access::Act;

fn request(spki_der: &[u8]) -> AcmRequest {
    AcmRequest {
        subject: Name {
            attributes: vec![NameAttribute {
                oid: Oid::new("2.5.4.3"),
                value: "*.a.test".into(),
            }],
        },
        sans: vec![GeneralName::Dns("*.a.test".into())],
        spki_der: spki_der.to_vec(),
        validity_days: 395,
        needs_grant: true,
        idempotency_token: "certificate-1".into(),
    }
}

async fn issue(
    world: &World,
    arn: &str,
    request: &AcmRequest,
) -> keystead_core::Result<IssuedCertificate> {
    let ctx = world.ctx();
    issue_for_acm(&world.app, ctx.account(), &ctx.region, arn, request).await
}

async fn grant(world: &World, arn: &str, actions: &[wire::ActionType]) {
    let input = wire::CreatePermissionRequest {
        certificate_authority_arn: arn.into(),
        principal: "acm.amazonaws.com".into(),
        source_account: None,
        actions: actions.to_vec(),
    };
    create_permission(&world.ctx(), input).await.unwrap();
}

#[tokio::test]
async fn certificate_manager_needs_its_permissions() {
    let world = World::new().await;
    let key = world.app.keys.generate(KeySpec::Rsa2048).await.unwrap();
    let root = world.root(KeySpec::EcP256).await;
    assert_eq!(
        kind(issue(&world, &root, &request(&key.spki_der)).await),
        Some(ErrorKind::AccessDenied)
    );
    grant(&world, &root, &[wire::ActionType::IssueCertificate]).await;
    assert_eq!(
        kind(issue(&world, &root, &request(&key.spki_der)).await),
        Some(ErrorKind::AccessDenied)
    );
    let other = world.root(KeySpec::EcP256).await;
    grant(&world, &other, wire::ActionType::ALL).await;
    let issued = issue(&world, &other, &request(&key.spki_der))
        .await
        .unwrap();
    let leaf = parse(&issued.pem);
    assert_eq!(leaf.spki_der, key.spki_der);
    assert_eq!(leaf.not_after, START + 395 * 86_400);
    assert_eq!(
        (issued.not_before, issued.not_after),
        (leaf.not_before, leaf.not_after)
    );
    assert_eq!(issued.serial.len(), 59);
    assert_eq!(
        world.openssl_verify(&issued.pem, &[], &issued.chain_pem),
        Ok(())
    );
}

#[tokio::test]
async fn each_reason_to_fail_has_its_kind() {
    let world = World::new().await;
    let key = world.app.keys.generate(KeySpec::EcP256).await.unwrap();
    let pending = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    grant(&world, &pending, wire::ActionType::ALL).await;
    assert_eq!(
        kind(issue(&world, &pending, &request(&key.spki_der)).await),
        Some(ErrorKind::InvalidState)
    );
    let brief = world.own_certificate(&pending, days(30)).await;
    world.install(&pending, &brief, None).await.unwrap();
    assert_eq!(
        kind(issue(&world, &pending, &request(&key.spki_der)).await),
        Some(ErrorKind::Validation)
    );
    let nowhere = pending.replace("certificate-authority/", "certificate-authority/0");
    assert_eq!(
        kind(issue(&world, &nowhere, &request(&key.spki_der)).await),
        Some(ErrorKind::NotFound)
    );
    assert_eq!(
        kind(issue(&world, "arn:aws:acm:x:y:z", &request(&key.spki_der)).await),
        Some(ErrorKind::InvalidArn)
    );
    let mut bad = request(&key.spki_der);
    bad.validity_days = 7;
    bad.sans = vec![GeneralName::Dns("not a name".into())];
    assert_eq!(
        kind(issue(&world, &pending, &bad).await),
        Some(ErrorKind::MalformedCsr)
    );
}

#[tokio::test]
async fn a_token_asked_again_has_the_same_certificate_even_days_later() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    grant(&world, &root, wire::ActionType::ALL).await;
    let key = world.app.keys.generate(KeySpec::EcP256).await.unwrap();
    let first = issue(&world, &root, &request(&key.spki_der)).await.unwrap();
    world.pass(jiff::SignedDuration::from_hours(29 * 24));
    let world = world.restart().await;
    assert_eq!(
        issue(&world, &root, &request(&key.spki_der)).await,
        Ok(first.clone())
    );
    let mut next = request(&key.spki_der);
    next.idempotency_token = "certificate-1-renewal".into();
    assert_ne!(
        issue(&world, &root, &next).await.unwrap().serial,
        first.serial
    );
}

#[tokio::test]
async fn trust_is_the_path_up_to_the_root_and_its_version_grows() {
    let world = World::new().await;
    let ctx = world.ctx();
    let pending = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    must_exist(&ctx, Act::Own, &pending).await.unwrap();
    assert_eq!(
        kind(must_exist(&ctx, Act::Own, &format!("{pending}0")).await),
        Some(ErrorKind::NotFound)
    );
    let of = async |arn: &str| trust(&world.app, ctx.account(), &ctx.region, arn).await;
    assert_eq!(kind(of(&pending).await), Some(ErrorKind::InvalidState));
    let root = world.root(KeySpec::EcP256).await;
    let sub = world.subordinate(&root, 0, KeySpec::EcP256).await;
    let (above, path) = (of(&root).await.unwrap(), of(&sub).await.unwrap());
    assert!(path.pem.ends_with(&above.pem));
    assert_eq!(path.pem.matches("BEGIN CERTIFICATE").count(), 2);
    let renewed = world.own_certificate(&root, years(11)).await;
    world.install(&root, &renewed, None).await.unwrap();
    let after = of(&root).await.unwrap();
    assert_eq!(after.pem, renewed);
    assert!(after.version > above.version);
}
