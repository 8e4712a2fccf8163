//! Imports: key material from OpenSSL, in every way it may be wrapped, that goes and comes back.

use keystead_core::ErrorKind;
use keystead_core::kms::{Fault, KeySpec, KeyState, Origin, Stage};
use keystead_wire::kms as wire;
use keystead_wire::value::Blob;

use super::world::*;
use crate::kms;

const UNSUPPORTED: ErrorKind = ErrorKind::Kms(Fault::UnsupportedOperation);
const INCORRECT: ErrorKind = ErrorKind::Kms(Fault::IncorrectKeyMaterial);
const BAD_TOKEN: ErrorKind = ErrorKind::Kms(Fault::InvalidImportToken);

async fn external(world: &World) -> String {
    world
        .create(KeySpec::SymmetricDefault, Origin::External)
        .await
}

/// A private key as OpenSSL makes it.
fn pair(options: &[&str]) -> Vec<u8> {
    let pem = openssl(&[&["genpkey"], options].concat(), &[]);
    openssl(&["pkcs8", "-topk8", "-outform", "der", "-nocrypt"], &pem)
}

fn public_of(private: &[u8]) -> Vec<u8> {
    openssl(
        &["pkey", "-inform", "der", "-pubout", "-outform", "der"],
        private,
    )
}

