//! Authorities made, shown and listed.

use jiff::SignedDuration;
use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_wire::acm_pca as wire;

use super::super::*;
use super::world::*;

#[tokio::test]
async fn a_new_authority_waits_for_its_certificate() {
    let world = World::new().await;
    let arn = world
        .create(wire::CertificateAuthorityType::Subordinate, KeySpec::EcP256)
        .await;
    let shown = world.describe(&arn).await;
    assert_eq!(shown.arn.as_deref(), Some(arn.as_str()));
    assert_eq!(shown.owner_account.as_deref(), Some("123456789012"));
    assert_eq!(
        shown.status,
        Some(wire::CertificateAuthorityStatus::PendingCertificate)
    );
    assert_eq!(shown.serial, None);
    assert_eq!(
        shown.key_storage_security_standard,
        Some(wire::KeyStorageSecurityStandard::Fips1402Level3OrHigher)
    );
    assert_eq!(
        shown.usage_mode,
        Some(wire::CertificateAuthorityUsageMode::GeneralPurpose)
    );
    let expected = creation(wire::CertificateAuthorityType::Subordinate, KeySpec::EcP256);
    assert_eq!(
        shown.certificate_authority_configuration,
        Some(expected.certificate_authority_configuration)
    );

    let input = wire::GetCertificateAuthorityCertificateRequest {
        certificate_authority_arn: arn.clone(),
    };
    let refused = get_certificate_authority_certificate(&world.ctx(), input)
        .await
        .unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert_eq!(
        refused.message,
        format!(
            "The certificate authority {arn} is not in the correct state to have a certificate signing request."
        )
    );
}

#[tokio::test]
async fn an_active_authority_shows_its_certificate() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let shown = world.describe(&arn).await;
    assert_eq!(shown.not_before.unwrap().as_second(), START - 3600);
    assert_eq!(shown.not_after.unwrap().to_string(), "2040-01-01T00:00:00Z");
    assert!(
        shown
            .serial
            .unwrap()
            .bytes()
            .all(|digit| digit.is_ascii_digit())
    );
}

#[tokio::test]
async fn the_request_asks_for_what_was_configured() {
    let world = World::new().await;
    let mut wanted = creation(wire::CertificateAuthorityType::Root, KeySpec::EcP256);
    wanted.certificate_authority_configuration.csr_extensions = Some(wire::CsrExtensions {
        key_usage: Some(wire::KeyUsage {
            digital_signature: Some(true),
            non_repudiation: Some(false),
            key_encipherment: Some(false),
            data_encipherment: Some(false),
            key_agreement: Some(false),
            key_cert_sign: Some(true),
            crl_sign: Some(true),
            encipher_only: Some(false),
            decipher_only: Some(false),
        }),
        subject_information_access: Some(vec![wire::AccessDescription {
            access_method: wire::AccessMethod {
                access_method_type: Some(wire::AccessMethodType::CaRepository),
                custom_object_identifier: None,
            },
            access_location: wire::GeneralName {
                uniform_resource_identifier: Some("https://a.test/repository".into()),
                ..Default::default()
            },
        }]),
    });
    let configuration = wanted.certificate_authority_configuration.clone();
    let created = create_certificate_authority(&world.ctx(), wanted)
        .await
        .unwrap();
    let arn = created.certificate_authority_arn.unwrap();
    assert_eq!(
        world
            .describe(&arn)
            .await
            .certificate_authority_configuration,
        Some(configuration)
    );
    let csr = keystead_crypto::x509::Csr::parse(world.csr_of(&arn).await.as_bytes()).unwrap();
    csr.verify().unwrap();
    let asked: Vec<_> = csr
        .extensions
        .iter()
        .map(|extension| extension.oid.0.as_str())
        .collect();
    assert_eq!(asked, ["2.5.29.19", "2.5.29.15", "1.3.6.1.5.5.7.1.11"]);
}

#[tokio::test]
async fn bad_configurations_are_refused_by_name() {
    let world = World::new().await;
    let refused = async |change: &dyn Fn(&mut wire::CreateCertificateAuthorityRequest)| {
        let mut wanted = creation(wire::CertificateAuthorityType::Root, KeySpec::EcP256);
        change(&mut wanted);
        kind(create_certificate_authority(&world.ctx(), wanted).await)
    };
    let args = Some(ErrorKind::InvalidArgs);
    assert_eq!(
        refused(
            &|wanted| wanted.certificate_authority_configuration.signing_algorithm =
                wire::SigningAlgorithm::Sha256withrsa
        )
        .await,
        args
    );
    assert_eq!(
        refused(
            &|wanted| wanted.certificate_authority_configuration.key_algorithm =
                wire::KeyAlgorithm::Sm2
        )
        .await,
        args
    );
    assert_eq!(
        refused(&|wanted| wanted.certificate_authority_configuration.subject = Default::default())
            .await,
        args
    );
    assert_eq!(
        refused(&|wanted| {
            wanted
                .certificate_authority_configuration
                .subject
                .custom_attributes = Some(vec![wire::CustomAttribute {
                object_identifier: "2.5.4.3".into(),
                value: "x".into(),
            }]);
        })
        .await,
        args
    );
    assert_eq!(
        refused(&|wanted| {
            wanted.revocation_configuration = Some(wire::RevocationConfiguration {
                crl_configuration: None,
                ocsp_configuration: Some(wire::OcspConfiguration {
                    enabled: false,
                    ocsp_custom_cname: Some("o.test".into()),
                }),
            });
        })
        .await,
        args
    );
    let tag = |key: &str| wire::Tag {
        key: key.into(),
        value: None,
    };
    assert_eq!(
        refused(&|wanted| wanted.tags = Some(vec![tag("aws:x")])).await,
        Some(ErrorKind::InvalidTag)
    );
    assert_eq!(refused(&|_| ()).await, None);
}

