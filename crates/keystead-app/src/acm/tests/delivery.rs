//! Associations and deletion: never both.

use keystead_core::{AccountId, ErrorKind, Region};
use keystead_wire::acm as wire;

use super::world::{NODE, World, kind, public};
use crate::acm::internal;

const OTHER: &str = "arn:aws:keystead:us-east-1:123456789012:node/app";

#[tokio::test]
async fn what_is_used_stays_until_the_last_user_lets_go() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    for user in [NODE, OTHER, NODE] {
        world.associate(&arn, user).await.unwrap();
    }
    assert_eq!(world.describe(&arn).await.in_use_by.unwrap(), [OTHER, NODE]);
    assert_eq!(world.delete(&arn).await, Err(ErrorKind::ResourceInUse));
    world.release(&arn, NODE).await.unwrap();
    world.release(&arn, NODE).await.unwrap();
    assert_eq!(world.delete(&arn).await, Err(ErrorKind::ResourceInUse));
    world.release(&arn, OTHER).await.unwrap();
    assert_eq!(
        world.describe(&arn).await.renewal_eligibility,
        Some(wire::RenewalEligibility::Ineligible)
    );
    assert_eq!(world.delete(&arn).await, Ok(()));
    assert_eq!(world.associate(&arn, NODE).await, Err(ErrorKind::NotFound));
}

#[tokio::test]
async fn an_association_and_a_deletion_never_both_succeed() {
    let world = World::new().await;
    let ca = world.ca().await;
    for _ in 0..20 {
        let arn = world.private(&ca).await;
        let (associated, deleted) = tokio::join!(world.associate(&arn, NODE), world.delete(&arn));
        assert_ne!(
            associated.is_ok(),
            deleted.is_ok(),
            "{associated:?} {deleted:?}"
        );
        if associated.is_ok() {
            world.release(&arn, NODE).await.unwrap();
            world.delete(&arn).await.unwrap();
        }
    }
    assert!(world.versions().await.is_empty());
    assert_eq!(world.app.store.next_due("acm").await.unwrap(), None);
}

#[tokio::test]
async fn only_ones_own_certificates_are_delivered_and_only_once_they_are_there() {
    let world = World::new().await;
    let ca = world.ca().await;
    let arn = world.private(&ca).await;
    let account = world.ctx().account().clone();
    let region = world.ctx().region;
    let stranger = AccountId::parse("000000000000").unwrap();
    let elsewhere = Region::parse("eu-central-1").unwrap();
    for (account, region, arn) in [
        (&stranger, &region, arn.clone()),
        (&account, &elsewhere, arn.clone()),
        (&account, &region, format!("{arn}/x")),
        (
            &account,
            &region,
            "arn:aws:acm:us-east-1:123456789012:certificate/".into(),
        ),
        (&account, &region, String::new()),
    ] {
        let refused = internal::material(&world.app, account, region, &arn).await;
        assert_eq!(
            refused.map(|_| ()).map_err(kind),
            Err(ErrorKind::NotFound),
            "{arn}"
        );
    }
    let pending = world.request(public("a.example.com")).await.unwrap();
    let refused = internal::material(&world.app, &account, &region, &pending).await;
    assert_eq!(
        refused.map(|_| ()).map_err(kind),
        Err(ErrorKind::RequestInProgress)
    );
}
