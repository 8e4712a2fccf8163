//! The end of keys and their brothers: nothing of a key is left, whatever fails and whoever comes in between.

use jiff::SignedDuration;
use keystead_core::kms::{KeyState, Origin};
use keystead_store::faults::Failure;
use keystead_wire::kms as wire;

use super::world::*;
use crate::kms::record::{KEYS, KeyRecord};
use crate::kms::{deletion, grants, upkeep};

const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Longer than any wait after a failure, and than a lease.
const WHILE: SignedDuration = SignedDuration::from_mins(10);

fn at(region: &str, id: &str) -> String {
    format!("123456789012/{region}/{id}")
}

async fn is_there(world: &World, region: &str, id: &str) -> bool {
    let found = world
        .app
        .store
        .get::<KeyRecord>(KEYS, &at(region, id))
        .await;
    found.unwrap().is_some()
}

/// Nothing waits in any queue of keys.
async fn assert_nothing_is_due(world: &World) {
    for queue in [
        deletion::DELETE,
        deletion::SCRUB,
        upkeep::ROTATE,
        upkeep::EXPIRE,
    ] {
        let next = world.app.store.next_due(queue).await.unwrap();
        assert_eq!(next, None, "{queue}");
    }
}

async fn schedule(world: &World, region: &str, id: &str) -> wire::ScheduleKeyDeletionResponse {
    let input = wire::ScheduleKeyDeletionRequest {
        key_id: id.into(),
        pending_window_in_days: Some(7),
    };
    let answer = world.call::<wire::ScheduleKeyDeletion>(region, input).await;
    answer.unwrap()
}

async fn cancel(world: &World, region: &str, id: &str) -> Result<(), Refusal> {
    let input = wire::CancelKeyDeletionRequest { key_id: id.into() };
    let answer = world.call::<wire::CancelKeyDeletion>(region, input).await;
    answer.map(drop)
}

async fn alias(world: &World, name: &str, id: &str) -> Result<(), Refusal> {
    let input = wire::CreateAliasRequest {
        alias_name: format!("alias/{name}"),
        target_key_id: id.into(),
    };
    world.call::<wire::CreateAlias>(HOME, input).await.map(drop)
}

/// The id of the key that an alias stands for.
async fn target(world: &World, name: &str) -> Option<String> {
    let input = wire::DescribeKeyRequest {
        key_id: format!("alias/{name}"),
        grant_tokens: None,
    };
    match world.call::<wire::DescribeKey>(HOME, input).await {
        Ok(answer) => Some(answer.key_metadata.unwrap().key_id),
        Err((code, _)) => {
            assert_eq!(code, "NotFoundException");
            None
        }
    }
}

async fn grant(world: &World, id: &str) {
    grant_in(world, HOME, id).await;
}

async fn grant_in(world: &World, region: &str, id: &str) {
    let input = wire::CreateGrantRequest {
        key_id: id.into(),
        grantee_principal: Some("arn:aws:iam::123456789012:root".into()),
        retiring_principal: Some("arn:aws:iam::123456789012:root".into()),
        operations: vec![wire::GrantOperation::Decrypt],
        grantee_service_principal: None,
        retiring_service_principal: None,
        constraints: None,
        grant_tokens: None,
        name: None,
        dry_run: None,
    };
    world
        .call::<wire::CreateGrant>(region, input)
        .await
        .unwrap();
}

async fn made(world: &World) -> String {
    world.made(wire::CreateKeyRequest::default()).await
}

