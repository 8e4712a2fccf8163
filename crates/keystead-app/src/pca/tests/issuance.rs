//! What is issued, and what is not.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use keystead_core::ErrorKind;
use keystead_core::x509::{Extension, ExtensionValue, GeneralName, KeySpec, KeyUsageBit, Oid};
use keystead_crypto::x509;
use keystead_wire::acm_pca as wire;

use super::world::*;

#[tokio::test]
async fn every_kind_of_key_makes_a_root_and_a_leaf_that_verify() {
    let world = World::new().await;
    for spec in KeySpec::ALL {
        let root = world.root(spec).await;
        let (csr, key) = world
            .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
            .await;
        let got = world.issue_and_get(world.order(&root, &csr).await).await;
        let (leaf, chain) = (got.certificate.unwrap(), got.certificate_chain.unwrap());
        let (parsed, issuer) = (parse(&leaf), parse(&chain));
        assert_eq!(parsed.spki_der, key.spki_der);
        x509::verify_chain(&parsed, &[issuer], START).unwrap();
        // OpenSSL reads ML-DSA from 3.5 on.
        if !matches!(spec, KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87) {
            assert_eq!(world.openssl_verify(&leaf, &[], &chain), Ok(()), "{spec:?}");
        }
    }
}

#[tokio::test]
async fn a_hierarchy_verifies_and_each_path_length_is_kept() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP384).await;
    let middle = world.subordinate(&root, 1, KeySpec::EcP256).await;
    let low = world.subordinate(&middle, 0, KeySpec::Rsa2048).await;
    let (csr, _) = world
        .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
        .await;
    let got = world.issue_and_get(world.order(&low, &csr).await).await;
    let chain = got.certificate_chain.unwrap();
    assert_eq!(
        chain.matches("BEGIN CERTIFICATE").count(),
        3,
        "low, middle, root"
    );
    let root_pem = super::super::get_certificate_authority_certificate(
        &world.ctx(),
        wire::GetCertificateAuthorityCertificateRequest {
            certificate_authority_arn: root,
        },
    )
    .await
    .unwrap();
    assert_eq!(root_pem.certificate_chain, None);
    let root_pem = root_pem.certificate.unwrap();
    assert!(chain.ends_with(&root_pem));
    assert_eq!(
        world.openssl_verify(&got.certificate.unwrap(), &[&chain], &root_pem),
        Ok(())
    );

    let sub = world
        .create(wire::CertificateAuthorityType::Subordinate, KeySpec::EcP256)
        .await;
    let csr = world.csr_of(&sub).await;
    for (issuer, path_len, allowed) in [(&middle, 1, false), (&middle, 0, true), (&low, 0, false)] {
        let order = wire::IssueCertificateRequest {
            template_arn: template(&format!("SubordinateCACertificate_PathLen{path_len}")),
            ..world.order(issuer, csr.as_bytes()).await
        };
        match world.issue(order).await {
            Ok(_) => assert!(allowed, "{path_len} under {issuer}"),
            Err(error) => {
                assert!(!allowed, "{error}");
                assert_eq!(error.kind, ErrorKind::Validation);
                assert_eq!(error.message, "Path length check failed for CA");
            }
        }
    }
}

/// Write-up B pastes its commands into a shell that turns newlines into blanks, and with the CLI's
/// second version encodes the result once more.
#[tokio::test]
async fn requests_and_certificates_arrive_the_worse_for_wear() {
    let world = World::new().await;
    let root = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let csr = world.csr_of(&root).await;
    let blanks = csr.replace('\n', " ");
    for worn in [
        blanks.clone(),
        STANDARD.encode(&csr),
        STANDARD.encode(format!("{blanks}\n")),
    ] {
        let order = wire::IssueCertificateRequest {
            template_arn: template("RootCACertificate"),
            ..world.order(&root, worn.as_bytes()).await
        };
        let certificate = world.issue_and_get(order).await.certificate.unwrap();
        let blanks = certificate.replace('\n', " ");
        for worn in [
            blanks.clone(),
            STANDARD.encode(&certificate),
            STANDARD.encode(blanks),
        ] {
            world.install(&root, &worn, None).await.unwrap();
        }
    }
    assert_eq!(world.status(&root).await, "ACTIVE");
}

