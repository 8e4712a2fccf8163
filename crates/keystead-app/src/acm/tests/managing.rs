//! Export, deletion, tags, options, the account's configuration, and names of others.

use keystead_core::ErrorKind;
use keystead_wire::acm as wire;

use super::world::{World, kind, public};
use crate::acm;

#[tokio::test]
async fn an_export_holds_one_version_under_the_passphrase() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    let exported = world.export(&arn).await.unwrap();
    let got = world.get(&arn).await.unwrap();
    assert_eq!(
        (exported.certificate, exported.certificate_chain),
        (got.certificate, got.certificate_chain)
    );
    let key = exported.private_key.unwrap();
    assert!(
        key.expose()
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    );
    let pending = world.request(public("a.example.com")).await.unwrap();
    assert_eq!(
        world.export(&pending).await.map(drop),
        Err(ErrorKind::Validation)
    );
    let exportable = wire::RequestCertificateRequest {
        options: Some(wire::CertificateOptions {
            export: Some(wire::CertificateExport::Enabled),
            ..wire::CertificateOptions::default()
        }),
        ..public("a.example.com")
    };
    let exportable = world.request(exportable).await.unwrap();
    assert_eq!(
        world.export(&exportable).await.map(drop),
        Err(ErrorKind::RequestInProgress)
    );
}

#[tokio::test]
async fn what_is_deleted_is_gone_with_all_that_belonged_to_it() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    world.delete(&arn).await.unwrap();
    assert_eq!(world.delete(&arn).await, Err(ErrorKind::NotFound));
    assert_eq!(world.get(&arn).await.map(drop), Err(ErrorKind::NotFound));
    assert_eq!(world.renew(&arn).await, Err(ErrorKind::NotFound));
    assert!(world.versions().await.is_empty());
    assert!(world.keys::<()>(acm::record::INDEX).await.is_empty());
    assert_eq!(world.app.store.next_due("acm").await.unwrap(), None);
}

#[tokio::test]
async fn names_of_others_and_of_nothing_are_told_apart() {
    let world = World::new().await;
    for (arn, expected) in [
        (
            "arn:aws:acm:us-east-1:123456789012:certificate/none",
            ErrorKind::NotFound,
        ),
        (
            "arn:aws:acm:us-east-2:123456789012:certificate/none",
            ErrorKind::NotFound,
        ),
        (
            "arn:aws:acm:us-east-1:000000000000:certificate/none",
            ErrorKind::AccessDenied,
        ),
        (
            "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/none",
            ErrorKind::InvalidArn,
        ),
        ("no name at all, but long enough", ErrorKind::InvalidArn),
    ] {
        let input = wire::DescribeCertificateRequest {
            certificate_arn: arn.into(),
        };
        let refused = acm::describe_certificate(&world.ctx(), input).await;
        assert_eq!(refused.map(drop).map_err(kind), Err(expected), "{arn}");
    }
}

#[tokio::test]
async fn tags_are_added_removed_and_listed_by_either_name() {
    let world = World::new().await;
    let arn = world.request(public("a.example.com")).await.unwrap();
    let ctx = world.ctx();
    let tag = |key: &str, value: Option<&str>| wire::Tag {
        key: key.into(),
        value: value.map(Into::into),
    };
    let added = wire::AddTagsToCertificateRequest {
        certificate_arn: arn.clone(),
        tags: vec![tag("a", Some("1")), tag("b", None)],
    };
    acm::add_tags_to_certificate(&ctx, added).await.unwrap();
    let more = wire::TagResourceRequest {
        resource_arn: arn.clone(),
        tags: vec![tag("c", Some(""))],
    };
    acm::tag_resource(&ctx, more).await.unwrap();
    let removed = wire::RemoveTagsFromCertificateRequest {
        certificate_arn: arn.clone(),
        tags: vec![tag("a", Some("2"))],
    };
    acm::remove_tags_from_certificate(&ctx, removed)
        .await
        .unwrap();
    let expected = vec![tag("a", Some("1")), tag("b", None), tag("c", Some(""))];
    let input = wire::ListTagsForCertificateRequest {
        certificate_arn: arn.clone(),
    };
    let listed = acm::list_tags_for_certificate(&ctx, input).await.unwrap();
    assert_eq!(listed.tags, Some(expected));
    let untag = wire::UntagResourceRequest {
        resource_arn: arn.clone(),
        tag_keys: vec!["a".into(), "c".into()],
    };
    acm::untag_resource(&ctx, untag).await.unwrap();
    let input = wire::ListTagsForResourceRequest {
        resource_arn: arn.clone(),
    };
    let listed = acm::list_tags_for_resource(&ctx, input).await.unwrap();
    assert_eq!(listed.tags, Some(vec![tag("b", None)]));
    let reserved = wire::AddTagsToCertificateRequest {
        certificate_arn: arn,
        tags: vec![tag("aws:x", None)],
    };
    let refused = acm::add_tags_to_certificate(&ctx, reserved)
        .await
        .map(drop)
        .map_err(kind);
    assert_eq!(refused, Err(ErrorKind::Validation));
}