#[tokio::test]
async fn nothing_of_a_key_is_left() {
    let world = World::new().await;
    let (id, other) = (made(&world).await, made(&world).await);
    alias(&world, "a", &id).await.unwrap();
    alias(&world, "b", &id).await.unwrap();
    // More than are removed in one commit.
    for _ in 0..300 {
        grant(&world, &id).await;
    }
    grant(&world, &other).await;
    world
        .call::<wire::Encrypt>(HOME, encryption(&id))
        .await
        .unwrap();
    world
        .app
        .last_usages
        .write_down(&world.app.store)
        .await
        .unwrap();
    let input = wire::EnableKeyRotationRequest {
        key_id: id.clone(),
        rotation_period_in_days: None,
    };
    world
        .call::<wire::EnableKeyRotation>(HOME, input)
        .await
        .unwrap();
    let log = world.log_bytes();
    schedule(&world, HOME, &id).await;
    world
        .pass_and_run(WEEK - SignedDuration::from_secs(1))
        .await;
    assert!(is_there(&world, HOME, &id).await);
    world.pass_and_run(SignedDuration::from_secs(1)).await;
    // The log of all that has happened is empty but for what came behind.
    assert!(world.log_bytes() < log / 10, "{log}");
    assert!(!is_there(&world, HOME, &id).await);
    let region = region(HOME);
    let left = grants::purge(&world.app.store, &at(HOME, &id), &region).await;
    assert!(!left.unwrap(), "grants are left");
    let last = world
        .app
        .last_usages
        .of(&world.app.store, &at(HOME, &id))
        .await;
    assert_eq!(last.unwrap(), None);
    assert_nothing_is_due(&world).await;
    assert_eq!(target(&world, "a").await, None);
    alias(&world, "a", &other).await.unwrap();
    assert_eq!(world.record(HOME, &other).await.key.grants, 1);
}

#[tokio::test]
async fn the_end_comes_once_and_whole_whatever_fails() {
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1..=5 {
            let world = World::new().await;
            let id = made(&world).await;
            alias(&world, "a", &id).await.unwrap();
            grant(&world, &id).await;
            schedule(&world, HOME, &id).await;
            world.app.store.fail_commit(nth, failure);
            world.pass_and_run(WEEK).await;
            world.app.store.fail_commit(0, failure);
            // Its alias goes with it, in the same commit.
            let there = is_there(&world, HOME, &id).await;
            let expected = there.then(|| id.clone());
            assert_eq!(target(&world, "a").await, expected, "{failure:?} {nth}");
            let world = world.restart().await;
            world.pass_and_run(WHILE).await;
            assert!(!is_there(&world, HOME, &id).await, "{failure:?} {nth}");
            let left = grants::purge(&world.app.store, &at(HOME, &id), &region(HOME)).await;
            assert!(!left.unwrap(), "{failure:?} {nth}");
            assert_nothing_is_due(&world).await;
        }
    }
}

#[tokio::test]
async fn who_calls_it_off_at_the_last_moment_keeps_the_key() {
    let world = World::new().await;
    let id = made(&world).await;
    alias(&world, "a", &id).await.unwrap();
    grant(&world, &id).await;
    schedule(&world, HOME, &id).await;
    world.pass(WEEK);
    let store = &world.app.store;
    let lease = SignedDuration::from_secs(30).unsigned_abs();
    let taken = store
        .take_due(deletion::DELETE, world.now(), lease, 8)
        .await;
    let taken = taken.unwrap();
    assert_eq!(taken.len(), 1);
    cancel(&world, HOME, &id).await.unwrap();
    // Whoever has begun finds that nothing is due any more; that its lease is lost, is no harm.
    let _ = deletion::end(&world.app, &taken[0]).await;
    world.pass_and_run(WHILE).await;
    let key = world.key(&id).await;
    assert_eq!((key.state(), key.grants), (KeyState::Disabled, 1));
    assert_eq!(target(&world, "a").await, Some(id));
    assert_nothing_is_due(&world).await;
}

