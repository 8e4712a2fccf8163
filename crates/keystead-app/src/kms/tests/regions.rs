//! Brothers in other regions: each change of what they share is in all of them or in none.

use keystead_core::kms::{KeyState, MultiRegion, Origin};
use keystead_store::faults::Failure;
use keystead_wire::kms as wire;

use super::world::*;
use crate::kms::record::{KEYS, KeyRecord};
use crate::kms::upkeep;

async fn primary(world: &World) -> String {
    let input = wire::CreateKeyRequest {
        multi_region: Some(true),
        ..wire::CreateKeyRequest::default()
    };
    world.made(input).await
}

async fn replicate(
    world: &World,
    id: &str,
    to: &str,
) -> Result<wire::ReplicateKeyResponse, Refusal> {
    let input = wire::ReplicateKeyRequest {
        key_id: id.into(),
        replica_region: to.into(),
        policy: None,
        bypass_policy_lockout_safety_check: None,
        description: None,
        tags: None,
    };
    world.call::<wire::ReplicateKey>(HOME, input).await
}

async fn hand_over(world: &World, from: &str, id: &str, to: &str) -> Result<(), Refusal> {
    let input = wire::UpdatePrimaryRegionRequest {
        key_id: id.into(),
        primary_region: to.into(),
    };
    let answer = world.call::<wire::UpdatePrimaryRegion>(from, input).await;
    answer.map(drop)
}

/// What all brothers say of their places, which is the same; they are where they say.
async fn places(world: &World, id: &str) -> MultiRegion {
    let mut said: Option<MultiRegion> = None;
    let mut there = Vec::new();
    for region in [HOME, AWAY[0], AWAY[1]] {
        let at = format!("123456789012/{region}/{id}");
        let found = world.app.store.get::<KeyRecord>(KEYS, &at).await.unwrap();
        let Some(found) = found else { continue };
        let record = found.value;
        let multi = record.key.multi_region.unwrap();
        assert_eq!(said.get_or_insert(multi.clone()), &multi);
        there.push(record.key.region);
    }
    let said = said.unwrap();
    let mut all = said.replicas.clone();
    all.push(said.primary.clone());
    all.sort_unstable();
    there.sort_unstable();
    assert_eq!(all, there);
    said
}

#[tokio::test]
async fn a_replica_is_known_to_all_or_to_nobody() {
    let world = World::new().await;
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1.. {
            let id = primary(&world).await;
            replicate(&world, &id, AWAY[0]).await.unwrap();
            world.app.store.fail_commit(nth, failure);
            let answer = replicate(&world, &id, AWAY[1]).await;
            let failed = !world.app.store.is_to_fail();
            world.app.store.fail_commit(0, failure);
            assert_eq!(answer.is_err(), failed);
            let done = !failed || failure == Failure::Unheard;
            let replicas = places(&world, &id).await.replicas.len();
            assert_eq!(replicas, 1 + usize::from(done), "{failure:?} {nth}");
            if !failed {
                assert_eq!(nth, 2, "it is one commit");
                break;
            }
        }
    }
}

