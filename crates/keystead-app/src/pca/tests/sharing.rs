//! Permissions, tags, policies.

use keystead_core::ErrorKind;
use keystead_core::x509::KeySpec;
use keystead_wire::acm_pca as wire;

use super::super::*;
use super::world::*;

#[tokio::test]
async fn permissions_are_granted_shown_and_withdrawn() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let create = async |principal: &str| {
        let input = wire::CreatePermissionRequest {
            certificate_authority_arn: arn.clone(),
            principal: principal.into(),
            source_account: None,
            actions: wire::ActionType::ALL.to_vec(),
        };
        kind(create_permission(&world.ctx(), input).await)
    };
    let list = async || {
        let input = wire::ListPermissionsRequest {
            max_results: None,
            next_token: None,
            certificate_authority_arn: arn.clone(),
        };
        list_permissions(&world.ctx(), input)
            .await
            .unwrap()
            .permissions
            .unwrap()
    };
    let delete = async || {
        let input = wire::DeletePermissionRequest {
            certificate_authority_arn: arn.clone(),
            principal: "acm.amazonaws.com".into(),
            source_account: None,
        };
        kind(delete_permission(&world.ctx(), input).await)
    };
    assert_eq!(
        create("ec2.amazonaws.com").await,
        Some(ErrorKind::Validation)
    );
    assert_eq!(create("acm.amazonaws.com").await, None);
    assert_eq!(
        create("acm.amazonaws.com").await,
        Some(ErrorKind::AlreadyExists)
    );
    let granted = list().await;
    assert_eq!(granted.len(), 1);
    assert_eq!(
        granted[0].certificate_authority_arn.as_deref(),
        Some(arn.as_str())
    );
    assert_eq!(granted[0].source_account.as_deref(), Some("123456789012"));
    assert_eq!(granted[0].actions.as_deref(), Some(wire::ActionType::ALL));
    assert_eq!(delete().await, None);
    assert_eq!(delete().await, Some(ErrorKind::NotFound));
    assert!(list().await.is_empty());
}

#[tokio::test]
async fn tags_page() {
    let world = World::new().await;
    let arn = world
        .create(wire::CertificateAuthorityType::Root, KeySpec::EcP256)
        .await;
    let tags = (0..5)
        .map(|number| wire::Tag {
            key: format!("k{number}"),
            value: Some(number.to_string()),
        })
        .collect();
    let input = wire::TagCertificateAuthorityRequest {
        certificate_authority_arn: arn.clone(),
        tags,
    };
    tag_certificate_authority(&world.ctx(), input)
        .await
        .unwrap();
    let page = async |max_results, next_token| {
        let input = wire::ListTagsRequest {
            max_results,
            next_token,
            certificate_authority_arn: arn.clone(),
        };
        let page = list_tags(&world.ctx(), input).await.unwrap();
        let keys: Vec<String> = page.tags.unwrap().into_iter().map(|tag| tag.key).collect();
        (keys, page.next_token)
    };
    let (first, token) = page(Some(2), None).await;
    assert_eq!(first, ["k0", "k1"]);
    let (second, token) = page(Some(3), token).await;
    assert_eq!(second, ["k2", "k3", "k4"]);
    assert_eq!(token, None);

    let untag = |value: Option<&str>| wire::UntagCertificateAuthorityRequest {
        certificate_authority_arn: arn.clone(),
        tags: vec![wire::Tag {
            key: "k0".into(),
            value: value.map(Into::into),
        }],
    };
    untag_certificate_authority(&world.ctx(), untag(Some("other")))
        .await
        .unwrap();
    assert_eq!(page(None, None).await.0.len(), 5);
    untag_certificate_authority(&world.ctx(), untag(None))
        .await
        .unwrap();
    assert_eq!(page(None, None).await.0.len(), 4);
}

#[tokio::test]
async fn a_policy_is_kept_as_it_was_put() {
    let world = World::new().await;
    let arn = world.root(KeySpec::EcP256).await;
    let get = async || {
        get_policy(
            &world.ctx(),
            wire::GetPolicyRequest {
                resource_arn: arn.clone(),
            },
        )
        .await
    };
    let put = async |policy: String| {
        kind(
            put_policy(
                &world.ctx(),
                wire::PutPolicyRequest {
                    resource_arn: arn.clone(),
                    policy,
                },
            )
            .await,
        )
    };
    let delete = async || {
        kind(
            delete_policy(
                &world.ctx(),
                wire::DeletePolicyRequest {
                    resource_arn: arn.clone(),
                },
            )
            .await,
        )
    };
    assert_eq!(kind(get().await), Some(ErrorKind::NotFound));
    assert_eq!(delete().await, None, "there is none to delete");
    let policy = format!(
        r#"{{ "Statement": [{{"Effect":"Allow","Principal":{{"AWS":"012345678901"}},"Action":["acm-pca:IssueCertificate"],"Resource":"{arn}"}}] }}"#
    );
    assert_eq!(
        put(policy.replace("Issue", "Delete")).await,
        Some(ErrorKind::InvalidPolicy)
    );
    assert_eq!(put(policy.clone()).await, None);
    assert_eq!(get().await.unwrap().policy, Some(policy));
    assert_eq!(delete().await, None);
    assert_eq!(kind(get().await), Some(ErrorKind::NotFound));
}
