//! The ring as a whole.

use super::*;
use crate::x509::{self, key_spec, verify_signature};

fn ring(root: &RootKey) -> Arc<KeyRing> {
    let options = KeyRingOptions {
        threads: 2,
        reserve: false,
    };
    KeyRing::open(root, options).unwrap()
}

fn sealed(key: &StoredKey) -> &[u8] {
    key.provider.sealed().unwrap()
}

#[tokio::test]
async fn every_kind_of_key_makes_every_signature_that_fits() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in KeySpec::ALL {
        let made = ring.generate(spec).await.unwrap();
        assert_eq!(made.key.spec(), spec);
        assert_eq!(key_spec(&made.spki_der).unwrap(), Some(spec));
        assert_eq!(ring.public_key(&made.key).await.unwrap(), made.spki_der);
        for algorithm in SignatureAlgorithm::ALL {
            let signature = ring.sign(&made.key, algorithm, b"message").await;
            if !spec.fits(algorithm) {
                assert!(matches!(signature, Err(CryptoError::Mismatch(_))));
                continue;
            }
            let signature = signature.unwrap();
            let verify = |message| verify_signature(&made.spki_der, algorithm, message, &signature);
            verify(b"message").unwrap_or_else(|error| panic!("{spec:?} {algorithm:?}: {error}"));
            assert!(matches!(
                verify(b"massage"),
                Err(CryptoError::BadSignature(_))
            ));
        }
    }
}

#[tokio::test]
async fn keys_outlive_the_ring_and_only_their_own_root_key_opens_them() {
    let root = RootKey::generate().unwrap();
    for spec in [KeySpec::EcP256, KeySpec::EcP384, KeySpec::MlDsa44] {
        let made = ring(&root).generate(spec).await.unwrap();
        let algorithm = spec.default_signature();

        let again = ring(&root);
        let signature = again.sign(&made.key, algorithm, b"m").await.unwrap();
        verify_signature(&made.spki_der, algorithm, b"m", &signature).unwrap();

        let other = ring(&RootKey::generate().unwrap());
        let refused = other.sign(&made.key, algorithm, b"m").await.unwrap_err();
        assert!(matches!(refused, CryptoError::RootKey(_)), "{refused}");
    }
}

#[tokio::test]
async fn an_altered_stored_key_is_refused_even_while_cached() {
    let ring = ring(&RootKey::generate().unwrap());
    let one = ring.generate(KeySpec::EcP256).await.unwrap().key;
    let two = ring.generate(KeySpec::EcP256).await.unwrap().key;
    let swapped = StoredKey {
        id: one.id,
        ..two.clone()
    };
    let mut bytes = sealed(&one).to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let altered = StoredKey {
        provider: Provider::Software { sealed: bytes },
        ..one.clone()
    };
    // Parsed already, so its sealed bytes have to be looked at together with its kind.
    let other_kind = StoredKey {
        spec: KeySpec::EcP384,
        ..one
    };
    for key in [swapped, altered, other_kind] {
        let algorithm = key.spec.default_signature();
        let refused = ring.sign(&key, algorithm, b"m").await.unwrap_err();
        assert!(matches!(refused, CryptoError::Sealed(_)), "{refused}");
    }
}

#[tokio::test]
async fn requests_are_verified_once_and_only_if_they_are_the_same() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in [KeySpec::EcP256, KeySpec::EcP384] {
        let new = ring.generate(spec).await.unwrap();
        let algorithm = spec.default_signature();
        let info = x509::encode_csr_info(&[0x30, 0], &new.spki_der, &[]).unwrap();
        let signature = ring.sign(&new.key, algorithm, &info).await.unwrap();
        let der = x509::assemble(&info, algorithm, &signature).unwrap();
        let first = ring.verified_csr(&der).await.unwrap();
        let again = ring.verified_csr(&der).await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));

        let mut altered = der.clone();
        *altered.last_mut().unwrap() ^= 1;
        for _ in 0..2 {
            assert!(matches!(
                ring.verified_csr(&altered).await,
                Err(CryptoError::BadSignature(_))
            ));
        }
    }
}