#[tokio::test]
async fn every_algorithm_unwraps_what_openssl_wraps() {
    use wire::AlgorithmSpec as A;
    let world = World::new().await;
    let p256 = pair(&["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let direct = [A::RsaesOaepSha1, A::RsaesOaepSha256];
    let hybrid = [A::RsaAesKeyWrapSha1, A::RsaAesKeyWrapSha256];
    let secret = secret(1);
    let cases = [
        (KeySpec::SymmetricDefault, &secret, &direct[..]),
        (KeySpec::Hmac256, &secret, &direct),
        (KeySpec::EccNistP256, &p256, &direct),
        (KeySpec::EccNistP256, &p256, &hybrid),
    ];
    for (spec, key_material, algorithms) in cases {
        for algorithm in algorithms {
            let key = world.create(spec, Origin::External).await;
            let input = world.ordered(HOME, &key, *algorithm, key_material).await;
            let answer = kms::import_key_material(&world.ctx(), input).await;
            let answer = answer.unwrap_or_else(|error| panic!("{spec:?} {algorithm:?}: {error}"));
            let record = world.record(HOME, &key).await;
            assert_eq!(record.key.state(), KeyState::Enabled);
            assert_eq!(answer.key_id, Some(record.key.arn()));
            let told = spec == KeySpec::SymmetricDefault;
            assert_eq!(answer.key_material_id.is_some(), told);
            let public_key = record.public_key.map(serde_bytes::ByteBuf::into_vec);
            let expected = spec.is_asymmetric().then(|| public_of(&p256));
            assert_eq!(public_key, expected);
        }
    }
}

#[tokio::test]
async fn every_kind_of_key_takes_what_openssl_makes() {
    let world = World::new().await;
    let curve = |name: &str| {
        let option = format!("ec_paramgen_curve:{name}");
        pair(&["-algorithm", "ec", "-pkeyopt", &option])
    };
    let cases = [
        (
            KeySpec::Rsa2048,
            pair(&["-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048"]),
        ),
        (KeySpec::EccNistP256, curve("P-256")),
        (KeySpec::EccNistP384, curve("P-384")),
        (KeySpec::EccSecgP256k1, curve("secp256k1")),
        (
            KeySpec::EccNistEdwards25519,
            pair(&["-algorithm", "ed25519"]),
        ),
        (KeySpec::Hmac224, vec![1; 28]),
        (KeySpec::Hmac384, vec![1; 48]),
        (KeySpec::Hmac512, vec![1; 64]),
    ];
    for (spec, key_material) in &cases {
        let key = world.create(*spec, Origin::External).await;
        let imported = world.import(HOME, &key, key_material, |_| ()).await;
        imported.unwrap_or_else(|error| panic!("{spec:?}: {error}"));
        let record = world.record(HOME, &key).await;
        if spec.is_asymmetric() {
            let public_key = record.public_key.unwrap().into_vec();
            assert_eq!(public_key, public_of(key_material), "{spec:?}");
        }
        // Nothing else comes in its place.
        world.delete_material(HOME, &key, None).await.unwrap();
        assert_eq!(world.key(&key).await.state(), KeyState::PendingImport);
        let others = cases[1..3].iter();
        let (_, other) = others.clone().find(|(other, _)| other != spec).unwrap();
        let refused = world.import(HOME, &key, other, |_| ()).await;
        assert_eq!(kind(refused), INCORRECT, "{spec:?}");
        world
            .import(HOME, &key, key_material, |_| ())
            .await
            .unwrap();
        assert_eq!(world.key(&key).await.state(), KeyState::Enabled);
    }
}

#[tokio::test]
async fn a_p521_key_needs_a_longer_way() {
    let world = World::new().await;
    let key = world.create(KeySpec::EccNistP521, Origin::External).await;
    let refused = world
        .parameters(HOME, &key, wire::AlgorithmSpec::RsaesOaepSha256)
        .await;
    assert_eq!(kind(refused), UNSUPPORTED);
    let p521 = pair(&["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"]);
    let algorithm = wire::AlgorithmSpec::RsaAesKeyWrapSha256;
    let input = world.ordered(HOME, &key, algorithm, &p521).await;
    kms::import_key_material(&world.ctx(), input).await.unwrap();
}

#[tokio::test]
async fn parameters_are_refused_for_what_cannot_be_imported() {
    let world = World::new().await;
    use wire::AlgorithmSpec as A;
    let key = external(&world).await;
    for algorithm in [A::RsaesPkcs1V15, A::Sm2pke, A::RsaAesKeyWrapSha256] {
        let refused = world.parameters(HOME, &key, algorithm).await;
        assert_eq!(kind(refused), UNSUPPORTED, "{algorithm:?}");
    }
    let input = wire::GetParametersForImportRequest {
        key_id: key.clone(),
        wrapping_algorithm: A::RsaesOaepSha256,
        wrapping_key_spec: wire::WrappingKeySpec::Sm2,
    };
    let refused = kms::get_parameters_for_import(&world.ctx(), input).await;
    assert_eq!(kind(refused), UNSUPPORTED);
    let made = world
        .create(KeySpec::SymmetricDefault, Origin::AwsKms)
        .await;
    let refused = world.parameters(HOME, &made, A::RsaesOaepSha256).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind, UNSUPPORTED);
    assert!(
        refused
            .message
            .ends_with("origin is AWS_KMS which is not valid for this operation.")
    );
    let deleted = world.delete_material(HOME, &made, None).await;
    assert_eq!(kind(deleted), UNSUPPORTED);
    let due = world.now() + DAY;
    let leaving = Stage::PendingDeletion {
        due,
        window_days: 7,
    };
    world.edit(&key, |key| key.stage = leaving).await;
    let refused = world.parameters(HOME, &key, A::RsaesOaepSha256).await;
    assert_eq!(kind(refused), ErrorKind::InvalidState);
}

#[tokio::test]
async fn a_token_is_of_one_key_whole_and_for_a_day() {
    let world = World::new().await;
    let key = world.replicated(Origin::External, &secret(1)).await;
    let other = external(&world).await;
    let algorithm = wire::AlgorithmSpec::RsaesOaepSha256;
    let input = world.ordered(HOME, &key, algorithm, &secret(1)).await;
    assert!(input.import_token.len() <= 6144, "CiphertextType");
    let import = |region: &'static str, input: wire::ImportKeyMaterialRequest| {
        let ctx = world.ctx_in(region);
        async move { kms::import_key_material(&ctx, input).await }
    };
    let elsewhere = wire::ImportKeyMaterialRequest {
        key_id: other,
        ..input.clone()
    };
    assert_eq!(kind(import(HOME, elsewhere).await), BAD_TOKEN);
    assert_eq!(kind(import(AWAY[0], input.clone()).await), BAD_TOKEN);
    let token = input.import_token.to_vec();
    for at in (0..token.len()).step_by(97).chain([token.len() - 1]) {
        let mut altered = token.clone();
        altered[at] ^= 1;
        let input = wire::ImportKeyMaterialRequest {
            import_token: Blob::new(altered),
            ..input.clone()
        };
        assert_eq!(kind(import(HOME, input).await), BAD_TOKEN, "byte {at}");
    }
    // Key material that was wrapped for another token.
    let mixed = world.ordered(HOME, &key, algorithm, &secret(1)).await;
    let mixed = wire::ImportKeyMaterialRequest {
        import_token: mixed.import_token,
        ..input.clone()
    };
    let unreadable = ErrorKind::Kms(Fault::InvalidCiphertext);
    assert_eq!(kind(import(HOME, mixed).await), unreadable);
    // It serves again within its time, and over a restart.
    import(HOME, input.clone()).await.unwrap();
    let world = world.restart().await;
    world.pass(DAY - jiff::SignedDuration::from_secs(1));
    kms::import_key_material(&world.ctx(), input.clone())
        .await
        .unwrap();
    world.pass(jiff::SignedDuration::from_secs(1));
    let late = kms::import_key_material(&world.ctx(), input).await;
    assert_eq!(kind(late), ErrorKind::Kms(Fault::ExpiredImportToken));
}

