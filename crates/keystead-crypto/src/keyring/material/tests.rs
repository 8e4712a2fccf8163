//! Key material through the ring, as KMS uses it.

use std::sync::Arc;

use keystead_core::kms::{
    EncryptionAlgorithm, KeySpec, MacAlgorithm, MessageType, SigningAlgorithm, WrappingAlgorithm,
};
use proptest::prelude::*;

use super::*;
use crate::der::{Reader, Writer, tag};
use crate::digest;
use crate::keyring::{KeyRing, KeyRingOptions};
use crate::testing::hex;

mod uses;

fn ring(root: &RootKey) -> Arc<KeyRing> {
    let options = KeyRingOptions {
        threads: 2,
        reserve: false,
    };
    KeyRing::open(root, options).unwrap()
}

#[tokio::test]
async fn every_key_does_what_its_spec_says_after_the_ring_is_opened_again() {
    let root = RootKey::generate().unwrap();
    let made_by = ring(&root);
    for spec in KeySpec::ALL.iter().copied() {
        let new = made_by.generate_material(spec, b"owner").await.unwrap();
        assert_eq!(new.public_key.is_some(), spec.is_asymmetric(), "{spec:?}");
        for ring in [&made_by, &ring(&root)] {
            for algorithm in EncryptionAlgorithm::ALL.iter().copied() {
                let sealed = ring.encrypt(&new.material, algorithm, b"", b"plain").await;
                if !spec.encryption_algorithms().contains(&algorithm) {
                    assert!(matches!(sealed, Err(CryptoError::Mismatch(_))));
                    continue;
                }
                let opened = ring
                    .decrypt(&new.material, algorithm, b"", &sealed.unwrap())
                    .await;
                assert_eq!(opened.unwrap().unwrap().as_slice(), b"plain");
            }
            for algorithm in SigningAlgorithm::ALL.iter().copied() {
                for message_type in MessageType::ALL.iter().copied() {
                    let message: &[u8] = match message_type {
                        MessageType::Raw => b"a message of some length",
                        MessageType::Digest => &vec![7; algorithm.digest_len().unwrap_or(32)],
                        MessageType::ExternalMu => &[7; 64],
                    };
                    let signature = ring
                        .sign_message(&new.material, algorithm, message_type, message)
                        .await;
                    if !spec.signing_algorithms().contains(&algorithm) {
                        assert!(matches!(signature, Err(CryptoError::Mismatch(_))));
                        continue;
                    }
                    if !algorithm.takes(message_type) {
                        assert!(matches!(signature, Err(CryptoError::Malformed(_))));
                        continue;
                    }
                    let signature = signature.unwrap();
                    let public = new.public_key.as_deref().unwrap();
                    let verify = |message, signature| {
                        ring.verify_message(
                            spec,
                            public,
                            algorithm,
                            message_type,
                            message,
                            signature,
                        )
                    };
                    assert!(
                        verify(message, &signature).await.unwrap(),
                        "{spec:?} {algorithm:?}"
                    );
                    let mut other = message.to_vec();
                    other[3] ^= 1;
                    assert!(!verify(&other, &signature).await.unwrap());
                    let mut other = signature.clone();
                    *other.last_mut().unwrap() ^= 1;
                    assert!(!verify(message, &other).await.unwrap());
                }
            }
            for algorithm in MacAlgorithm::ALL.iter().copied() {
                let mac = ring.mac(&new.material, algorithm, b"m").await;
                if spec.mac_algorithm() != Some(algorithm) {
                    assert!(matches!(mac, Err(CryptoError::Mismatch(_))));
                    continue;
                }
                let mac = mac.unwrap();
                assert!(
                    ring.verify_mac(&new.material, algorithm, b"m", &mac)
                        .await
                        .unwrap()
                );
                assert!(
                    !ring
                        .verify_mac(&new.material, algorithm, b"n", &mac)
                        .await
                        .unwrap()
                );
            }
            let nist = [
                KeySpec::EccNistP256,
                KeySpec::EccNistP384,
                KeySpec::EccNistP521,
            ];
            if nist.contains(&spec) {
                let peer = ring.generate_material(spec, b"").await.unwrap();
                let ours = ring
                    .agree(&new.material, peer.public_key.as_ref().unwrap())
                    .await;
                let theirs = ring
                    .agree(&peer.material, new.public_key.as_ref().unwrap())
                    .await;
                assert_eq!(ours.unwrap(), theirs.unwrap());
            }
            if matches!(
                spec,
                KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024
            ) {
                let (ciphertext, secret) = ring.encapsulate(&new.material).await.unwrap();
                assert_eq!(
                    ring.decapsulate(&new.material, &ciphertext).await.unwrap(),
                    secret
                );
            }
        }
    }
}

