//! What keys in a token do, judged by the ring's own code and by the module itself.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use keystead_core::kms::{
    EncryptionAlgorithm as Encryption, KeySpec, KeyUsage, MessageType, SigningAlgorithm,
};
use keystead_core::x509::{self, SignatureAlgorithm};
use keystead_crypto::token::{TokenFailure, TokenState};
use keystead_crypto::x509::verify_signature;
use keystead_crypto::{CryptoError, StoredKey, StoredMaterial, digest};
use keystead_testkit::{PIN, SoftHsm};

use super::{ring, with_token};

/// A session of the test's own beside the ring's.
fn session() -> Session {
    let pkcs11 = Pkcs11::new(SoftHsm::module()).unwrap();
    // The ring may have started the module.
    let _ = pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK));
    let slots = pkcs11.get_slots_with_initialized_token().unwrap();
    let session = pkcs11.open_rw_session(slots[0]).unwrap();
    let _ = session.login(UserType::User, Some(&AuthPin::from(PIN)));
    session
}

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

#[test]
fn keys_cannot_be_taken_out() {
    with_token(
        module_path!(),
        "keys_cannot_be_taken_out",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            for (spec, usage, secret) in [
                (
                    KeySpec::SymmetricDefault,
                    KeyUsage::EncryptDecrypt,
                    AttributeType::Value,
                ),
                (
                    KeySpec::Hmac256,
                    KeyUsage::GenerateVerifyMac,
                    AttributeType::Value,
                ),
                (
                    KeySpec::EccNistP256,
                    KeyUsage::SignVerify,
                    AttributeType::Value,
                ),
                (
                    KeySpec::EccNistP256,
                    KeyUsage::KeyAgreement,
                    AttributeType::Value,
                ),
                (
                    KeySpec::Rsa2048,
                    KeyUsage::SignVerify,
                    AttributeType::PrivateExponent,
                ),
                (
                    KeySpec::Rsa2048,
                    KeyUsage::EncryptDecrypt,
                    AttributeType::Prime1,
                ),
            ] {
                let made = ring
                    .generate_material_in("hsm", spec, usage, b"o")
                    .await
                    .unwrap()
                    .material;
                let session = session();
                let id = Attribute::Id(made.id().as_bytes().to_vec());
                let class = match spec.is_asymmetric() {
                    true => ObjectClass::PRIVATE_KEY,
                    false => ObjectClass::SECRET_KEY,
                };
                let found = session
                    .find_objects(&[id, Attribute::Class(class)])
                    .unwrap();
                let [key] = found[..] else {
                    panic!("{found:?}")
                };
                let told = session.get_attribute_info(key, &[secret]).unwrap();
                assert!(matches!(told[..], [AttributeInfo::Sensitive]), "{told:?}");
                assert!(session.get_attributes(key, &[secret]).unwrap().is_empty());
                let always = [
                    (AttributeType::Sensitive, Attribute::Sensitive(true)),
                    (
                        AttributeType::AlwaysSensitive,
                        Attribute::AlwaysSensitive(true),
                    ),
                    (AttributeType::Extractable, Attribute::Extractable(false)),
                    (
                        AttributeType::NeverExtractable,
                        Attribute::NeverExtractable(true),
                    ),
                    (AttributeType::Local, Attribute::Local(true)),
                    (AttributeType::Private, Attribute::Private(true)),
                    (AttributeType::Unwrap, Attribute::Unwrap(false)),
                    (
                        AttributeType::Decrypt,
                        Attribute::Decrypt(
                            spec == KeySpec::Rsa2048 && usage == KeyUsage::EncryptDecrypt,
                        ),
                    ),
                ];
                for (kind, expected) in always {
                    let is = session.get_attributes(key, &[kind]).unwrap();
                    assert_eq!(is, [expected], "{spec:?}");
                }
                for looser in [Attribute::Extractable(true), Attribute::Sensitive(false)] {
                    assert!(session.update_attributes(key, &[looser.clone()]).is_err());
                    assert!(session.copy_object(key, &[looser]).is_err());
                }
                // Nor under another key's wrap.
                let wrapping = [Attribute::ValueLen(32.into()), Attribute::Wrap(true)];
                let wrapping = session
                    .generate_key(&Mechanism::AesKeyGen, &wrapping)
                    .unwrap();
                assert!(
                    session
                        .wrap_key(&Mechanism::AesKeyWrapPad, wrapping, key)
                        .is_err()
                );
            }
        },
    );
}