#[tokio::test]
async fn the_caches_stay_within_their_bounds() {
    let ring = ring(&RootKey::generate().unwrap());
    let first = ring.generate(KeySpec::EcP256).await.unwrap();
    for _ in 0..CACHED_KEYS.get() {
        ring.generate(KeySpec::EcP256).await.unwrap();
    }
    assert_eq!(ring.vault.parsed.lock().len(), CACHED_KEYS.get());
    assert!(!ring.vault.parsed.lock().contains(&first.key.id));
    let algorithm = SignatureAlgorithm::Sha256WithEcdsa;
    let signature = ring.sign(&first.key, algorithm, b"m").await.unwrap();
    verify_signature(&first.spki_der, algorithm, b"m", &signature).unwrap();
    assert_eq!(ring.vault.parsed.lock().len(), CACHED_KEYS.get());
}

#[tokio::test]
async fn rsa_keys_are_made_in_advance_once_one_was_wanted() {
    let root = RootKey::generate().unwrap();
    let ring = KeyRing::open(&root, KeyRingOptions::default()).unwrap();
    let reserve = ring.reserve.as_ref().unwrap();
    ring.generate(KeySpec::EcP256).await.unwrap();
    assert!(!reserve.is_filling());
    assert_eq!(reserve.ready(KeySpec::Rsa2048), 0);

    let mut seen = vec![ring.generate(KeySpec::Rsa2048).await.unwrap().spki_der];
    let deadline = std::time::Duration::from_secs(120);
    keystead_testkit::until("a full reserve", deadline, || {
        (!reserve.is_filling()).then_some(())
    });
    assert_eq!(reserve.ready(KeySpec::Rsa2048), 4);
    assert_eq!(reserve.ready(KeySpec::Rsa4096), 0, "nobody asked for one");
    for _ in 0..4 {
        seen.push(ring.generate(KeySpec::Rsa2048).await.unwrap().spki_der);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 5, "a key was given out twice");
}

#[tokio::test]
async fn what_is_stored_shows_nothing_and_survives_serialization() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in [KeySpec::EcP256, KeySpec::MlDsa87] {
        let new = ring.generate(spec).await.unwrap();
        let text = serde_json::to_string(&new.key).unwrap();
        let read: StoredKey = serde_json::from_str(&text).unwrap();
        assert_eq!(read, new.key);

        let clear = ring.vault.pkcs8(&new.key).unwrap();
        let secret = &clear[clear.len() / 2..clear.len() / 2 + 8];
        assert!(!sealed(&new.key).windows(8).any(|part| part == secret));
        let shown = format!("{ring:?} {new:?}");
        assert!(shown.contains(&new.key.id().to_string()));
        let bytes = format!("{:?}", &sealed(&new.key)[..8]);
        assert!(!shown.contains(bytes.trim_matches(['[', ']'])));
    }
}

#[tokio::test]
async fn passphrases_have_bounds() {
    let ring = ring(&RootKey::generate().unwrap());
    let key = ring.generate(KeySpec::EcP256).await.unwrap().key;
    for refused in [&[][..], &[b'x'; 129]] {
        let error = ring.export_encrypted(&key, refused).await.unwrap_err();
        assert!(matches!(error, CryptoError::Malformed(_)));
    }
}

#[tokio::test]
async fn what_left_under_a_passphrase_comes_back_by_it() {
    let ring = ring(&RootKey::generate().unwrap());
    for spec in [KeySpec::EcP256, KeySpec::MlDsa65] {
        let key = ring.generate(spec).await.unwrap().key;
        let sealed = ring.export_encrypted(&key, b"pass").await.unwrap();
        let opened = PrivateKeyPem::decrypt(&sealed, b"pass").unwrap();
        assert_eq!(opened.as_pem(), ring.reveal(&key).await.unwrap().as_pem());
        let refusal = PrivateKeyPem::decrypt(&sealed, b"other");
        assert!(refusal.is_err_and(|error| !error.to_string().contains("other")));
        assert!(PrivateKeyPem::decrypt(opened.as_pem(), b"pass").is_err());
    }
}
