//! Appending: what was issued goes into the log, many at a time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
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
    HEADS, Head, KEYS, Leaf, ONE, PENDING, PLACES, Pending, Places, SigningKey, TILE, TILES, Tile,
    damaged, hash, head, neighbours, signed_bytes, tile_key,
};
use crate::App;

/// Adds to the commit that stores new certificates, given by their record keys, that they are to go into the log. They will,
/// whatever happens: what is pending is stored with them, and leaves only with the commit that logs it.
pub(crate) fn issued(batch: &mut Batch, certificates: &[(&str, &[u8])]) {
    let Some((first, _)) = certificates.first() else {
        return;
    };
    let leaves = certificates.iter().map(|(key, der)| Leaf {
        key: (*key).to_owned(),
        hash: leaf_hash(der).to_vec(),
    });
    let pending = Pending {
        leaves: leaves.collect(),
    };
    batch.put(PENDING, *first, &pending, Expect::Any);
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
            break;
        }
    }
    Ok(())
}

/// Puts some of what is pending into the log; answers how many records of it. Of two servers that do so at the same time
/// one is refused by the head's version, and looks again.
async fn append(app: &App) -> Result<usize> {
    for _ in 0..ATTEMPTS {
        let store = &app.store;
        let pending = store.scan::<Pending>(PENDING, "", None, AT_ONCE).await?;
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
    pending: &[Stored<Pending>],
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
    let mut places = BTreeMap::new();
    for found in pending {
        batch.delete(PENDING, found.key.as_str(), Expect::Version(found.version));
        for leaf in &found.value.leaves {
            let hash = hash(&leaf.hash).ok_or_else(|| damaged("a leaf is no hash"))?;
            let index = edge.size();
            place(&app.store, &mut places, &leaf.key, index).await?;
            tiles.push(&app.store, index, hash).await?;
            edge.push(hash);
        }
    }
    tiles.save(&mut batch);
    for (key, (places, expect)) in places {
        batch.put(PLACES, key, &places, expect);
    }
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

/// Notes where the certificate with this key stands.
async fn place<'a>(
    store: &Store,
    places: &mut BTreeMap<&'a str, (Places, Expect)>,
    key: &'a str,
    index: u64,
) -> Result<()> {
    let (shared, rest) = neighbours(key);
    let (places, _) = match places.entry(shared) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => new.insert(match store.get::<Places>(PLACES, shared).await? {
            Some(found) => (found.value, Expect::Version(found.version)),
            None => (Places::default(), Expect::Absent),
        }),
    };
    places.push(rest, index);
    Ok(())
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
                Entry::Occupied(tile) => tile.into_mut(),
                Entry::Vacant(place) => {
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

/// Records of what is pending in one commit. They hold 64 certificates each at most (`pca::complete`), and if each of these
/// gets a record of places for itself, all are still under the store's bound of 1024 steps a commit.
const AT_ONCE: usize = 12;

/// Hundreds of thousands of certificates: who still finds more goes on at the next look.
const MOST_BATCHES: usize = 1024;

/// Whoever loses as often competes with a loop.
const ATTEMPTS: usize = 8;

/// RFC 9162 calls the longest time that a certificate waits for its log the maximum merge delay. Ours is
/// this: looking costs one read, and what is issued meanwhile shares one signature and one tile.
const EVERY: Duration = Duration::from_secs(2);
