//! Access keys: whose secret signed a call.
//!
//! Secrets of access keys must be read to check a signature (SigV4 is symmetric), so they are kept,
//! sealed like everything else, and never printed.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use keystead_core::iam::{Kind, id};
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_crypto::random;
use keystead_store::{Batch, Collection, DecodeError, Expect, Older, Store, Versioned};
use keystead_wire::value::Sensitive;
use lru::LruCache;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::iam::record::{self, Entity, User};
use crate::sts::tokens;
use crate::{App, Ctx, Principal, PrincipalKind, ids, xks};

/// Access keys, by their id.
pub(crate) const ACCESS_KEYS: Collection = Collection("iam.access-key");

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

/// What was found for a signature.
#[derive(Clone, Debug)]
pub enum Found {
    /// Whom it proves, and by what secret.
    Known(Credential),
    /// Nobody's key, or none that may be used here.
    Unknown,
    /// The key of a session that is over.
    Expired,
}

/// What a signature names.
#[derive(Clone, Copy, Debug)]
pub struct Presented<'a> {
    /// The access key.
    pub access_key_id: &'a str,
    /// The token of its session.
    pub session_token: Option<&'a str>,
    /// The signing name of the service that is called.
    pub service: &'a str,
    /// When.
    pub now: Timestamp,
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
pub(crate) struct Installation {
    /// The account that it was made for.
    pub(crate) account: AccountId,
    /// The id of the account's first access key, the root user's.
    pub(crate) root_access_key_id: String,
    /// When; not known of installations made by early versions.
    #[serde(default)]
    created: Option<Timestamp>,
}

impl Versioned for Installation {
    const MARKER: &'static str = "installation/1";
}

/// A long-term access key.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    /// The account that it belongs to.
    pub(crate) account: AccountId,
    /// The name of its user; `None` for the root user.
    pub(crate) user: Option<String>,
    /// Whether it may be used.
    pub(crate) active: bool,
    /// When it was made; not known of root keys made by early versions.
    pub(crate) created: Option<Timestamp>,
    #[serde(with = "secret")]
    secret: Zeroizing<String>,
}

impl Versioned for AccessKey {
    const MARKER: &'static str = "iam.access-key/2";

    fn from_older(older: Older<'_>) -> std::result::Result<Self, DecodeError> {
        older.migrate(|old: RootKey| Self {
            account: old.principal_account,
            user: None,
            active: true,
            created: None,
            secret: old.secret,
        })
    }
}

/// Before there were users: a key of the root user.
#[derive(Serialize, Deserialize)]
struct RootKey {
    principal_account: AccountId,
    principal_arn: String,
    user_id: String,
    #[serde(with = "secret")]
    secret: Zeroizing<String>,
}

impl Versioned for RootKey {
    const MARKER: &'static str = "iam.access-key/1";
}

impl AccessKey {
    /// A new one in AWS's form, with its id: `AKIA` and 16 letters of base 32, and 40 characters of secret
    /// (240 bits).
    pub(crate) fn generate(
        account: &AccountId,
        user: Option<String>,
        now: Timestamp,
    ) -> Result<(String, Self)> {
        let key = Self {
            account: account.clone(),
            user,
            active: true,
            created: Some(now),
            secret: fresh_secret()?,
        };
        Ok((ids::iam(id::Prefix::AccessKey)?, key))
    }

    /// The secret, to be told once to who asked for the key.
    pub(crate) fn secret(&self) -> Sensitive<String> {
        String::clone(&self.secret).into()
    }
}

/// A new secret access key: 40 characters (240 bits).
pub(crate) fn fresh_secret() -> Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; 40]);
    random::fill(bytes.as_mut_slice())?;
    // 256 is a multiple of 64, so the remainder is uniform.
    let letter = |byte: &u8| BASE64.get(usize::from(*byte) % BASE64.len()).copied();
    Ok(Zeroizing::new(
        bytes.iter().filter_map(letter).map(char::from).collect(),
    ))
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
}

