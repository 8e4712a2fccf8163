//! What a durable commit, a read and an audit event cost, beside what the disk alone takes in the
//! same run.
//!
//! `cargo bench -p keystead-store --bench store [-- DIRECTORY]`: the directory decides which disk is
//! measured; a temporary one without it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use keystead_store::journal::{Journal, JournalOptions};
use keystead_store::{Batch, Collection, Expect, Store, StoreOptions, Versioned};
use serde::{Deserialize, Serialize};

/// How long each line is measured.
const RUN: Duration = Duration::from_secs(3);
/// Bytes of a record: a certificate with its attributes.
const RECORD: usize = 1500;
/// Bytes of an audit event.
const EVENT: usize = 1000;

const RECORDS: Collection = Collection("bench.records");

#[derive(Serialize, Deserialize)]
struct Record {
    #[serde(with = "serde_bytes")]
    body: Vec<u8>,
}

impl Versioned for Record {
    const MARKER: &'static str = "bench.record/1";
}

fn main() {
    let scratch = tempfile::tempdir().unwrap();
    // The harness passes flags of its own.
    let named = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with("--"));
    let dir = named.map_or_else(|| scratch.path().to_owned(), PathBuf::from);
    std::fs::create_dir_all(&dir).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    println!(
        "{:<34}{:>12}{:>12}{:>12}{:>12}",
        "", "per second", "p50 us", "p99 us", "cpu us"
    );
    disk(&dir);
    for committers in [1, 8, 64] {
        let _ = std::fs::remove_dir_all(dir.join("store"));
        runtime.block_on(async {
            let store = Store::open(StoreOptions::new(dir.join("store")))
                .await
                .unwrap();
            let each = commits(&store, committers).await;
            if committers == 8 {
                reads(&store, each).await;
            }
            if committers == 64 {
                for sync in [false, true] {
                    events(&store, &dir, sync).await;
                }
            }
            store.close().await;
        });
    }
    disk(&dir);
}

/// The disk alone: 4 KiB written behind the end of a file, and fdatasync.
fn disk(dir: &Path) {
    let path = dir.join("disk");
    let file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .open(&path)
        .unwrap();
    let page = [7; 4096];
    let mut latencies = Vec::new();
    let (start, used) = (Instant::now(), processor());
    while start.elapsed() < RUN {
        let before = Instant::now();
        file.write_all_at(&page, latencies.len() as u64 * 4096)
            .unwrap();
        file.sync_data().unwrap();
        latencies.push(before.elapsed());
    }
    report(
        "disk: write 4 KiB, fdatasync",
        latencies,
        start.elapsed(),
        processor() - used,
    );
    std::fs::remove_file(path).unwrap();
}

/// Each committer stores one new record at a time; how many the slowest one stored.
async fn commits(store: &Store, committers: usize) -> usize {
    let (start, used) = (Instant::now(), processor());
    let tasks: Vec<_> = (0..committers)
        .map(|committer| {
            let store = store.clone();
            tokio::spawn(async move {
                let record = Record {
                    body: vec![committer as u8; RECORD],
                };
                let mut latencies = Vec::new();
                while start.elapsed() < RUN {
                    let key = scattered(committer, latencies.len());
                    let before = Instant::now();
                    let mut batch = Batch::new();
                    batch.put(RECORDS, key, &record, Expect::Absent);
                    store.commit(batch).await.unwrap();
                    latencies.push(before.elapsed());
                }
                latencies
            })
        })
        .collect();
    let (mut latencies, mut least) = (Vec::new(), usize::MAX);
    for task in tasks {
        let own = task.await.unwrap();
        least = least.min(own.len());
        latencies.extend(own);
    }
    report(
        &format!("commit: {committers} at a time"),
        latencies,
        start.elapsed(),
        processor() - used,
    );
    least
}

async fn reads(store: &Store, each: usize) {
    let mut latencies = Vec::new();
    let (start, used) = (Instant::now(), processor());
    while start.elapsed() < RUN {
        let key = scattered(latencies.len() % 8, latencies.len() / 8 % each);
        let before = Instant::now();
        store.get::<Record>(RECORDS, &key).await.unwrap().unwrap();
        latencies.push(before.elapsed());
    }
    report(
        "get: one task",
        latencies,
        start.elapsed(),
        processor() - used,
    );
}

/// Audit events, eight at a time.
async fn events(store: &Store, dir: &Path, sync: bool) {
    let options = JournalOptions::new(dir.join("store/audit")).sync(sync);
    let journal = Journal::open(options, store).await.unwrap();
    let (start, used) = (Instant::now(), processor());
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let journal = journal.clone();
            tokio::spawn(async move {
                let event = format!(
                    "{{\"eventName\":\"Bench\",\"body\":\"{}\"}}",
                    "x".repeat(EVENT)
                );
                let mut latencies = Vec::new();
                while start.elapsed() < RUN {
                    let before = Instant::now();
                    journal.append(event.clone().into_bytes()).await.unwrap();
                    latencies.push(before.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::new();
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let what = if sync { "event on disk" } else { "event" };
    report(
        &format!("{what}: 8 at a time"),
        latencies,
        start.elapsed(),
        processor() - used,
    );
    journal.close().await.unwrap();
}

/// Keys as random as the identifiers of certificates are.
fn scattered(committer: usize, n: usize) -> String {
    let mixed = ((committer as u64) << 40 | n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("000000000000/eu-central-1/{mixed:016x}-{committer}-{n}")
}

/// Processor time of this process so far.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Fields 14 and 15, the program's name (in parentheses) being the second; in hundredths.
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks = |field: usize| -> u64 {
        after_name
            .split_whitespace()
            .nth(field - 3)
            .unwrap()
            .parse()
            .unwrap()
    };
    Duration::from_millis((ticks(14) + ticks(15)) * 10)
}

/// A line; processor time per operation depends less on what else the machine does.
fn report(what: &str, mut latencies: Vec<Duration>, elapsed: Duration, processor: Duration) {
    latencies.sort_unstable();
    let at = |percent: usize| latencies[latencies.len() * percent / 100].as_micros();
    println!(
        "{what:<34}{:>12.0}{:>12}{:>12}{:>12.1}",
        latencies.len() as f64 / elapsed.as_secs_f64(),
        at(50),
        at(99),
        processor.as_secs_f64() * 1e6 / latencies.len() as f64
    );
}
