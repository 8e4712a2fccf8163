//! RequestCertificate: private, public, twice.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_crypto::x509;
use keystead_wire::acm as wire;

use super::world::{DAY, World, private, public};
use crate::{acm, tasks};

#[tokio::test]
async fn a_private_certificate_is_there_at_the_next_describe() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world
        .request(wire::RequestCertificateRequest {
            subject_alternative_names: Some(vec!["*.Example.com".into(), "www.example.com".into()]),
            ..private(&ca)
        })
        .await
        .unwrap();
    let shown = world.describe(&arn).await;
    assert_eq!(shown.certificate_arn.as_deref(), Some(arn.as_str()));
    assert_eq!(shown.status, Some(wire::CertificateStatus::Issued));
    assert_eq!(shown.type_, Some(wire::CertificateType::Private));
    assert_eq!(
        shown.certificate_authority_arn.as_deref(),
        Some(ca.as_str())
    );
    assert_eq!(shown.issuer.as_deref(), Some("App Mesh Examples"));
    assert_eq!(shown.subject.as_deref(), Some("CN=www.example.com"));
    assert_eq!(
        shown.subject_alternative_names.unwrap(),
        ["www.example.com", "*.example.com"]
    );
    assert_eq!(shown.key_algorithm.as_deref(), Some("EC-prime256v1"));
    assert_eq!(
        shown.signature_algorithm.as_deref(),
        Some("SHA256WITHECDSA")
    );
    assert_eq!(
        shown.renewal_eligibility,
        Some(wire::RenewalEligibility::Ineligible)
    );
    assert_eq!(
        (shown.renewal_summary, shown.domain_validation_options),
        (None, None)
    );
    assert_eq!(shown.in_use_by.unwrap(), Vec::<String>::new());
    assert_eq!(shown.issued_at, Some(world.now()));
    let life = shown.not_after.unwrap().duration_since(world.now());
    assert!(
        (life - DAY * 395).abs() <= SignedDuration::from_hours(1),
        "{life:?}"
    );
    let purposes: Vec<_> = shown
        .extended_key_usages
        .unwrap()
        .into_iter()
        .filter_map(|u| u.name)
        .collect();
    assert_eq!(
        purposes,
        [
            wire::ExtendedKeyUsageName::TlsWebServerAuthentication,
            wire::ExtendedKeyUsageName::TlsWebClientAuthentication
        ]
    );

    let got = world.get(&arn).await.unwrap();
    let leaf = x509::Certificate::parse(got.certificate.unwrap().as_bytes()).unwrap();
    let root = x509::Certificate::parse(got.certificate_chain.unwrap().as_bytes()).unwrap();
    leaf.verify_issued_by(&root.spki_der).unwrap();
    let delivered = world.delivered(&arn).await;
    assert_eq!(
        (delivered.version, Some(delivered.serial)),
        (1, shown.serial)
    );
    let key = world
        .app
        .keys
        .import(delivered.key.as_pem().as_bytes())
        .await
        .unwrap();
    leaf.certifies(&key.spki_der).unwrap();
}

#[tokio::test]
async fn rsa_is_made_when_nobody_asks_for_another_kind() {
    let world = World::new().await;
    let ca = world.ca().await;
    let request = wire::RequestCertificateRequest {
        key_algorithm: None,
        ..private(&ca)
    };
    let arn = world.request(request).await.unwrap();
    let shown = world.describe(&arn).await;
    assert_eq!(shown.status, Some(wire::CertificateStatus::Issued));
    assert_eq!(shown.key_algorithm.as_deref(), Some("RSA-2048"));
}

#[tokio::test]
async fn what_the_authority_refuses_fails_and_says_why() {
    let world = World::new().await;
    let short_lived = world.ca_for_years(1).await;
    let pending = world.ca_without_certificate().await;
    for (ca, reason) in [
        (short_lived, wire::FailureReason::PcaInvalidDuration),
        (pending, wire::FailureReason::PcaInvalidState),
    ] {
        let arn = world.private(&ca).await;
        let shown = world.describe(&arn).await;
        assert_eq!(
            shown.status,
            Some(wire::CertificateStatus::Failed),
            "{reason}"
        );
        assert_eq!(shown.failure_reason, Some(reason));
        assert_eq!(world.get(&arn).await.map(drop), Err(ErrorKind::NotFound));
        assert_eq!(world.renew(&arn).await, Err(ErrorKind::Validation));
        assert_eq!(world.delete(&arn).await, Ok(()));
    }
    assert!(
        world.versions().await.is_empty(),
        "the keys of failed requests are gone"
    );
}