#[tokio::test]
async fn stored_material_opens_only_as_it_was_stored() {
    let root = RootKey::generate().unwrap();
    let ring = ring(&root);
    let (symmetric, hmac) = (KeySpec::SymmetricDefault, KeySpec::Hmac256);
    let one = ring
        .generate_material(symmetric, b"")
        .await
        .unwrap()
        .material;
    let two = ring
        .generate_material(symmetric, b"")
        .await
        .unwrap()
        .material;
    let swapped = StoredMaterial {
        id: one.id,
        ..two.clone()
    };
    let sealed = one.provider.sealed().unwrap().to_vec();
    let mut bytes = sealed.clone();
    *bytes.last_mut().unwrap() ^= 1;
    let altered = StoredMaterial {
        provider: Provider::Software { sealed: bytes },
        ..one.clone()
    };
    let other_kind = StoredMaterial { spec: hmac, ..one };
    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    for material in [swapped, altered] {
        let refused = ring.encrypt(&material, algorithm, b"", b"p").await;
        assert!(matches!(refused, Err(CryptoError::Sealed(_))));
    }
    let refused = ring.mac(&other_kind, MacAlgorithm::HmacSha256, b"m").await;
    assert!(matches!(refused, Err(CryptoError::Sealed(_))));
    let stranger = self::ring(&RootKey::generate().unwrap());
    let refused = stranger.encrypt(&two, algorithm, b"", b"p").await;
    assert!(matches!(refused, Err(CryptoError::RootKey(_))));
}

#[tokio::test]
async fn what_is_stored_shows_nothing_and_survives_serialization() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in [
        KeySpec::SymmetricDefault,
        KeySpec::Hmac224,
        KeySpec::EccSecgP256k1,
    ] {
        let new = ring.generate_material(spec, b"").await.unwrap();
        let text = serde_json::to_string(&new.material).unwrap();
        let read: StoredMaterial = serde_json::from_str(&text).unwrap();
        assert_eq!(read, new.material);
        let sealed = new.material.provider.sealed().unwrap();
        let shown = format!("{new:?}");
        assert!(shown.contains(&new.material.id().to_string()));
        let bytes = format!("{:?}", &sealed[..8]);
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])));
    }
    let pair = ring.generate_pair(KeySpec::EccNistP256).await.unwrap();
    assert_eq!(format!("{pair:?}"), "DataPair(redacted)");
}

/// The way of `ImportKeyMaterial`, for material of the test's choice.
async fn import(
    ring: &KeyRing,
    spec: KeySpec,
    owner: &[u8],
    material: &[u8],
) -> Result<NewMaterial, CryptoError> {
    let wrapping = ring.wrapping_key(KeySpec::Rsa2048).await.unwrap().material;
    let oaep = EncryptionAlgorithm::RsaesOaepSha256;
    let wrapped = ring.encrypt(&wrapping, oaep, b"", material).await.unwrap();
    let algorithm = WrappingAlgorithm::RsaesOaepSha256;
    ring.unwrap_material(&wrapping, algorithm, &wrapped, spec, owner)
        .await
}

