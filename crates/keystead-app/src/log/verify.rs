//! Checking the log beside a running server, or without one: everything is computed anew, in constant memory.

use std::collections::HashSet;

use keystead_core::hex;
use keystead_core::x509::KeySpec;
use keystead_crypto::merkle::{Edge, Hash, leaf_hash};
use keystead_crypto::x509;
use keystead_store::{OpenError, Peek};

use super::record::{
    HEADS, Head, ONE, PENDING, Pending, TILE, TILES, Tile, peek_index, signed_bytes, tile_key,
};
use crate::pca;

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// How many certificates the head says are in the log.
    pub size: u64,
    /// The log's hash in hexadecimal.
    pub root: Option<String>,
    /// How many stored certificates were found in the log.
    pub logged: u64,
    /// How many are to be appended within seconds.
    pub pending: u64,
    /// How many are older than the log.
    pub older: u64,
    /// How much does not fit.
    pub problem_count: u64,
    /// The first of it, in words.
    pub problems: Vec<String>,
}

impl Report {
    /// Whether everything fits.
    pub fn is_whole(&self) -> bool {
        self.problem_count == 0
    }

    fn problem(&mut self, what: String) {
        self.problem_count = self.problem_count.saturating_add(1);
        if self.problems.len() < SHOWN {
            self.problems.push(what);
        }
    }
}

/// Checks that the head is signed, that its hash is that of the leaves, that the tiles of all levels follow
/// from them, and that every stored certificate is in the log, where it says that it is.
///
/// # Errors
/// [`OpenError`] when the store can't be read.
pub fn verify(peek: &Peek) -> Result<Report, OpenError> {
    let mut report = Report::default();
    let head = peek.get::<Head>(HEADS, ONE)?;
    if let Some(head) = &head {
        check_head(peek, head, &mut report)?;
        check_levels(peek, head.size, &mut report)?;
    }
    check_certificates(peek, head.as_ref(), &mut report)?;
    Ok(report)
}

/// The signature, and the root over all leaves.
fn check_head(peek: &Peek, head: &Head, report: &mut Report) -> Result<(), OpenError> {
    report.size = head.size;
    let Some(edge) = head.edge() else {
        report.problem("the head has another number of parts than its size".into());
        return Ok(());
    };
    report.root = Some(hex(&edge.root()));
    let signed = signed_bytes(head.at, head.size, &edge.root());
    let algorithm = KeySpec::EcP256.default_signature();
    if x509::verify_signature(&head.spki, algorithm, &signed, &head.signature).is_err() {
        report.problem("the signature of the head does not verify".into());
    }
    let mut computed = Edge::default();
    while computed.size() < head.size {
        let number = computed.size() / TILE as u64;
        let key = tile_key(0, number);
        let tile = peek.get::<Tile>(TILES, &key)?.unwrap_or_default();
        // It may have grown since the head was read.
        let wanted = usize::try_from(head.size.saturating_sub(computed.size())).unwrap_or(TILE);
        for at in 0..wanted.min(TILE) {
            let Some(hash) = tile.hash(at) else {
                report.problem(format!("tile {key} is missing, or too short"));
                return Ok(());
            };
            computed.push(hash);
        }
    }
    if computed != edge {
        report.problem(format!(
            "the leaves have the hash {}, not the head's",
            hex(&computed.root())
        ));
    }
    Ok(())
}

/// Every whole tile's hash stands in the level above.
fn check_levels(peek: &Peek, size: u64, report: &mut Report) -> Result<(), OpenError> {
    let (mut level, mut whole) = (0, size / TILE as u64);
    while whole > 0 {
        let mut above: Option<(u64, Tile)> = None;
        for number in 0..whole {
            let parent = number / TILE as u64;
            if above.as_ref().is_none_or(|(known, _)| *known != parent) {
                let key = tile_key(level + 1, parent);
                let found = peek.get::<Tile>(TILES, &key)?;
                above = Some((parent, found.unwrap_or_default()));
            }
            let key = tile_key(level, number);
            let tile = peek.get::<Tile>(TILES, &key)?.unwrap_or_default();
            let at = usize::try_from(number % TILE as u64).unwrap_or(TILE);
            let stands = above.as_ref().and_then(|(_, tile)| tile.hash(at));
            if tile.root().is_none() || tile.root() != stands {
                report.problem(format!("tile {key} is not what the level above says"));
            }
        }
        level += 1;
        whole /= TILE as u64;
    }
    Ok(())
}

/// Every stored certificate is in the log, or about to be.
fn check_certificates(
    peek: &Peek,
    head: Option<&Head>,
    report: &mut Report,
) -> Result<(), OpenError> {
    let mut after: Option<String> = None;
    let mut pending = pending(peek)?;
    loop {
        let page = pca::internal::peek_certificates(peek, after.as_deref(), PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.key.clone());
        for found in page {
            let leaf = leaf_hash(&found.der);
            match stands(peek, &found.key, head, &leaf, &mut pending)? {
                Stands::There => report.logged = report.logged.saturating_add(1),
                Stands::Pending => report.pending = report.pending.saturating_add(1),
                Stands::Nowhere if head.is_none_or(|head| found.issued_at < head.since) => {
                    report.older = report.older.saturating_add(1);
                }
                Stands::Nowhere => report.problem(format!("{} is not in the log", found.key)),
                Stands::Elsewhere(index) => {
                    report.problem(format!("{} is not what the log has at {index}", found.key))
                }
            }
        }
    }
}

enum Stands {
    There,
    Pending,
    Nowhere,
    Elsewhere(u64),
}

fn stands(
    peek: &Peek,
    key: &str,
    head: Option<&Head>,
    leaf: &Hash,
    pending: &mut HashSet<String>,
) -> Result<Stands, OpenError> {
    // It may be appended between the looks, and issued after the first one.
    for _ in 0..2 {
        if let Some(index) = peek_index(peek, key)? {
            if head.is_none_or(|head| index >= head.size) {
                return Ok(Stands::Pending);
            }
            let tile = tile_key(0, index / TILE as u64);
            let tile = peek.get::<Tile>(TILES, &tile)?.unwrap_or_default();
            let at = usize::try_from(index % TILE as u64).unwrap_or(TILE);
            return Ok(match tile.hash(at) == Some(*leaf) {
                true => Stands::There,
                false => Stands::Elsewhere(index),
            });
        }
        if pending.contains(key) {
            return Ok(Stands::Pending);
        }
        *pending = self::pending(peek)?;
    }
    Ok(match pending.contains(key) {
        true => Stands::Pending,
        false => Stands::Nowhere,
    })
}

/// The record keys of the certificates that are pending: what a few seconds have brought.
fn pending(peek: &Peek) -> Result<HashSet<String>, OpenError> {
    let (mut keys, mut after) = (HashSet::new(), None);
    loop {
        let page = peek.scan::<Pending>(PENDING, after.as_deref(), PAGE)?;
        let Some(last) = page.last() else {
            return Ok(keys);
        };
        after = Some(last.key.clone());
        let leaves = page.into_iter().flat_map(|found| found.value.leaves);
        keys.extend(leaves.map(|leaf| leaf.key));
    }
}

/// Records read at once.
const PAGE: usize = 500;

/// Problems told in words: the first ones tell what happened, the rest only how much.
const SHOWN: usize = 20;
