//! What is stored of the log.

use jiff::Timestamp;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::StoredKey;
use keystead_crypto::merkle::{Edge, Hash, Part, fold_even};
use keystead_store::{Collection, OpenError, Peek, Store, Version, Versioned};
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// Certificates that are issued and not in the log yet: those of one commit, by the record key of the first. Stored with
/// them, and removed with the commit that puts them into the log.
pub(super) const PENDING: Collection = Collection("log.pending");

/// Where certificates stand in the log: those whose serial numbers begin alike, see [`neighbours`].
pub(crate) const PLACES: Collection = Collection("log.place");

/// Hashes, [`TILE`] in a record, by level and number: level 0 has the leaves', each higher one the hashes
/// of the whole tiles of the level below.
pub(super) const TILES: Collection = Collection("log.tile");

/// The signed head.
pub(super) const HEADS: Collection = Collection("log.head");

/// The key that signs heads.
pub(super) const KEYS: Collection = Collection("log.key");

/// The only key of [`HEADS`] and [`KEYS`].
pub(super) const ONE: &str = "log";

/// Hashes of a tile: levels of the tree times eight, so that a tile is 8 kB and the path to any leaf of a
/// billion lies in four.
pub(super) const TILE: usize = 1 << TILE_LEVELS;

const TILE_LEVELS: u32 = 8;

/// Certificates that are to be appended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) leaves: Vec<Leaf>,
}

impl Versioned for Pending {
    const MARKER: &'static str = "log.pending/1";
}

/// One of them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Leaf {
    /// The certificate's record key.
    pub(super) key: String,
    /// [`keystead_crypto::merkle::leaf_hash`] of its DER.
    #[serde(with = "serde_bytes")]
    pub(super) hash: Vec<u8>,
}

/// Where some certificates stand.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Places {
    /// Leaves' indexes, each by what [`neighbours`] leaves of the certificate's key.
    places: Vec<(String, u64)>,
}

impl Versioned for Places {
    const MARKER: &'static str = "log.places/1";
}

impl Places {
    pub(super) fn push(&mut self, rest: &str, index: u64) {
        self.places.push((rest.to_owned(), index));
    }

    fn find(&self, rest: &str) -> Option<u64> {
        let found = self.places.iter().find(|(known, _)| known == rest);
        found.map(|(_, index)| *index)
    }
}

/// A certificate's record key as the key of the [`Places`] that it is among, and what tells it from the others there: the
/// serial number's random digits. What stands before them counts 16 milliseconds, so that a busy authority needs one
/// record for a hundred certificates, and none grows without end.
pub(super) fn neighbours(key: &str) -> (&str, &str) {
    let serial = key.rfind('/').map_or(0, |slash| slash.saturating_add(1));
    let at = key.len().saturating_sub(RANDOM_DIGITS).max(serial);
    key.split_at_checked(at).unwrap_or((key, ""))
}

/// See [`keystead_core::pca::Serial`].
const RANDOM_DIGITS: usize = 32;

/// The index of the certificate with this record key, once it is in the log.
pub(super) async fn index(store: &Store, key: &str) -> Result<Option<u64>> {
    let (shared, rest) = neighbours(key);
    let found = store.get::<Places>(PLACES, shared).await?;
    Ok(found.and_then(|found| found.value.find(rest)))
}

/// As [`index`], beside a running server.
pub(super) fn peek_index(peek: &Peek, key: &str) -> Result<Option<u64>, OpenError> {
    let (shared, rest) = neighbours(key);
    let found = peek.get::<Places>(PLACES, shared)?;
    Ok(found.and_then(|found| found.find(rest)))
}

/// Hashes beside each other.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Tile {
    /// The hashes, one after another; fewer than [`TILE`] at the right edge.
    #[serde(with = "serde_bytes")]
    pub(super) hashes: Vec<u8>,
}

impl Versioned for Tile {
    const MARKER: &'static str = "log.tile/1";
}

/// The log's head: how long it is, its hash, and the signature over both (RFC 9162 section 4.10).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Head {
    /// How many certificates are in it.
    pub(super) size: u64,
    /// The roots of the perfect parts that make it up, the largest first.
    pub(super) edge: Vec<ByteBuf>,
    /// When it was signed.
    pub(super) at: Timestamp,
    /// Since when there is the log: what was issued before is not in it.
    pub(super) since: Timestamp,
    /// ECDSA over P-256 with SHA-256, in DER, of [`signed_bytes`].
    #[serde(with = "serde_bytes")]
    pub(super) signature: Vec<u8>,
    /// DER of the key's SubjectPublicKeyInfo.
    #[serde(with = "serde_bytes")]
    pub(super) spki: Vec<u8>,
}