#[tokio::test]
async fn a_token_makes_one_authority() {
    let world = World::new().await;
    let wanted = |standard| wire::CreateCertificateAuthorityRequest {
        idempotency_token: Some("terraform-1".into()),
        key_storage_security_standard: standard,
        ..creation(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
    };
    let create = async |standard| {
        let created = create_certificate_authority(&world.ctx(), wanted(standard))
            .await
            .unwrap();
        created.certificate_authority_arn.unwrap()
    };
    let first = create(None).await;
    assert_eq!(create(None).await, first);
    assert_ne!(
        create(Some(
            wire::KeyStorageSecurityStandard::Fips1402Level2OrHigher
        ))
        .await,
        first
    );
    world.pass(SignedDuration::from_mins(5));
    assert_ne!(create(None).await, first);
}

#[tokio::test]
async fn a_token_used_twice_at_once_makes_one_authority() {
    let world = World::new().await;
    let ctx = world.ctx();
    let wanted = wire::CreateCertificateAuthorityRequest {
        idempotency_token: Some("t".into()),
        ..creation(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
    };
    let all = (0..6).map(|_| create_certificate_authority(&ctx, wanted.clone()));
    let all = futures::future::join_all(all).await;
    let arns: std::collections::BTreeSet<_> = all
        .into_iter()
        .map(|created| created.unwrap().certificate_authority_arn.unwrap())
        .collect();
    assert_eq!(arns.len(), 1);
}

#[tokio::test]
async fn listings_page_and_stay_within_the_account_and_region() {
    let world = World::new().await;
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(
            world
                .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
                .await,
        );
    }
    made.sort();
    let list = async |ctx: &crate::Ctx, max_results, next_token, resource_owner| {
        let input = wire::ListCertificateAuthoritiesRequest {
            max_results,
            next_token,
            resource_owner,
        };
        list_certificate_authorities(ctx, input).await
    };
    let mut seen = Vec::new();
    let mut token = None;
    loop {
        let page = list(&world.ctx(), Some(2), token.take(), None)
            .await
            .unwrap();
        let found = page.certificate_authorities.unwrap();
        assert!(found.len() <= 2);
        seen.extend(found.into_iter().map(|ca| ca.arn.unwrap()));
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, made);
    let page = list(&world.ctx(), Some(2), None, None).await.unwrap();
    let elsewhere = world.ctx_of("123456789012", "eu-west-1");
    assert_eq!(
        list(&elsewhere, None, None, None)
            .await
            .unwrap()
            .certificate_authorities,
        Some(vec![])
    );
    let foreign = world.ctx_of("111111111111", "us-east-1");
    assert_eq!(
        list(&foreign, None, None, None)
            .await
            .unwrap()
            .certificate_authorities,
        Some(vec![])
    );
    let stolen = list(&elsewhere, Some(2), page.next_token.clone(), None).await;
    assert_eq!(kind(stolen), Some(ErrorKind::InvalidNextToken));
    let others = Some(wire::ResourceOwner::OtherAccounts);
    assert_eq!(
        list(&world.ctx(), None, None, others)
            .await
            .unwrap()
            .certificate_authorities,
        Some(vec![])
    );
    let mixed_up = list(&world.ctx(), None, page.next_token, others).await;
    assert_eq!(kind(mixed_up), Some(ErrorKind::InvalidNextToken));
    let forged = list(&world.ctx(), None, Some("AAAA".into()), None).await;
    assert_eq!(kind(forged), Some(ErrorKind::InvalidNextToken));
}

#[tokio::test]
async fn others_can_not_see_or_touch_an_authority() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    for (ctx, expected) in [
        (
            world.ctx_of("111111111111", "us-east-1"),
            ErrorKind::AccessDenied,
        ),
        (
            world.ctx_of("123456789012", "eu-west-1"),
            ErrorKind::NotFound,
        ),
    ] {
        let input = wire::DescribeCertificateAuthorityRequest {
            certificate_authority_arn: arn.clone(),
        };
        assert_eq!(
            kind(describe_certificate_authority(&ctx, input).await),
            Some(expected)
        );
        let input = wire::DeletePolicyRequest {
            resource_arn: arn.clone(),
        };
        assert_eq!(kind(delete_policy(&ctx, input).await), Some(expected));
    }
    for (bad, expected) in [
        ("unknown", ErrorKind::InvalidArn),
        (
            "arn:aws:acm:us-east-1:123456789012:certificate/x",
            ErrorKind::InvalidArn,
        ),
        (
            "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/none",
            ErrorKind::NotFound,
        ),
    ] {
        assert_eq!(kind(world.try_describe(bad).await), Some(expected), "{bad}");
    }
}
