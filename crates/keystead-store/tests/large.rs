//! How long opening takes, and how much memory it needs, do not depend on how much is stored.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::time::{Duration, Instant};

use keystead_store::{Batch, Collection, Expect, Store, StoreOptions, Versioned};
use serde::{Deserialize, Serialize};

const CERTIFICATES: Collection = Collection("test.certificates");
/// Enough that anything that reads them all would show; a million take no longer to open.
const RECORDS: u64 = 200_000;

#[derive(Serialize, Deserialize)]
struct Certificate {
    serial: u64,
}

impl Versioned for Certificate {
    const MARKER: &'static str = "test.certificate/1";
}

fn key(serial: u64) -> String {
    format!("000000000000/eu-central-1/{serial:016}")
}

/// Memory of this process that is its own, in KiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("RssAnon:"))
        .unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_records_open_in_under_a_second() {
    let scratch = tempfile::tempdir().unwrap();
    let options = StoreOptions::new(scratch.path());
    let store = Store::open(options.clone()).await.unwrap();
    for start in (0..RECORDS).step_by(1000) {
        let mut batch = Batch::new();
        for serial in start..start + 1000 {
            batch.put(
                CERTIFICATES,
                key(serial),
                &Certificate { serial },
                Expect::Any,
            );
        }
        store.commit(batch).await.unwrap();
    }
    store.close().await;
    drop(store);

    let (before, start) = (memory(), Instant::now());
    let store = Store::open(options).await.unwrap();
    let middle = store
        .get::<Certificate>(CERTIFICATES, &key(RECORDS / 2))
        .await
        .unwrap()
        .unwrap();
    let opened = start.elapsed();
    assert_eq!(middle.value.serial, RECORDS / 2);
    println!(
        "opened {RECORDS} records in {opened:?}, with {} KiB more memory",
        memory().saturating_sub(before)
    );
    assert!(opened < Duration::from_secs(1), "{opened:?}");
    let page = store
        .scan::<Certificate>(
            CERTIFICATES,
            "000000000000/",
            Some(&key(RECORDS - 11)),
            1000,
        )
        .await
        .unwrap();
    assert_eq!(page.len(), 10);
    assert!(
        memory().saturating_sub(before) < 16 << 10,
        "memory grew from {before} to {} KiB",
        memory()
    );
}