#[tokio::test]
async fn key_material_that_does_not_fit_is_refused() {
    let world = World::new().await;
    let key = external(&world).await;
    let refused = world.import(HOME, &key, &[1; 16], |_| ()).await;
    assert_eq!(kind(refused), INCORRECT);
    let broken = |input: &mut wire::ImportKeyMaterialRequest| {
        input.encrypted_key_material = Blob::new(vec![7; 256]);
    };
    let refused = world.import(HOME, &key, &secret(1), broken).await;
    assert_eq!(kind(refused), ErrorKind::Kms(Fault::InvalidCiphertext));
    let p256 = world.create(KeySpec::EccNistP256, Origin::External).await;
    let p384 = pair(&["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]);
    assert_eq!(
        kind(world.import(HOME, &p256, &p384, |_| ()).await),
        INCORRECT
    );
    let named = |input: &mut wire::ImportKeyMaterialRequest| {
        input.key_material_description = Some("a pair".into());
    };
    let pair = pair(&["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    assert_eq!(
        kind(world.import(HOME, &p256, &pair, named).await),
        UNSUPPORTED
    );
    assert_eq!(world.key(&key).await.materials, []);
    assert_eq!(world.key(&p256).await.materials, []);
}

#[tokio::test]
async fn key_material_expires_and_comes_back() {
    let world = World::new().await;
    let key = external(&world).await;
    let until = world.now() + DAY * 10;
    let expiring = |input: &mut wire::ImportKeyMaterialRequest| {
        // The model's default.
        input.expiration_model = None;
        input.valid_to = Some(until);
        input.key_material_description = Some("for ten days".into());
    };
    let id = world
        .import(HOME, &key, &secret(1), expiring)
        .await
        .unwrap()
        .unwrap();
    let listed = world.materials(HOME, &key).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].valid_to, Some(until));
    assert_eq!(
        listed[0].expiration_model,
        Some(wire::ExpirationModelType::KeyMaterialExpires)
    );
    assert_eq!(listed[0].import_state, Some(wire::ImportState::Imported));
    assert_eq!(
        listed[0].key_material_description.as_deref(),
        Some("for ten days")
    );
    let text = world.encrypt(HOME, &key).await.unwrap();
    world
        .pass_and_run(DAY * 10 - jiff::SignedDuration::from_secs(1))
        .await;
    world.decrypts(HOME, &key, &text).await.unwrap();
    // It ends at that instant, even if it is still here.
    world.pass(jiff::SignedDuration::from_secs(1));
    let refused = world.decrypts(HOME, &key, &text).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert_eq!(world.record(HOME, &key).await.held.len(), 1);
    world.run_due().await;
    let record = world.record(HOME, &key).await;
    assert_eq!(record.key.state(), KeyState::PendingImport);
    assert!(record.held.is_empty());
    let refused = world.decrypts(HOME, &key, &text).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidState);
    assert!(refused.message.ends_with("is pending import."));
    let listed = world.materials(HOME, &key).await;
    assert_eq!(
        listed[0].import_state,
        Some(wire::ImportState::PendingImport)
    );
    assert_eq!(
        (listed[0].valid_to, listed[0].expiration_model),
        (None, None)
    );

    let expected = |input: &mut wire::ImportKeyMaterialRequest| {
        input.key_material_id = Some(id.clone());
    };
    let again = world.import(HOME, &key, &secret(1), expected).await;
    assert_eq!(again.unwrap(), Some(id.clone()));
    world.decrypts(HOME, &key, &text).await.unwrap();
    // It was imported without an end this time.
    world.pass_and_run(DAY * 1000).await;
    world.decrypts(HOME, &key, &text).await.unwrap();
    let listed = world.materials(HOME, &key).await;
    assert_eq!(
        listed[0].key_material_description.as_deref(),
        Some("for ten days"),
        "the description stays"
    );
}

