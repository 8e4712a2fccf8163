//! Services' own keys.

use keystead_core::kms::Manager;
use keystead_wire::kms as wire;

use super::world::*;
use crate::access::Act;
use crate::kms::managed::on_first_use;
use crate::kms::record::{KEYS, KeyRecord};

const ALIAS: &str = "alias/aws/secretsmanager";

async fn describe(world: &World, name: &str) -> Result<wire::KeyMetadata, Refusal> {
    let input = wire::DescribeKeyRequest {
        key_id: name.into(),
        grant_tokens: None,
    };
    let answer = world.call::<wire::DescribeKey>(HOME, input).await?;
    Ok(answer.key_metadata.unwrap())
}

async fn all(world: &World) -> usize {
    let found = world.app.store.scan::<KeyRecord>(KEYS, "", None, 10).await;
    found.unwrap().len()
}

#[tokio::test]
async fn a_key_is_made_on_first_use_and_once() {
    let world = World::new().await;
    let (one, other) = tokio::join!(describe(&world, ALIAS), describe(&world, ALIAS));
    let metadata = one.unwrap();
    assert_eq!(metadata, other.unwrap());
    assert_eq!(metadata, describe(&world, ALIAS).await.unwrap());
    let arn = format!("arn:aws:kms:us-east-1:123456789012:{ALIAS}");
    assert_eq!(metadata, describe(&world, &arn).await.unwrap());
    assert_eq!(metadata.key_manager, Some(wire::KeyManagerType::Aws));
    assert_eq!(all(&world).await, 1);
    let key = world.key(&metadata.key_id).await;
    assert_eq!(
        (key.manager, key.aliases.as_slice()),
        (Manager::Aws, &[ALIAS.to_owned()][..])
    );
    for missing in ["alias/aws/nothing", "alias/aws/", "alias/other"] {
        assert_eq!(
            describe(&world, missing).await.unwrap_err().0,
            "NotFoundException"
        );
    }
    assert_eq!(all(&world).await, 1);
}

#[tokio::test]
async fn everybody_looks_at_it_the_service_uses_it_and_nobody_changes_it() {
    let world = World::new().await;
    let key = describe(&world, ALIAS).await.unwrap().key_id;
    let policy = wire::GetKeyPolicyRequest {
        key_id: key.clone(),
        policy_name: None,
    };
    world
        .call::<wire::GetKeyPolicy>(HOME, policy)
        .await
        .unwrap();
    let refused = world.call::<wire::Encrypt>(HOME, encryption(ALIAS)).await;
    assert_eq!(refused.unwrap_err().0, "AccessDeniedException");
    let disable = wire::DisableKeyRequest {
        key_id: key.clone(),
    };
    let refused = world.call::<wire::DisableKey>(HOME, disable).await;
    assert_eq!(refused.unwrap_err().0, "AccessDeniedException");
    let schedule = wire::ScheduleKeyDeletionRequest {
        key_id: key.clone(),
        pending_window_in_days: None,
    };
    let refused = world
        .call::<wire::ScheduleKeyDeletion>(HOME, schedule)
        .await;
    assert_eq!(refused.unwrap_err().0, "AccessDeniedException");
    // Through the service, as its use cases ask.
    let ctx = world.ctx();
    let act = |service| Act::Via {
        action: "kms:Decrypt",
        service,
    };
    for (service, allowed) in [
        ("secretsmanager.amazonaws.com", true),
        ("acm.amazonaws.com", false),
    ] {
        let ask = crate::kms::find::Ask {
            act: act(service),
            ..crate::kms::find::Ask::OWN
        };
        let found = crate::kms::find::admit(&ctx, ctx.account(), &ctx.region, &key, ask);
        let answer = found.await;
        assert_eq!(answer.is_ok(), allowed, "{service}");
    }
}

#[tokio::test]
async fn a_service_has_it_made_in_the_name_of_its_caller() {
    let world = World::new().await;
    let ctx = world.ctx();
    let act = |service| Act::Via {
        action: "kms:GenerateDataKey",
        service,
    };
    on_first_use(&ctx, ALIAS, act("acm.amazonaws.com"))
        .await
        .unwrap();
    assert_eq!(all(&world).await, 0, "another service may not use it");
    on_first_use(&ctx, ALIAS, act("secretsmanager.amazonaws.com"))
        .await
        .unwrap();
    assert_eq!(all(&world).await, 1);
}

#[tokio::test]
async fn it_is_rotated_every_year() {
    let world = World::new().await;
    let key = describe(&world, ALIAS).await.unwrap().key_id;
    for years in 1..=2 {
        world.pass_and_run(DAY * 365).await;
        let record = world.record(HOME, &key).await;
        assert_eq!(record.held.len(), 1 + years);
    }
}
