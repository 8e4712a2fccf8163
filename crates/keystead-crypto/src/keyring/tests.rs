//! The ring as a whole.

use super::*;
use crate::x509::{key_spec, verify_signature};

fn ring(root: &RootKey) -> Arc<KeyRing> {
    let options = KeyRingOptions {
        threads: 2,
        reserve: false,
    };
    KeyRing::open(root, options).unwrap()
}

fn sealed(key: &StoredKey) -> &[u8] {
    let Provider::Software { sealed } = &key.provider;
    sealed
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
