//! What each algorithm takes and refuses.

use super::*;

/// The limits of the developer guide, "RSA key specs for encryption and decryption".
#[tokio::test]
async fn rsa_encrypts_as_much_as_it_has_room_for() {
    let ring = ring(&RootKey::generate().unwrap());
    use EncryptionAlgorithm as E;
    for (spec, sha1, sha256) in [
        (KeySpec::Rsa2048, 214, 190),
        (KeySpec::Rsa3072, 342, 318),
        (KeySpec::Rsa4096, 470, 446),
    ] {
        let key = ring.generate_material(spec, b"").await.unwrap().material;
        for (algorithm, most) in [(E::RsaesOaepSha1, sha1), (E::RsaesOaepSha256, sha256)] {
            let fits = vec![7; most];
            let sealed = ring.encrypt(&key, algorithm, b"", &fits).await.unwrap();
            let opened = ring.decrypt(&key, algorithm, b"", &sealed).await.unwrap();
            assert_eq!(*opened.unwrap(), fits);
            let refused = ring.encrypt(&key, algorithm, b"", &vec![7; most + 1]).await;
            assert!(matches!(refused, Err(CryptoError::Malformed(_))));
            let other = match algorithm {
                E::RsaesOaepSha1 => E::RsaesOaepSha256,
                _ => E::RsaesOaepSha1,
            };
            for (algorithm, sealed) in [(other, &sealed[..]), (algorithm, b"short")] {
                let opened = ring.decrypt(&key, algorithm, b"", sealed).await.unwrap();
                assert_eq!(opened, None);
            }
            let bound = ring.encrypt(&key, algorithm, b"aad", b"p").await;
            assert!(matches!(bound, Err(CryptoError::Mismatch(_))));
        }
    }
}

