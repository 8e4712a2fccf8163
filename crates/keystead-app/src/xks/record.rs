//! What is stored of a proxy, and how a credential finds it.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use jiff::Timestamp;
use keystead_core::kms::xks::{BASE, Exposure};
use keystead_core::{AccountId, Arn, Region, Result};
use keystead_crypto::random;
use keystead_store::{Batch, ChangeCount, Collection, Expect, Store, Stored, Version, Versioned};
use keystead_wire::keystead as wire;
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::access::{Act, Allowed};
use crate::credentials::{Credential, secret};
use crate::{App, Ctx, Principal, PrincipalKind, ctx};

/// Proxies, by `account/region/id`.
pub(super) const PROXIES: Collection = Collection("xks.proxy");
/// The record key of the proxy with a path, by what stands in the path before `/kms/xks/v1`.
pub(super) const PREFIXES: Collection = Collection("xks.prefix");
/// The record key of the proxy with a credential, by its access key.
pub(super) const CREDENTIALS: Collection = Collection("xks.credential");

/// The signing name of what AWS calls.
pub(crate) const SERVICE: &str = "kms-xks-proxy";

/// A proxy.
#[derive(Clone, Serialize, Deserialize)]
pub struct Proxy {
    /// Its id.
    pub(super) id: String,
    /// Who owns it.
    pub(super) account: AccountId,
    /// Where its keys are.
    pub(super) region: Region,
    /// What the owner calls it.
    pub(super) name: String,
    /// What stands in its path before `/kms/xks/v1`: nothing, or a slash and more.
    pub(super) prefix: String,
    /// When it was created.
    pub(super) created_at: Timestamp,
    /// Its credentials, the oldest first: one, or two while they are exchanged.
    pub(super) credentials: Vec<ProxyCredential>,
    /// What it exposes, by the external ids.
    pub(super) keys: Vec<Exposure>,
}

/// A credential of a proxy.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ProxyCredential {
    /// Its public half.
    pub(super) access_key_id: String,
    /// When it was made.
    pub(super) created_at: Timestamp,
    #[serde(with = "secret")]
    secret: Zeroizing<String>,
}

/// A reference to a proxy's record.
#[derive(Serialize, Deserialize)]
pub(super) struct At(pub(super) String);

impl Versioned for Proxy {
    const MARKER: &'static str = "xks.proxy/1";
}

impl Versioned for At {
    const MARKER: &'static str = "xks.proxy-key/1";
}

impl PartialEq for Proxy {
    fn eq(&self, other: &Self) -> bool {
        (&self.id, &self.account, &self.region) == (&other.id, &other.account, &other.region)
    }
}

impl Eq for Proxy {}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("id", &self.id)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl ProxyCredential {
    /// A new one by the specification's guidelines (appendix A): 26 letters of base 32 (130 bits), and base64 of 32 bytes.
    pub(super) fn generate(now: Timestamp) -> Result<Self> {
        let id = random::bytes::<26>()?;
        let letter = |byte: &u8| BASE32.get(usize::from(byte % 32)).copied();
        let secret = Zeroizing::new(random::bytes::<32>()?);
        Ok(Self {
            access_key_id: id.iter().filter_map(letter).map(char::from).collect(),
            created_at: now,
            secret: Zeroizing::new(STANDARD_NO_PAD.encode(*secret)),
        })
    }

    /// Both halves, to be told once to who asked for it.
    pub(super) fn told(&self) -> wire::XksCredential {
        wire::XksCredential {
            access_key_id: self.access_key_id.clone(),
            raw_secret_access_key: String::clone(&self.secret).into(),
        }
    }
}

impl Proxy {
    /// Its ARN.
    pub(crate) fn arn(&self) -> String {
        let resource = format!("xks-proxy/{}", self.id);
        Arn::new("keystead", &self.region, &self.account, resource).to_string()
    }

