//! Lists: what they say, when they are made anew, and that no failure loses a revocation.

use jiff::SignedDuration;
use keystead_core::pca::Serial;
use keystead_core::x509::KeySpec;
use keystead_crypto::x509::{self, Crl};
use keystead_store::faults::Failure;
use keystead_store::{Batch, Expect};
use keystead_wire::acm_pca as wire;

use super::super::revocation::record::{
    LISTS, List, NAMES, PARTITIONS, PARTS, Part, Partition, REVOKED, Revoked,
};
use super::super::revocation::signer::{SIGNERS, Signers};
use super::super::revocation::{self, ServedList};
use super::super::{revoke_certificate, update_certificate_authority};
use super::answering::{issuer_of, request, status_of};
use super::world::*;

pub(super) const BOTH: [Failure; 2] = [Failure::Refused, Failure::Unheard];

/// Longer than a lease and than any wait after a failure, shorter than half of a list's life.
pub(super) const WHILE: SignedDuration = SignedDuration::from_mins(10);

/// A root that publishes as asked, under names of its own.
pub(super) async fn publishing(world: &World, partitioned: bool) -> String {
    let root = world.root(KeySpec::EcP256).await;
    let kind = match partitioned {
        true => wire::CrlType::Partitioned,
        false => wire::CrlType::Complete,
    };
    let input = wire::UpdateCertificateAuthorityRequest {
        certificate_authority_arn: root.clone(),
        status: None,
        revocation_configuration: Some(wire::RevocationConfiguration {
            crl_configuration: Some(wire::CrlConfiguration {
                enabled: true,
                expiration_in_days: Some(7),
                custom_cname: Some("lists.test".into()),
                s3_bucket_name: Some("my-bucket".into()),
                s3_object_acl: None,
                crl_distribution_point_extension_configuration: None,
                crl_type: Some(kind),
                custom_path: None,
            }),
            ocsp_configuration: Some(wire::OcspConfiguration {
                enabled: true,
                ocsp_custom_cname: Some("ocsp.test".into()),
            }),
        }),
    };
    update_certificate_authority(&world.ctx(), input)
        .await
        .unwrap();
    root
}

/// A leaf: its PEM.
pub(super) async fn leaf(world: &World, root: &str) -> String {
    let (csr, _) = world
        .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
        .await;
    let order = world.order(root, &csr).await;
    world.issue_and_get(order).await.certificate.unwrap()
}

pub(super) fn serial(pem: &str) -> Serial {
    let octets = parse(pem).serial.clone();
    let text: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    Serial::parse(&text).unwrap()
}

pub(super) async fn revoke(world: &World, root: &str, pem: &str) -> keystead_core::Result<()> {
    let input = wire::RevokeCertificateRequest {
        certificate_authority_arn: root.into(),
        certificate_serial: serial(pem).colons(),
        revocation_reason: wire::RevocationReason::Superseded,
    };
    revoke_certificate(&world.ctx(), input).await.map(|_| ())
}

/// The name of the list that a certificate names.
fn list_name(pem: &str) -> String {
    let der = parse(pem).der().to_vec();
    let text = String::from_utf8_lossy(&der).into_owned();
    let end = text.find(".crl").expect("it names a list");
    text[end - 36..end].to_owned()
}

async fn list(world: &World, name: &str) -> std::sync::Arc<ServedList> {
    let found = revocation::list(&world.app, name).await.unwrap();
    found.expect("there is such a list")
}

fn id_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

pub(super) async fn root_certificate(world: &World, root: &str) -> x509::Certificate {
    let input = wire::GetCertificateAuthorityCertificateRequest {
        certificate_authority_arn: root.into(),
    };
    let answer = super::super::get_certificate_authority_certificate(&world.ctx(), input).await;
    parse(&answer.unwrap().certificate.unwrap())
}

#[tokio::test]
async fn the_complete_list_says_what_was_revoked() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let (good, bad) = (leaf(&world, &root).await, leaf(&world, &root).await);
    assert_eq!(list_name(&good), id_of(&root));
    let first = list(&world, id_of(&root)).await;
    assert_eq!(
        first.number, 1,
        "there is a list before a certificate names it"
    );
    revoke(&world, &root, &bad).await.unwrap();
    world.pass(SignedDuration::from_secs(1));
    world.run_due().await;
    let second = list(&world, id_of(&root)).await;
    assert!(second.number > first.number);
    assert_eq!(second.next_update - second.this_update, 7 * 86_400);
    let issuer = root_certificate(&world, &root).await;
    let read = Crl::parse(&second.der).unwrap();
    read.verify_issued_by(&issuer.spki_der).unwrap();
    assert!(read.revokes(serial(&bad).octets()));
    assert!(!read.revokes(serial(&good).octets()));
    assert_eq!(read.revoked.len(), 1);
    // What stood in it stays, and it is made anew at half of its life.
    world.pass(SignedDuration::from_hours(24 * 3));
    world.run_due().await;
    assert_eq!(list(&world, id_of(&root)).await.number, second.number);
    world.pass(SignedDuration::from_hours(13));
    world.run_due().await;
    let third = list(&world, id_of(&root)).await;
    assert_eq!(third.number, second.number + 1);
    assert_eq!(Crl::parse(&third.der).unwrap().revoked, read.revoked);
}

