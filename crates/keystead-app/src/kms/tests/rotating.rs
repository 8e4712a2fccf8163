//! Rotations: what encrypts changes, and everything still decrypts.

use keystead_core::ErrorKind;
use keystead_core::kms::{Fault, KeySpec, Manager, Origin, Stage};
use keystead_wire::kms as wire;

use super::world::*;
use crate::kms;

const UNSUPPORTED: ErrorKind = ErrorKind::Kms(Fault::UnsupportedOperation);

async fn symmetric(world: &World) -> String {
    world
        .create(KeySpec::SymmetricDefault, Origin::AwsKms)
        .await
}

#[tokio::test]
async fn old_key_material_still_decrypts() {
    let world = World::new().await;
    let key = symmetric(&world).await;
    let mut texts = Vec::new();
    for count in 0..4 {
        texts.push(world.encrypt(HOME, &key).await.unwrap());
        world.rotate(HOME, &key).await.unwrap();
        assert_eq!(world.key(&key).await.materials.len(), count + 2);
        for text in &texts {
            world.decrypts(HOME, &key, text).await.unwrap();
        }
    }
    let world = world.restart().await;
    for text in &texts {
        world.decrypts(HOME, &key, text).await.unwrap();
    }
}

#[tokio::test]
async fn a_key_rotates_by_itself_when_its_time_has_come() {
    let world = World::new().await;
    let key = symmetric(&world).await;
    let status = world.status(HOME, &key).await;
    assert_eq!(status.key_rotation_enabled, Some(false));
    assert_eq!(status.rotation_period_in_days, None);
    world.enable_rotation(&key, Some(90)).await.unwrap();
    let due = world.now() + DAY * 90;
    let status = world.status(HOME, &key).await;
    assert_eq!(status.key_rotation_enabled, Some(true));
    assert_eq!(status.rotation_period_in_days, Some(90));
    assert_eq!(status.next_rotation_date, Some(due));
    let text = world.encrypt(HOME, &key).await.unwrap();

    world.pass_and_run(DAY * 89).await;
    assert_eq!(world.materials(HOME, &key).await.len(), 1);
    world.pass_and_run(DAY).await;
    let materials = world.materials(HOME, &key).await;
    assert_eq!(materials.len(), 2);
    assert_eq!(
        materials[1].rotation_type,
        Some(wire::RotationType::Automatic)
    );
    assert_eq!(materials[1].rotation_date, Some(due));
    let states: Vec<_> = materials.iter().map(|one| one.key_material_state).collect();
    use wire::KeyMaterialState::{Current, NonCurrent};
    assert_eq!(states, [Some(NonCurrent), Some(Current)]);
    world.decrypts(HOME, &key, &text).await.unwrap();
    let status = world.status(HOME, &key).await;
    assert_eq!(status.next_rotation_date, Some(due + DAY * 90));

    // And again, without anybody asking; switched off, no more.
    world.pass_and_run(DAY * 90).await;
    assert_eq!(world.materials(HOME, &key).await.len(), 3);
    let input = wire::DisableKeyRotationRequest {
        key_id: key.clone(),
    };
    kms::disable_key_rotation(&world.ctx(), input)
        .await
        .unwrap();
    world.pass_and_run(DAY * 1000).await;
    assert_eq!(world.materials(HOME, &key).await.len(), 3);
}

#[tokio::test]
async fn what_became_due_while_a_key_was_off_follows_when_it_is_on() {
    let world = World::new().await;
    let key = symmetric(&world).await;
    world.enable_rotation(&key, Some(90)).await.unwrap();
    world.edit(&key, |key| key.stage = Stage::Disabled).await;
    world.pass_and_run(DAY * 200).await;
    assert_eq!(world.key(&key).await.materials.len(), 1);
    let status = world.status(HOME, &key).await;
    assert_eq!(status.key_rotation_enabled, Some(true));
    world.edit(&key, |key| key.stage = Stage::Enabled).await;
    world.run_due().await;
    assert_eq!(world.key(&key).await.materials.len(), 2);
    let next = world.status(HOME, &key).await.next_rotation_date;
    assert_eq!(next, Some(world.now() + DAY * 90));
}

#[tokio::test]
async fn a_key_that_is_gone_is_not_rotated() {
    let world = World::new().await;
    let key = symmetric(&world).await;
    world.enable_rotation(&key, None).await.unwrap();
    let at = format!("123456789012/{HOME}/{key}");
    let mut batch = keystead_store::Batch::new();
    batch.delete(
        crate::kms::record::KEYS,
        at.as_str(),
        keystead_store::Expect::Any,
    );
    world.app.store.commit(batch).await.unwrap();
    world.pass_and_run(DAY * 365).await;
    let next = world.app.store.next_due(kms::upkeep::ROTATE).await;
    assert_eq!(next.unwrap(), None);
}