#[tokio::test]
async fn an_import_over_an_earlier_one_moves_its_end() {
    let world = World::new().await;
    let key = external(&world).await;
    let start = world.now();
    for days in [5, 2, 20] {
        let until = |input: &mut wire::ImportKeyMaterialRequest| {
            input.expiration_model = Some(wire::ExpirationModelType::KeyMaterialExpires);
            input.valid_to = Some(start + DAY * days);
        };
        world.import(HOME, &key, &secret(1), until).await.unwrap();
    }
    world.pass_and_run(DAY * 19).await;
    assert_eq!(world.key(&key).await.state(), KeyState::Enabled);
    world.pass_and_run(DAY).await;
    assert_eq!(world.key(&key).await.state(), KeyState::PendingImport);
}

#[tokio::test]
async fn an_imported_key_is_rotated_on_demand_and_needs_all_it_ever_had() {
    let world = World::new().await;
    let key = external(&world).await;
    let mut ids = Vec::new();
    let mut texts = Vec::new();
    for byte in 1..=3 {
        let edit = |input: &mut wire::ImportKeyMaterialRequest| {
            if byte > 1 {
                as_new(input);
            }
        };
        let id = world.import(HOME, &key, &secret(byte), edit).await;
        ids.push(id.unwrap().unwrap());
        if byte > 1 {
            let state = world.materials(HOME, &key).await;
            let state = state.last().unwrap().key_material_state;
            assert_eq!(state, Some(wire::KeyMaterialState::PendingRotation));
            world.rotate(HOME, &key).await.unwrap();
        }
        let refused = world.rotate(HOME, &key).await;
        assert_eq!(kind(refused), ErrorKind::InvalidState, "nothing waits");
        texts.push(world.encrypt(HOME, &key).await.unwrap());
    }
    for (byte, lost) in (1..).zip(&ids) {
        let deleted = world.delete_material(HOME, &key, Some(lost.clone()));
        assert_eq!(deleted.await.unwrap().as_ref(), Some(lost));
        for text in &texts {
            let refused = world.decrypts(HOME, &key, text).await;
            assert_eq!(kind(refused), ErrorKind::InvalidState);
        }
        let wrong = world.import(HOME, &key, &secret(9), |_| ()).await;
        assert_eq!(kind(wrong), INCORRECT);
        world
            .import(HOME, &key, &secret(byte), |_| ())
            .await
            .unwrap();
        for text in &texts {
            world.decrypts(HOME, &key, text).await.unwrap();
        }
    }
    // Nothing named is the current one; and what is not there is deleted without effect.
    for _ in 0..2 {
        let deleted = world.delete_material(HOME, &key, None).await.unwrap();
        assert_eq!(deleted, Some(ids[2].clone()));
        assert_eq!(world.key(&key).await.state(), KeyState::PendingImport);
    }
    let unknown = world.delete_material(HOME, &key, Some("0".repeat(64)));
    assert_eq!(kind(unknown.await), ErrorKind::NotFound);
    let repeated = world.import(HOME, &key, &secret(1), as_new).await;
    assert_eq!(kind(repeated), INCORRECT);
}

#[tokio::test]
async fn what_waits_for_a_rotation_can_be_replaced() {
    let world = World::new().await;
    let key = external(&world).await;
    world.import(HOME, &key, &secret(1), |_| ()).await.unwrap();
    let soon = world.now() + DAY;
    let expiring = |input: &mut wire::ImportKeyMaterialRequest| {
        as_new(input);
        input.expiration_model = Some(wire::ExpirationModelType::KeyMaterialExpires);
        input.valid_to = Some(soon);
    };
    world
        .import(HOME, &key, &secret(2), expiring)
        .await
        .unwrap();
    let second = world.import(HOME, &key, &secret(3), as_new).await;
    assert_eq!(kind(second), ErrorKind::InvalidState);
    let text = world.encrypt(HOME, &key).await.unwrap();
    world.pass_and_run(DAY).await;
    let record = world.record(HOME, &key).await;
    assert_eq!(record.key.materials.len(), 1, "it was not the key's yet");
    assert_eq!(record.key.state(), KeyState::Enabled);
    let waiting = world.import(HOME, &key, &secret(3), as_new).await.unwrap();
    let deleted = world.delete_material(HOME, &key, waiting.clone()).await;
    assert_eq!(deleted.unwrap(), waiting);
    world.import(HOME, &key, &secret(2), as_new).await.unwrap();
    world.rotate(HOME, &key).await.unwrap();
    world.decrypts(HOME, &key, &text).await.unwrap();
}

