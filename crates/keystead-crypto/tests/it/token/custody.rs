//! Keys in a token cannot be taken out, are destroyed there, and are there for whoever shares it.

use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, ObjectClass};
use keystead_core::kms::{
    EncryptionAlgorithm as Encryption, KeySpec, KeyUsage, MessageType, SigningAlgorithm,
};
use keystead_crypto::token::{TokenFailure, TokenState};
use keystead_crypto::{CryptoError, StoredMaterial};

use super::{ring, session, with_token};

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
                    assert!(
                        session
                            .update_attributes(key, std::slice::from_ref(&looser))
                            .is_err()
                    );
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
        other.args([&format!("token::custody::{name}"), "--exact", "--nocapture"]);
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