#[tokio::test]
async fn a_primary_rotates_its_replicas_with_it() {
    let world = World::new().await;
    let key = world.replicated(Origin::AwsKms, &[]).await;
    let old = world.encrypt(HOME, &key).await.unwrap();
    world.enable_rotation(&key, Some(100)).await.unwrap();
    for away in AWAY {
        let status = world.status(away, &key).await;
        assert_eq!(status.rotation_period_in_days, Some(100));
        assert_eq!(kind(world.rotate(away, &key).await), UNSUPPORTED);
    }
    world.rotate(HOME, &key).await.unwrap();
    world.pass_and_run(DAY * 100).await;
    let home = world.materials(HOME, &key).await;
    assert_eq!(home.len(), 3);
    let new = world.encrypt(AWAY[0], &key).await.unwrap();
    for region in [HOME, AWAY[0], AWAY[1]] {
        assert_eq!(world.materials(region, &key).await, home);
        world.decrypts(region, &key, &old).await.unwrap();
        world.decrypts(region, &key, &new).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_name_their_reason() {
    let world = World::new().await;
    let refused = |origin, spec, edit: fn(&mut keystead_core::kms::Key)| {
        let world = &world;
        async move {
            let key = world.create_with(spec, origin, edit).await;
            let error = world.enable_rotation(&key, None).await.unwrap_err();
            let status = world.status(HOME, &key).await;
            assert_eq!(status.key_rotation_enabled, Some(false));
            (error.kind, error.message)
        }
    };
    let symmetric = KeySpec::SymmetricDefault;
    let (kind, message) = refused(Origin::External, symmetric, |_| ()).await;
    assert_eq!(kind, UNSUPPORTED);
    assert!(message.ends_with("origin is EXTERNAL which is not valid for this operation."));
    let (kind, message) = refused(Origin::AwsKms, KeySpec::Hmac256, |_| ()).await;
    assert_eq!(kind, UNSUPPORTED);
    assert!(message.contains("HMAC_256"), "{message}");
    let off = |key: &mut keystead_core::kms::Key| key.stage = Stage::Disabled;
    let (kind, message) = refused(Origin::AwsKms, symmetric, off).await;
    assert_eq!(kind, ErrorKind::Kms(Fault::Disabled));
    assert!(message.ends_with("is disabled."), "{message}");
    let owned = |key: &mut keystead_core::kms::Key| key.manager = Manager::Aws;
    assert_eq!(
        refused(Origin::AwsKms, symmetric, owned).await.0,
        UNSUPPORTED
    );
}

#[tokio::test]
async fn rotations_are_listed_in_pages() {
    let world = World::new().await;
    let key = symmetric(&world).await;
    for _ in 0..5 {
        world.rotate(HOME, &key).await.unwrap();
    }
    let page = |limit, marker: Option<String>, all: bool| {
        let input = wire::ListKeyRotationsRequest {
            key_id: key.clone(),
            include_key_material: all.then_some(wire::IncludeKeyMaterial::AllKeyMaterial),
            limit,
            marker,
        };
        let ctx = world.ctx();
        async move { kms::list_key_rotations(&ctx, input).await }
    };
    let whole = page(None, None, false).await.unwrap();
    assert_eq!((whole.truncated, &whole.next_marker), (Some(false), &None));
    let whole = whole.rotations.unwrap();
    assert_eq!(whole.len(), 5, "the first key material came by no rotation");
    assert!(whole.iter().all(|entry| entry.import_state.is_none()));
    let (mut read, mut marker) = (Vec::new(), None);
    loop {
        let answer = page(Some(2), marker.clone(), false).await.unwrap();
        read.extend(answer.rotations.unwrap());
        marker = answer.next_marker;
        assert_eq!(answer.truncated, Some(marker.is_some()));
        if marker.is_none() {
            break;
        }
    }
    assert_eq!(read, whole);
    let first = page(Some(2), None, false).await.unwrap().next_marker;
    for (marker, all) in [(first.clone(), true), (Some("nonsense".into()), false)] {
        let refused = page(Some(2), marker, all).await;
        assert_eq!(kind(refused), ErrorKind::InvalidNextToken);
    }
    assert_eq!(
        page(None, None, true)
            .await
            .unwrap()
            .rotations
            .unwrap()
            .len(),
        6
    );
    // A key without rotations has none; only to ask for its key materials is refused.
    let pair = world.create(KeySpec::EccNistP256, Origin::AwsKms).await;
    let mut input = wire::ListKeyRotationsRequest {
        key_id: pair,
        include_key_material: None,
        limit: None,
        marker: None,
    };
    let answer = kms::list_key_rotations(&world.ctx(), input.clone()).await;
    assert_eq!(answer.unwrap().rotations.unwrap(), []);
    input.include_key_material = Some(wire::IncludeKeyMaterial::RotationsOnly);
    let answer = kms::list_key_rotations(&world.ctx(), input).await;
    assert_eq!(kind(answer), UNSUPPORTED);
}

#[tokio::test]
async fn rotations_at_the_same_time_all_happen() {
    let world = World::new().await;
    let key = symmetric(&world).await;
    let all = futures::future::join_all((0..8).map(|_| world.rotate(HOME, &key))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(world.key(&key).await.materials.len(), 9);
}