#[tokio::test]
async fn the_waiting_is_in_the_record_and_in_the_queue_or_in_neither() {
    let world = World::new().await;
    let id = made(&world).await;
    for failure in [Failure::Refused, Failure::Unheard] {
        for wait in [true, false] {
            world.app.store.fail_commit(1, failure);
            let input = wire::ScheduleKeyDeletionRequest {
                key_id: id.clone(),
                pending_window_in_days: None,
            };
            match wait {
                true => {
                    let call = world.call::<wire::ScheduleKeyDeletion>(HOME, input);
                    call.await.unwrap_err();
                }
                false => {
                    cancel(&world, HOME, &id).await.unwrap_err();
                }
            }
            let key = world.key(&id).await;
            let next = world.app.store.next_due(deletion::DELETE).await;
            assert_eq!(next.unwrap(), key.deletion_due(), "{failure:?} {wait}");
            if failure == Failure::Refused && wait {
                schedule(&world, HOME, &id).await;
            }
            if failure == Failure::Refused && !wait {
                cancel(&world, HOME, &id).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_primary_outlives_its_replicas_and_goes_on_with_what_they_shared() {
    let world = World::new().await;
    let id = world.replicated(Origin::AwsKms, &[]).await;
    world.allow_all(&id).await;
    let text = world.encrypt(HOME, &id).await.unwrap();
    let answer = schedule(&world, HOME, &id).await;
    assert_eq!(answer.deletion_date, None);
    assert_eq!(
        answer.key_state,
        Some(wire::KeyState::PendingReplicaDeletion)
    );
    for away in AWAY {
        schedule(&world, away, &id).await;
    }
    cancel(&world, AWAY[1], &id).await.unwrap();
    world.pass_and_run(WEEK).await;
    assert!(!is_there(&world, AWAY[0], &id).await);
    for region in [HOME, AWAY[1]] {
        let key = world.record(region, &id).await.key;
        let multi = key.multi_region.unwrap();
        assert_eq!(multi.replicas, [super::world::region(AWAY[1])]);
    }
    assert_eq!(
        world.key(&id).await.state(),
        KeyState::PendingReplicaDeletion
    );
    // The key material is the brothers' still.
    world.enable(AWAY[1], &id).await;
    world.decrypts(AWAY[1], &id, &text).await.unwrap();
    schedule(&world, AWAY[1], &id).await;
    world.pass_and_run(WEEK).await;
    assert!(!is_there(&world, AWAY[1], &id).await);
    let key = world.key(&id).await;
    assert_eq!(key.deletion_due(), Some(world.now() + WEEK));
    world.pass_and_run(WEEK).await;
    assert!(!is_there(&world, HOME, &id).await);
    assert_nothing_is_due(&world).await;
}

#[tokio::test]
async fn a_replica_ends_in_all_regions_or_in_none() {
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1..=4 {
            let world = World::new().await;
            let id = world.replicated(Origin::AwsKms, &[]).await;
            world.allow_all(&id).await;
            schedule(&world, HOME, &id).await;
            for away in AWAY {
                schedule(&world, away, &id).await;
            }
            world.app.store.fail_commit(nth, failure);
            world.pass_and_run(WEEK).await;
            world.app.store.fail_commit(0, failure);
            let key = world.key(&id).await;
            let mut left = Vec::new();
            for away in AWAY {
                if is_there(&world, away, &id).await {
                    left.push(region(away));
                }
            }
            assert_eq!(key.multi_region.as_ref().unwrap().replicas, left);
            assert_eq!(key.deletion_due().is_some(), left.is_empty());
            world.pass_and_run(WHILE).await;
            let due = world.key(&id).await.deletion_due().unwrap();
            world.pass_and_run(due.duration_since(world.now())).await;
            assert!(!is_there(&world, HOME, &id).await);
            assert_nothing_is_due(&world).await;
        }
    }
}

#[tokio::test]
async fn a_new_replica_has_nothing_of_the_one_before() {
    let world = World::new().await;
    let id = world.replicated(Origin::AwsKms, &[]).await;
    world.allow_all(&id).await;
    grant_in(&world, AWAY[0], &id).await;
    schedule(&world, AWAY[0], &id).await;
    // The record goes, the grants stay for now.
    world.app.store.fail_commit(2, Failure::Refused);
    world.pass_and_run(WEEK).await;
    assert!(!is_there(&world, AWAY[0], &id).await);
    let replicate = || {
        let input = wire::ReplicateKeyRequest {
            key_id: id.clone(),
            replica_region: AWAY[0].into(),
            policy: None,
            bypass_policy_lockout_safety_check: None,
            description: None,
            tags: None,
        };
        world.call::<wire::ReplicateKey>(HOME, input)
    };
    let (code, _) = replicate().await.unwrap_err();
    assert_eq!(code, "KMSInvalidStateException");
    world.pass_and_run(WHILE).await;
    replicate().await.unwrap();
    let input = wire::ListGrantsRequest {
        key_id: id.clone(),
        limit: None,
        marker: None,
        grant_id: None,
        grantee_principal: None,
        grantee_service_principal: None,
    };
    let listed = world.call::<wire::ListGrants>(AWAY[0], input).await;
    assert_eq!(listed.unwrap().grants.unwrap(), []);
    grant_in(&world, AWAY[0], &id).await;
    assert_nothing_is_due(&world).await;
}
