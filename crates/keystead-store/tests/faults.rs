//! The disk fails, fills up or loses its power at the Nth write, sync or cut, for N = 1, 2, 3...
//! No acknowledged batch is lost, none is half done, and the store goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

mod support;

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keystead_store::{Store, StoreError, StoreOptions, Version};
use support::fault_vfs::{self, Fault};
use support::{check_after_crash, commit_pair, whole_pairs};

/// Bytes of a record: some pages of the log for each.
const WEIGHT: usize = 30_000;
const COMMITTERS: u64 = 3;
/// Together more pages than the log holds before it is copied into the file.
const ROUNDS: u64 = 30;

/// One disk for all tests of this file.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    fault_vfs::install();
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

async fn open(dir: &Path) -> Result<Store, keystead_store::OpenError> {
    Store::open(StoreOptions::new(dir.join("data"))).await
}

/// Commits pairs from several tasks at once; those acknowledged.
async fn work(store: &Store) -> Vec<(u64, Version)> {
    let tasks: Vec<_> = (0..COMMITTERS)
        .map(|committer| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for round in 0..ROUNDS {
                    let number = committer * 1000 + round;
                    match commit_pair(&store, number, WEIGHT).await {
                        Ok(version) => acknowledged.push((number, version)),
                        Err(StoreError::Full | StoreError::Unavailable(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    let mut acknowledged = Vec::new();
    for task in tasks {
        acknowledged.extend(task.await.unwrap());
    }
    acknowledged
}

/// Steps of a whole life of the store, from the making of its file to its closing.
async fn count_steps() -> u64 {
    let dir = tempfile::tempdir().unwrap();
    fault_vfs::reset();
    let store = open(dir.path()).await.unwrap();
    let acknowledged = work(&store).await;
    assert_eq!(acknowledged.len() as u64, COMMITTERS * ROUNDS);
    store.close().await;
    fault_vfs::steps()
}

/// The first steps all, for they make the store; of the others a sample that is another one for each
/// kind of fault.
fn chosen(total: u64, offset: u64) -> impl Iterator<Item = u64> {
    let stride = (total / 40).max(1);
    (1..=40).chain((41 + offset..total).step_by(stride as usize))
}

#[test]
fn a_power_cut_at_any_step_loses_nothing_acknowledged() {
    let _turn = turn();
    runtime().block_on(async {
        let total = count_steps().await;
        assert!(
            total > 2000,
            "the log is too short to be copied: {total} steps"
        );
        for step in chosen(total, 7) {
            let dir = tempfile::tempdir().unwrap();
            fault_vfs::reset();
            fault_vfs::fail_at(step, Fault::PowerCut);
            let mut acknowledged = Vec::new();
            // Making the store may already be cut short.
            if let Ok(store) = open(dir.path()).await {
                acknowledged = work(&store).await;
                store.close().await;
            }
            fault_vfs::reboot(step);
            let store = open(dir.path()).await.unwrap();
            check_after_crash(&store, &acknowledged, &format!("power cut at step {step}")).await;
        }
    });
}

#[test]
fn a_failing_disk_loses_nothing_acknowledged_and_the_store_goes_on() {
    let _turn = turn();
    runtime().block_on(async {
        let total = count_steps().await;
        for step in chosen(total, 13) {
            let fault = if step % 2 == 0 {
                Fault::Full
            } else {
                Fault::Broken
            };
            let context = format!("{fault:?} at step {step}");
            let dir = tempfile::tempdir().unwrap();
            fault_vfs::reset();
            fault_vfs::fail_at(step, fault);
            let Ok(store) = open(dir.path()).await else {
                // Not made; nothing is in the way of the next try.
                fault_vfs::heal();
                let store = open(dir.path()).await.unwrap();
                check_after_crash(&store, &[], &context).await;
                continue;
            };
            let mut acknowledged = work(&store).await;
            // Reads go on while the disk takes no writes.
            let readable = whole_pairs(&store).await;
            for (number, _) in &acknowledged {
                assert!(
                    readable.contains(number),
                    "{context}: {number} cannot be read"
                );
            }
            fault_vfs::heal();
            let later = commit_pair(&store, 5000, WEIGHT).await.unwrap();
            acknowledged.push((5000, later));
            drop(store);
            let store = open(dir.path()).await.unwrap();
            check_after_crash(&store, &acknowledged, &context).await;
        }
    });
}

#[test]
fn a_full_disk_is_told_as_such() {
    let _turn = turn();
    runtime().block_on(async {
        let dir = tempfile::tempdir().unwrap();
        fault_vfs::reset();
        let store = open(dir.path()).await.unwrap();
        commit_pair(&store, 1, WEIGHT).await.unwrap();
        fault_vfs::fail_at(1, Fault::Full);
        for number in 2..5 {
            let error = commit_pair(&store, number, WEIGHT).await.unwrap_err();
            assert_eq!(error, StoreError::Full);
        }
        assert_eq!(whole_pairs(&store).await, [1]);
        fault_vfs::heal();
        commit_pair(&store, 9, WEIGHT).await.unwrap();
        assert_eq!(whole_pairs(&store).await, [1, 9]);
    });
}
