//! ImportCertificate, new and in place.

use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_wire::acm as wire;

use super::world::{DAY, NODE, World};
use crate::acm;

struct Bag {
    certificate: String,
    key: String,
    chain: Option<String>,
}

impl Bag {
    fn request(&self) -> wire::ImportCertificateRequest {
        wire::ImportCertificateRequest {
            certificate_arn: None,
            certificate: self.certificate.clone().into_bytes().into(),
            private_key: self.key.clone().into_bytes().into(),
            certificate_chain: self.chain.clone().map(|chain| chain.into_bytes().into()),
            tags: None,
        }
    }
}

async fn import(
    world: &World,
    request: wire::ImportCertificateRequest,
) -> Result<String, (ErrorKind, String)> {
    let answer = acm::import_certificate(&world.ctx(), request).await;
    answer
        .map(|answer| answer.certificate_arn.unwrap())
        .map_err(|error| (error.kind, error.message))
}

async fn self_signed(world: &World, spec: KeySpec, days: std::ops::Range<i64>) -> Bag {
    let (key, pem) = world.own_key(spec).await;
    let certificate = world
        .sign("own.example.com", &key, ("own.example.com", &key), days)
        .await;
    Bag {
        certificate,
        key: pem,
        chain: None,
    }
}

#[tokio::test]
async fn what_is_brought_comes_back_byte_for_byte() {
    let world = World::new().await;
    let (root, _) = world.own_key(KeySpec::EcP256).await;
    let (middle, _) = world.own_key(KeySpec::EcP384).await;
    let (leaf, key) = world.own_key(KeySpec::Rsa2048).await;
    let middle_pem = world.sign("Middle", &middle, ("Root", &root), 0..100).await;
    let root_pem = world.sign("Root", &root, ("Root", &root), 0..100).await;
    let leaf_pem = world
        .sign("leaf.example.com", &leaf, ("Middle", &middle), 0..90)
        .await;
    let bag = Bag {
        certificate: format!("some text before it\r\n{}", leaf_pem.replace('\n', "\r\n")),
        key,
        chain: Some(format!("{middle_pem}\n\n{}", root_pem.trim_end())),
    };
    let tags = vec![wire::Tag {
        key: "k".into(),
        value: None,
    }];
    let arn = import(
        &world,
        wire::ImportCertificateRequest {
            tags: Some(tags),
            ..bag.request()
        },
    )
    .await
    .unwrap();
    let got = world.get(&arn).await.unwrap();
    assert_eq!(got.certificate.as_ref(), Some(&bag.certificate));
    assert_eq!(got.certificate_chain, bag.chain);
    let shown = world.describe(&arn).await;
    assert_eq!(shown.status, Some(wire::CertificateStatus::Issued));
    assert_eq!(shown.type_, Some(wire::CertificateType::Imported));
    assert_eq!(shown.domain_name.as_deref(), Some("leaf.example.com"));
    assert_eq!(
        shown.subject_alternative_names.unwrap(),
        ["leaf.example.com", "alt.leaf.example.com"]
    );
    assert_eq!(shown.serial.as_deref(), Some("03:e9"));
    assert_eq!(shown.issuer.as_deref(), Some("Middle"));
    assert_eq!(shown.key_algorithm.as_deref(), Some("RSA-2048"));
    assert_eq!(
        (shown.imported_at, shown.issued_at),
        (Some(world.now()), None)
    );
    assert_eq!(
        shown.renewal_eligibility,
        Some(wire::RenewalEligibility::Ineligible)
    );
    assert_eq!(
        world.export(&arn).await.map(drop),
        Err(ErrorKind::Validation)
    );
    assert_eq!(world.renew(&arn).await, Err(ErrorKind::Validation));
    let delivered = world.delivered(&arn).await;
    assert!(delivered.cert_chain_pem.starts_with(&bag.certificate));
    assert!(
        delivered
            .cert_chain_pem
            .ends_with("-----END CERTIFICATE-----\n")
    );
}

#[tokio::test]
async fn every_kind_of_key_is_taken_by_its_name() {
    let world = World::new().await;
    for (spec, expected) in [
        (KeySpec::Rsa3072, "RSA-3072"),
        (KeySpec::Rsa4096, "RSA-4096"),
        (KeySpec::EcP256, "EC-prime256v1"),
        (KeySpec::EcP384, "EC-secp384r1"),
        (KeySpec::EcP521, "EC-secp521r1"),
    ] {
        let bag = self_signed(&world, spec, 0..10).await;
        let arn = import(&world, bag.request()).await.unwrap();
        assert_eq!(
            world.describe(&arn).await.key_algorithm.as_deref(),
            Some(expected)
        );
    }
    let post_quantum = self_signed(&world, KeySpec::MlDsa44, 0..10).await;
    let refused = import(&world, post_quantum.request()).await.unwrap_err();
    assert!(refused.1.contains("not supported"), "{refused:?}");
}