#[tokio::test]
async fn what_is_not_acceptable_is_refused_and_stores_nothing() {
    let world = World::new().await;
    let ca = world.ca().await;
    let tag = |key: &str| wire::Tag {
        key: key.into(),
        value: None,
    };
    let cases = [
        (
            private("arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/none"),
            ErrorKind::InvalidArn,
        ),
        (
            private("arn:aws:acm:us-east-1:123456789012:certificate/none"),
            ErrorKind::InvalidArn,
        ),
        (
            wire::RequestCertificateRequest {
                key_algorithm: Some(wire::KeyAlgorithm::Rsa4096),
                ..private(&ca)
            },
            ErrorKind::InvalidParameter,
        ),
        (
            wire::RequestCertificateRequest {
                tags: Some(vec![tag("aws:x")]),
                ..private(&ca)
            },
            ErrorKind::Validation,
        ),
        (
            wire::RequestCertificateRequest {
                validation_method: Some(wire::ValidationMethod::Http),
                ..public("a.example.com")
            },
            ErrorKind::InvalidParameter,
        ),
        (
            wire::RequestCertificateRequest {
                managed_by: Some(wire::CertificateManagedBy::Cloudfront),
                ..public("a.example.com")
            },
            ErrorKind::InvalidParameter,
        ),
        (
            public(&format!("{}.example.com", "a".repeat(60))),
            ErrorKind::InvalidDomainValidationOptions,
        ),
        (
            wire::RequestCertificateRequest {
                domain_validation_options: Some(vec![wire::DomainValidationOption {
                    domain_name: "a.example.com".into(),
                    validation_domain: "example.org".into(),
                }]),
                ..public("a.example.com")
            },
            ErrorKind::InvalidDomainValidationOptions,
        ),
    ];
    for (request, expected) in cases {
        let name = format!("{request:?}");
        assert_eq!(world.request(request).await, Err(expected), "{name}");
    }
    assert!(world.versions().await.is_empty());
}

#[tokio::test]
async fn a_token_means_one_certificate_for_an_hour() {
    let world = World::new().await;
    let ca = world.ca().await;
    let request = || wire::RequestCertificateRequest {
        idempotency_token: Some("t1".into()),
        ..private(&ca)
    };
    let calls = (0..8).map(|_| world.request(request()));
    let first: Vec<_> = futures::future::join_all(calls).await;
    let arn = first[0].clone().unwrap();
    assert!(
        first.iter().all(|answer| answer.as_ref() == Ok(&arn)),
        "{first:?}"
    );
    assert_eq!(world.versions().await, [1], "one key, in the end");

    world.pass(SignedDuration::from_mins(59));
    assert_eq!(world.request(request()).await.as_ref(), Ok(&arn));
    let other = wire::RequestCertificateRequest {
        tags: Some(vec![wire::Tag {
            key: "k".into(),
            value: None,
        }]),
        ..request()
    };
    assert_ne!(
        world.request(other).await.as_ref(),
        Ok(&arn),
        "another request is another certificate"
    );

    world.pass(SignedDuration::from_mins(1));
    assert_ne!(world.request(request()).await.as_ref(), Ok(&arn));
    world.pass_and_run(SignedDuration::from_hours(2)).await;
    let next = world.app.store.next_due("token").await.unwrap().unwrap();
    assert!(
        next > world.now(),
        "forgotten, but for the CA's own, which last longer"
    );
}

#[tokio::test]
async fn a_token_does_not_bring_back_what_was_deleted() {
    let world = World::new().await;
    let ca = world.ca().await;
    let request = || wire::RequestCertificateRequest {
        idempotency_token: Some("t1".into()),
        ..private(&ca)
    };
    let arn = world.request(request()).await.unwrap();
    world.delete(&arn).await.unwrap();
    let again = world.request(request()).await.unwrap();
    assert_ne!(again, arn);
    assert_eq!(
        world.describe(&again).await.status,
        Some(wire::CertificateStatus::Issued)
    );
}