#[tokio::test]
async fn what_expired_stands_in_one_more_list_and_is_forgotten() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let bad = leaf(&world, &root).await;
    revoke(&world, &root, &bad).await.unwrap();
    let mut last = 0;
    let mut since_expiry = Vec::new();
    for _ in 0..3 {
        let now = world.app.env.now().as_second();
        let left = (parse(&bad).not_after - now).max(0) + 1;
        world.pass(SignedDuration::from_secs(left));
        world.run_due().await;
        let made = list(&world, id_of(&root)).await;
        assert!(made.number > last);
        last = made.number;
        since_expiry.push(Crl::parse(&made.der).unwrap().revoked.len());
        world.pass(SignedDuration::from_hours(24 * 7));
    }
    assert_eq!(since_expiry, [1, 0, 0]);
    let entries = world.app.store.scan::<Revoked>(REVOKED, "", None, 9).await;
    assert!(entries.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_partition_is_followed_by_another() {
    let world = World::new().await;
    let root = publishing(&world, true).await;
    let (one, two) = (leaf(&world, &root).await, leaf(&world, &root).await);
    let name = list_name(&one);
    assert_eq!(list_name(&two), name);
    assert_ne!(name, id_of(&root));
    let found = world.app.store.scan::<Partition>(PARTITIONS, "", None, 2);
    let found = found.await.unwrap().remove(0);
    let full = Partition {
        given: 10_000,
        ..found.value
    };
    let mut batch = Batch::new();
    batch.put(PARTITIONS, found.key, &full, Expect::Version(found.version));
    world.app.store.commit(batch).await.unwrap();
    let world = world.restart().await;
    let three = leaf(&world, &root).await;
    assert_ne!(list_name(&three), name);
    // Each is in its own list alone.
    for pem in [&one, &three] {
        revoke(&world, &root, pem).await.unwrap();
    }
    world.pass(SignedDuration::from_secs(1));
    world.run_due().await;
    for (pem, other) in [(&one, &three), (&three, &one)] {
        let made = list(&world, &list_name(pem)).await;
        let holds = |pem: &str| {
            let serial = serial(pem);
            let octets = serial.octets();
            made.der.windows(octets.len()).any(|part| part == octets)
        };
        assert!(holds(pem) && !holds(other) && !holds(&two));
    }
    assert!(
        revocation::list(&world.app, id_of(&root))
            .await
            .unwrap()
            .is_none(),
        "nobody asked for a complete list"
    );
}

/// Every commit of a revocation and of the lists that follow fails once. What was answered is never lost, and numbers rise.
#[tokio::test]
async fn no_failure_loses_a_revocation() {
    for partitioned in [false, true] {
        let world = World::new().await;
        let root = publishing(&world, partitioned).await;
        let mut revoked = Vec::new();
        let mut last = 0;
        let mut name = String::new();
        for failure in BOTH {
            for nth in 1..=6 {
                let pem = leaf(&world, &root).await;
                name = list_name(&pem);
                world.app.store.fail_commit(nth, failure);
                let answer = revoke(&world, &root, &pem).await;
                world.pass(SignedDuration::from_secs(2));
                crate::tasks::run_due(&world.app).await.ok();
                world.app.store.fail_commit(0, failure);
                let stored = answer.is_ok() || failure == Failure::Unheard;
                if stored {
                    revoked.push(serial(&pem));
                }
                let between = list(&world, &name).await;
                assert!(between.number >= last, "{failure:?} {nth}");
                world.pass(WHILE);
                world.run_due().await;
                let made = list(&world, &name).await;
                assert!(made.number > last || !stored, "{failure:?} {nth}");
                last = made.number;
                for serial in &revoked {
                    let octets = serial.octets();
                    let holds = made.der.windows(octets.len()).any(|part| part == octets);
                    assert!(holds, "{failure:?} {nth}: {} is lost", serial.hex());
                }
            }
        }
        let world = world.restart().await;
        assert_eq!(list(&world, &name).await.number, last);
        let parts = world.app.store.scan::<Part>(PARTS, "", None, 99).await;
        let parts = parts.unwrap();
        let ours = parts.iter().filter(|part| part.key.contains(&name));
        assert_eq!(ours.count(), 1, "what failed leaves nothing behind");
    }
}

/// Bytes that were intended are those that are signed, even if more was revoked meanwhile.
#[tokio::test]
async fn an_intended_edition_is_signed_as_it_was_intended() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let (one, two) = (leaf(&world, &root).await, leaf(&world, &root).await);
    revoke(&world, &root, &one).await.unwrap();
    world.pass(SignedDuration::from_secs(2));
    let lists = world.app.store.scan::<List>(LISTS, "", None, 2);
    let key = lists.await.unwrap().remove(0).key;
    // The second commit publishes.
    world.app.store.fail_commit(2, Failure::Refused);
    let failed = revocation::build::build(&world.app, &key).await;
    assert!(failed.is_err());
    revoke(&world, &root, &two).await.unwrap();
    let world = world.restart().await;
    revocation::build::build(&world.app, &key).await.unwrap();
    let made = list(&world, id_of(&root)).await;
    assert_eq!(made.number, 2);
    assert_eq!(Crl::parse(&made.der).unwrap().revoked.len(), 1);
    world.pass(SignedDuration::from_secs(2));
    world.run_due().await;
    let made = list(&world, id_of(&root)).await;
    assert_eq!(made.number, 3);
    assert_eq!(Crl::parse(&made.der).unwrap().revoked.len(), 2);
}

