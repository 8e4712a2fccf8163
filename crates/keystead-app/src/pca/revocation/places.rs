//! Where the revocation of the next certificate will be published.
//!
//! A partition takes [`CERTIFICATES_A_PARTITION`] certificates, so that its list stays small even if all of them are
//! revoked. To count without a write for each certificate, a server takes places by the [`BLOCK`]; what is left of a
//! block when it stops stays empty.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use keystead_core::pca::{CertificateAuthority, Published};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, StoreError, Stored, Version};
use lru::LruCache;
use parking_lot::Mutex;

use super::record::{LISTS, List, NAMES, Named, PARTITIONS, Partition, list_key};
use super::{LIST_QUEUE, build, left_behind, responder};
use crate::pca::authorities::{ATTEMPTS, contended};
use crate::pca::record::Authority;
use crate::{App, ids};

/// What is known of where authorities publish; see the module.
pub(crate) struct Places {
    known: Mutex<LruCache<String, Arc<Place>>>,
    /// One opens at a time: the others find what it opened.
    opening: tokio::sync::Mutex<()>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            known: Mutex::new(LruCache::new(KNOWN)),
            opening: tokio::sync::Mutex::default(),
        }
    }
}

/// Where an authority publishes.
struct Place {
    /// The authority's: another one may publish elsewhere.
    version: Version,
    published: Published,
    /// How many more certificates there is room for.
    left: AtomicU32,
}

impl Place {
    /// Takes one place, if there is one.
    fn take(&self) -> Option<Published> {
        let taken = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            });
        taken.ok().map(|_| self.published.clone())
    }
}

/// A place for the next certificate of this authority. What is not used is lost, which nobody notices.
pub(in super::super) async fn place(app: &App, authority: &Stored<Authority>) -> Result<Published> {
    let configuration = &authority.value.ca.revocation;
    if !configuration.crl.enabled && !configuration.ocsp.enabled {
        return Ok(Published::default());
    }
    let known = || {
        let mut known = app.places.known.lock();
        let place = known.get(&authority.key)?;
        (place.version == authority.version)
            .then(|| place.take())
            .flatten()
    };
    if let Some(published) = known() {
        return Ok(published);
    }
    let _opening = app.places.opening.lock().await;
    if let Some(published) = known() {
        return Ok(published);
    }
    let place = open(app, authority).await?;
    let published = place.take().unwrap_or_default();
    let mut known = app.places.known.lock();
    known.put(authority.key.clone(), Arc::new(place));
    Ok(published)
}

/// Makes sure that there is what certificates are going to name.
async fn open(app: &App, authority: &Stored<Authority>) -> Result<Place> {
    let ca = &authority.value.ca;
    let base = app.public_url.get().map(String::as_str);
    let mut place = Place {
        version: authority.version,
        published: Published::default(),
        left: AtomicU32::new(u32::MAX),
    };
    if ca.revocation.ocsp.enabled {
        responder::open(app, authority).await?;
        place.published.ocsp = ca.revocation.ocsp.url(base);
    }
    let crl = &ca.revocation.crl;
    if !crl.enabled {
        return Ok(place);
    }
    let folder = format!("crl/{}", ca.id);
    let shown = crl.omit_extension != Some(true);
    // A partition is told from the others by its address alone (RFC 5280 section 5.2.5).
    if crl.is_partitioned() && crl.url(base, &folder, "").is_some() {
        let partition = open_partition(app, authority, |name| crl.url(base, &folder, name)).await?;
        place.left = AtomicU32::new(BLOCK);
        place.published.crl = shown.then_some(partition.url);
        place.published.partition = Some(partition.name);
    } else {
        open_complete(app, authority).await?;
        place.published.crl = crl.url(base, "crl", &ca.id).filter(|_| shown);
    }
    Ok(place)
}

/// Takes a block of places in the authority's partition, or in a new one.
async fn open_partition(
    app: &App,
    authority: &Stored<Authority>,
    url: impl Fn(&str) -> Option<String>,
) -> Result<Partition> {
    let key = authority.key.as_str();
    for _ in 0..ATTEMPTS {
        let found = app.store.get::<Partition>(PARTITIONS, key).await?;
        let (known, expect) = match found {
            Some(found) => (Some(found.value), Expect::Version(found.version)),
            None => (None, Expect::Absent),
        };
        let mut batch = Batch::new();
        let fits = |known: &Partition| {
            known.given + BLOCK <= CERTIFICATES_A_PARTITION
                && url(&known.name).as_deref() == Some(known.url.as_str())
        };
        let (partition, is_new) = match known.filter(fits) {
            Some(mut known) => {
                known.given += BLOCK;
                (known, false)
            }
            None => {
                let name = ids::uuid()?;
                let url = url(&name).ok_or_else(|| {
                    Error::new(ErrorKind::Internal, "a revocation list has no address")
                })?;
                let given = BLOCK;
                (Partition { name, url, given }, true)
            }
        };
        batch.put(PARTITIONS, key, &partition, expect);
        if is_new {
            let url = Some(partition.url.clone());
            add_list(&mut batch, app, authority, Some(&partition.name), url);
        }
        match app.store.commit(batch).await {
            Ok(_) => {
                make_first(app, &list_key(key, Some(&partition.name))).await?;
                return Ok(partition);
            }
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(&authority.value.ca.arn()))
}

/// Makes sure that the authority has its complete list.
async fn open_complete(app: &App, authority: &Stored<Authority>) -> Result<()> {
    let key = list_key(&authority.key, None);
    if app.store.get::<List>(LISTS, &key).await?.is_none() {
        let mut batch = Batch::new();
        add_list(&mut batch, app, authority, None, None);
        match app.store.commit(batch).await {
            // Or another server was quicker.
            Ok(_) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    make_first(app, &key).await
}

fn add_list(
    batch: &mut Batch,
    app: &App,
    authority: &Stored<Authority>,
    partition: Option<&str>,
    url: Option<String>,
) {
    let ca: &CertificateAuthority = &authority.value.ca;
    let list = List {
        url,
        days: ca.revocation.crl.expiration_in_days.unwrap_or(1),
        number: 0,
        intended: None,
        published: None,
    };
    let named = Named {
        authority: authority.key.clone(),
    };
    let name = partition.unwrap_or(&ca.id);
    let key = list_key(&authority.key, partition);
    batch.put(LISTS, key.as_str(), &list, Expect::Absent);
    batch.put(NAMES, name, &named, Expect::Any);
    batch.enqueue(LIST_QUEUE, key, left_behind(app.env.now()), &());
}

/// Makes the first edition, if there is none, before a certificate names the list. Where that fails, it is made as soon as
/// it can be.
async fn make_first(app: &App, list: &str) -> Result<()> {
    let found = app.store.get::<List>(LISTS, list).await?;
    if found.is_some_and(|found| found.value.published.is_none())
        && let Err(error) = build::build(app, list).await
    {
        tracing::warn!(list, %error, "a revocation list is made later");
    }
    Ok(())
}

/// Certificates a partition: some 50 octets each when revoked, so that a list has at most half a megabyte and is made in
/// a tenth of a second.
const CERTIFICATES_A_PARTITION: u32 = 10_000;

/// Places that a server takes at a time: one write for so many certificates, and a tenth of a partition lost at a stop.
const BLOCK: u32 = 1_000;

/// A few hundred bytes each; as many as there are remembered authorities that issue.
const KNOWN: NonZeroUsize = NonZeroUsize::new(128).unwrap();
