//! PINs: wrong, locked, about to be locked.

use keystead_crypto::token::{PinSource, Token, TokenFailure, TokenOptions, TokenState};
use keystead_testkit::PIN;

use super::shim::Shim;
use super::{PATIENCE, options, until_state, with_token};

/// CKF_USER_PIN_FINAL_TRY and CKF_USER_PIN_LOCKED (PKCS #11 version 3.1 section 3.2).
const FINAL_TRY: u64 = 0x0002_0000;
const LOCKED: u64 = 0x0004_0000;
/// CKR_PIN_LOCKED, CKR_PIN_EXPIRED, CKR_USER_PIN_NOT_INITIALIZED, CKR_DEVICE_REMOVED.
const REFUSALS: [(u64, TokenFailure); 4] = [
    (0xa4, TokenFailure::PinLocked),
    (0xa3, TokenFailure::PinUnusable),
    (0x102, TokenFailure::PinUnusable),
    (0x32, TokenFailure::Lost),
];

#[test]
fn a_wrong_pin_is_tried_once_and_a_right_one_found() {
    let name = "a_wrong_pin_is_tried_once_and_a_right_one_found";
    with_token(module_path!(), name, |hsm, folder| async move {
        let shim = Shim::new(&folder);
        let file = hsm.pin_file("wrong", "7777777");
        let options = TokenOptions {
            pin: PinSource::File(file.clone()),
            ..shim.options(&hsm)
        };
        let token = Token::connect("hsm", options).unwrap();
        let error = token.connected(PATIENCE).await.unwrap_err();
        assert_eq!(error.failure, TokenFailure::PinIncorrect);
        assert!(error.message.contains("not tried again"), "{error}");
        assert!(!error.message.contains("7777777"));
        // It looks again and again, and asks the token no more.
        let looked = shim.calls("C_GetTokenInfo");
        keystead_testkit::until("three more looks", PATIENCE, || {
            (shim.calls("C_GetTokenInfo") > looked + 3).then_some(())
        });
        assert_eq!(shim.calls("C_Login"), 1);
        assert_eq!(token.state(), TokenState::Failed(error));
        assert!(token.check_pin("7777777").unwrap() && !token.check_pin(PIN).unwrap());

        hsm.pin_file("wrong", PIN);
        until_state(&token, "a token with the right PIN", |state| {
            *state == TokenState::Connected
        });
        assert_eq!(shim.calls("C_Login"), 2);
        for (given, expected) in [
            (PIN, true),
            ("", false),
            ("0123456789 ", false),
            ("7777777", false),
        ] {
            assert_eq!(token.check_pin(given).unwrap(), expected);
        }
        std::fs::remove_file(file).unwrap();
        let error = token.check_pin(PIN).unwrap_err();
        assert_eq!(error.failure, TokenFailure::PinUnusable);
    });
}

#[test]
fn refusals_to_log_in_are_told_apart() {
    with_token(
        module_path!(),
        "refusals_to_log_in_are_told_apart",
        |hsm, folder| async move {
            let shim = Shim::new(&folder);
            for (rv, expected) in REFUSALS {
                shim.answer("C_Login", rv);
                let token = Token::connect("hsm", shim.options(&hsm)).unwrap();
                let error = token.connected(PATIENCE).await.unwrap_err();
                assert_eq!(error.failure, expected, "{error}");
            }
            shim.release("C_Login");
            let logins = shim.calls("C_Login");
            for (flags, expected, words) in [
                (LOCKED, TokenFailure::PinLocked, "locked"),
                (
                    FINAL_TRY,
                    TokenFailure::PinUnusable,
                    "one more wrong PIN locks",
                ),
            ] {
                shim.answer("flags", flags);
                let token = Token::connect("hsm", shim.options(&hsm)).unwrap();
                let error = token.connected(PATIENCE).await.unwrap_err();
                assert_eq!(error.failure, expected);
                assert!(error.message.contains(words), "{error}");
            }
            assert_eq!(shim.calls("C_Login"), logins, "a PIN was risked");
        },
    );
}

#[test]
fn a_pin_file_that_is_missing_is_waited_for() {
    with_token(
        module_path!(),
        "a_pin_file_that_is_missing_is_waited_for",
        |hsm, folder| async move {
            let options = TokenOptions {
                pin: PinSource::File(folder.join("softhsm/later")),
                ..options(&hsm)
            };
            let token = Token::connect("hsm", options).unwrap();
            let error = token.connected(PATIENCE).await.unwrap_err();
            assert_eq!(error.failure, TokenFailure::PinUnusable);
            hsm.pin_file("later", PIN);
            until_state(&token, "a token whose PIN is there", |state| {
                *state == TokenState::Connected
            });
        },
    );
}
