//! What keys in a token do, judged by the ring's own code and by the module itself.

use cryptoki::object::{Attribute, KeyType, ObjectClass};
use keystead_core::kms::{
    EncryptionAlgorithm as Encryption, KeySpec, KeyUsage, MessageType, SigningAlgorithm,
};
use keystead_core::x509::{self, SignatureAlgorithm};
use keystead_crypto::x509::verify_signature;
use keystead_crypto::{CryptoError, StoredKey, StoredMaterial, digest};

use super::{ring, session, with_token};

fn digest_for(algorithm: SigningAlgorithm, message: &[u8]) -> Vec<u8> {
    match algorithm.digest_len().unwrap() {
        32 => digest::sha256(message).to_vec(),
        48 => digest::sha384(message).to_vec(),
        _ => digest::sha512(message).to_vec(),
    }
}

#[test]
fn pairs_sign_whatever_fits_them() {
    with_token(
        module_path!(),
        "pairs_sign_whatever_fits_them",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            for spec in [
                KeySpec::Rsa2048,
                KeySpec::Rsa3072,
                KeySpec::EccNistP256,
                KeySpec::EccNistP384,
                KeySpec::EccNistP521,
                KeySpec::EccSecgP256k1,
            ] {
                let made = ring
                    .generate_material_in("hsm", spec, KeyUsage::SignVerify, b"o")
                    .await;
                let made = made.unwrap_or_else(|error| panic!("{spec:?}: {error}"));
                let public_key = made.public_key.unwrap();
                for algorithm in spec.signing_algorithms() {
                    let verify = async |kind, message: &[u8], signature: &[u8]| {
                        ring.verify_message(spec, &public_key, *algorithm, kind, message, signature)
                            .await
                            .unwrap()
                    };
                    let digest = digest_for(*algorithm, b"message");
                    for (kind, message) in [
                        (MessageType::Raw, &b"message"[..]),
                        (MessageType::Digest, &digest),
                    ] {
                        let signature =
                            ring.sign_message(&made.material, *algorithm, kind, message);
                        let signature = signature.await.unwrap();
                        assert!(verify(MessageType::Raw, b"message", &signature).await);
                        assert!(!verify(MessageType::Raw, b"massage", &signature).await);
                    }
                }
            }
        },
    );
}

#[test]
fn authorities_keys_sign_and_stay_where_they_are() {
    with_token(
        module_path!(),
        "authorities_keys_sign_and_stay_where_they_are",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            for spec in [
                x509::KeySpec::Rsa2048,
                x509::KeySpec::EcP256,
                x509::KeySpec::EcP384,
                x509::KeySpec::EcP521,
            ] {
                let made = ring.generate_in("hsm", spec).await.unwrap();
                assert_eq!(made.key.spec(), spec);
                assert_eq!(ring.public_key(&made.key).await.unwrap(), made.spki_der);
                for algorithm in SignatureAlgorithm::ALL {
                    let signature = ring.sign(&made.key, algorithm, b"message").await;
                    if !spec.fits(algorithm) {
                        assert!(matches!(signature, Err(CryptoError::Mismatch(_))));
                        continue;
                    }
                    verify_signature(&made.spki_der, algorithm, b"message", &signature.unwrap())
                        .unwrap_or_else(|error| panic!("{spec:?} {algorithm:?}: {error}"));
                }
                for refused in [
                    ring.reveal(&made.key).await.map(drop),
                    ring.export_encrypted(&made.key, b"passphrase")
                        .await
                        .map(drop),
                ] {
                    let refused = refused.unwrap_err();
                    assert!(matches!(refused, CryptoError::Unsupported(_)));
                    assert!(
                        refused.to_string().contains("in the token hsm"),
                        "{refused}"
                    );
                }
                // What is stored of it says where it is, and no more.
                let text = serde_json::to_string(&made.key).unwrap();
                let read: StoredKey = serde_json::from_str(&text).unwrap();
                assert_eq!(read, made.key);
                assert!(text.len() < 120, "{text}");
            }
            let refused = ring
                .generate_in("hsm", x509::KeySpec::MlDsa65)
                .await
                .unwrap_err();
            assert!(matches!(refused, CryptoError::Unsupported(_)), "{refused}");
        },
    );
}