#[tokio::test]
async fn a_public_certificate_waits_72_hours_for_its_validation() {
    let world = World::new().await;
    let request = wire::RequestCertificateRequest {
        validation_method: Some(wire::ValidationMethod::Dns),
        subject_alternative_names: Some(vec!["*.example.com".into()]),
        ..public("example.com")
    };
    let arn = world.request(request.clone()).await.unwrap();
    let shown = world.describe(&arn).await;
    assert_eq!(
        shown.status,
        Some(wire::CertificateStatus::PendingValidation)
    );
    assert_eq!(shown.type_, Some(wire::CertificateType::AmazonIssued));
    assert_eq!(
        (shown.issuer.as_deref(), shown.serial),
        (Some("Amazon"), None)
    );
    assert_eq!(shown.key_algorithm.as_deref(), Some("RSA-2048"));
    let validations = shown.domain_validation_options.unwrap();
    assert_eq!(validations.len(), 2);
    for validation in &validations {
        assert_eq!(
            validation.validation_status,
            Some(wire::DomainStatus::PendingValidation)
        );
        assert_eq!(
            validation.validation_domain.as_ref(),
            Some(&validation.domain_name)
        );
    }
    assert_eq!(
        validations[0].resource_record,
        validations[1].resource_record
    );
    assert!(
        validations[0]
            .resource_record
            .as_ref()
            .unwrap()
            .name
            .ends_with(".example.com.")
    );
    let again = world.request(request).await.unwrap();
    assert_eq!(
        world
            .describe(&again)
            .await
            .domain_validation_options
            .unwrap(),
        validations
    );
    assert_eq!(
        world.get(&arn).await.map(drop),
        Err(ErrorKind::RequestInProgress)
    );
    assert_eq!(world.renew(&arn).await, Err(ErrorKind::RequestInProgress));

    world
        .pass_and_run(SignedDuration::from_hours(72) - SignedDuration::from_secs(1))
        .await;
    assert_eq!(
        world.describe(&arn).await.status,
        Some(wire::CertificateStatus::PendingValidation)
    );
    world.pass(SignedDuration::from_secs(1));
    assert_eq!(
        world.describe(&arn).await.status,
        Some(wire::CertificateStatus::ValidationTimedOut)
    );
    tasks::run_due(&world.app).await.unwrap();
    let shown = world.describe(&arn).await;
    assert_eq!(
        shown.status,
        Some(wire::CertificateStatus::ValidationTimedOut)
    );
    assert_eq!(
        shown.domain_validation_options.unwrap()[0].validation_status,
        Some(wire::DomainStatus::Failed)
    );
    assert_eq!(world.app.store.next_due("acm").await.unwrap(), None);
}

#[tokio::test]
async fn mail_is_the_default_method_and_none_is_said_to_be_sent() {
    let world = World::new().await;
    let arn = world.request(public("a.example.com")).await.unwrap();
    let validations = world
        .describe(&arn)
        .await
        .domain_validation_options
        .unwrap();
    assert_eq!(
        validations[0].validation_method,
        Some(wire::ValidationMethod::Email)
    );
    assert_eq!(validations[0].validation_emails, Some(vec![]));
    let resend = |domain: &str, at: &str| {
        let input = wire::ResendValidationEmailRequest {
            certificate_arn: arn.clone(),
            domain: domain.into(),
            validation_domain: at.into(),
        };
        let ctx = world.ctx();
        async move {
            acm::resend_validation_email(&ctx, input)
                .await
                .map(drop)
                .map_err(|e| e.kind)
        }
    };
    assert_eq!(
        resend("b.example.com", "example.com").await,
        Err(ErrorKind::InvalidDomainValidationOptions)
    );
    assert_eq!(
        resend("a.example.com", "example.org").await,
        Err(ErrorKind::InvalidDomainValidationOptions)
    );
    assert_eq!(
        resend("a.example.com", "example.com").await,
        Err(ErrorKind::InvalidState)
    );
}

#[tokio::test]
async fn a_request_that_was_left_behind_is_carried_out_by_the_queue() {
    let world = World::new().await;
    let ca = world.ca().await;
    // The call is cut off right after it stored the request.
    let arn = super::crash::cut_off(&world, private(&ca)).await;
    assert_eq!(
        world.describe(&arn).await.status,
        Some(wire::CertificateStatus::PendingValidation)
    );
    assert_eq!(
        world.get(&arn).await.map(drop),
        Err(ErrorKind::RequestInProgress)
    );
    world.pass_and_run(SignedDuration::from_secs(10)).await;
    assert_eq!(
        world.describe(&arn).await.status,
        Some(wire::CertificateStatus::Issued)
    );
}
