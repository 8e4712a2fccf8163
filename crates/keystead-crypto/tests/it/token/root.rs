//! Root keys that a token seals.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use keystead_crypto::CryptoError;
use keystead_crypto::seal::{DataKey, RootKey, RootKeyFile};
use keystead_crypto::token::{Token, TokenFailure, TokenOptions};

use super::{PATIENCE, options, session, with_token};

async fn open(path: &Path, token: &Arc<Token>) -> Result<RootKey, CryptoError> {
    match RootKeyFile::read(path)? {
        RootKeyFile::Clear(_) => panic!("it is not sealed"),
        RootKeyFile::Sealed(sealed) => sealed.open(token).await,
    }
}

async fn connect(options: TokenOptions) -> Arc<Token> {
    let token = Token::connect("hsm", options).unwrap();
    token.connected(PATIENCE).await.unwrap();
    token
}

#[test]
fn a_root_key_is_sealed_opened_and_unsealed_and_stays_the_same() {
    let name = "a_root_key_is_sealed_opened_and_unsealed_and_stays_the_same";
    with_token(module_path!(), name, |hsm, folder| async move {
        let token = connect(options(&hsm)).await;
        let keys = folder.join("keys");
        fs::create_dir(&keys).unwrap();
        let path = keys.join("root.key");
        let made = RootKey::create(&path).unwrap();
        let wrapped = made.wrap(&DataKey::generate().unwrap()).unwrap();
        let clear = fs::read_to_string(&path).unwrap();

        made.store_sealed(&path, &token).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let secret = clear.lines().nth(1).unwrap();
        assert!(!text.contains(&secret[..8]) && text.contains(&made.id().to_string()));
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(RootKeyFile::read(&path).unwrap().id(), made.id());
        let refused = RootKey::load(&path).unwrap_err();
        assert!(
            refused.to_string().contains("is sealed by the token"),
            "{refused}"
        );
        let opened = open(&path, &token).await.unwrap();
        assert_eq!(opened.id(), made.id());
        opened.unwrap(&wrapped).unwrap();

        // Sealed anew it is under another key, and a copy of the old form still opens.
        let copy = keys.join("old.key");
        fs::copy(&path, &copy).unwrap();
        opened.store_sealed(&path, &token).await.unwrap();
        assert_ne!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(open(&copy, &token).await.unwrap().id(), made.id());

        let safe = keys.join("copy.key");
        opened.store_copy(&safe).unwrap();
        opened.store_copy(&safe).unwrap_err();
        opened.store_clear(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), clear);
        assert_eq!(fs::read_to_string(&safe).unwrap(), clear);
        RootKey::load(&path).unwrap().unwrap(&wrapped).unwrap();
        assert_eq!(fs::read_dir(&keys).unwrap().count(), 3, "a draft is left");

        let new = keys.join("new.key");
        let made = RootKey::create_sealed(&new, &token).await.unwrap();
        assert_eq!(open(&new, &token).await.unwrap().id(), made.id());
        let refused = RootKey::create_sealed(&new, &token).await.unwrap_err();
        assert!(matches!(refused, CryptoError::RootKey(_)), "{refused}");
    });
}

#[test]
fn an_altered_file_and_another_token_open_nothing() {
    let name = "an_altered_file_and_another_token_open_nothing";
    with_token(module_path!(), name, |hsm, folder| async move {
        hsm.initialize("other");
        let token = connect(options(&hsm)).await;
        let path = folder.join("root.key");
        RootKey::create_sealed(&path, &token).await.unwrap();
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut altered = whole.clone();
            altered[at] ^= 1;
            fs::write(&path, &altered).unwrap();
            match open(&path, &token).await.unwrap_err() {
                CryptoError::RootKey(_) => {}
                CryptoError::Token(error) => assert_eq!(error.failure, TokenFailure::KeyMissing),
                other => panic!("byte {at}: {other}"),
            }
        }
        fs::write(&path, &whole).unwrap();
        open(&path, &token).await.unwrap();

        let other = TokenOptions {
            label: Some("other".into()),
            ..options(&hsm)
        };
        match open(&path, &connect(other).await).await.unwrap_err() {
            CryptoError::Token(error) => assert_eq!(error.failure, TokenFailure::KeyMissing),
            other => panic!("{other}"),
        }
        // The key in the token is for this alone, and says so to people.
        let text = String::from_utf8(whole).unwrap();
        let id = text
            .lines()
            .nth(2)
            .unwrap()
            .strip_prefix("sealed by: ")
            .unwrap();
        let wanted = cryptoki::object::Attribute::Label(b"keystead root key".to_vec());
        let found = session().find_objects(&[wanted]).unwrap();
        let [key] = found[..] else {
            panic!("{found:?}")
        };
        let is = session()
            .get_attributes(key, &[cryptoki::object::AttributeType::Id])
            .unwrap();
        let hex: String = match &is[..] {
            [cryptoki::object::Attribute::Id(id)] => {
                id.iter().map(|b| format!("{b:02x}")).collect()
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(hex, id);
    });
}