#[test]
fn secrets_encrypt_as_the_rings_own_do() {
    with_token(
        module_path!(),
        "secrets_encrypt_as_the_rings_own_do",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            let make = async || {
                let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
                ring.generate_material_in("hsm", spec, usage, b"o")
                    .await
                    .unwrap()
            };
            let (one, two) = (make().await, make().await);
            assert_ne!(one.material_id, two.material_id);
            assert_eq!(one.public_key, None);
            let default = Encryption::SymmetricDefault;
            for length in [0, 1, 32, 4096] {
                let text = vec![7; length];
                let sealed = ring
                    .encrypt(&one.material, default, b"aad", &text)
                    .await
                    .unwrap();
                assert_eq!(sealed.len(), 24 + length + 16);
                let open = async |held, aad: &'static [u8], sealed: &[u8]| {
                    let opened = ring.decrypt(held, default, aad, sealed).await.unwrap();
                    opened.map(|opened| opened.to_vec())
                };
                assert_eq!(open(&one.material, b"aad", &sealed).await, Some(text));
                assert_eq!(open(&one.material, b"dad", &sealed).await, None);
                assert_eq!(open(&two.material, b"aad", &sealed).await, None);
                for at in [0, 23, 24, sealed.len() - 1] {
                    let mut altered = sealed.clone();
                    altered[at] ^= 1;
                    assert_eq!(open(&one.material, b"aad", &altered).await, None);
                }
                assert_eq!(open(&one.material, b"aad", &sealed[..20]).await, None);
            }
            let again = ring
                .encrypt(&one.material, default, b"", b"same")
                .await
                .unwrap();
            assert_ne!(
                ring.encrypt(&one.material, default, b"", b"same")
                    .await
                    .unwrap(),
                again
            );

            // The second vector of the C2SP specification, with its key in the token.
            let id = [0x5a; 16];
            let known = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::KeyType(KeyType::AES),
                Attribute::Token(true),
                Attribute::Sign(true),
                Attribute::Id(id.to_vec()),
                Attribute::Value(vec![3; 32]),
            ];
            session().create_object(&known).unwrap();
            let held: StoredMaterial = serde_json::from_value(serde_json::json!({
                "id": "5a".repeat(16),
                "spec": "SYMMETRIC_DEFAULT",
                "provider": { "Token": { "token": "hsm" } },
            }))
            .unwrap();
            let vector =
                b"ABCDEFGHIJKLMNOPQRSTUVWX\x98\x6e\xc1\x83\x25\x93\xdf\x54\x43\xa1\x79\x43\x7f\xd0\
                       \x83\xbf\x3f\xdb\x41\xab\xd7\x40\xa2\x1f\x71\xeb\x76\x9d";
            let opened = ring
                .decrypt(&held, default, b"c2sp.org/XAES-256-GCM", vector)
                .await;
            assert_eq!(opened.unwrap().unwrap().as_slice(), b"XAES-256-GCM");
        },
    );
}

#[test]
fn rsa_decrypts_by_what_the_token_has() {
    with_token(
        module_path!(),
        "rsa_decrypts_by_what_the_token_has",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            let (spec, usage) = (KeySpec::Rsa2048, KeyUsage::EncryptDecrypt);
            let made = ring
                .generate_material_in("hsm", spec, usage, b"o")
                .await
                .unwrap()
                .material;
            let sha1 = Encryption::RsaesOaepSha1;
            let mut sealed = ring.encrypt(&made, sha1, b"", b"text").await.unwrap();
            let opened = ring.decrypt(&made, sha1, b"", &sealed).await.unwrap();
            assert_eq!(opened.unwrap().as_slice(), b"text");
            sealed[100] ^= 1;
            for sealed in [&sealed[..], b"short"] {
                let opened = ring.decrypt(&made, sha1, b"", sealed).await;
                assert_eq!(
                    opened.unwrap_or_else(|error| panic!("{}: {error}", sealed.len())),
                    None
                );
            }
            // SoftHSM knows no other hash for this.
            let sha256 = Encryption::RsaesOaepSha256;
            let sealed = ring.encrypt(&made, sha256, b"", b"text").await.unwrap();
            let refused = ring.decrypt(&made, sha256, b"", &sealed).await.unwrap_err();
            assert!(matches!(refused, CryptoError::Unsupported(_)), "{refused}");
            // It was made for this alone.
            let algorithm = SigningAlgorithm::RsassaPssSha256;
            let refused = ring
                .sign_message(&made, algorithm, MessageType::Raw, b"m")
                .await;
            assert!(
                matches!(refused, Err(CryptoError::Unsupported(_))),
                "{refused:?}"
            );
        },
    );
}

#[test]
fn keys_authenticate_and_agree() {
    with_token(
        module_path!(),
        "keys_authenticate_and_agree",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            for spec in [
                KeySpec::Hmac224,
                KeySpec::Hmac256,
                KeySpec::Hmac384,
                KeySpec::Hmac512,
            ] {
                let usage = KeyUsage::GenerateVerifyMac;
                let made = ring
                    .generate_material_in("hsm", spec, usage, b"o")
                    .await
                    .unwrap()
                    .material;
                let algorithm = spec.mac_algorithm().unwrap();
                let mac = ring.mac(&made, algorithm, b"message").await.unwrap();
                assert!(
                    ring.verify_mac(&made, algorithm, b"message", &mac)
                        .await
                        .unwrap()
                );
                assert!(
                    !ring
                        .verify_mac(&made, algorithm, b"massage", &mac)
                        .await
                        .unwrap()
                );
                assert!(
                    !ring
                        .verify_mac(&made, algorithm, b"message", &mac[1..])
                        .await
                        .unwrap()
                );
            }
            for spec in [
                KeySpec::EccNistP256,
                KeySpec::EccNistP384,
                KeySpec::EccNistP521,
            ] {
                let usage = KeyUsage::KeyAgreement;
                let ours = ring
                    .generate_material_in("hsm", spec, usage, b"o")
                    .await
                    .unwrap();
                let theirs = ring.generate_material(spec, b"o").await.unwrap();
                let (our_key, their_key) = (ours.public_key.unwrap(), theirs.public_key.unwrap());
                let here = ring.agree(&ours.material, &their_key).await.unwrap();
                let there = ring.agree(&theirs.material, &our_key).await.unwrap();
                assert_eq!(here, there, "{spec:?}");
                let mut off_curve = their_key.clone();
                *off_curve.last_mut().unwrap() ^= 1;
                for refused in [&off_curve[..], b"", &our_key[1..]] {
                    let refused = ring.agree(&ours.material, refused).await.unwrap_err();
                    assert!(matches!(refused, CryptoError::Malformed(_)), "{refused}");
                }
            }
        },
    );
}