#[tokio::test]
async fn all_agree_on_the_primary_whatever_fails() {
    let world = World::new().await;
    for failure in [Failure::Refused, Failure::Unheard] {
        for nth in 1.. {
            let id = primary(&world).await;
            for away in AWAY {
                replicate(&world, &id, away).await.unwrap();
            }
            let input = wire::EnableKeyRotationRequest {
                key_id: id.clone(),
                rotation_period_in_days: Some(90),
            };
            let enabled = world.call::<wire::EnableKeyRotation>(HOME, input);
            enabled.await.unwrap();
            world.app.store.fail_commit(nth, failure);
            let answer = hand_over(&world, HOME, &id, AWAY[1]).await;
            let failed = !world.app.store.is_to_fail();
            world.app.store.fail_commit(0, failure);
            assert_eq!(answer.is_err(), failed);
            let done = !failed || failure == Failure::Unheard;
            let expected = if done { AWAY[1] } else { HOME };
            assert_eq!(places(&world, &id).await.primary, region(expected));
            // It is the primary that rotates.
            for place in [HOME, AWAY[0], AWAY[1]] {
                let at = format!("123456789012/{place}/{id}");
                let queued = world.app.store.queued::<()>(upkeep::ROTATE, &at).await;
                assert_eq!(queued.unwrap().is_some(), place == expected, "{place}");
            }
            if !failed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn replicas_that_are_made_at_the_same_time_know_of_one_another() {
    let world = World::new().await;
    let id = primary(&world).await;
    let (one, other) = tokio::join!(
        replicate(&world, &id, AWAY[0]),
        replicate(&world, &id, AWAY[1])
    );
    one.unwrap();
    other.unwrap();
    assert_eq!(places(&world, &id).await.replicas, AWAY.map(region));
    let (one, other) = tokio::join!(
        replicate(&world, &id, "ap-south-1"),
        replicate(&world, &id, "ap-south-1")
    );
    assert_ne!(one.is_ok(), other.is_ok());
    let refused = one.err().or(other.err()).unwrap();
    assert_eq!(refused.0, "AlreadyExistsException");
}

#[tokio::test]
async fn the_new_primary_rotates_all_and_the_former_one_does_not() {
    let world = World::new().await;
    let id = primary(&world).await;
    for away in AWAY {
        replicate(&world, &id, away).await.unwrap();
    }
    hand_over(&world, HOME, &id, AWAY[0]).await.unwrap();
    let rotate = |place| {
        let input = wire::RotateKeyOnDemandRequest { key_id: id.clone() };
        world.call::<wire::RotateKeyOnDemand>(place, input)
    };
    assert_eq!(
        rotate(HOME).await.unwrap_err().0,
        "UnsupportedOperationException"
    );
    rotate(AWAY[0]).await.unwrap();
    for place in [HOME, AWAY[0], AWAY[1]] {
        assert_eq!(world.record(place, &id).await.held.len(), 2);
    }
}

#[tokio::test]
async fn a_replica_of_an_imported_key_waits_for_all_that_is_the_keys() {
    let world = World::new().await;
    let input = wire::CreateKeyRequest {
        origin: Some(wire::OriginType::External),
        multi_region: Some(true),
        ..wire::CreateKeyRequest::default()
    };
    let id = world.made(input).await;
    world.allow_all(&id).await;
    world.import(HOME, &id, &secret(1), |_| ()).await.unwrap();
    world.import(HOME, &id, &secret(2), as_new).await.unwrap();
    let pending = |record: KeyRecord| record.key.pending().unwrap().state;
    use keystead_core::kms::MaterialState as S;
    let before = pending(world.record(HOME, &id).await);
    assert_eq!(before, S::PendingRotation);
    let answer = replicate(&world, &id, AWAY[0]).await.unwrap();
    let metadata = answer.replica_key_metadata.unwrap();
    world.allow_all(&id).await;
    assert_eq!(metadata.key_state, Some(wire::KeyState::PendingImport));
    // A rotation has to wait for the new replica.
    let after = pending(world.record(HOME, &id).await);
    assert_eq!(after, S::PendingMultiRegionImportAndRotation);
    let there = world.record(AWAY[0], &id).await;
    assert!(there.held.is_empty());
    assert_eq!(there.key.state(), KeyState::PendingImport);
    world
        .import(AWAY[0], &id, &secret(1), |_| ())
        .await
        .unwrap();
    world
        .import(AWAY[0], &id, &secret(2), |_| ())
        .await
        .unwrap();
    assert_eq!(pending(world.record(HOME, &id).await), S::PendingRotation);
    assert_eq!(world.record(AWAY[0], &id).await.held.len(), 2);
    // The place of the primary moves with what waits.
    hand_over(&world, HOME, &id, AWAY[0]).await.unwrap();
    for place in [HOME, AWAY[0]] {
        let state = pending(world.record(place, &id).await);
        assert_eq!(state, S::PendingRotation);
    }
    world.rotate(AWAY[0], &id).await.unwrap();
    let text = world.encrypt(HOME, &id).await.unwrap();
    world.decrypts(AWAY[0], &id, &text).await.unwrap();
}

#[tokio::test]
async fn what_a_deleted_replica_lacked_is_not_waited_for() {
    let world = World::new().await;
    let id = world.replicated(Origin::External, &secret(1)).await;
    world.allow_all(&id).await;
    world.import(HOME, &id, &secret(2), as_new).await.unwrap();
    world
        .import(AWAY[0], &id, &secret(2), |_| ())
        .await
        .unwrap();
    use keystead_core::kms::MaterialState as S;
    let state = |key: keystead_core::kms::Key| key.pending().unwrap().state;
    assert_eq!(
        state(world.key(&id).await),
        S::PendingMultiRegionImportAndRotation
    );
    let input = wire::ScheduleKeyDeletionRequest {
        key_id: id.clone(),
        pending_window_in_days: Some(7),
    };
    let scheduled = world.call::<wire::ScheduleKeyDeletion>(AWAY[1], input);
    scheduled.await.unwrap();
    world.pass_and_run(DAY * 7).await;
    assert_eq!(state(world.key(&id).await), S::PendingRotation);
    world.rotate(HOME, &id).await.unwrap();
}
