//! Access keys: whose secret signed a call.
//!
//! Secrets of access keys must be read to check a signature (SigV4 is symmetric), so they are kept,
//! sealed like everything else, and never printed.

use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_store::{Batch, Collection, Expect, Store, Versioned};
use keystead_wire::value::Sensitive;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{App, Principal};

/// Access keys, by their id.
const ACCESS_KEYS: Collection = Collection("iam.access-key");

/// The one record that says whose store this is; its key is [`ROOT`].
const INSTALLATION: Collection = Collection("installation");
const ROOT: &str = "root";

/// A secret with the identity that it proves.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Whom it proves.
    pub principal: Principal,
    /// The secret access key.
    pub secret: Sensitive<String>,
}

/// The root access key of the account.
#[derive(Clone, Debug)]
pub struct RootCredential {
    /// Its id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: Sensitive<String>,
}

/// What was settled at the first start.
#[derive(Serialize, Deserialize)]
struct Installation {
    account: AccountId,
    root_access_key_id: String,
}

impl Versioned for Installation {
    const MARKER: &'static str = "installation/1";
}

#[derive(Serialize, Deserialize)]
struct AccessKey {
    principal_account: AccountId,
    principal_arn: String,
    user_id: String,
    #[serde(with = "secret")]
    secret: Zeroizing<String>,
}

impl Versioned for AccessKey {
    const MARKER: &'static str = "iam.access-key/1";
}

impl RootCredential {
    /// Checks a key that the operator chose. IAM's model gives ids 16 to 128 word characters
    /// (`accessKeyIdType`); shorter ones serve test rigs that say `test`, so only the characters that
    /// a SigV4 credential can't carry are refused.
    pub fn chosen(access_key_id: String, secret_access_key: String) -> Result<Self> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if access_key_id.is_empty() || access_key_id.len() > 128 || !access_key_id.bytes().all(word)
        {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                "the root access key id must be 1 to 128 letters, digits or underscores",
            ));
        }
        if secret_access_key.is_empty() || secret_access_key.len() > 128 {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                "the root secret access key must have 1 to 128 characters",
            ));
        }
        Ok(Self {
            access_key_id,
            secret_access_key: secret_access_key.into(),
        })
    }

    /// A random key in AWS's form: `AKIA` and 16 characters of base 32, and 40 characters of secret
    /// (240 bits).
    pub fn random() -> Result<Self> {
        let pick = |count: usize, alphabet: &[u8]| -> Result<String> {
            let mut bytes = Zeroizing::new(vec![0_u8; count]);
            random::fill(&mut bytes)?;
            // Both alphabets have a power of two of letters, so the remainder is uniform.
            let letter = |byte: &u8| alphabet.get(usize::from(*byte) % alphabet.len()).copied();
            Ok(bytes.iter().filter_map(letter).map(char::from).collect())
        };
        Ok(Self {
            access_key_id: format!("AKIA{}", pick(16, BASE32)?),
            secret_access_key: pick(40, BASE64)?.into(),
        })
    }
}

/// Reads whose store this is; at the first start settles it, in one commit.
///
/// Refuses when `account` is given and is not the store's.
pub(crate) async fn establish(
    store: &Store,
    account: Option<AccountId>,
    chosen: Option<RootCredential>,
) -> Result<(AccountId, RootCredential)> {
    if let Some(found) = store.get::<Installation>(INSTALLATION, ROOT).await? {
        let there = found.value.account;
        if let Some(wanted) = account.filter(|wanted| *wanted != there) {
            return Err(Error::new(
                ErrorKind::InvalidParameter,
                format!(
                    "this store belongs to account {there}, not {wanted}: leave --account out, or use another data directory"
                ),
            ));
        }
        let id = found.value.root_access_key_id;
        let key = store
            .get::<AccessKey>(ACCESS_KEYS, &id)
            .await?
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Internal,
                    format!("the root access key {id} is missing from the store"),
                )
            })?;
        let secret_access_key = String::clone(&key.value.secret).into();
        return Ok((
            there,
            RootCredential {
                access_key_id: id,
                secret_access_key,
            },
        ));
    }
    let account = match account {
        Some(account) => account,
        None => AccountId::parse(DEFAULT_ACCOUNT)?,
    };
    let root = match chosen {
        Some(root) => root,
        None => RootCredential::random()?,
    };
    let installation = Installation {
        account: account.clone(),
        root_access_key_id: root.access_key_id.clone(),
    };
    let key = AccessKey {
        principal_arn: format!("arn:aws:iam::{account}:root"),
        user_id: account.to_string(),
        principal_account: account.clone(),
        secret: Zeroizing::new(root.secret_access_key.expose().clone()),
    };
    let mut batch = Batch::new();
    batch.put(INSTALLATION, ROOT, &installation, Expect::Absent);
    batch.put(
        ACCESS_KEYS,
        root.access_key_id.as_str(),
        &key,
        Expect::Absent,
    );
    store.commit(batch).await?;
    Ok((account, root))
}

impl App {
    /// The credential of an access key id, if there is one.
    pub async fn credential(&self, access_key_id: &str) -> Result<Option<Credential>> {
        if let Some(known) = self.known_credentials.lock().get(access_key_id) {
            return Ok(Some(known.clone()));
        }
        // An id that no record can have is nobody's; the store need not be asked.
        if access_key_id.is_empty() || access_key_id.len() > 128 || access_key_id.contains('\0') {
            return Ok(None);
        }
        let Some(found) = self
            .store
            .get::<AccessKey>(ACCESS_KEYS, access_key_id)
            .await?
        else {
            return Ok(None);
        };
        let credential = Credential {
            principal: Principal {
                account: found.value.principal_account,
                arn: found.value.principal_arn,
                user_id: found.value.user_id,
                access_key_id: access_key_id.to_owned(),
            },
            secret: String::clone(&found.value.secret).into(),
        };
        self.known_credentials
            .lock()
            .put(access_key_id.to_owned(), credential.clone());
        Ok(Some(credential))
    }
}

/// A secret as text of a record: read straight into memory that is wiped.
mod secret {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(super) fn serialize<S: Serializer>(
        secret: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

/// AWS's documentation uses it as an account that is nobody's.
const DEFAULT_ACCOUNT: &str = "000000000000";

/// RFC 4648 section 6.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// RFC 4648 section 4.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_keys_have_the_form_of_aws_and_differ() {
        let first = RootCredential::random().unwrap();
        let second = RootCredential::random().unwrap();
        assert_eq!(first.access_key_id.len(), 20);
        assert!(first.access_key_id.starts_with("AKIA"));
        assert_eq!(first.secret_access_key.expose().len(), 40);
        assert_ne!(first.access_key_id, second.access_key_id);
        assert!(!format!("{first:?}").contains(first.secret_access_key.expose().as_str()));
    }

    #[test]
    fn a_chosen_key_must_fit_a_signature() {
        assert!(RootCredential::chosen("test".into(), "test".into()).is_ok());
        for (id, secret) in [("", "x"), ("a/b", "x"), ("a", "")] {
            assert!(RootCredential::chosen(id.into(), secret.into()).is_err());
        }
    }
}