#[tokio::test]
async fn what_does_not_belong_together_or_is_not_valid_is_refused() {
    let world = World::new().await;
    let good = self_signed(&world, KeySpec::EcP256, 0..10).await;
    let other = self_signed(&world, KeySpec::EcP256, 0..10).await;
    let (root, _) = world.own_key(KeySpec::EcP256).await;
    let (leaf, leaf_key) = world.own_key(KeySpec::EcP256).await;
    let root_pem = world.sign("Root", &root, ("Root", &root), 0..100).await;
    let leaf_pem = world
        .sign("leaf.example.com", &leaf, ("Root", &root), 0..90)
        .await;
    let (middle, _) = world.own_key(KeySpec::EcP256).await;
    let middle_pem = world.sign("Middle", &middle, ("Root", &root), 0..100).await;
    let under_middle = world
        .sign("leaf.example.com", &leaf, ("Middle", &middle), 0..90)
        .await;
    let bag = |certificate: &str, key: &str, chain: Option<&str>| Bag {
        certificate: certificate.into(),
        key: key.into(),
        chain: chain.map(Into::into),
    };
    let two = format!("{}{}", good.certificate, other.certificate);
    let cases = [
        (bag(&good.certificate, &other.key, None), "does not match"),
        (bag(&leaf_pem, &leaf_key, None), "not a valid self signed"),
        (
            bag(&leaf_pem, &leaf_key, Some(&other.certificate)),
            "Could not validate",
        ),
        (
            bag(
                &under_middle,
                &leaf_key,
                Some(&format!("{middle_pem}{}", other.certificate)),
            ),
            "is: 1",
        ),
        (bag(&leaf_pem, &leaf_key, Some("no certificate")), "PEM"),
        (bag(&two, &good.key, None), "more than one certificate"),
        (bag("CERT123", &good.key, None), "PEM"),
        (bag(&good.key, &good.key, None), "PEM"),
        (bag(&good.certificate, "KEY123", None), "private key"),
        (
            bag(&good.certificate, &good.certificate, None),
            "private key",
        ),
        (bag(&good.certificate, &"x".repeat(6000), None), "larger"),
        (
            self_signed(&world, KeySpec::EcP256, -10..-1).await,
            "expired",
        ),
        (
            self_signed(&world, KeySpec::EcP256, 1..10).await,
            "not in effect",
        ),
    ];
    for (bag, expected) in cases {
        let refused = import(&world, bag.request()).await;
        let (kind, message) = refused.expect_err(expected);
        assert_eq!(kind, ErrorKind::Validation, "{message}");
        assert!(message.contains(expected), "{message}");
        assert!(!message.contains("BEGIN"), "{message}");
    }
    let mut not_text = good.request();
    not_text.certificate = vec![0xff, 0xfe].into();
    assert_eq!(
        import(&world, not_text).await.unwrap_err().0,
        ErrorKind::Validation
    );
    assert!(world.versions().await.is_empty());
    import(&world, bag(&leaf_pem, &leaf_key, Some(&root_pem)).request())
        .await
        .unwrap();
}

#[tokio::test]
async fn a_certificate_is_replaced_in_place() {
    let world = World::new().await;
    let first = self_signed(&world, KeySpec::EcP256, 0..10).await;
    let arn = import(&world, first.request()).await.unwrap();
    let created_at = world.describe(&arn).await.created_at;
    world.associate(&arn, NODE).await.unwrap();
    world.pass(DAY);
    let second = self_signed(&world, KeySpec::EcP256, 0..20).await;
    let replace = |bag: &Bag| wire::ImportCertificateRequest {
        certificate_arn: Some(arn.clone()),
        ..bag.request()
    };
    assert_eq!(import(&world, replace(&second)).await, Ok(arn.clone()));
    assert_eq!(
        world.get(&arn).await.unwrap().certificate,
        Some(second.certificate.clone())
    );
    let shown = world.describe(&arn).await;
    assert_eq!(
        (shown.created_at, shown.imported_at),
        (created_at, Some(world.now()))
    );
    assert_eq!(shown.in_use_by.unwrap().len(), 1);
    assert_eq!(world.delivered(&arn).await.version, 2);
    assert_eq!(world.versions().await, [1, 2], "the one before is kept");

    let other_kind = self_signed(&world, KeySpec::EcP384, 0..20).await;
    assert_eq!(
        import(&world, replace(&other_kind)).await.unwrap_err().0,
        ErrorKind::Validation
    );
    let mut tagged = replace(&first);
    tagged.tags = Some(vec![]);
    let (_, message) = import(&world, tagged).await.unwrap_err();
    assert_eq!(message, "Tagging is not permitted on re-import.");
    let mut nowhere = replace(&first);
    nowhere.certificate_arn = Some("arn:aws:acm:us-east-1:123456789012:certificate/none".into());
    assert_eq!(
        import(&world, nowhere).await.unwrap_err().0,
        ErrorKind::NotFound
    );
    let ca = world.ca().await;
    let mut private = replace(&first);
    private.certificate_arn = Some(world.private(&ca).await);
    assert_eq!(
        import(&world, private).await.unwrap_err().0,
        ErrorKind::Validation
    );
    assert_eq!(
        world.get(&arn).await.unwrap().certificate,
        Some(second.certificate)
    );
}

#[tokio::test]
async fn an_imported_certificate_expires_and_can_be_replaced_then() {
    let world = World::new().await;
    let arn = import(
        &world,
        self_signed(&world, KeySpec::EcP256, 0..10).await.request(),
    )
    .await
    .unwrap();
    world.pass_and_run(DAY * 11).await;
    assert_eq!(
        world.describe(&arn).await.status,
        Some(wire::CertificateStatus::Expired)
    );
    let fresh = self_signed(&world, KeySpec::EcP256, 0..10).await;
    let request = wire::ImportCertificateRequest {
        certificate_arn: Some(arn.clone()),
        ..fresh.request()
    };
    import(&world, request).await.unwrap();
    assert_eq!(
        world.describe(&arn).await.status,
        Some(wire::CertificateStatus::Issued)
    );
    assert!(
        world.app.store.next_due("acm").await.unwrap().is_some(),
        "its end is due"
    );
}