#[tokio::test]
async fn messages_have_the_length_that_their_type_says() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in KeySpec::ALL.iter().copied() {
        let Some(algorithm) = spec.signing_algorithms().first().copied() else {
            continue;
        };
        let key = ring.generate_material(spec, b"").await.unwrap();
        let (message_type, length) = match algorithm.digest_len() {
            Some(length) => (MessageType::Digest, length),
            None if algorithm == SigningAlgorithm::MlDsaShake256 => (MessageType::ExternalMu, 64),
            None => continue,
        };
        for wrong in [0, length - 1, length + 1] {
            let message = vec![7; wrong];
            let refused = ring
                .sign_message(&key.material, algorithm, message_type, &message)
                .await;
            assert!(
                matches!(refused, Err(CryptoError::Malformed(_))),
                "{spec:?}"
            );
            let public = key.public_key.as_deref().unwrap();
            let refused = ring
                .verify_message(spec, public, algorithm, message_type, &message, b"s")
                .await;
            assert!(
                matches!(refused, Err(CryptoError::Malformed(_))),
                "{spec:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_peer_on_another_curve_or_none_is_refused() {
    let ring = ring(&RootKey::generate().unwrap());
    let key = ring
        .generate_material(KeySpec::EccNistP256, b"")
        .await
        .unwrap();
    let own = key.public_key.unwrap();
    let mut off_curve = own.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let mut infinity = own[..26].to_vec();
    infinity.push(0);
    infinity[1] = 0x19;
    infinity[24] = 2;
    let bare_point = own[26..].to_vec();
    let mut peers = vec![
        off_curve,
        infinity,
        bare_point,
        vec![],
        b"nonsense".to_vec(),
    ];
    for spec in [
        KeySpec::EccNistP384,
        KeySpec::EccSecgP256k1,
        KeySpec::Rsa2048,
    ] {
        let other = ring.generate_material(spec, b"").await.unwrap();
        peers.push(other.public_key.unwrap());
        if spec != KeySpec::EccNistP384 {
            let refused = ring.agree(&other.material, &own).await;
            assert!(matches!(refused, Err(CryptoError::Mismatch(_))), "{spec:?}");
        }
    }
    for peer in peers {
        let refused = ring.agree(&key.material, &peer).await;
        assert!(
            matches!(refused, Err(CryptoError::Malformed(_))),
            "{peer:?}"
        );
    }
    assert!(ring.agree(&key.material, &own).await.is_ok());
}

#[tokio::test]
async fn an_altered_encapsulation_yields_another_secret() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in [KeySpec::MlKem512, KeySpec::MlKem768, KeySpec::MlKem1024] {
        let key = ring.generate_material(spec, b"").await.unwrap().material;
        let (ciphertext, secret) = ring.encapsulate(&key).await.unwrap();
        assert_eq!(secret.len(), 32);
        let mut altered = ciphertext.clone();
        altered[100] ^= 1;
        assert_ne!(ring.decapsulate(&key, &altered).await.unwrap(), secret);
        for length in [0, ciphertext.len() - 1, ciphertext.len() + 1] {
            let refused = ring.decapsulate(&key, &vec![7; length]).await;
            assert!(matches!(refused, Err(CryptoError::Malformed(_))));
        }
    }
    let key = ring
        .generate_material(KeySpec::EccNistP256, b"")
        .await
        .unwrap();
    let refused = ring.encapsulate(&key.material).await;
    assert!(matches!(refused, Err(CryptoError::Mismatch(_))));
}

/// RFC 8032 section 7.3.
#[test]
fn ed25519ph_known_answer() {
    let seed = hex("833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42");
    let pkcs8 = [&hex("302e020100300506032b657004220420")[..], &seed].concat();
    let spec = KeySpec::EccNistEdwards25519;
    let (key, _) = Ready::import(spec, &pkcs8).unwrap();
    let public = key.public_key().unwrap().unwrap();
    assert!(public.ends_with(&hex(
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf"
    )));
    let digest = digest::sha512(b"abc");
    let (algorithm, digest_type) = (SigningAlgorithm::Ed25519PhSha512, MessageType::Digest);
    let signature = key.sign(algorithm, digest_type, &digest).unwrap();
    assert_eq!(
        signature,
        hex(
            "98a70222f0b8121aa9d30f813d683f809e462b469c7ff87639499bb94e6dae41\
             31f85042463c2a355a2003d062adf5aaa10b8c61e636062aaad11c2a26083406"
        )
    );
    assert!(verify::verify(spec, &public, algorithm, digest_type, &digest, &signature).unwrap());
}

/// The smaller s on secp256k1, always; either verifies.
#[tokio::test]
async fn secp256k1_signatures_have_the_smaller_s() {
    let ring = ring(&RootKey::generate().unwrap());
    let spec = KeySpec::EccSecgP256k1;
    let key = ring.generate_material(spec, b"").await.unwrap();
    let public = key.public_key.unwrap();
    let algorithm = SigningAlgorithm::EcdsaSha256;
    for _ in 0..32 {
        let signature = ring
            .sign_message(&key.material, algorithm, MessageType::Raw, b"m")
            .await
            .unwrap();
        let mut fields = Reader::new(&signature).enter(tag::SEQUENCE).unwrap();
        let r = fields.expect(tag::INTEGER).unwrap().content;
        let s = fields.expect(tag::INTEGER).unwrap().content;
        let mut padded = [0; 32];
        padded[32 - s.len()..].copy_from_slice(s);
        assert!(padded[0] < 0x80, "s is above half of the order");
        assert_eq!(sign::low_s(&padded), padded);

        // The order minus s, by hand.
        let mut larger = sign::ORDER;
        let mut borrow = 0;
        for at in (0..32).rev() {
            let difference = i32::from(larger[at]) - i32::from(padded[at]) - borrow;
            borrow = i32::from(difference < 0);
            larger[at] = difference.rem_euclid(256) as u8;
        }
        assert_eq!(sign::low_s(&larger), padded);
        let mut other = Writer::new();
        other
            .sequence(|writer| {
                writer.unsigned_integer(r);
                writer.unsigned_integer(&larger);
                Ok(())
            })
            .unwrap();
        for signature in [signature.clone(), other.finish()] {
            let verified = ring
                .verify_message(spec, &public, algorithm, MessageType::Raw, b"m", &signature)
                .await;
            assert!(verified.unwrap());
        }
    }
}

proptest! {
    #[test]
    fn an_altered_ciphertext_never_opens(
        plaintext in proptest::collection::vec(any::<u8>(), 1..200),
        aad in proptest::collection::vec(any::<u8>(), 0..40),
        other_aad in proptest::collection::vec(any::<u8>(), 0..40),
        at in any::<proptest::sample::Index>(),
        bit in 0u8..8,
        cut in any::<proptest::sample::Index>(),
    ) {
        let (key, _) = Ready::generate(KeySpec::SymmetricDefault).unwrap();
        let algorithm = EncryptionAlgorithm::SymmetricDefault;
        let sealed = key.encrypt(algorithm, &aad, &plaintext).unwrap();
        prop_assert_eq!(sealed.len(), plaintext.len() + 40);
        let open = |aad: &[u8], sealed: &[u8]| key.decrypt(algorithm, aad, sealed).unwrap();
        let opened = open(&aad, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        if other_aad != aad {
            prop_assert_eq!(open(&other_aad, &sealed), None);
        }
        prop_assert_eq!(open(&aad, &sealed[..cut.index(sealed.len())]), None);
        let mut altered = sealed;
        let at = at.index(altered.len());
        altered[at] ^= 1 << bit;
        prop_assert_eq!(open(&aad, &altered), None);
    }
}