/// Reads whose store this is; at the first start settles it, in one commit. Without a root credential
/// where the first one was deleted or made inactive, as it should be once there are other administrators.
///
/// Refuses when `account` is given and is not the store's.
pub(crate) async fn establish(
    store: &Store,
    account: Option<AccountId>,
    chosen: Option<RootCredential>,
    now: Timestamp,
) -> Result<(AccountId, Option<RootCredential>)> {
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
        let key = store.get::<AccessKey>(ACCESS_KEYS, &id).await?;
        let root = key
            .filter(|key| key.value.active)
            .map(|key| RootCredential {
                access_key_id: id,
                secret_access_key: key.value.secret(),
            });
        return Ok((there, root));
    }
    let account = match account {
        Some(account) => account,
        None => AccountId::parse(DEFAULT_ACCOUNT)?,
    };
    let (id, key) = match chosen {
        None => AccessKey::generate(&account, None, now)?,
        Some(root) => {
            let key = AccessKey {
                account: account.clone(),
                user: None,
                active: true,
                created: Some(now),
                secret: Zeroizing::new(root.secret_access_key.expose().clone()),
            };
            (root.access_key_id, key)
        }
    };
    let installation = Installation {
        account: account.clone(),
        root_access_key_id: id.clone(),
        created: Some(now),
    };
    let mut batch = Batch::new();
    batch.put(INSTALLATION, ROOT, &installation, Expect::Absent);
    batch.put(ACCESS_KEYS, id.as_str(), &key, Expect::Absent);
    store.commit(batch).await?;
    let root = RootCredential {
        access_key_id: id,
        secret_access_key: key.secret(),
    };
    Ok((account, Some(root)))
}

impl Installation {
    /// When it was made; long ago, where that is not known.
    pub(crate) fn created(&self) -> Timestamp {
        self.created.unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

/// Whose store this is.
pub(crate) async fn installation(ctx: &Ctx) -> Result<Installation> {
    let store = &ctx.app.store;
    let found = store.get::<Installation>(INSTALLATION, ROOT).await?;
    found.map(|found| found.value).ok_or_else(|| {
        Error::new(
            ErrorKind::Internal,
            "the record of the installation is missing from the store",
        )
    })
}

/// Credentials that were used of late.
pub(crate) struct KnownCredentials {
    known: LruCache<String, Credential>,
    /// How often one was forgotten: what was read from the store before is not kept after.
    forgotten: u64,
}

impl Default for KnownCredentials {
    fn default() -> Self {
        Self {
            known: LruCache::new(MOST_KNOWN),
            forgotten: 0,
        }
    }
}

impl App {
    /// Whom a signature proves, once it is verified with the secret that is found.
    ///
    /// The sessions of GetSessionToken and GetFederationToken are nobody's to IAM (API reference: "You cannot call
    /// any IAM API operations unless MFA authentication information is included"), which answers them so.
    pub async fn credential(&self, presented: &Presented<'_>) -> Result<Found> {
        let Presented {
            access_key_id,
            session_token,
            service,
            now,
        } = *presented;
        if service == xks::SERVICE {
            let found = match session_token {
                None => self.xks_credential(access_key_id).await?,
                Some(_) => None,
            };
            return Ok(found.map_or(Found::Unknown, Found::Known));
        }
        let Some(token) = session_token else {
            let found = self.long_term_credential(access_key_id).await?;
            return Ok(found.map_or(Found::Unknown, Found::Known));
        };
        let found = tokens::find(self, access_key_id, token, now).await?;
        if let Found::Known(credential) = &found
            && service == "iam"
            && !matches!(credential.principal.kind, PrincipalKind::Role { .. })
        {
            return Ok(Found::Unknown);
        }
        Ok(found)
    }

    /// The credential of an access key, if there is one and it may be used.
    async fn long_term_credential(&self, access_key_id: &str) -> Result<Option<Credential>> {
        let forgotten = {
            let mut known = self.known_credentials.lock();
            if let Some(known) = known.known.get(access_key_id) {
                return Ok(Some(known.clone()));
            }
            known.forgotten
        };
        // An id that no record can have is nobody's; the store need not be asked.
        if access_key_id.is_empty() || access_key_id.len() > 128 || access_key_id.contains('\0') {
            return Ok(None);
        }
        let found = self.read_credential(access_key_id).await?;
        if let Some(credential) = &found {
            let mut known = self.known_credentials.lock();
            if known.forgotten == forgotten {
                let id = access_key_id.to_owned();
                known.known.put(id, credential.clone());
            }
        }
        Ok(found)
    }

    /// Forgets what is known of these keys, or of their users: they were changed.
    pub(crate) fn forget_credentials<'a>(
        &self,
        access_key_ids: impl IntoIterator<Item = &'a String>,
    ) {
        let mut known = self.known_credentials.lock();
        known.forgotten = known.forgotten.wrapping_add(1);
        for id in access_key_ids {
            known.known.pop(id);
        }
    }

    async fn read_credential(&self, access_key_id: &str) -> Result<Option<Credential>> {
        let found = self.store.get::<AccessKey>(ACCESS_KEYS, access_key_id);
        let Some(key) = found.await?.map(|found| found.value) else {
            return Ok(None);
        };
        if !key.active {
            return Ok(None);
        }
        let (arn, user_id, kind) = match &key.user {
            None => (
                format!("arn:aws:iam::{}:root", key.account),
                key.account.to_string(),
                PrincipalKind::Root,
            ),
            Some(name) => {
                let Some(user) = record::find::<User>(&self.store, &key.account, name).await?
                else {
                    return Ok(None);
                };
                let Entity { name, id, .. } = &user.value.entity;
                let arn = user.value.entity.arn(&key.account, Kind::User);
                (arn, id.clone(), PrincipalKind::User { name: name.clone() })
            }
        };
        let secret = key.secret();
        let principal = Principal {
            account: key.account,
            arn,
            user_id,
            access_key_id: access_key_id.to_owned(),
            kind,
            session: None,
        };
        Ok(Some(Credential { principal, secret }))
    }
}

/// A secret as text of a record: read straight into memory that is wiped.
pub(crate) mod secret {
    use serde::{Deserialize as _, Deserializer, Serializer};
    use zeroize::Zeroizing;

