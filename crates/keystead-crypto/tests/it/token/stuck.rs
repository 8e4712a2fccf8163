//! Modules that hang, refuse, or lose what they have.

use std::time::{Duration, Instant};

use keystead_core::kms::{KeySpec, KeyUsage, MacAlgorithm};
use keystead_crypto::token::{Token, TokenFailure, TokenState};
use keystead_crypto::{CryptoError, KeyRing, StoredMaterial};

use super::shim::Shim;
use super::{PATIENCE, ring_with, until_state, with_token};

const MAC: MacAlgorithm = MacAlgorithm::HmacSha256;

async fn key(ring: &KeyRing) -> StoredMaterial {
    let (spec, usage) = (KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
    let made = ring.generate_material_in("hsm", spec, usage, b"o").await;
    made.unwrap().material
}

fn failure(error: CryptoError) -> TokenFailure {
    match error {
        CryptoError::Token(error) => error.failure,
        other => panic!("{other}"),
    }
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").unwrap().count()
}

#[test]
fn a_module_that_hangs_keeps_two_threads_and_nobody_waits_for_long() {
    let name = "a_module_that_hangs_keeps_two_threads_and_nobody_waits_for_long";
    with_token(module_path!(), name, |hsm, folder| async move {
        let shim = Shim::new(&folder);
        let ring = ring_with(shim.options(&hsm)).await;
        let key = key(&ring).await;
        let expected = ring.mac(&key, MAC, b"m").await.unwrap();
        let before = threads();
        shim.hang("C_SignInit");
        let begun = Instant::now();
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let (ring, key) = (ring.clone(), key.clone());
                tokio::spawn(async move { ring.mac(&key, MAC, b"m").await.unwrap_err() })
            })
            .collect();
        for call in waiting {
            assert_eq!(failure(call.await.unwrap()), TokenFailure::NotAnswering);
        }
        let took = begun.elapsed();
        assert!(
            took > Duration::from_secs(4) && took < Duration::from_secs(9),
            "{took:?}"
        );
        // Both threads are inside. Whoever comes now is told so at once.
        let token = ring.token("hsm").unwrap();
        assert_eq!(token.status().stuck, 2);
        assert!(
            matches!(token.state(), TokenState::Failed(error) if error.failure == TokenFailure::NotAnswering)
        );
        let begun = Instant::now();
        for _ in 0..100 {
            let error = ring.mac(&key, MAC, b"m").await.unwrap_err();
            assert_eq!(failure(error), TokenFailure::NotAnswering);
        }
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(threads() <= before);
        // What the ring does itself goes on.
        ring.generate_material(KeySpec::EccNistP384, b"o")
            .await
            .unwrap();

        shim.release("C_SignInit");
        until_state(&token, "a module that is itself again", |state| {
            *state == TokenState::Connected
        });
        assert_eq!(ring.mac(&key, MAC, b"m").await.unwrap(), expected);
        // One thread that came back is enough to be connected; the other one follows.
        keystead_testkit::until("both threads back", PATIENCE, || {
            (token.status().stuck == 0).then_some(())
        });
    });
}

#[test]
fn a_module_that_hangs_while_it_starts_is_told_of() {
    with_token(
        module_path!(),
        "a_module_that_hangs_while_it_starts_is_told_of",
        |hsm, folder| async move {
            let shim = Shim::new(&folder);
            shim.hang("C_Initialize");
            let token = Token::connect("hsm", shim.options(&hsm)).unwrap();
            assert_eq!(token.state(), TokenState::Connecting);
            until_state(
                &token,
                "a hanging module",
                |state| matches!(state, TokenState::Failed(error) if error.failure == TokenFailure::NotAnswering),
            );
            let error = token
                .connected(Duration::from_millis(10))
                .await
                .unwrap_err();
            assert_eq!(error.failure, TokenFailure::NotAnswering);
            shim.release("C_Initialize");
            until_state(&token, "a module that has started", |state| {
                *state == TokenState::Connected
            });
        },
    );
}