#[tokio::test]
async fn a_leaf_says_what_the_template_says() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world
        .csr(KeySpec::Rsa2048, "leaf.test", &["leaf.test", "*.leaf.test"])
        .await;
    let got = world.issue_and_get(world.order(&root, &csr).await).await;
    let leaf = parse(&got.certificate.unwrap());
    let issuer = parse(&got.certificate_chain.unwrap());
    assert_eq!(leaf.basic_constraints(), Some((false, None)));
    assert_eq!(
        leaf.key_usage(),
        Some(&[KeyUsageBit::DigitalSignature, KeyUsageBit::KeyEncipherment][..])
    );
    let purposes: Vec<_> = leaf
        .extended_key_usage()
        .unwrap()
        .iter()
        .map(|oid| oid.0.as_str())
        .collect();
    assert_eq!(purposes, ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert_eq!(
        leaf.alt_names(),
        [
            GeneralName::Dns("leaf.test".into()),
            GeneralName::Dns("*.leaf.test".into())
        ]
    );
    assert_eq!(leaf.authority_key_id(), issuer.subject_key_id());
    assert_eq!(leaf.issuer_der, issuer.subject_der);
    assert_eq!(leaf.not_before, START - 3600);
    assert_eq!(
        leaf.not_after,
        "2031-01-01T00:00:00Z"
            .parse::<jiff::Timestamp>()
            .unwrap()
            .as_second()
    );
    assert!(
        leaf.extension("2.5.29.31").is_none(),
        "no list is published yet, so none is pointed at"
    );
}

#[tokio::test]
async fn nothing_outlives_its_authority() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let end = "2040-01-01T00:00:00Z"
        .parse::<jiff::Timestamp>()
        .unwrap()
        .as_second();
    for (value, allowed) in [(end, true), (end + 1, false)] {
        let order = wire::IssueCertificateRequest {
            validity: wire::Validity {
                value,
                type_: wire::ValidityPeriodType::Absolute,
            },
            ..world.order(&root, &csr).await
        };
        let issued = world.issue(order).await;
        assert_eq!(kind(issued), (!allowed).then_some(ErrorKind::Validation));
    }
}

#[tokio::test]
async fn the_end_of_all_time_can_be_asked_for() {
    let world = World::new().await;
    let root = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let forever = wire::Validity {
        value: 99_991_231_235_959,
        type_: wire::ValidityPeriodType::EndDate,
    };
    let certificate = world.own_certificate(&root, forever).await;
    assert_eq!(parse(&certificate).not_after, 253_402_300_799);
    world.install(&root, &certificate, None).await.unwrap();
    let shown = world.describe(&root).await;
    assert_eq!(shown.not_after, Some(jiff::Timestamp::MAX));
    assert_eq!(shown.status, Some(wire::CertificateAuthorityStatus::Active));
}