#[tokio::test]
async fn the_same_material_of_the_same_owner_is_recognised() {
    let root = RootKey::generate().unwrap();
    let ring = ring(&root);
    let id = async |ring: &KeyRing, spec, owner: &[u8], material: &[u8]| {
        import(ring, spec, owner, material)
            .await
            .unwrap()
            .material_id
    };
    let first = id(&ring, KeySpec::SymmetricDefault, b"a", &[7; 32]).await;
    let again = self::ring(&root);
    assert_eq!(
        id(&again, KeySpec::SymmetricDefault, b"a", &[7; 32]).await,
        first
    );
    for (spec, owner, material) in [
        (KeySpec::SymmetricDefault, b"b", [7; 32]),
        (KeySpec::SymmetricDefault, b"a", [8; 32]),
        (KeySpec::Hmac256, b"a", [7; 32]),
    ] {
        assert_ne!(id(&ring, spec, owner, &material).await, first);
    }
    let stranger = self::ring(&RootKey::generate().unwrap());
    assert_ne!(
        id(&stranger, KeySpec::SymmetricDefault, b"a", &[7; 32]).await,
        first
    );

    // A key pair is the same in every form of PKCS #8: with its public key, and without.
    let pair = ring.generate_pair(KeySpec::EccNistP256).await.unwrap();
    let with = id(&ring, KeySpec::EccNistP256, b"a", &pair.private_key).await;
    let prefix = "3041020100301306072a8648ce3d020106082a8648ce3d030107042730250201010420";
    let without = [&hex(prefix)[..], &pair.private_key[36..68]].concat();
    assert_eq!(id(&ring, KeySpec::EccNistP256, b"a", &without).await, with);
}

#[tokio::test]
async fn only_material_of_the_spec_is_taken_in() {
    let ring = ring(&RootKey::generate().unwrap());
    let takes = async |spec, length| match import(&ring, spec, b"", &vec![7; length]).await {
        Ok(new) => {
            assert_eq!(new.material.spec(), spec);
            true
        }
        Err(CryptoError::WrongMaterial(_)) => false,
        Err(error) => panic!("{error}"),
    };
    for (spec, least, most) in [
        (KeySpec::SymmetricDefault, 32, 32),
        (KeySpec::Hmac224, 28, 128),
        (KeySpec::Hmac256, 32, 128),
        (KeySpec::Hmac384, 48, 128),
        (KeySpec::Hmac512, 64, 128),
    ] {
        for (length, fits) in [
            (least, true),
            (most, true),
            (least - 1, false),
            (most + 1, false),
        ] {
            assert_eq!(takes(spec, length).await, fits, "{spec:?} {length}");
        }
    }
    for spec in KeySpec::ALL.iter().filter(|spec| spec.is_asymmetric()) {
        assert!(!takes(*spec, 32).await, "{spec:?}");
    }
    let pair = ring.generate_pair(KeySpec::EccNistP256).await.unwrap();
    for (spec, fits) in [
        (KeySpec::EccNistP256, true),
        (KeySpec::EccSecgP256k1, false),
    ] {
        let outcome = import(&ring, spec, b"", &pair.private_key).await;
        assert_eq!(outcome.is_ok(), fits);
    }
}

#[tokio::test]
async fn what_was_wrapped_otherwise_does_not_unwrap() {
    let ring = ring(&RootKey::generate().unwrap());
    let wrapping = ring.wrapping_key(KeySpec::Rsa2048).await.unwrap().material;
    let other = ring.wrapping_key(KeySpec::Rsa2048).await.unwrap().material;
    let oaep = EncryptionAlgorithm::RsaesOaepSha1;
    let wrapped = ring.encrypt(&wrapping, oaep, b"", &[7; 32]).await.unwrap();
    let mut altered = wrapped.clone();
    altered[9] ^= 1;
    use WrappingAlgorithm as W;
    for (key, algorithm, wrapped) in [
        (&other, W::RsaesOaepSha1, &wrapped[..]),
        (&wrapping, W::RsaesOaepSha256, &wrapped),
        (&wrapping, W::RsaAesKeyWrapSha1, &wrapped),
        (&wrapping, W::RsaAesKeyWrapSha256, &wrapped),
        (&wrapping, W::RsaesOaepSha1, &altered),
        (&wrapping, W::RsaesOaepSha1, &wrapped[1..]),
        (&wrapping, W::RsaesOaepSha1, b""),
        (
            &wrapping,
            W::RsaAesKeyWrapSha1,
            &[&wrapped[..], &[7; 40]].concat(),
        ),
    ] {
        let spec = KeySpec::SymmetricDefault;
        let refused = ring
            .unwrap_material(key, algorithm, wrapped, spec, b"")
            .await;
        assert!(
            matches!(refused, Err(CryptoError::NotUnwrapped(_))),
            "{algorithm:?}"
        );
    }
    for spec in [KeySpec::EccNistP256, KeySpec::SymmetricDefault] {
        let refused = ring.wrapping_key(spec).await;
        assert!(matches!(refused, Err(CryptoError::Unsupported(_))));
        let no_wrapping_key = ring.generate_material(spec, b"").await.unwrap().material;
        let refused = ring
            .unwrap_material(&no_wrapping_key, W::RsaesOaepSha1, &wrapped, spec, b"")
            .await;
        assert!(matches!(refused, Err(CryptoError::Mismatch(_))));
    }
}