/// Who loses the parts of what it intended gives it up with its number, and begins anew.
#[tokio::test]
async fn an_edition_that_lost_its_parts_is_given_up() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let bad = leaf(&world, &root).await;
    revoke(&world, &root, &bad).await.unwrap();
    world.pass(SignedDuration::from_secs(2));
    let store = &world.app.store;
    let key = store.scan::<List>(LISTS, "", None, 2).await.unwrap();
    let key = key[0].key.clone();
    store.fail_commit(2, Failure::Refused);
    assert!(revocation::build::build(&world.app, &key).await.is_err());
    let mut batch = Batch::new();
    for part in store.scan::<Part>(PARTS, "", None, 9).await.unwrap() {
        batch.delete(PARTS, part.key, Expect::Any);
    }
    store.commit(batch).await.unwrap();
    for _ in 0..2 {
        revocation::build::build(&world.app, &key).await.unwrap();
    }
    let made = list(&world, id_of(&root)).await;
    assert_eq!(made.number, 3);
    assert_eq!(Crl::parse(&made.der).unwrap().revoked.len(), 1);
}

#[tokio::test]
async fn a_list_is_made_by_one_at_a_time() {
    let world = World::new().await;
    let root = publishing(&world, false).await;
    let bad = leaf(&world, &root).await;
    revoke(&world, &root, &bad).await.unwrap();
    world.pass(SignedDuration::from_secs(2));
    let lists = world.app.store.scan::<List>(LISTS, "", None, 2);
    let key = lists.await.unwrap().remove(0).key;
    let build = || revocation::build::build(&world.app, &key);
    let (one, two) = tokio::join!(build(), build());
    let soon = world.app.env.now().as_second() + 1;
    assert_eq!(two.unwrap().unwrap().as_second(), soon);
    assert!(one.unwrap().unwrap().as_second() > soon);
    assert_eq!(list(&world, id_of(&root)).await.number, 2);
}

#[tokio::test]
async fn nothing_is_left_of_an_authority_that_is_gone() {
    let world = World::new().await;
    let root = publishing(&world, true).await;
    let bad = leaf(&world, &root).await;
    revoke(&world, &root, &bad).await.unwrap();
    world.pass(SignedDuration::from_secs(2));
    world.run_due().await;
    let name = list_name(&bad);
    world
        .set_status(&root, wire::CertificateAuthorityStatus::Disabled)
        .await
        .unwrap();
    world.delete(&root, Some(7)).await.unwrap();
    // Whoever meets its certificates until then learns of them.
    world.pass(SignedDuration::from_hours(24 * 4));
    world.run_due().await;
    assert!(list(&world, &name).await.this_update > world.app.env.now().as_second() - 86_400);
    assert_eq!(status_of(&world, &bad).await, Some(0xa1));
    let (issuer, key_hash) = issuer_of(&bad);
    world.pass(SignedDuration::from_hours(24 * 4));
    world.run_due().await;
    assert!(revocation::list(&world.app, &name).await.unwrap().is_none());
    let reply = revocation::answer(&world.app, &request(&issuer, &key_hash, &[1], None)).await;
    assert_eq!(reply.der.as_ref(), [0x30, 3, 0x0a, 1, 6]);
    let store = &world.app.store;
    assert!(
        store
            .scan::<List>(LISTS, "", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .scan::<Part>(PARTS, "", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .scan::<Signers>(SIGNERS, "", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .scan::<Revoked>(REVOKED, "", None, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        store
            .get::<Partition>(PARTITIONS, "x")
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(NAMES.0, "pca.crl-name");
}
