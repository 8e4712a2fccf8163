//! What the crash tests share.
#![allow(dead_code, reason = "each test file uses its own part")]

use keystead_store::{Batch, Collection, Expect, Haste, Store, StoreError, Version, Versioned};
use serde::{Deserialize, Serialize};

pub(crate) mod fault_vfs;

pub(crate) const PAIRS: Collection = Collection("test.pairs");
pub(crate) const WORK: &str = "test-work";

/// Half of a pair: two records and an item of the queue that are stored together or not at all.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Half {
    pub(crate) number: u64,
    #[serde(with = "serde_bytes")]
    pub(crate) weight: Vec<u8>,
}

impl Versioned for Half {
    const MARKER: &'static str = "test.half/1";
}

/// Stores a pair, in haste or, if the number is odd, not; each record is `weight` bytes.
pub(crate) async fn commit_pair(
    store: &Store,
    number: u64,
    weight: usize,
) -> Result<Version, StoreError> {
    let half = Half {
        number,
        weight: vec![number as u8; weight],
    };
    let mut batch = Batch::new();
    batch
        .put(PAIRS, format!("left/{number}"), &half, Expect::Any)
        .put(PAIRS, format!("right/{number}"), &half, Expect::Any)
        .enqueue(WORK, number.to_string(), jiff::Timestamp::UNIX_EPOCH, &());
    let haste = match number % 2 {
        0 => Haste::Now,
        _ => Haste::Soon,
    };
    store.commit_with(batch, haste).await
}

/// The pairs that are there; fails when there is half of one.
pub(crate) async fn whole_pairs(store: &Store) -> Vec<u64> {
    let left = numbers(store, "left/").await;
    let right = numbers(store, "right/").await;
    assert_eq!(left, right, "half a batch was stored");
    left
}

async fn numbers(store: &Store, prefix: &str) -> Vec<u64> {
    let mut numbers = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let page = store
            .scan::<Half>(PAIRS, prefix, after.as_deref(), 500)
            .await
            .unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.key.clone());
        for half in page {
            assert_eq!(half.key, format!("{prefix}{}", half.value.number));
            assert!(
                half.value
                    .weight
                    .iter()
                    .all(|byte| *byte == half.value.number as u8)
            );
            numbers.push(half.value.number);
        }
    }
    numbers.sort_unstable();
    numbers
}

/// Fails unless everything acknowledged is there, nothing is half there, and the store goes on.
pub(crate) async fn check_after_crash(
    store: &Store,
    acknowledged: &[(u64, Version)],
    context: &str,
) {
    let found = whole_pairs(store).await;
    for (number, version) in acknowledged {
        assert!(
            found.contains(number),
            "{context}: pair {number} was acknowledged and is gone"
        );
        assert!(
            *version <= store.version(),
            "{context}: version {version} was forgotten"
        );
    }
    let mut queued = 0;
    loop {
        let leases = store
            .take_due(
                WORK,
                jiff::Timestamp::UNIX_EPOCH,
                std::time::Duration::from_secs(60),
                256,
            )
            .await
            .unwrap();
        if leases.is_empty() {
            break;
        }
        queued += leases.len();
    }
    assert_eq!(
        queued,
        found.len(),
        "{context}: the queue and the records differ"
    );
    let next = commit_pair(store, u64::MAX, 10).await.unwrap();
    let newest = acknowledged.iter().map(|(_, version)| *version).max();
    assert!(
        Some(next) > newest,
        "{context}: version {next} was given twice"
    );
}