    /// `XksProxyUriPath`.
    pub(super) fn uri_path(&self) -> String {
        format!("{}{BASE}", self.prefix)
    }
}

/// The proxy of this ARN, if the caller may do this to it.
pub(super) async fn find(ctx: &Ctx, arn: &str) -> Result<Allowed<Stored<Proxy>>> {
    let id = ctx.own(arn, "keystead", "xks-proxy")?;
    let found = ctx.app.store.get(PROXIES, &ctx.key(id)).await?;
    let found = ctx.admit(Act::Own, arn, found, |_, resource| resource)?;
    found.ok_or_else(|| ctx::not_found(arn, ctx.account()))
}

/// The commit of a proxy that was read in this version and has changed, for who adds to it.
pub(super) fn changed(at: &str, read: Version, proxy: &Proxy) -> Batch {
    let mut batch = Batch::new();
    batch.put(PROXIES, at, proxy, Expect::Version(read));
    batch
}

/// The proxies whose credentials were used last.
pub(crate) struct KnownProxies {
    changes: ChangeCount,
    proxies: Mutex<LruCache<String, (u64, Arc<Proxy>)>>,
}

impl KnownProxies {
    /// Follows what is stored of proxies.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(&[PROXIES, CREDENTIALS]),
            proxies: Mutex::new(LruCache::new(AT_HAND)),
        }
    }
}

impl App {
    /// The credential of a proxy; nobody else's is good for [`SERVICE`].
    pub(crate) async fn xks_credential(&self, access_key_id: &str) -> Result<Option<Credential>> {
        let Some(proxy) = self.proxy_of(access_key_id).await? else {
            return Ok(None);
        };
        let mut credentials = proxy.credentials.iter();
        let found = credentials.find(|one| one.access_key_id == access_key_id);
        Ok(found.map(|credential| Credential {
            principal: Principal {
                account: proxy.account.clone(),
                arn: proxy.arn(),
                user_id: proxy.id.clone(),
                access_key_id: access_key_id.to_owned(),
                kind: PrincipalKind::XksProxy(Arc::clone(&proxy)),
                session: None,
            },
            secret: String::clone(&credential.secret).into(),
        }))
    }

    async fn proxy_of(&self, access_key_id: &str) -> Result<Option<Arc<Proxy>>> {
        let is_letter = |byte: u8| BASE32.contains(&byte);
        if access_key_id.len() > 30 || !access_key_id.bytes().all(is_letter) {
            return Ok(None);
        }
        let known = &self.xks_proxies;
        let as_of = known.changes.get();
        if let Some((read_at, proxy)) = known.proxies.lock().get(access_key_id)
            && *read_at == as_of
        {
            return Ok(Some(Arc::clone(proxy)));
        }
        let Some(at) = self.store.get::<At>(CREDENTIALS, access_key_id).await? else {
            return Ok(None);
        };
        let Some(found) = self.store.get::<Proxy>(PROXIES, &at.value.0).await? else {
            return Ok(None);
        };
        let proxy = Arc::new(found.value);
        let entry = (as_of, Arc::clone(&proxy));
        known.proxies.lock().put(access_key_id.to_owned(), entry);
        Ok(Some(proxy))
    }
}

/// RFC 4648 section 6: what the specification takes for access keys.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Each may expose some hundreds of keys, in a hundred bytes each; more than are called within a minute anywhere.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(64).unwrap();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_as_the_specification_says_and_differ() {
        let generate = || ProxyCredential::generate(Timestamp::UNIX_EPOCH).unwrap();
        let (one, other) = (generate(), generate());
        assert_eq!(one.access_key_id.len(), 26);
        assert!(one.access_key_id.bytes().all(|byte| BASE32.contains(&byte)));
        assert_eq!(one.secret.len(), 43);
        assert_ne!(one.access_key_id, other.access_key_id);
        assert_ne!(one.secret, other.secret);
        assert!(!format!("{:?}", one.told()).contains(one.secret.as_str()));
    }
}