#[test]
fn a_destroyed_key_is_gone_and_a_foreign_one_was_never_there() {
    with_token(
        module_path!(),
        "a_destroyed_key_is_gone_and_a_foreign_one_was_never_there",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            let (spec, usage) = (KeySpec::EccNistP256, KeyUsage::SignVerify);
            let made = ring
                .generate_material_in("hsm", spec, usage, b"o")
                .await
                .unwrap()
                .material;
            let sign = async |held: &StoredMaterial| {
                ring.sign_message(held, SigningAlgorithm::EcdsaSha256, MessageType::Raw, b"m")
                    .await
            };
            sign(&made).await.unwrap();
            let objects = || {
                session()
                    .find_objects(&[Attribute::Token(true)])
                    .unwrap()
                    .len()
            };
            assert_eq!(objects(), 2);
            for _ in 0..2 {
                ring.destroy_material(&made).await.unwrap();
                assert_eq!(objects(), 0);
                match sign(&made).await.unwrap_err() {
                    CryptoError::Token(error) => {
                        assert_eq!(error.failure, TokenFailure::KeyMissing);
                        assert!(error.message.contains(&made.id().to_string()), "{error}");
                    }
                    other => panic!("{other}"),
                }
            }
            // A key that is missing is no reason to believe that the token is.
            assert_eq!(ring.token("hsm").unwrap().state(), TokenState::Connected);
            let elsewhere = serde_json::to_string(&made)
                .unwrap()
                .replace("hsm", "other");
            let elsewhere = serde_json::from_str(&elsewhere).unwrap();
            match sign(&elsewhere).await.unwrap_err() {
                CryptoError::Token(error) => assert_eq!(error.failure, TokenFailure::Unknown),
                other => panic!("{other}"),
            }
            ring.destroy_material(&ring.generate_material(spec, b"o").await.unwrap().material)
                .await
                .unwrap();
        },
    );
}

#[test]
fn two_processes_work_on_one_token() {
    let name = "two_processes_work_on_one_token";
    with_token(module_path!(), name, |hsm, folder| async move {
        let ring = ring(&hsm).await;
        let default = Encryption::SymmetricDefault;
        let (parcel, answer) = (folder.join("parcel"), folder.join("answer"));
        let work = async |key: &StoredMaterial| {
            let sealed = ring.encrypt(key, default, b"", b"round").await.unwrap();
            ring.decrypt(key, default, b"", &sealed)
                .await
                .unwrap()
                .unwrap();
        };
        // The other process is this test once more; a key's record is all that it gets.
        if let Ok(parcel) = std::fs::read(&parcel) {
            let (key, sealed): (StoredMaterial, Vec<u8>) = serde_json::from_slice(&parcel).unwrap();
            let opened = ring.decrypt(&key, default, b"", &sealed).await.unwrap();
            assert_eq!(opened.unwrap().as_slice(), b"from the first");
            for _ in 0..200 {
                work(&key).await;
            }
            let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
            let key = ring
                .generate_material_in("hsm", spec, usage, b"o")
                .await
                .unwrap()
                .material;
            let sealed = ring
                .encrypt(&key, default, b"", b"from the other")
                .await
                .unwrap();
            std::fs::write(answer, serde_json::to_vec(&(key, sealed)).unwrap()).unwrap();
            return;
        }
        let (spec, usage) = (KeySpec::SymmetricDefault, KeyUsage::EncryptDecrypt);
        let key = ring
            .generate_material_in("hsm", spec, usage, b"o")
            .await
            .unwrap()
            .material;
        let sealed = ring
            .encrypt(&key, default, b"", b"from the first")
            .await
            .unwrap();
        std::fs::write(&parcel, serde_json::to_vec(&(&key, sealed)).unwrap()).unwrap();
        let mut other = tokio::process::Command::new(std::env::current_exe().unwrap());
        other.args([&format!("token::keys::{name}"), "--exact", "--nocapture"]);
        let other = tokio::spawn(async move { other.output().await.unwrap() });
        let mut rounds = 0;
        while !other.is_finished() {
            work(&key).await;
            rounds += 1;
        }
        let output = other.await.unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(rounds > 10, "the two did not work at the same time");
        let answer = std::fs::read(&answer).unwrap();
        let (key, sealed): (StoredMaterial, Vec<u8>) = serde_json::from_slice(&answer).unwrap();
        let opened = ring.decrypt(&key, default, b"", &sealed).await.unwrap();
        assert_eq!(opened.unwrap().as_slice(), b"from the other");
    });
}
