//! The journal as a whole, on a real directory, with a disk that fails on demand.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::StoreOptions;

mod faults;
mod touched;

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
        }
    }

    fn journal_dir(&self) -> PathBuf {
        self.dir.path().join("data/audit")
    }

    fn store_options(&self) -> StoreOptions {
        StoreOptions::new(self.dir.path().join("data"))
    }

    async fn store(&self) -> Store {
        Store::open(self.store_options()).await.unwrap()
    }

    fn options(&self) -> JournalOptions {
        JournalOptions::new(self.journal_dir()).opened_at(Timestamp::UNIX_EPOCH)
    }

    fn files(&self) -> Vec<PathBuf> {
        let segments = segment::list(&self.journal_dir()).unwrap();
        segments.into_iter().map(|segment| segment.path).collect()
    }

    fn events(&self) -> Vec<Value> {
        self.shown(Filter::default())
    }

    fn shown(&self, filter: Filter) -> Vec<Value> {
        show(&self.journal_dir(), filter)
            .unwrap()
            .map(|entry| serde_json::from_str(&entry.unwrap().event).unwrap())
            .collect()
    }

    fn report(&self) -> Report {
        verify(&self.journal_dir(), None).unwrap()
    }

    /// A journal with these events, closed; each file holds about two.
    async fn written(&self, events: u64) {
        let store = self.store().await;
        let options = self.options().segment_bytes(600);
        let journal = Journal::open(options, &store).await.unwrap();
        for n in 1..=events {
            journal.append(event(n)).await.unwrap();
        }
        journal.close().await.unwrap();
    }
}

fn event(n: u64) -> Vec<u8> {
    let time = Timestamp::from_second(n as i64 * 60).unwrap();
    let name = if n.is_multiple_of(3) {
        "Third"
    } else {
        "Other"
    };
    json!({"eventName": name, "eventTime": time.to_string(), "n": n})
        .to_string()
        .into_bytes()
}

fn numbers(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|event| event["n"].as_u64())
        .collect()
}
#[tokio::test]
async fn events_come_back_in_order_across_files_and_restarts() {
    let world = World::new();
    world.written(5).await;
    world.written(5).await;
    let files = world.files();
    assert!(files.len() > 2, "{files:?}");
    assert_eq!(numbers(&world.events()), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5]);
    let report = world.report();
    assert!(report.is_whole() && !report.unfinished, "{report:?}");
    assert_eq!((report.events, report.first), (10, Some(1)));
    let pin = pinned(&world.store_options()).unwrap();
    assert_eq!(pin, report.last, "closing records the end");
}

#[tokio::test]
async fn many_at_once_are_chained() {
    let world = World::new();
    let store = world.store().await;
    for sync in [false, true] {
        let journal = Journal::open(world.options().sync(sync), &store)
            .await
            .unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..500 {
            let journal = journal.clone();
            tasks.spawn(async move { journal.append(event(n)).await });
        }
        for result in tasks.join_all().await {
            result.unwrap();
        }
    }
    let report = world.report();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.events, 1000);
}

#[tokio::test]
async fn what_is_not_an_event_is_refused() {
    let world = World::new();
    let store = world.store().await;
    let journal = Journal::open(world.options(), &store).await.unwrap();
    for bytes in [&b""[..], b"x", b"{\n}", b"{}\n", b"[]"] {
        let error = journal.append(bytes.to_vec()).await.unwrap_err();
        assert!(matches!(error, JournalError::Invalid(_)), "{error}");
    }
    let mut long = vec![b' '; MAX_EVENT + 1];
    (long[0], long[MAX_EVENT]) = (b'{', b'}');
    let error = journal.append(long).await.unwrap_err().to_string();
    assert!(error.contains("4194305"), "{error}");

    let mut longest = vec![b' '; MAX_EVENT];
    (longest[0], longest[MAX_EVENT - 1]) = (b'{', b'}');
    journal.append(longest).await.unwrap();
    journal.append(event(1)).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(world.report().events, 2);
    let tail = Filter {
        tail: Some(2),
        ..Filter::default()
    };
    assert_eq!(world.shown(tail).len(), 2);
    let error = journal.append(event(1)).await.unwrap_err();
    assert_eq!(error, JournalError::Closed);
}

#[tokio::test]
async fn filters_select() {
    let world = World::new();
    world.written(20).await;
    let third = Filter {
        event_name: Some("Third".into()),
        ..Filter::default()
    };
    assert_eq!(numbers(&world.shown(third.clone())), [3, 6, 9, 12, 15, 18]);
    for tail in [0, 1, 2, 6, 7] {
        let last = Filter {
            tail: Some(tail),
            ..third.clone()
        };
        let expected: Vec<u64> = [3, 6, 9, 12, 15, 18]
            .into_iter()
            .skip(6usize.saturating_sub(tail))
            .collect();
        assert_eq!(numbers(&world.shown(last)), expected);
    }
    let since = Filter {
        since: Some(Timestamp::from_second(17 * 60).unwrap()),
        ..Filter::default()
    };
    assert_eq!(numbers(&world.shown(since.clone())), [17, 18, 19, 20]);
    let both = Filter {
        tail: Some(2),
        ..since
    };
    assert_eq!(numbers(&world.shown(both)), [19, 20]);
    // What is being written is not shown; what is damaged is told between the others.
    let last = world.files().pop().unwrap();
    let text = fs::read(&last).unwrap();
    fs::write(
        &last,
        [b"rubbish\n", &text[..], b"{\"sequence\":99"].concat(),
    )
    .unwrap();
    let shown: Vec<_> = show(&world.journal_dir(), Filter::default())
        .unwrap()
        .collect();
    assert_eq!(shown.iter().filter(|entry| entry.is_ok()).count(), 20);
    assert_eq!(shown.iter().filter(|entry| entry.is_err()).count(), 1);
    let nothing = show(&world.dir.path().join("none"), Filter::default()).unwrap();
    assert_eq!(nothing.count(), 0);
}