#[tokio::test]
async fn options_can_be_changed_as_far_as_they_can() {
    use wire::CertificateTransparencyLoggingPreference as Logging;
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.request(public("a.example.com")).await.unwrap();
    let update = |arn: &str, options: wire::CertificateOptions| {
        let input = wire::UpdateCertificateOptionsRequest {
            certificate_arn: arn.into(),
            options,
        };
        let ctx = world.ctx();
        async move {
            acm::update_certificate_options(&ctx, input)
                .await
                .map(drop)
                .map_err(kind)
        }
    };
    let off = wire::CertificateOptions {
        certificate_transparency_logging_preference: Some(Logging::Disabled),
        ..wire::CertificateOptions::default()
    };
    assert_eq!(update(&arn, off.clone()).await, Ok(()));
    assert_eq!(
        world
            .describe(&arn)
            .await
            .options
            .unwrap()
            .certificate_transparency_logging_preference,
        Some(Logging::Disabled)
    );
    let export = wire::CertificateOptions {
        export: Some(wire::CertificateExport::Enabled),
        ..wire::CertificateOptions::default()
    };
    assert_eq!(update(&arn, export).await, Err(ErrorKind::Validation));
    let method = wire::CertificateOptions {
        validation_method: Some(wire::ValidationMethod::Dns),
        ..wire::CertificateOptions::default()
    };
    assert_eq!(update(&arn, method).await, Err(ErrorKind::InvalidState));
    assert_eq!(
        update(&world.private(&ca).await, off).await,
        Err(ErrorKind::InvalidState)
    );
}

#[tokio::test]
async fn the_accounts_configuration_is_kept_and_a_token_counts_once() {
    let world = World::new().await;
    let days = async || {
        let got =
            acm::get_account_configuration(&world.ctx(), wire::GetAccountConfigurationRequest {})
                .await;
        got.unwrap()
            .expiry_events
            .unwrap()
            .days_before_expiry
            .unwrap()
    };
    let put = |days: Option<i32>, token: &str| {
        let input = wire::PutAccountConfigurationRequest {
            expiry_events: days.map(|days| wire::ExpiryEventsConfiguration {
                days_before_expiry: Some(days),
            }),
            idempotency_token: token.into(),
        };
        let ctx = world.ctx();
        async move {
            acm::put_account_configuration(&ctx, input)
                .await
                .map(drop)
                .map_err(kind)
        }
    };
    assert_eq!(days().await, 45);
    assert_eq!(put(Some(30), "t1").await, Ok(()));
    assert_eq!(put(Some(60), "t1").await, Ok(()));
    assert_eq!(days().await, 30, "the same token");
    assert_eq!(put(Some(60), "t2").await, Ok(()));
    assert_eq!(days().await, 60);
    for refused in [None, Some(0), Some(91), Some(-1)] {
        assert_eq!(put(refused, "t3").await, Err(ErrorKind::Validation));
    }
}
