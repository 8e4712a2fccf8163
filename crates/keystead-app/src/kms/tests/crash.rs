//! Every commit fails once, before it is stored and after: a change of key material happens in all regions or in none, the
//! same call again goes well, and what is due is done once.

use std::future::Future;

use jiff::SignedDuration;
use keystead_core::kms::{KeySpec, KeyState, Origin};
use keystead_core::{ErrorKind, Result};
use keystead_store::faults::Failure;
use keystead_wire::kms as wire;

use super::world::*;
use crate::kms::{self, upkeep};

const BOTH: [Failure; 2] = [Failure::Refused, Failure::Unheard];

/// Longer than any wait after a failure, and than a lease.
const WHILE: SignedDuration = SignedDuration::from_mins(10);

/// Whether the call fails with its Nth commit; where it has fewer commits it goes well.
async fn fails<T>(
    world: &World,
    failure: Failure,
    nth: usize,
    call: impl Future<Output = Result<T>>,
) -> bool {
    let store = &world.app.store;
    store.fail_commit(nth, failure);
    let result = call.await;
    let failed = !store.is_to_fail();
    store.fail_commit(0, failure);
    match failed {
        true => assert_eq!(kind(result), ErrorKind::Unavailable, "{failure:?} {nth}"),
        false => drop(result.unwrap()),
    }
    failed
}

/// The same key materials everywhere, whole; how many.
async fn everywhere(world: &World, key: &str) -> usize {
    let home = world.record(HOME, key).await;
    for away in AWAY {
        let replica = world.record(away, key).await;
        assert_eq!(replica.key.materials, home.key.materials);
        assert_eq!(replica.held.len(), home.held.len());
    }
    home.key.materials.len()
}

#[tokio::test]
async fn a_rotation_on_demand_is_in_all_regions_or_in_none() {
    let world = World::new().await;
    let key = world.replicated(Origin::AwsKms, &[]).await;
    let mut texts = Vec::new();
    for failure in BOTH {
        for nth in 1.. {
            texts.push(world.encrypt(HOME, &key).await.unwrap());
            let before = everywhere(&world, &key).await;
            let failed = fails(&world, failure, nth, world.rotate(HOME, &key)).await;
            let done = !failed || failure == Failure::Unheard;
            let after = everywhere(&world, &key).await;
            assert_eq!(after, before + usize::from(done), "{failure:?} {nth}");
            if !failed {
                assert_eq!(nth, 2, "it is one commit");
                break;
            }
        }
    }
    let world = world.restart().await;
    for text in &texts {
        for region in [HOME, AWAY[0], AWAY[1]] {
            world.decrypts(region, &key, text).await.unwrap();
        }
    }
}

