//! What a key store is to the keys that are in it.

use keystead_core::kms::xks::{Layer, ProxyFailure};
use keystead_core::kms::{Backing, Connection, Fault, InStore, Key, KeySpec, Origin, StoreCommand};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::{NewMaterial, digest};
use keystead_store::{Batch, Collection, Expect, Versioned};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::proxy::{Behind, Proxy};
use super::record::{self, ATTEMPTS, Kept, Read, Stores};
use super::token;
use crate::retry::retrying;
use crate::{App, Ctx};

/// The ids of the KMS keys in front of external keys, by `account/region/store/external id`.
const EXTERNAL_KEYS: Collection = Collection("kms.external-key");

#[derive(Serialize, Deserialize)]
struct Front(String);

impl Versioned for Front {
    const MARKER: &'static str = "kms.external-key/1";
}

/// A key's place in a key store, with the material that is its there.
pub(in crate::kms) struct Placed {
    pub(in crate::kms) store: InStore,
    pub(in crate::kms) material: NewMaterial,
}

/// Makes the material of a new key in a key store; for an external one, that of the inner of the two layers, once the
/// external key was found to be fit for the outer one. [`enter`] makes it known to the store.
pub(in crate::kms) async fn place(
    ctx: &Ctx,
    id: &str,
    key: &Key,
    xks_key: Option<&str>,
    owner: &[u8],
) -> Result<Placed> {
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await?;
    let kept = read.stores.find(id)?;
    kept.store.after(StoreCommand::Use)?;
    match (&kept.store.backing, key.origin, xks_key) {
        (Backing::External { .. }, Origin::ExternalKeyStore, Some(xks_key)) => {
            check_unused(ctx, id, xks_key).await?;
            let proxy = Proxy::of(&ctx.app, &ctx.region, kept)?;
            proxy
                .check_key(xks_key, Behind::of(ctx, "CreateKey"))
                .await?;
            let ring = &ctx.app.keys;
            Ok(Placed {
                store: InStore {
                    store_id: id.to_owned(),
                    cluster_id: None,
                    xks_key_id: Some(xks_key.to_owned()),
                },
                material: ring
                    .generate_material(KeySpec::SymmetricDefault, owner)
                    .await?,
            })
        }
        (Backing::CloudHsm { cluster_id, .. }, Origin::AwsCloudHsm, None) => Ok(Placed {
            material: token::generate(&ctx.app, cluster_id, owner).await?,
            store: InStore {
                store_id: id.to_owned(),
                cluster_id: Some(cluster_id.clone()),
                xks_key_id: None,
            },
        }),
        _ => Err(Error::new(
            ErrorKind::Validation,
            format!(
                "The custom key store {id} is not of a type for keys of origin {}.",
                key.origin.name()
            ),
        )),
    }
}

async fn check_unused(ctx: &Ctx, id: &str, xks_key: &str) -> Result<()> {
    let at = front_of(ctx, id, xks_key);
    match ctx.app.store.get::<Front>(EXTERNAL_KEYS, &at).await? {
        None => Ok(()),
        Some(_) => Err(Fault::XksKeyAlreadyInUse.error(format!(
            "The external key {xks_key} is already associated with a KMS key in this external key store. Each KMS key must have a different external key."
        ))),
    }
}

fn front_of(ctx: &Ctx, id: &str, xks_key: &str) -> String {
    ctx.key(&format!("{id}/{xks_key}"))
}