impl Versioned for Head {
    const MARKER: &'static str = "log.head/1";
}

impl Head {
    /// The right edge; `None` where the record contradicts itself.
    pub(super) fn edge(&self) -> Option<Edge> {
        let parts: Option<Vec<Hash>> = self.edge.iter().map(hash).collect();
        Edge::new(self.size, parts?)
    }
}

/// The key that signs heads.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct SigningKey {
    pub(super) key: StoredKey,
    #[serde(with = "serde_bytes")]
    pub(super) spki: Vec<u8>,
    /// When it was made: since then there is the log.
    pub(super) since: Timestamp,
}

impl Versioned for SigningKey {
    const MARKER: &'static str = "log.key/1";
    const SECRET: bool = true;
}

impl Tile {
    /// The hash at this place.
    pub(super) fn hash(&self, at: usize) -> Option<Hash> {
        self.run(at, 1).and_then(|run| run.first().copied())
    }

    /// So many hashes from this place on.
    fn run(&self, at: usize, count: usize) -> Option<Vec<Hash>> {
        let begin = at.checked_mul(HASH)?;
        let end = begin.checked_add(count.checked_mul(HASH)?)?;
        let bytes = self.hashes.get(begin..end)?;
        bytes.chunks(HASH).map(hash).collect()
    }

    /// How many hashes there are.
    pub(super) fn len(&self) -> usize {
        self.hashes.len() / HASH
    }

    /// Adds one behind the last.
    pub(super) fn push(&mut self, hash: &Hash) {
        self.hashes.extend_from_slice(hash);
    }

    /// The hash of them all; of a tile that is full.
    pub(super) fn root(&self) -> Option<Hash> {
        self.run(0, TILE).map(|hashes| fold_even(&hashes))
    }
}

/// What is signed of a head: TreeHeadDataV2 (RFC 9162 section 4.10): milliseconds since 1970, the size, the
/// root behind its length, no extensions.
pub(super) fn signed_bytes(at: Timestamp, size: u64, root: &Hash) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + 8 + 1 + HASH + 2);
    bytes.extend_from_slice(&at.as_millisecond().to_be_bytes());
    bytes.extend_from_slice(&size.to_be_bytes());
    bytes.push(32);
    bytes.extend_from_slice(root);
    bytes.extend_from_slice(&[0, 0]);
    bytes
}

/// The record key of a tile.
pub(super) fn tile_key(level: u32, number: u64) -> String {
    format!("{level:02}/{number:015}")
}

/// The tile that a perfect part lies in: its level and number, where the part begins, and how many of its
/// hashes make the part.
pub(super) fn tile_of(part: Part) -> (u32, u64, usize, usize) {
    let (level, within) = (part.level / TILE_LEVELS, part.level % TILE_LEVELS);
    let first = part.index << within;
    let at = usize::try_from(first % TILE as u64).unwrap_or(0);
    (level, first / TILE as u64, at, 1 << within)
}

/// The hash of a perfect part.
pub(super) async fn part(store: &Store, part: Part) -> Result<Hash> {
    let (level, number, at, count) = tile_of(part);
    let key = tile_key(level, number);
    let found = store.get::<Tile>(TILES, &key).await?;
    let hashes = found.and_then(|tile| tile.value.run(at, count));
    hashes
        .map(|hashes| fold_even(&hashes))
        .ok_or_else(|| damaged(&format!("tile {key} is too short")))
}

/// The head with its version; before the first certificate there is none.
pub(super) async fn head(store: &Store) -> Result<Option<(Version, Head)>> {
    let found = store.get::<Head>(HEADS, ONE).await?;
    Ok(found.map(|found| (found.version, found.value)))
}

/// The log contradicts itself.
pub(super) fn damaged(why: &str) -> Error {
    Error::new(
        ErrorKind::Internal,
        format!(
            "the log of issued certificates is damaged: {why}; 'keystead audit verify' tells more"
        ),
    )
}

/// Bytes as a hash, if there are as many as it has.
pub(super) fn hash(bytes: impl AsRef<[u8]>) -> Option<Hash> {
    bytes.as_ref().try_into().ok()
}

/// Bytes of a hash.
const HASH: usize = 32;
