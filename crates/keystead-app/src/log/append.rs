//! Appending: what was issued goes into the log, many at a time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keystead_core::x509::KeySpec;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::merkle::{Edge, Hash, leaf_hash};
use keystead_store::{Batch, Expect, Haste, Store, StoreError, Stored};
use serde_bytes::ByteBuf;
use tokio::sync::watch;

use super::record::{
    HEADS, Head, KEYS, Leaf, ONE, PENDING, PLACES, Place, SigningKey, TILE, TILES, Tile, damaged,
    hash, head, signed_bytes, tile_key,
};
use crate::App;

/// Adds to the commit that stores a new certificate that it is to go into the log. It will, whatever
/// happens: what is pending is stored with it, and leaves only with the commit that logs it.
pub(crate) fn issued(batch: &mut Batch, key: &str, certificate: &[u8]) {
    let leaf = Leaf {
        hash: leaf_hash(certificate).to_vec(),
    };
    batch.put(PENDING, key, &leaf, Expect::Any);
}

/// Puts what is pending into the log every other second, until it is told to stop.
pub(crate) async fn follow(app: Arc<App>, mut stop: watch::Receiver<bool>) {
    while !*stop.borrow_and_update() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            stopped = stop.changed() => if stopped.is_err() { break },
        }
        if let Err(error) = append_all(&app).await {
            tracing::warn!(%error, "what was issued goes into the log later");
        }
    }
}

/// Puts all that is pending into the log.
pub(crate) async fn append_all(app: &App) -> Result<()> {
    for _ in 0..MOST_BATCHES {
        if append(app).await? < AT_ONCE {
            return Ok(());
        }
    }
    Ok(())
}

/// Puts some of what is pending into the log; answers how many. Of two servers that do so at the same time
/// one is refused by the head's version, and looks again.
async fn append(app: &App) -> Result<usize> {
    for _ in 0..ATTEMPTS {
        let store = &app.store;
        let pending = store.scan::<Leaf>(PENDING, "", None, AT_ONCE).await?;
        if pending.is_empty() {
            return Ok(0);
        }
        let key = signing_key(app).await?;
        let batch = batch(app, &pending, &key, app.env.now()).await?;
        match store.commit_with(batch, Haste::Soon).await {
            Ok(_) => return Ok(pending.len()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Error::new(
        ErrorKind::Unavailable,
        "the log is being written by others",
    ))
}

/// The commit that appends these.
async fn batch(
    app: &App,
    pending: &[Stored<Leaf>],
    key: &SigningKey,
    now: Timestamp,
) -> Result<Batch> {
    let (expect, mut edge) = match head(&app.store).await? {
        None => (Expect::Absent, Edge::default()),
        Some((version, head)) => {
            let edge = head
                .edge()
                .ok_or_else(|| damaged("its head is not whole"))?;
            (Expect::Version(version), edge)
        }
    };
    let mut batch = Batch::new();
    let mut tiles = Tiles::default();
    for leaf in pending {
        let hash = hash(&leaf.value.hash).ok_or_else(|| damaged("a leaf is no hash"))?;
        let place = Place { index: edge.size() };
        batch.delete(PENDING, leaf.key.as_str(), Expect::Version(leaf.version));
        batch.put(PLACES, leaf.key.as_str(), &place, Expect::Absent);
        tiles.push(&app.store, place.index, hash).await?;
        edge.push(hash);
    }
    tiles.save(&mut batch);
    let signed = signed_bytes(now, edge.size(), &edge.root());
    let algorithm = key.key.spec().default_signature();
    let head = Head {
        size: edge.size(),
        edge: edge
            .parts()
            .iter()
            .map(|part| ByteBuf::from(*part))
            .collect(),
        at: now,
        since: key.since,
        signature: app.keys.sign(&key.key, algorithm, &signed).await?,
        spki: key.spki.clone(),
    };
    batch.put(HEADS, ONE, &head, expect);
    Ok(batch)
}

/// The tiles that an append changes: those at the right edge of their levels, read as they are needed.
#[derive(Default)]
struct Tiles(BTreeMap<(u32, u64), Tile>);

impl Tiles {
    /// Adds a leaf's hash at `index`, and the hash of each tile that it fills to the level above.
    async fn push(&mut self, store: &Store, index: u64, leaf: Hash) -> Result<()> {
        let (mut level, mut index, mut hash) = (0, index, leaf);
        loop {
            let (number, at) = (index / TILE as u64, index % TILE as u64);
            let tile = match self.0.entry((level, number)) {
                std::collections::btree_map::Entry::Occupied(tile) => tile.into_mut(),
                std::collections::btree_map::Entry::Vacant(place) => {
                    let found = match at {
                        0 => None,
                        _ => store.get(TILES, &tile_key(level, number)).await?,
                    };
                    place.insert(found.map_or_else(Tile::default, |found| found.value))
                }
            };
            if u64::try_from(tile.len()) != Ok(at) {
                return Err(damaged(&format!(
                    "tile {} is not whole",
                    tile_key(level, number)
                )));
            }
            tile.push(&hash);
            let Some(root) = tile.root() else {
                return Ok(());
            };
            (level, index, hash) = (level.saturating_add(1), number, root);
        }
    }

    fn save(&self, batch: &mut Batch) {
        for ((level, number), tile) in &self.0 {
            batch.put(TILES, tile_key(*level, *number), tile, Expect::Any);
        }
    }
}

/// Begins the log, at the first start that knows of it.
pub(crate) async fn begin(app: &App) -> Result<()> {
    signing_key(app).await.map(drop)
}

/// The key that signs heads; made when the log begins.
async fn signing_key(app: &App) -> Result<SigningKey> {
    if let Some(found) = app.store.get::<SigningKey>(KEYS, ONE).await? {
        return Ok(found.value);
    }
    let new = app.keys.generate(KeySpec::EcP256).await?;
    let key = SigningKey {
        key: new.key,
        spki: new.spki_der,
        since: app.env.now(),
    };
    let mut batch = Batch::new();
    batch.put(KEYS, ONE, &key, Expect::Absent);
    match app.store.commit(batch).await {
        Ok(_) => Ok(key),
        // Another server was quicker.
        Err(StoreError::Conflict { .. }) => {
            let found = app.store.get::<SigningKey>(KEYS, ONE).await?;
            found
                .map(|found| found.value)
                .ok_or_else(|| damaged("its key is missing"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Two steps each, under the store's bound of 1024 a commit; a tile's worth.
const AT_ONCE: usize = 256;

/// A quarter of a million certificates: who still finds more goes on at the next look.
const MOST_BATCHES: usize = 1024;

/// Whoever loses as often competes with a loop.
const ATTEMPTS: usize = 8;

/// RFC 9162 calls the longest time that a certificate waits for its log the maximum merge delay. Ours is
/// this: looking costs one read, and what is issued meanwhile shares one signature and one tile.
const EVERY: Duration = Duration::from_secs(2);