/// Commits a new key that was [`place`]d, `put` into the batch, together with what its store knows of it.
pub(in crate::kms) async fn enter(
    ctx: &Ctx,
    key: &Key,
    store: &InStore,
    put: impl Fn(&mut Batch),
) -> Result<()> {
    let put = &put;
    retrying(ATTEMPTS, || async move {
        let mut batch = Batch::new();
        put(&mut batch);
        if let Some(xks_key) = &store.xks_key_id {
            check_unused(ctx, &store.store_id, xks_key).await?;
            let at = front_of(ctx, &store.store_id, xks_key);
            batch.put(EXTERNAL_KEYS, at, &Front(key.id.clone()), Expect::Absent);
        }
        let count = |stores: &mut Stores, _: &mut Batch| {
            let kept = stores.find_mut(&store.store_id)?;
            // It may have been disconnected since.
            kept.store.after(StoreCommand::Use)?;
            kept.store.keys = kept.store.keys.saturating_add(1);
            Ok(())
        };
        record::stage(&ctx.app, &key.account, &key.region, &mut batch, count).await?;
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

/// Adds to the commit that deletes a key that its store holds it no more. Whoever commits does it again where another was
/// quicker. An external key is never touched: it is the owner's, and may be behind another KMS key next.
pub(in crate::kms) async fn leave(app: &App, key: &Key, batch: &mut Batch) -> Result<()> {
    let Some(store) = &key.store else {
        return Ok(());
    };
    if let Some(xks_key) = &store.xks_key_id {
        let (account, region, id) = (&key.account, &key.region, &store.store_id);
        let at = format!("{account}/{region}/{id}/{xks_key}");
        batch.delete(EXTERNAL_KEYS, at, Expect::Any);
    }
    let count = |stores: &mut Stores, _: &mut Batch| {
        // A store is not deleted before its keys.
        if let Ok(kept) = stores.find_mut(&store.store_id) {
            kept.store.keys = kept.store.keys.saturating_sub(1);
        }
        Ok(())
    };
    record::stage(app, &key.account, &key.region, batch, count).await
}

/// Random bytes of a key store's token.
pub(in crate::kms) async fn random(
    ctx: &Ctx,
    id: &str,
    count: usize,
) -> Result<Zeroizing<Vec<u8>>> {
    let read = record::read(&ctx.app, ctx.account(), &ctx.region).await?;
    let kept = read.stores.find(id)?;
    match &kept.store.backing {
        Backing::CloudHsm { cluster_id, .. } => {
            kept.store.after(StoreCommand::Use)?;
            token::random(&ctx.app, cluster_id, count).await
        }
        // GenerateRandom, `CustomKeyStoreId`.
        Backing::External { .. } => Err(Fault::UnsupportedOperation.error(format!(
            "The custom key store {id} is an external key store, which makes no random bytes."
        ))),
    }
}

/// How far the store of a key is connected; `None` for a key that is in none.
pub(in crate::kms) async fn connection(ctx: &Ctx, key: &Key) -> Result<Option<Connection>> {
    match of(ctx, key).await? {
        None => Ok(None),
        Some((read, store)) => Ok(Some(read.stores.find(&store.store_id)?.store.connection)),
    }
}

/// Whether the key store that the key is in, if it is in one, is connected.
pub(in crate::kms) async fn check_connected(ctx: &Ctx, key: &Key) -> Result<()> {
    match connection(ctx, key).await? {
        None => Ok(()),
        Some(connection) => keystead_core::kms::check_connected(connection),
    }
}

type Within<'k> = (std::sync::Arc<Read>, &'k InStore);

async fn of<'k>(ctx: &Ctx, key: &'k Key) -> Result<Option<Within<'k>>> {
    let Some(store) = &key.store else {
        return Ok(None);
    };
    let read = record::read(&ctx.app, &key.account, &key.region).await?;
    Ok(Some((read, store)))
}

/// The payload of a ciphertext with the layer of an external key store around it, if the key is in one.
pub(in crate::kms) async fn wrap(
    ctx: &Ctx,
    key: &Key,
    bound: &[u8],
    payload: Vec<u8>,
) -> Result<Vec<u8>> {
    let Some((read, store)) = of(ctx, key).await? else {
        return Ok(payload);
    };
    let Some(xks_key) = &store.xks_key_id else {
        return Ok(payload);
    };
    let proxy = Proxy::of(&ctx.app, &key.region, connected(&read, store)?)?;
    let behind = Behind::of(ctx, "Encrypt").on(key.arn());
    let layer = proxy.encrypt(xks_key, behind, &told(bound), &payload).await;
    let layer = layer.map_err(ProxyFailure::in_use)?;
    layer
        .encode()
        .ok_or_else(|| ProxyFailure::Malformed.in_use())
}

/// The payload without the layer of an external key store; `None` when it is no such layer.
pub(in crate::kms) async fn unwrap(
    ctx: &Ctx,
    key: &Key,
    bound: &[u8],
    payload: &[u8],
) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let here = || Ok(Some(Zeroizing::new(payload.to_vec())));
    let Some((read, store)) = of(ctx, key).await? else {
        return here();
    };
    let Some(xks_key) = &store.xks_key_id else {
        return here();
    };
    let Some(layer) = Layer::parse(payload) else {
        return Ok(None);
    };
    let proxy = Proxy::of(&ctx.app, &key.region, connected(&read, store)?)?;
    let behind = Behind::of(ctx, "Decrypt").on(key.arn());
    let opened = proxy.decrypt(xks_key, behind, &told(bound), layer).await;
    opened.map(Some).map_err(ProxyFailure::in_use)
}

fn connected<'r>(read: &'r Read, store: &InStore) -> Result<&'r Kept> {
    let kept = read.stores.find(&store.store_id)?;
    keystead_core::kms::check_connected(kept.store.connection)?;
    Ok(kept)
}

/// What the proxy is told to bind a ciphertext to: the hash of what KMS binds it to, so that it is never too long, and the
/// encryption context stays here.
fn told(bound: &[u8]) -> [u8; 32] {
    digest::sha256(bound)
}