#[tokio::test]
async fn a_multi_region_key_turns_when_every_region_has_the_key_material() {
    use wire::KeyMaterialState as S;
    let world = World::new().await;
    let key = world.replicated(Origin::External, &secret(1)).await;
    let old = world.encrypt(AWAY[1], &key).await.unwrap();
    let state = |region: &'static str| {
        let (world, key) = (&world, key.clone());
        async move {
            let materials = world.materials(region, &key).await;
            let last = materials.last().unwrap().clone();
            (
                last.key_material_state.unwrap(),
                last.import_state.unwrap() == wire::ImportState::Imported,
            )
        }
    };
    let refused = world.import(AWAY[0], &key, &secret(2), as_new).await;
    assert_eq!(kind(refused), UNSUPPORTED, "the primary comes first");
    let id = world.import(HOME, &key, &secret(2), as_new).await.unwrap();
    for away in AWAY {
        assert_eq!(
            state(HOME).await,
            (S::PendingMultiRegionImportAndRotation, true)
        );
        assert_eq!(state(away).await, (S::PendingRotation, false));
        assert_eq!(
            kind(world.rotate(HOME, &key).await),
            ErrorKind::InvalidState
        );
        let same = world.import(away, &key, &secret(2), |_| ()).await.unwrap();
        assert_eq!(same, id, "one id in all regions");
        assert_eq!(state(away).await, (S::PendingRotation, true));
    }
    assert_eq!(state(HOME).await, (S::PendingRotation, true));
    // Gone from a replica, the primary stays as it is but does not turn.
    world
        .delete_material(AWAY[0], &key, id.clone())
        .await
        .unwrap();
    assert_eq!(state(HOME).await, (S::PendingRotation, true));
    assert_eq!(
        kind(world.rotate(HOME, &key).await),
        ErrorKind::InvalidState
    );
    world
        .import(AWAY[0], &key, &secret(2), |_| ())
        .await
        .unwrap();
    assert_eq!(kind(world.rotate(AWAY[0], &key).await), UNSUPPORTED);
    world.rotate(HOME, &key).await.unwrap();
    let new = world.encrypt(HOME, &key).await.unwrap();
    for region in [HOME, AWAY[0], AWAY[1]] {
        assert_eq!(state(region).await, (S::Current, true));
        world.decrypts(region, &key, &old).await.unwrap();
        world.decrypts(region, &key, &new).await.unwrap();
    }
    // Deleted in the primary before its rotation, it is gone everywhere.
    let id = world.import(HOME, &key, &secret(3), as_new).await.unwrap();
    world
        .import(AWAY[0], &key, &secret(3), |_| ())
        .await
        .unwrap();
    world.delete_material(HOME, &key, id).await.unwrap();
    for region in [HOME, AWAY[0], AWAY[1]] {
        assert_eq!(state(region).await, (S::Current, true));
        assert_eq!(world.record(region, &key).await.held.len(), 2);
    }
}

#[tokio::test]
async fn the_same_key_material_has_another_id_in_another_key() {
    let world = World::new().await;
    let (one, two) = (external(&world).await, external(&world).await);
    let first = world.import(HOME, &one, &secret(1), |_| ()).await.unwrap();
    let second = world.import(HOME, &two, &secret(1), |_| ()).await.unwrap();
    assert_ne!(first, second);
    let text = world.encrypt(HOME, &one).await.unwrap();
    let refused = world.decrypts(HOME, &two, &text).await;
    assert!(refused.is_err());
}

#[tokio::test]
async fn a_key_that_is_being_deleted_loses_its_key_material_when_it_is_told_to() {
    let world = World::new().await;
    let key = external(&world).await;
    world.import(HOME, &key, &secret(1), |_| ()).await.unwrap();
    let due = world.now() + DAY * 7;
    let leaving = Stage::PendingDeletion {
        due,
        window_days: 7,
    };
    world.edit(&key, |key| key.stage = leaving).await;
    world.delete_material(HOME, &key, None).await.unwrap();
    let record = world.record(HOME, &key).await;
    assert_eq!(record.key.stage, leaving);
    assert!(record.held.is_empty());
}