    pub(crate) fn serialize<S: Serializer>(
        secret: &Zeroizing<String>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(secret)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Zeroizing<String>, D::Error> {
        String::deserialize(deserializer).map(Zeroizing::new)
    }
}

/// AWS's documentation uses it as an account that is nobody's.
const DEFAULT_ACCOUNT: &str = "000000000000";

/// Credentials kept at hand: a few hundred bytes each, so well under a megabyte, and more than the
/// callers that are active within a minute in any installation we know of.
const MOST_KNOWN: NonZeroUsize = NonZeroUsize::new(1024).unwrap();

/// RFC 4648 section 4.
const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_keys_have_the_form_of_aws_and_differ() {
        let account = AccountId::parse(DEFAULT_ACCOUNT).unwrap();
        let generate = || AccessKey::generate(&account, None, Timestamp::UNIX_EPOCH).unwrap();
        let ((first, key), (second, other)) = (generate(), generate());
        assert_eq!(first.len(), 20);
        assert!(first.starts_with("AKIA"));
        assert_eq!(key.secret.len(), 40);
        assert_ne!((first, &key.secret), (second, &other.secret));
        assert!(!format!("{:?}", key.secret()).contains(key.secret.as_str()));
    }

    #[test]
    fn a_chosen_key_must_fit_a_signature() {
        assert!(RootCredential::chosen("test".into(), "test".into()).is_ok());
        for (id, secret) in [("", "x"), ("a/b", "x"), ("a", "")] {
            assert!(RootCredential::chosen(id.into(), secret.into()).is_err());
        }
    }

    #[tokio::test]
    async fn a_root_key_of_before_there_were_users_is_still_one() {
        let dir = tempfile::tempdir().unwrap();
        let options = keystead_store::StoreOptions::new(dir.path());
        let store = Store::open(options).await.unwrap();
        let old = RootKey {
            principal_account: AccountId::parse(DEFAULT_ACCOUNT).unwrap(),
            principal_arn: format!("arn:aws:iam::{DEFAULT_ACCOUNT}:root"),
            user_id: DEFAULT_ACCOUNT.into(),
            secret: Zeroizing::new("hush".into()),
        };
        let mut batch = Batch::new();
        batch.put(ACCESS_KEYS, "OLD", &old, Expect::Absent);
        store.commit(batch).await.unwrap();
        let found = store.get::<AccessKey>(ACCESS_KEYS, "OLD").await.unwrap();
        let key = found.unwrap().value;
        assert_eq!(key.account, old.principal_account);
        assert_eq!((key.user, key.active, key.created), (None, true, None));
        assert_eq!(key.secret, old.secret);
    }
}