/// CKR_DEVICE_REMOVED, CKR_TOKEN_NOT_PRESENT, CKR_SESSION_HANDLE_INVALID, CKR_SESSION_CLOSED,
/// CKR_USER_NOT_LOGGED_IN.
const LOSSES: [u64; 5] = [0x32, 0xe0, 0xb3, 0xb0, 0x101];

#[test]
fn every_answer_that_means_a_loss_ends_in_another_connection() {
    let name = "every_answer_that_means_a_loss_ends_in_another_connection";
    with_token(module_path!(), name, |hsm, folder| async move {
        let shim = Shim::new(&folder);
        let ring = ring_with(shim.options(&hsm)).await;
        let key = key(&ring).await;
        let expected = ring.mac(&key, MAC, b"m").await.unwrap();
        let token = ring.token("hsm").unwrap();
        for rv in LOSSES {
            shim.answer("C_SignInit", rv);
            let logins = shim.calls("C_Login");
            // It is tried again on a new connection, in vain.
            assert_eq!(
                failure(ring.mac(&key, MAC, b"m").await.unwrap_err()),
                TokenFailure::Lost
            );
            keystead_testkit::until("a new login", PATIENCE, || {
                (shim.calls("C_Login") > logins).then_some(())
            });
            shim.release("C_SignInit");
            until_state(&token, "another connection", |state| {
                *state == TokenState::Connected
            });
            assert_eq!(
                ring.mac(&key, MAC, b"m").await.unwrap(),
                expected,
                "{rv:#x}"
            );
        }
        // An answer that says nothing is no loss while the token is there: CKR_GENERAL_ERROR,
        // CKR_DEVICE_ERROR, CKR_HOST_MEMORY.
        let logins = shim.calls("C_Login");
        for rv in [0x5, 0x30, 0x2] {
            shim.answer("C_SignInit", rv);
            let refused = ring.mac(&key, MAC, b"m").await.unwrap_err();
            assert!(
                refused.to_string().contains("C_SignInit answered"),
                "{refused}"
            );
            assert_eq!(failure(refused), TokenFailure::Refused);
        }
        // CKR_MECHANISM_INVALID, CKR_KEY_SIZE_RANGE.
        for rv in [0x70, 0x62] {
            shim.answer("C_SignInit", rv);
            let refused = ring.mac(&key, MAC, b"m").await.unwrap_err();
            assert!(matches!(refused, CryptoError::Unsupported(_)), "{refused}");
        }
        shim.release("C_SignInit");
        assert_eq!(shim.calls("C_Login"), logins);
        assert_eq!(ring.mac(&key, MAC, b"m").await.unwrap(), expected);
    });
}

#[test]
fn a_key_that_nobody_waits_for_any_more_is_not_left_behind() {
    let name = "a_key_that_nobody_waits_for_any_more_is_not_left_behind";
    with_token(module_path!(), name, |hsm, folder| async move {
        let shim = Shim::new(&folder);
        let ring = ring_with(shim.options(&hsm)).await;
        let objects = || {
            let token = std::fs::read_dir(hsm.tokens())
                .unwrap()
                .next()
                .unwrap()
                .unwrap();
            let files = std::fs::read_dir(token.path()).unwrap();
            let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
            names
                .filter(|name| name.ends_with(".object") && name != "token.object")
                .count()
        };
        shim.hang("C_GenerateKey");
        let (spec, usage) = (KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
        let generating = {
            let ring = ring.clone();
            tokio::spawn(async move { ring.generate_material_in("hsm", spec, usage, b"o").await })
        };
        keystead_testkit::until("a call in the module", PATIENCE, || {
            (shim.calls("C_GenerateKey") == 1).then_some(())
        });
        generating.abort();
        assert!(generating.await.unwrap_err().is_cancelled());
        let token = ring.token("hsm").unwrap();
        let calls = token.status().calls;
        shim.release("C_GenerateKey");
        keystead_testkit::until("the end of the call", PATIENCE, || {
            (token.status().calls > calls).then_some(())
        });
        assert_eq!(objects(), 0);
        key(&ring).await;
        assert_eq!(objects(), 1);
    });
}