#[tokio::test]
async fn a_short_lived_authority_issues_for_a_week() {
    let world = World::new().await;
    let creation = wire::CreateCertificateAuthorityRequest {
        usage_mode: Some(wire::CertificateAuthorityUsageMode::ShortLivedCertificate),
        ..creation(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
    };
    let created = super::super::create_certificate_authority(&world.ctx(), creation)
        .await
        .unwrap();
    let root = created.certificate_authority_arn.unwrap();
    let certificate = world.own_certificate(&root, years(10)).await;
    world.install(&root, &certificate, None).await.unwrap();
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    for (count, allowed) in [(7, true), (8, false)] {
        let order = wire::IssueCertificateRequest {
            validity: days(count),
            ..world.order(&root, &csr).await
        };
        assert_eq!(
            kind(world.issue(order).await),
            (!allowed).then_some(ErrorKind::Validation)
        );
    }
}

#[tokio::test]
async fn bad_requests_are_refused_by_name() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (good, key) = world
        .csr(KeySpec::EcP256, "leaf.test", &["leaf.test"])
        .await;
    let order = world.order(&root, &good).await;
    let refused = async |change: &dyn Fn(&mut wire::IssueCertificateRequest)| {
        let mut order = order.clone();
        change(&mut order);
        kind(world.issue(order).await)
    };
    let malformed = Some(ErrorKind::MalformedCsr);
    assert_eq!(
        refused(&|order| order.csr = b"nonsense".to_vec().into()).await,
        malformed
    );
    // A request that somebody changed no longer proves possession of the key.
    let mut forged = x509::Csr::parse(&good).unwrap().der().to_vec();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    assert_eq!(
        refused(&|order| order.csr = forged.clone().into()).await,
        malformed
    );
    let nameless = world.signed_request(&key, &[0x30, 0], &[]).await;
    assert_eq!(
        refused(&|order| order.csr = nameless.clone().into()).await,
        malformed
    );
    let (underscore, _) = world.csr(KeySpec::EcP256, "leaf.test", &["a_b.test"]).await;
    assert_eq!(
        refused(&|order| order.csr = underscore.clone().into()).await,
        malformed
    );

    let args = Some(ErrorKind::InvalidArgs);
    assert_eq!(
        refused(&|order| order.template_arn = template("Unknown")).await,
        args
    );
    assert_eq!(
        refused(&|order| order.signing_algorithm = wire::SigningAlgorithm::Sha256withrsa).await,
        args
    );
    assert_eq!(
        refused(&|order| order.signing_algorithm = wire::SigningAlgorithm::Sm3withsm2).await,
        args
    );
    // A root template certifies nobody else's key.
    assert_eq!(
        refused(&|order| order.template_arn = template("RootCACertificate")).await,
        args
    );
    let validation = Some(ErrorKind::Validation);
    assert_eq!(
        refused(&|order| order.validity_not_before = Some(days(1))).await,
        validation
    );
    let elsewhere = root.replace("us-east-1", "eu-west-1");
    assert_eq!(
        refused(&|order| order.certificate_authority_arn = elsewhere.clone()).await,
        Some(ErrorKind::NotFound)
    );
    assert_eq!(refused(&|_| ()).await, None);
}

#[tokio::test]
async fn a_certificate_may_go_to_who_has_no_name_but_alternatives() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let key = world.app.keys.generate(KeySpec::EcP256).await.unwrap();
    let names = Extension {
        oid: Oid::new("2.5.29.17"),
        critical: false,
        value: ExtensionValue::SubjectAltName(vec![GeneralName::Uri("spiffe://a.test/web".into())]),
    };
    let csr = world.signed_request(&key, &[0x30, 0], &[names]).await;
    let got = world.issue_and_get(world.order(&root, &csr).await).await;
    let leaf = got.certificate.unwrap();
    assert!(parse(&leaf).extension("2.5.29.17").unwrap().critical);
    assert_eq!(
        world.openssl_verify(&leaf, &[], &got.certificate_chain.unwrap()),
        Ok(())
    );
}

