//! kill -9 under load, a hundred times: what was acknowledged is there, nothing is half there, the
//! store and the journal open again by themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use keystead_store::journal::{self, Filter, Journal, JournalOptions};
use keystead_store::{Store, StoreOptions};
use support::{commit_pair, whole_pairs};

const ROUNDS: u64 = 100;
const COMMITTERS: u64 = 4;
/// Tells the child which directory is its own.
const DIR: &str = "KEYSTEAD_TEST_KILL_DIR";

async fn open(dir: &Path) -> (Store, Journal) {
    let store = Store::open(StoreOptions::new(dir)).await.unwrap();
    let options = JournalOptions::new(dir.join("audit")).segment_bytes(100_000);
    let journal = Journal::open(options, &store).await.unwrap();
    (store, journal)
}

/// The child: commits pairs and records events until it is killed, and says so of each.
#[test]
#[ignore = "it is the child of the test below and never ends by itself"]
fn child() {
    let dir = PathBuf::from(std::env::var(DIR).unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let (store, journal) = open(&dir).await;
        let first = store.version().0 * 10;
        let tasks: Vec<_> = (0..COMMITTERS)
            .map(|committer| {
                let (store, journal) = (store.clone(), journal.clone());
                tokio::spawn(async move {
                    for number in (first + committer..).step_by(COMMITTERS as usize) {
                        commit_pair(&store, number, 500).await.unwrap();
                        let event = format!("{{\"eventName\":\"Pair\",\"number\":{number}}}");
                        journal.append(event.into_bytes()).await.unwrap();
                        // One write: a line is there or not.
                        let line = format!("\nacknowledged {number}\n");
                        std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                        std::io::stdout().lock().flush().unwrap();
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

/// Lets the child work until it has acknowledged so many, kills it, and returns all it acknowledged.
fn work_and_kill(dir: &Path, enough: u64) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acknowledged = Vec::new();
    let mut killed = false;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        if let Some(number) = line.unwrap().strip_prefix("acknowledged ") {
            acknowledged.push(number.parse().unwrap());
        }
        if !killed && acknowledged.len() as u64 >= enough {
            child.kill().unwrap();
            killed = true;
        }
    }
    child.wait().unwrap();
    assert!(killed, "the child ended by itself");
    acknowledged
}

#[test]
fn kill_minus_nine_a_hundred_times() {
    let scratch = tempfile::tempdir().unwrap();
    let dir = scratch.path().join("data");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut all = BTreeSet::new();
    for round in 0..ROUNDS {
        let acknowledged = work_and_kill(&dir, 1 + round * 7 % 60);
        all.extend(acknowledged);
        runtime.block_on(async {
            let (store, journal) = open(&dir).await;
            let stored: BTreeSet<_> = whole_pairs(&store).await.into_iter().collect();
            let lost: Vec<_> = all.difference(&stored).collect();
            assert!(
                lost.is_empty(),
                "round {round}: {lost:?} are not in the store"
            );
            drop((journal, store));
        });
        let pin = journal::pinned(&StoreOptions::new(&dir)).unwrap();
        let report = journal::verify(&dir.join("audit"), pin.as_ref()).unwrap();
        assert!(report.is_whole(), "round {round}: {report:?}");
        let recorded: BTreeSet<u64> = journal::show(&dir.join("audit"), Filter::default())
            .unwrap()
            .filter_map(|entry| {
                let event: serde_json::Value = serde_json::from_str(&entry.unwrap().event).unwrap();
                event["number"].as_u64()
            })
            .collect();
        let lost: Vec<_> = all.difference(&recorded).collect();
        assert!(
            lost.is_empty(),
            "round {round}: {lost:?} are not in the journal"
        );
    }
    assert!(
        all.len() as u64 > ROUNDS,
        "hardly anything was done: {}",
        all.len()
    );
}
