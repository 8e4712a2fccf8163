//! Tokens that are not there: from the start, for a while, behind no module.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use keystead_core::kms::{KeySpec, KeyUsage, MacAlgorithm};
use keystead_crypto::CryptoError;
use keystead_crypto::token::{Token, TokenFailure, TokenOptions, TokenState};

use super::{PATIENCE, options, ring, until_state, with_token};

/// How long a call may take at most: its own deadline, and a margin for a busy machine.
const AT_MOST: Duration = Duration::from_secs(8);

#[test]
fn a_token_taken_away_under_load_is_missed_at_once_and_used_again_when_it_is_back() {
    let name = "a_token_taken_away_under_load_is_missed_at_once_and_used_again_when_it_is_back";
    with_token(module_path!(), name, |hsm, _| async move {
        let ring = ring(&hsm).await;
        let (spec, usage) = (KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
        let key = ring
            .generate_material_in("hsm", spec, usage, b"o")
            .await
            .unwrap()
            .material;
        let mac = MacAlgorithm::HmacSha256;
        let expected = ring.mac(&key, mac, b"m").await.unwrap();
        let (stop, done) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let failed = Arc::new(AtomicUsize::new(0));
        let load: Vec<_> = (0..8)
            .map(|_| {
                let (ring, key, stop) = (ring.clone(), key.clone(), stop.clone());
                let (done, failed, expected) = (done.clone(), failed.clone(), expected.clone());
                tokio::spawn(async move {
                    while !stop.load(Ordering::Relaxed) {
                        let begun = Instant::now();
                        match ring.mac(&key, mac, b"m").await {
                            Ok(mac) => {
                                assert_eq!(mac, expected);
                                done.fetch_add(1, Ordering::Relaxed);
                            }
                            Err(CryptoError::Token(error)) => {
                                let expected = [
                                    TokenFailure::Lost,
                                    TokenFailure::NotFound,
                                    TokenFailure::Module,
                                ];
                                assert!(expected.contains(&error.failure), "{error:?}");
                                failed.fetch_add(1, Ordering::Relaxed);
                                // A caller that was refused comes back later.
                                tokio::task::yield_now().await;
                            }
                            Err(other) => panic!("{other}"),
                        }
                        assert!(begun.elapsed() < AT_MOST, "{:?}", begun.elapsed());
                    }
                })
            })
            .collect();
        let token = ring.token("hsm").unwrap();
        let more = |count: &Arc<AtomicUsize>, what: &str| {
            let before = count.load(Ordering::Relaxed);
            keystead_testkit::until(what, PATIENCE, || {
                (count.load(Ordering::Relaxed) > before + 20).then_some(())
            });
        };
        for round in 0..3 {
            more(&done, &format!("calls that are answered, round {round}"));
            hsm.take_away();
            more(&failed, &format!("calls that are refused, round {round}"));
            until_state(&token, "a lost token", |state| {
                matches!(state, TokenState::Failed(_))
            });
            hsm.bring_back();
            until_state(&token, "a token that is back", |state| {
                *state == TokenState::Connected
            });
        }
        more(&done, "calls that are answered again");
        stop.store(true, Ordering::Relaxed);
        for task in load {
            task.await.unwrap();
        }
        // What was made before is there, and more can be made.
        assert_eq!(ring.mac(&key, mac, b"m").await.unwrap(), expected);
        ring.generate_material_in("hsm", spec, usage, b"o")
            .await
            .unwrap();
    });
}

#[test]
fn a_token_that_nobody_uses_is_missed_too() {
    with_token(
        module_path!(),
        "a_token_that_nobody_uses_is_missed_too",
        |hsm, _| async move {
            let ring = ring(&hsm).await;
            let token = ring.token("hsm").unwrap();
            hsm.take_away();
            until_state(&token, "a lost token", |state| {
                matches!(state, TokenState::Failed(_))
            });
            hsm.bring_back();
            until_state(&token, "a token that is back", |state| {
                *state == TokenState::Connected
            });
        },
    );
}

#[test]
fn a_token_made_after_the_start_is_found() {
    with_token(
        module_path!(),
        "a_token_made_after_the_start_is_found",
        |hsm, _| async move {
            let late = TokenOptions {
                label: Some("late".into()),
                ..options(&hsm)
            };
            let token = Token::connect("late", late).unwrap();
            let error = token.connected(PATIENCE).await.unwrap_err();
            assert_eq!(error.failure, TokenFailure::NotFound);
            assert!(error.message.contains("with the label late"), "{error}");
            assert!(error.message.contains("the module has hsm ("), "{error}");
            assert_eq!(token.cluster_id(), None);
            hsm.initialize("late");
            until_state(&token, "the new token", |state| {
                *state == TokenState::Connected
            });
            assert_eq!(token.status().identity.unwrap().label, "late");
        },
    );
}

#[test]
fn two_tokens_of_one_module_do_not_take_each_other_down() {
    let name = "two_tokens_of_one_module_do_not_take_each_other_down";
    with_token(module_path!(), name, |hsm, folder| async move {
        let ring = ring(&hsm).await;
        let (spec, usage) = (KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
        let key = ring
            .generate_material_in("hsm", spec, usage, b"o")
            .await
            .unwrap()
            .material;
        // One that is never there must not start the module anew again and again.
        let absent = TokenOptions {
            label: Some("absent".into()),
            ..options(&hsm)
        };
        let absent = Token::connect("absent", absent).unwrap();
        absent.connected(PATIENCE).await.unwrap_err();
        for _ in 0..2000 {
            ring.mac(&key, MacAlgorithm::HmacSha256, b"m")
                .await
                .unwrap();
        }
        // One that comes later is there beside the first, also where another path leads to the module.
        hsm.initialize("second");
        let link = folder.join("link.so");
        std::os::unix::fs::symlink(&options(&hsm).module, &link).unwrap();
        let second = TokenOptions {
            module: link,
            label: Some("second".into()),
            ..options(&hsm)
        };
        let second = Token::connect("second", second).unwrap();
        let state = second.connected(PATIENCE).await;
        assert!(state.is_ok() || state.unwrap_err().failure == TokenFailure::NotFound);
        ring.mac(&key, MacAlgorithm::HmacSha256, b"m")
            .await
            .unwrap();
    });
}

#[test]
fn tokens_are_told_apart() {
    with_token(
        module_path!(),
        "tokens_are_told_apart",
        |hsm, _| async move {
            hsm.initialize("hsm");
            hsm.initialize("other");
            let token = Token::connect("twice", options(&hsm)).unwrap();
            let error = token.connected(PATIENCE).await.unwrap_err();
            assert_eq!(error.failure, TokenFailure::NotFound);
            assert!(error.message.contains("name its serial"), "{error}");
            let other = TokenOptions {
                label: Some("other".into()),
                ..options(&hsm)
            };
            let other = Token::connect("other", other).unwrap();
            other.connected(PATIENCE).await.unwrap();
            let status = other.status();
            let serial = status.identity.unwrap().serial;
            assert_eq!(status.cluster_id, other.cluster_id());
            let again = TokenOptions {
                label: None,
                serial: Some(serial.clone()),
                cluster_id: Some("cluster-1234567890a".into()),
                ..options(&hsm)
            };
            let again = Token::connect("again", again).unwrap();
            again.connected(PATIENCE).await.unwrap();
            assert_eq!(again.status().identity.unwrap().serial, serial);
            assert_eq!(again.cluster_id().as_deref(), Some("cluster-1234567890a"));
        },
    );
}

#[test]
fn a_module_that_is_none_is_told_of() {
    with_token(
        module_path!(),
        "a_module_that_is_none_is_told_of",
        |hsm, folder| async move {
            let text = folder.join("text.so");
            std::fs::write(&text, "no library").unwrap();
            for (module, expected) in [
                (folder.join("missing.so"), "cannot open shared object file"),
                (text, "invalid ELF header"),
                ("libsofthsm2.so".into(), "not an absolute path"),
            ] {
                let options = TokenOptions {
                    module,
                    ..options(&hsm)
                };
                let token = Token::connect("hsm", options).unwrap();
                let error = token.connected(PATIENCE).await.unwrap_err();
                assert_eq!(error.failure, TokenFailure::Module);
                let error = error
                    .message
                    .replace("file too short", "invalid ELF header");
                assert!(error.contains(expected), "{error}");
            }
        },
    );
}

#[test]
fn a_disconnected_token_refuses_and_leaves_the_others() {
    let name = "a_disconnected_token_refuses_and_leaves_the_others";
    with_token(module_path!(), name, |hsm, _| async move {
        let ring = ring(&hsm).await;
        let second = Token::connect("second", options(&hsm)).unwrap();
        second.connected(PATIENCE).await.unwrap();
        let threads = || std::fs::read_dir("/proc/self/task").unwrap().count();
        let before = threads();
        second.disconnect();
        assert_eq!(second.state(), TokenState::Disconnected);
        // A keeper and two that call are gone for certain.
        assert_eq!(threads(), before - 3);
        let error = second.connected(PATIENCE).await.unwrap_err();
        assert_eq!(error.failure, TokenFailure::Disconnected);
        let (spec, usage) = (KeySpec::Hmac256, KeyUsage::GenerateVerifyMac);
        ring.generate_material_in("hsm", spec, usage, b"o")
            .await
            .unwrap();
        ring.attach_token(second);
        let error = ring
            .generate_material_in("second", spec, usage, b"o")
            .await
            .unwrap_err();
        assert!(error.to_string().contains("was disconnected"), "{error}");
        assert_eq!(ring.token_states().len(), 2);
    });
}