#[tokio::test]
async fn what_the_caller_passes_through_goes_where_the_template_leaves_room() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "from.csr", &["from.csr"]).await;
    let passthrough = wire::ApiPassthrough {
        subject: Some(wire::Asn1Subject {
            common_name: Some("from.api".into()),
            ..Default::default()
        }),
        extensions: Some(wire::Extensions {
            key_usage: Some(wire::KeyUsage {
                digital_signature: Some(true),
                non_repudiation: Some(true),
                ..Default::default()
            }),
            extended_key_usage: Some(vec![wire::ExtendedKeyUsage {
                extended_key_usage_type: Some(wire::ExtendedKeyUsageType::SmartCardLogin),
                extended_key_usage_object_identifier: None,
            }]),
            subject_alternative_names: Some(vec![wire::GeneralName {
                other_name: Some(wire::OtherName {
                    type_id: "1.3.6.1.4.1.311.20.2.3".into(),
                    value: "user@a.test".into(),
                }),
                ..Default::default()
            }]),
            certificate_policies: Some(vec![wire::PolicyInformation {
                cert_policy_id: "1.2.3.4".into(),
                policy_qualifiers: None,
            }]),
            custom_extensions: Some(vec![wire::CustomExtension {
                object_identifier: "1.3.6.1.4.1.99999.1".into(),
                value: "BQA=".into(),
                critical: None,
            }]),
        }),
    };
    let order = wire::IssueCertificateRequest {
        template_arn: template("BlankEndEntityCertificate_APIPassthrough"),
        api_passthrough: Some(passthrough),
        ..world.order(&root, &csr).await
    };
    let got = world.issue_and_get(order.clone()).await;
    let pem = got.certificate.unwrap();
    let leaf = parse(&pem);
    assert_eq!(leaf.subject_der, subject_der("from.api"));
    assert_eq!(
        leaf.key_usage(),
        Some(&[KeyUsageBit::DigitalSignature, KeyUsageBit::NonRepudiation][..])
    );
    assert!(matches!(leaf.alt_names(), [GeneralName::Other(..)]));
    assert!(leaf.extension("2.5.29.32").is_some());
    assert!(leaf.extension("1.3.6.1.4.1.99999.1").is_some());
    assert_eq!(
        world.openssl_verify(&pem, &[], &got.certificate_chain.unwrap()),
        Ok(())
    );

    // By a base template the parameter is ignored.
    let plain = wire::IssueCertificateRequest {
        template_arn: None,
        ..order.clone()
    };
    let leaf = parse(&world.issue_and_get(plain).await.certificate.unwrap());
    assert_eq!(leaf.subject_der, subject_der("from.csr"));

    // What would make a leaf an authority is refused.
    let mut greedy = order;
    let extensions = greedy
        .api_passthrough
        .as_mut()
        .and_then(|api| api.extensions.as_mut())
        .unwrap();
    extensions.key_usage = Some(wire::KeyUsage {
        key_cert_sign: Some(true),
        ..Default::default()
    });
    assert_eq!(
        kind(world.issue(greedy).await),
        Some(ErrorKind::InvalidArgs)
    );
}

#[tokio::test]
async fn a_token_makes_one_certificate_for_five_minutes() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let order = |token: &str| {
        let (root, csr, token) = (root.clone(), csr.clone(), token.to_owned());
        let world = &world;
        async move {
            let order = wire::IssueCertificateRequest {
                idempotency_token: Some(token),
                ..world.order(&root, &csr).await
            };
            world.issue(order).await.unwrap()
        }
    };
    let first = order("one").await;
    assert_eq!(order("one").await, first);
    assert_ne!(order("two").await, first);
    // The same token with another request is another request.
    let other = wire::IssueCertificateRequest {
        idempotency_token: Some("one".into()),
        validity: days(3),
        ..world.order(&root, &csr).await
    };
    assert_ne!(world.issue(other).await.unwrap(), first);
    world.pass(jiff::SignedDuration::from_secs(299));
    assert_eq!(order("one").await, first);
    world.pass(jiff::SignedDuration::from_secs(1));
    let later = order("one").await;
    assert_ne!(later, first);
    world.pass(jiff::SignedDuration::from_mins(6));
    world.run_due().await;
    assert_ne!(order("one").await, later);
}

#[tokio::test]
async fn a_token_used_twice_at_once_makes_one_certificate() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let order = wire::IssueCertificateRequest {
        idempotency_token: Some("t".into()),
        ..world.order(&root, &csr).await
    };
    let all = futures::future::join_all((0..8).map(|_| world.issue(order.clone()))).await;
    let arns: std::collections::BTreeSet<String> =
        all.into_iter().map(|arn| arn.unwrap()).collect();
    assert_eq!(arns.len(), 1);
}

#[tokio::test]
async fn serial_numbers_are_random_and_in_the_name() {
    let world = World::new().await;
    let root = world.root(KeySpec::EcP256).await;
    let (csr, _) = world.csr(KeySpec::EcP256, "leaf.test", &[]).await;
    let mut seen = std::collections::BTreeSet::new();
    let mut any = [0_u8; 16];
    for _ in 0..32 {
        let arn = world.issue(world.order(&root, &csr).await).await.unwrap();
        let hex = arn.rsplit('/').next().unwrap().to_owned();
        let certificate = parse(&world.get(&root, &arn).await.unwrap().certificate.unwrap());
        assert_eq!(hex, keystead_core::hex(&certificate.serial));
        for (any, octet) in any.iter_mut().zip(&certificate.serial[4..]) {
            *any |= octet;
        }
        assert!(seen.insert(hex));
    }
    // A bit that is never set in 32 draws of a fair coin: once in four thousand million.
    assert_eq!(any, [0xff; 16]);
}
