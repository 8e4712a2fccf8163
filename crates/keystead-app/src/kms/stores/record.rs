//! What is stored of the custom key stores of an account and region.

use std::num::NonZeroUsize;
use std::sync::Arc;

use keystead_core::kms::{Backing, Fault, KeyStore};
use keystead_core::{AccountId, Error, Region, Result};
use keystead_store::{Batch, ChangeCount, Collection, Expect, Store, Version, Versioned};
use lru::LruCache;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::credentials::secret;
use crate::retry::retrying;
use crate::{App, Ctx};

/// Key stores, by `account/region`.
pub(super) const STORES: Collection = Collection("kms.key-stores");

/// The stores of an account and region, in the order in which they were created.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Stores {
    pub(super) kept: Vec<Kept>,
}

/// A store with its secret.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The store.
    pub(super) store: KeyStore,
    /// The proxy's secret access key, or what opens the token; told to nobody.
    #[serde(with = "secret")]
    pub(super) secret: Zeroizing<String>,
}

impl Versioned for Stores {
    const MARKER: &'static str = "kms.key-stores/1";
}

/// The stores as they were read.
pub(super) struct Read {
    /// The commit that wrote them; `None` where there never were any.
    version: Option<Version>,
    pub(super) stores: Stores,
}

impl Stores {
    pub(super) fn find(&self, id: &str) -> Result<&Kept> {
        let mut kept = self.kept.iter();
        kept.find(|kept| kept.store.id == id)
            .ok_or_else(|| missing(id))
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Result<&mut Kept> {
        let mut kept = self.kept.iter_mut();
        kept.find(|kept| kept.store.id == id)
            .ok_or_else(|| missing(id))
    }

    /// Whether another store than `id` has this name, this endpoint with this path, or this token.
    pub(super) fn check_free(&self, id: &str, name: &str, backing: &Backing) -> Result<()> {
        for other in self.kept.iter().filter(|kept| kept.store.id != id) {
            if other.store.name == name {
                return Err(Fault::StoreNameInUse.error(format!(
                    "Another custom key store of this account and Region has the name {name}. Try again with a name that is unique."
                )));
            }
            match (&other.store.backing, backing) {
                (
                    Backing::External {
                        endpoint: e,
                        path: p,
                        ..
                    },
                    Backing::External { endpoint, path, .. },
                ) if e.eq_ignore_ascii_case(endpoint) && p == path => {
                    return Err(Fault::XksProxyUriInUse.error(format!(
                        "{endpoint}{path} is already associated with another external key store in this account and Region."
                    )));
                }
                (
                    Backing::CloudHsm {
                        cluster_id: there, ..
                    },
                    Backing::CloudHsm { cluster_id, .. },
                ) if there == cluster_id => {
                    return Err(Fault::ClusterInUse.error(format!(
                        "The cluster {cluster_id} is already associated with another custom key store in this account and Region."
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The refusal for a store that is not there.
pub(super) fn missing(name: &str) -> Error {
    Fault::StoreNotFound.error(format!("Custom key store {name} does not exist."))
}

/// The stores that were used last.
pub(crate) struct KnownStores {
    changes: ChangeCount,
    stores: Mutex<LruCache<String, (u64, Arc<Read>)>>,
}

impl KnownStores {
    /// Follows what is stored of them.
    pub(crate) fn new(store: &Store) -> Self {
        Self {
            changes: store.count_changes(&[STORES]),
            stores: Mutex::new(LruCache::new(AT_HAND)),
        }
    }
}

/// The stores as they are stored now, or as they were read when none has changed since.
pub(super) async fn read(app: &App, account: &AccountId, region: &Region) -> Result<Arc<Read>> {
    let known = &app.kms_stores;
    let as_of = known.changes.get();
    let at = at(account, region);
    if let Some((read_at, read)) = known.stores.lock().get(&at)
        && *read_at == as_of
    {
        return Ok(Arc::clone(read));
    }
    let read = Arc::new(read_now(app, &at).await?);
    let entry = (as_of, Arc::clone(&read));
    known.stores.lock().put(at, entry);
    Ok(read)
}

async fn read_now(app: &App, at: &str) -> Result<Read> {
    let found = app.store.get::<Stores>(STORES, at).await?;
    Ok(match found {
        Some(found) => Read {
            version: Some(found.version),
            stores: found.value,
        },
        None => Read {
            version: None,
            stores: Stores::default(),
        },
    })
}

/// Changes the stores of the caller's account and region. `edit` may add to the commit; it is done again where somebody
/// else changes them in between.
pub(super) async fn edit<T>(
    ctx: &Ctx,
    edit: impl Fn(&mut Stores, &mut Batch) -> Result<T>,
) -> Result<T> {
    edit_of(&ctx.app, ctx.account(), &ctx.region, edit).await
}

/// [`edit`] for who is no caller.
pub(super) async fn edit_of<T>(
    app: &App,
    account: &AccountId,
    region: &Region,
    edit: impl Fn(&mut Stores, &mut Batch) -> Result<T>,
) -> Result<T> {
    let edit = &edit;
    retrying(ATTEMPTS, || async move {
        let mut batch = Batch::new();
        let outcome = stage(app, account, region, &mut batch, edit).await?;
        app.store.commit(batch).await?;
        Ok(outcome)
    })
    .await
}

/// Adds a change of the stores to a commit of somebody else's, who does it again where another was quicker.
pub(super) async fn stage<T>(
    app: &App,
    account: &AccountId,
    region: &Region,
    batch: &mut Batch,
    edit: impl FnOnce(&mut Stores, &mut Batch) -> Result<T>,
) -> Result<T> {
    let at = at(account, region);
    let Read {
        version,
        mut stores,
    } = read_now(app, &at).await?;
    let outcome = edit(&mut stores, batch)?;
    let expect = version.map_or(Expect::Absent, Expect::Version);
    batch.put(STORES, at, &stores, expect);
    Ok(outcome)
}

fn at(account: &AccountId, region: &Region) -> String {
    format!("{account}/{region}")
}

/// So often a change is made anew because others were quicker; each time one of them got through.
pub(super) const ATTEMPTS: usize = 16;

/// Accounts and regions with key stores that are used within a minute; ten stores take some kilobytes.
const AT_HAND: NonZeroUsize = NonZeroUsize::new(256).unwrap();