#[tokio::test]
async fn automatic_rotation_is_on_everywhere_or_nowhere_and_queued_where_it_is_on() {
    let world = World::new().await;
    let key = world.replicated(Origin::AwsKms, &[]).await;
    let mut days = 100;
    for failure in BOTH {
        for nth in 1.. {
            days += 1;
            let before = world.key(&key).await.rotation;
            let call = world.enable_rotation(&key, Some(days));
            let failed = fails(&world, failure, nth, call).await;
            let home = world.key(&key).await.rotation;
            let done = !failed || failure == Failure::Unheard;
            assert_eq!(home != before, done, "{failure:?} {nth}");
            for away in AWAY {
                assert_eq!(world.record(away, &key).await.key.rotation, home);
            }
            let next = world.app.store.next_due(upkeep::ROTATE).await.unwrap();
            assert_eq!(next, home.map(|rotation| rotation.next));
            if !failed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn an_automatic_rotation_happens_once_whatever_fails() {
    let world = World::new().await;
    let key = world.replicated(Origin::AwsKms, &[]).await;
    world.enable_rotation(&key, Some(90)).await.unwrap();
    for failure in BOTH {
        // The step itself, and what becomes of its item.
        for nth in 1..=3 {
            let due = world.key(&key).await.rotation_due().unwrap();
            let before = everywhere(&world, &key).await;
            world.app.store.fail_commit(nth, failure);
            world.pass_and_run(due.duration_since(world.now())).await;
            world.app.store.fail_commit(0, failure);
            let missed = nth == 1 && failure == Failure::Refused;
            let expected = before + usize::from(!missed);
            assert_eq!(everywhere(&world, &key).await, expected);
            world.pass_and_run(WHILE).await;
            assert_eq!(everywhere(&world, &key).await, before + 1);
        }
    }
}

#[tokio::test]
async fn an_import_is_whole_or_never_was_and_goes_well_again() {
    let world = World::new().await;
    for failure in BOTH {
        for nth in 1.. {
            let key = world
                .create(KeySpec::SymmetricDefault, Origin::External)
                .await;
            let algorithm = wire::AlgorithmSpec::RsaesOaepSha256;
            let input = world.ordered(HOME, &key, algorithm, &secret(1)).await;
            let ctx = world.ctx();
            let call = kms::import_key_material(&ctx, input.clone());
            let failed = fails(&world, failure, nth, call).await;
            let done = !failed || failure == Failure::Unheard;
            let enabled = world.key(&key).await.state() == KeyState::Enabled;
            assert_eq!(enabled, done, "{failure:?} {nth}");
            kms::import_key_material(&ctx, input).await.unwrap();
            assert_eq!(world.key(&key).await.materials.len(), 1);
            world.encrypt(HOME, &key).await.unwrap();
            if !failed {
                break;
            }
        }
    }
}

/// How many key materials all regions know of.
async fn known(world: &World, key: &str) -> usize {
    let home = world.record(HOME, key).await.key.materials.len();
    for away in AWAY {
        let there = world.record(away, key).await.key.materials.len();
        assert_eq!(there, home);
    }
    home
}

#[tokio::test]
async fn new_key_material_comes_turns_and_goes_in_all_regions_or_in_none() {
    let world = World::new().await;
    let key = world.replicated(Origin::External, &secret(1)).await;
    let algorithm = wire::AlgorithmSpec::RsaesOaepSha256;
    let mut input = world.ordered(HOME, &key, algorithm, &secret(2)).await;
    as_new(&mut input);
    let ctx = world.ctx();
    for failure in BOTH {
        for nth in 1.. {
            let call = kms::import_key_material(&ctx, input.clone());
            let failed = fails(&world, failure, nth, call).await;
            let done = !failed || failure == Failure::Unheard;
            assert_eq!(known(&world, &key).await, 1 + usize::from(done));
            if !done {
                kms::import_key_material(&ctx, input.clone()).await.unwrap();
            }
            // The last replica's import also settles the primary.
            world
                .import(AWAY[0], &key, &secret(2), |_| ())
                .await
                .unwrap();
            let mut last = world.ordered(AWAY[1], &key, algorithm, &secret(2)).await;
            last.key_material_id = Some(world.key(&key).await.materials[1].id.to_string());
            let away = world.ctx_in(AWAY[1]);
            let call = kms::import_key_material(&away, last.clone());
            fails(&world, failure, nth, call).await;
            let home = world.key(&key).await;
            let replica = world.record(AWAY[1], &key).await.key;
            let settled =
                home.materials[1].state == keystead_core::kms::MaterialState::PendingRotation;
            assert_eq!(settled, replica.holds(&home.materials[1].id));
            kms::import_key_material(&away, last).await.unwrap();

            let pending = world.key(&key).await.pending().unwrap().id.to_string();
            let call = world.delete_material(HOME, &key, Some(pending.clone()));
            let deleted = fails(&world, failure, nth, call).await;
            let gone = !deleted || failure == Failure::Unheard;
            assert_eq!(known(&world, &key).await, 2 - usize::from(gone));
            if !gone {
                let call = world.delete_material(HOME, &key, Some(pending));
                call.await.unwrap();
            }
            if !failed && !deleted {
                break;
            }
        }
    }
    for region in [HOME, AWAY[0], AWAY[1]] {
        assert_eq!(world.record(region, &key).await.held.len(), 1);
    }
}

#[tokio::test]
async fn key_material_is_deleted_whole_or_not_at_all_and_comes_back() {
    let world = World::new().await;
    let key = world
        .create(KeySpec::SymmetricDefault, Origin::External)
        .await;
    world.import(HOME, &key, &secret(1), |_| ()).await.unwrap();
    let text = world.encrypt(HOME, &key).await.unwrap();
    for failure in BOTH {
        for nth in 1.. {
            let call = world.delete_material(HOME, &key, None);
            let failed = fails(&world, failure, nth, call).await;
            let done = !failed || failure == Failure::Unheard;
            let record = world.record(HOME, &key).await;
            assert_eq!(record.held.is_empty(), done);
            assert_eq!(world.decrypts(HOME, &key, &text).await.is_err(), done);
            world.import(HOME, &key, &secret(1), |_| ()).await.unwrap();
            world.decrypts(HOME, &key, &text).await.unwrap();
            if !failed {
                break;
            }
        }
    }
}

#[tokio::test]
async fn key_material_expires_whatever_fails() {
    let world = World::new().await;
    let key = world
        .create(KeySpec::SymmetricDefault, Origin::External)
        .await;
    for failure in BOTH {
        for nth in 1..=3 {
            let until = world.now() + DAY;
            let expiring = |input: &mut wire::ImportKeyMaterialRequest| {
                input.expiration_model = Some(wire::ExpirationModelType::KeyMaterialExpires);
                input.valid_to = Some(until);
            };
            world
                .import(HOME, &key, &secret(1), expiring)
                .await
                .unwrap();
            world.app.store.fail_commit(nth, failure);
            world.pass_and_run(DAY).await;
            world.app.store.fail_commit(0, failure);
            let missed = nth == 1 && failure == Failure::Refused;
            assert_eq!(world.record(HOME, &key).await.held.is_empty(), !missed);
            world.pass_and_run(WHILE).await;
            let record = world.record(HOME, &key).await;
            assert!(record.held.is_empty(), "{failure:?} {nth}");
            assert_eq!(record.key.state(), KeyState::PendingImport);
        }
    }
    let next = world.app.store.next_due(upkeep::EXPIRE).await;
    assert_eq!(next.unwrap(), None, "nothing is left in the queue");
}
