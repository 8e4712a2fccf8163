//! Key material through the ring, as KMS uses it.

use std::sync::Arc;

use keystead_core::kms::{
    EncryptionAlgorithm, KeySpec, MacAlgorithm, MessageType, SigningAlgorithm,
};

use crate::CryptoError;
use crate::keyring::{KeyRing, KeyRingOptions};
use crate::seal::RootKey;

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