#[tokio::test]
async fn there_are_data_key_pairs_of_every_spec_of_aws() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in KeySpec::ALL.iter().copied() {
        let pair = ring.generate_pair(spec).await;
        // The model's DataKeyPairSpec has all key pairs but ML-DSA.
        if !spec.is_asymmetric() || spec.name().starts_with("ML_DSA") {
            assert!(matches!(pair, Err(CryptoError::Unsupported(_))), "{spec:?}");
            continue;
        }
        let pair = pair.unwrap();
        let (ready, secret) = Ready::import(spec, &pair.private_key).unwrap();
        assert_eq!(ready.public_key().unwrap().unwrap(), pair.public_key);
        assert_eq!(
            secret, pair.private_key,
            "{spec:?} is not written as it is read"
        );
    }
}

#[tokio::test]
async fn the_caches_stay_within_their_bounds_and_forget_for_good() {
    let ring = ring(&RootKey::generate().unwrap());
    let held = |spec| ring.vault.materials.cache(spec).lock().len();
    let spec = KeySpec::EccNistP256;
    let first = ring.generate_material(spec, b"").await.unwrap().material;
    for _ in 0..CACHED_PAIRS.get() {
        ring.generate_material(spec, b"").await.unwrap();
    }
    assert_eq!(held(spec), CACHED_PAIRS.get());
    assert_eq!(held(KeySpec::SymmetricDefault), 0);
    assert!(!ring.vault.materials.cache(spec).lock().contains(&first.id));

    let algorithm = EncryptionAlgorithm::SymmetricDefault;
    let key = ring
        .generate_material(KeySpec::SymmetricDefault, b"")
        .await
        .unwrap()
        .material;
    assert_eq!(held(KeySpec::SymmetricDefault), 1);
    ring.forget(&key);
    assert_eq!(held(KeySpec::SymmetricDefault), 0);
    // A call that began before it was forgotten still ends well, and leaves nothing behind.
    ring.encrypt(&key, algorithm, b"", b"p").await.unwrap();
    assert_eq!(held(KeySpec::SymmetricDefault), 0);
}

/// A key pair of each kind, as it is imported.
fn pairs() -> &'static [(KeySpec, Zeroizing<Vec<u8>>)] {
    static PAIRS: std::sync::OnceLock<Vec<(KeySpec, Zeroizing<Vec<u8>>)>> =
        std::sync::OnceLock::new();
    PAIRS.get_or_init(|| {
        let pairs = KeySpec::ALL.iter().filter(|spec| spec.is_asymmetric());
        pairs
            .map(|spec| (*spec, Ready::generate(*spec).unwrap().1))
            .collect()
    })
}

proptest! {
    #[test]
    fn altered_key_material_is_refused_or_another_key(
        pair in any::<proptest::sample::Index>(),
        at in any::<proptest::sample::Index>(),
        byte in 1u8..,
        cut in any::<proptest::sample::Index>(),
    ) {
        let (spec, pkcs8) = &pairs()[pair.index(pairs().len())];
        let (original, _) = Ready::import(*spec, pkcs8).unwrap();
        let mut altered = pkcs8.to_vec();
        let at = at.index(altered.len());
        altered[at] ^= byte;
        if let Ok((ready, kept)) = Ready::import(*spec, &altered) {
            // What is kept is a key that can be read again, and is the one that was read.
            let again = Ready::from_secret(*spec, &kept).unwrap();
            prop_assert_eq!(again.public_key().unwrap(), ready.public_key().unwrap());
            // Of a seed every value is a key; the others contain their public half.
            if certificate_spec(*spec).is_some_and(|spec| !spec.pca_name().starts_with("ML_DSA"))
                || *spec == KeySpec::EccSecgP256k1
            {
                let original = original.public_key().unwrap();
                prop_assert_eq!(ready.public_key().unwrap(), original);
            }
        }
        let cut = &pkcs8[..cut.index(pkcs8.len())];
        prop_assert!(matches!(
            Ready::import(*spec, cut),
            Err(CryptoError::WrongMaterial(_))
        ));
    }
}
