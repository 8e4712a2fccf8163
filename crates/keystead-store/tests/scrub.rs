//! What was deleted or replaced is in none of the store's files any more once they are scrubbed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod support;

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use keystead_store::{Batch, Expect, Store, StoreOptions, Versioned};
use rusqlite::{Connection, OpenFlags};
use serde::{Deserialize, Serialize};
use support::{Half, PAIRS};

const PIECE: usize = 16;

#[derive(Serialize, Deserialize)]
struct Secret {
    #[serde(with = "serde_bytes")]
    weight: Vec<u8>,
}

impl Versioned for Secret {
    const MARKER: &'static str = "test.secret/1";
    const SECRET: bool = true;
}

/// What is stored now under keys that begin so, sealed as it is in the file.
fn sealed(dir: &Path, prefix: &str) -> Vec<Vec<u8>> {
    let file = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "db"));
    let reader =
        Connection::open_with_flags(file.unwrap(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut statement = reader
        .prepare("SELECT value FROM record WHERE key LIKE ?1 || '%'")
        .unwrap();
    let rows = statement.query_map([prefix], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

/// How many pieces of these values are in the files of the directory.
fn left(dir: &Path, values: &[Vec<u8>]) -> usize {
    let pieces = values.iter().flat_map(|value| value.chunks_exact(PIECE));
    // What is sealed has no zeros to speak of; what stands around it has.
    let is_sealed = |piece: &&[u8]| piece.iter().filter(|byte| **byte == 0).count() < 4;
    let pieces: HashSet<&[u8]> = pieces.filter(is_sealed).collect();
    assert!(!pieces.is_empty());
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let files = files.filter(|entry| entry.file_type().unwrap().is_file());
    files
        .map(|entry| fs::read(entry.path()).unwrap())
        .map(|bytes| {
            let windows = bytes.windows(PIECE);
            windows.filter(|window| pieces.contains(window)).count()
        })
        .sum()
}

async fn put<T: Versioned>(store: &Store, key: &str, value: &T) {
    let mut batch = Batch::new();
    batch.put(PAIRS, key, value, Expect::Any);
    store.commit(batch).await.unwrap();
}

fn half(weight: usize) -> Half {
    Half {
        number: 0,
        weight: vec![7; weight],
    }
}

#[tokio::test]
async fn what_was_deleted_or_replaced_is_nowhere() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path();
    let store = Store::open(StoreOptions::new(dir)).await.unwrap();
    let mut gone = Vec::new();
    // Records of all sizes, each replaced by smaller and larger ones, among others that stay.
    for round in 0..4_usize {
        for number in 0..60_usize {
            let weight = (number * 137 + round * 911) % 3000;
            let secret = Secret {
                weight: vec![7; weight],
            };
            put(&store, &format!("gone/{number}"), &secret).await;
            put(&store, &format!("stays/{number}"), &half(weight)).await;
        }
        gone.extend(sealed(dir, "gone/"));
    }
    let stays = sealed(dir, "stays/");
    for number in 0..60 {
        let mut batch = Batch::new();
        batch.delete(PAIRS, format!("gone/{number}"), Expect::Any);
        store.commit(batch).await.unwrap();
    }
    assert!(left(dir, &gone) > 0, "the log has them");
    assert!(store.scrub().await.unwrap());
    assert_eq!(left(dir, &gone), 0);
    assert!(left(dir, &stays) > 0);
    store.close().await;
}

#[tokio::test]
async fn a_reader_of_an_older_state_is_in_the_way_for_as_long_as_it_reads() {
    let scratch = tempfile::tempdir().unwrap();
    let store = Store::open(StoreOptions::new(scratch.path()))
        .await
        .unwrap();
    put(&store, "a", &half(100)).await;
    let file = fs::read_dir(scratch.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|extension| extension == "db"));
    let reader =
        Connection::open_with_flags(file.unwrap(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let moment = reader.unchecked_transaction().unwrap();
    let count = |reader: &Connection| -> i64 {
        let count = reader.query_row("SELECT count(*) FROM record", [], |row| row.get(0));
        count.unwrap()
    };
    let before = count(&moment);
    put(&store, "b", &half(100)).await;
    assert!(!store.scrub().await.unwrap());
    put(&store, "c", &half(100)).await;
    assert_eq!(count(&moment), before);
    drop(moment);
    assert!(store.scrub().await.unwrap());
    assert_eq!(count(&reader), before + 2);
}
