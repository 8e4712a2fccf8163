//! The journal as a whole, on a real directory, with a disk that fails on demand.

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::{Batch, Expect, OpenError, StoreOptions};

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
async fn a_torn_end_is_moved_aside_and_told() {
    let world = World::new();
    let store = world.store().await;
    let journal = Journal::open(world.options(), &store).await.unwrap();
    journal.append(event(1)).await.unwrap();
    journal.close().await.unwrap();
    let path = &world.files()[0];
    let whole = fs::read(path).unwrap();
    let mut torn = Vec::new();
    line::write(
        &mut torn,
        &world.report().last.unwrap(),
        Version(1),
        &event(2),
    );
    // A crash can leave any part of what was written last; a power cut also garbage behind it.
    let mut ends: Vec<Vec<u8>> = (1..torn.len())
        .step_by(7)
        .map(|cut| torn[..cut].to_vec())
        .collect();
    ends.push([&torn[..20], &b"\0\0\0\0\n"[..], &torn].concat());
    for end in ends {
        fs::write(path, [&whole[..], &end].concat()).unwrap();
        let journal = Journal::open(world.options(), &store).await.unwrap();
        journal.append(event(3)).await.unwrap();
        drop(journal);

        let report = world.report();
        assert!(report.is_whole() && !report.unfinished, "{report:?}");
        let events = world.events();
        assert_eq!(numbers(&events), [1, 3], "{} torn bytes", end.len());
        let notice = &events[1];
        assert_eq!(notice["eventName"], "JournalOpened");
        assert_eq!(notice["eventTime"], "1970-01-01T00:00:00Z");
        assert_eq!(notice["serviceEventDetails"]["tornBytes"], end.len());
        let kept = notice["serviceEventDetails"]["tornBytesKeptIn"]
            .as_str()
            .unwrap();
        let kept = world.journal_dir().join(kept);
        assert_eq!(fs::read(&kept).unwrap(), end);
        fs::remove_file(kept).unwrap();
        // The next end is torn off the same journal again, which the store knows to be longer.
        let pin = pin::Pins::new(store.clone());
        pin.write(
            line::Line::parse(whole.strip_suffix(b"\n").unwrap())
                .unwrap()
                .head(),
        )
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_file_with_nothing_whole_in_it_gives_way() {
    let world = World::new();
    world.written(4).await;
    let last = world.files().pop().unwrap();
    for rubbish in ["", "{\"sequ"] {
        let next = segment::Segment::new(&world.journal_dir(), 5).path;
        assert_ne!(next, last);
        fs::write(&next, rubbish).unwrap();
        world.written(0).await;
        let events = world.events();
        assert_eq!(numbers(&events), [1, 2, 3, 4]);
        assert_eq!(events.len(), 4 + usize::from(!rubbish.is_empty()));
        assert!(world.report().is_whole());
    }
}

#[tokio::test]
async fn every_touch_is_noticed() {
    type Touch = fn(&mut Vec<Vec<u8>>);
    let touches: [(&str, Touch, Problem); 6] = [
        (
            "changed",
            |lines| {
                let at = lines[2].len() / 2;
                lines[2][at] ^= 1;
            },
            Problem::Altered { sequence: 3 },
        ),
        (
            "removed",
            |lines| drop(lines.remove(2)),
            Problem::OutOfOrder {
                expected: 3,
                found: 4,
            },
        ),
        (
            "swapped",
            |lines| lines.swap(2, 3),
            Problem::OutOfOrder {
                expected: 3,
                found: 4,
            },
        ),
        (
            "repeated",
            |lines| lines.insert(2, lines[1].clone()),
            Problem::OutOfOrder {
                expected: 3,
                found: 2,
            },
        ),
        (
            "overwritten",
            |lines| lines[2].fill(b' '),
            Problem::NotALine,
        ),
        (
            "forged",
            |lines| {
                // A whole line with a right hash of its own.
                let line = line::Line::parse(lines[1].strip_suffix(b"\n").unwrap()).unwrap();
                let mut forged = Vec::new();
                line::write(&mut forged, &line.head(), Version(1), b"{}");
                lines[2] = forged;
            },
            Problem::Unchained { sequence: 4 },
        ),
    ];
    let world = World::new();
    let store = world.store().await;
    let journal = Journal::open(world.options(), &store).await.unwrap();
    for n in 1..=6 {
        journal.append(event(n)).await.unwrap();
    }
    journal.close().await.unwrap();
    let path = &world.files()[0];
    let whole = fs::read(path).unwrap();
    for (what, touch, problem) in touches {
        let mut lines: Vec<_> = whole
            .split_inclusive(|b| *b == b'\n')
            .map(<[u8]>::to_vec)
            .collect();
        touch(&mut lines);
        fs::write(path, lines.concat()).unwrap();
        let report = world.report();
        assert!(!report.is_whole(), "{what}");
        assert_eq!(report.breaks[0].problem, problem, "{what}: {report:?}");
        assert!(!report.breaks[0].to_string().is_empty());
    }
}

#[tokio::test]
async fn missing_files_are_noticed() {
    let world = World::new();
    world.written(8).await;
    let files = world.files();
    for missing in [0, files.len() / 2] {
        let content = fs::read(&files[missing]).unwrap();
        fs::remove_file(&files[missing]).unwrap();
        let report = world.report();
        assert!(
            matches!(report.breaks[0].problem, Problem::OutOfOrder { .. }),
            "{report:?}"
        );
        fs::write(&files[missing], content).unwrap();
    }
    assert!(world.report().is_whole());
}

#[tokio::test]
async fn a_cut_end_is_noticed_by_what_the_store_has_recorded() {
    let world = World::new();
    let store = world.store().await;
    let journal = Journal::open(world.options(), &store).await.unwrap();
    for n in 1..=5 {
        journal.append(event(n)).await.unwrap();
    }
    journal.close().await.unwrap();
    let pin = pinned(&world.store_options()).unwrap().unwrap();
    assert_eq!(pin.sequence, 5);
    let path = &world.files()[0];
    let whole = fs::read(path).unwrap();
    let lines: Vec<_> = whole.split_inclusive(|b| *b == b'\n').collect();
    let mut replaced = Vec::new();
    (0..6).fold(Head::NONE, |head, _| {
        line::write(&mut replaced, &head, Version(1), b"{}")
    });

    for (content, problem) in [
        (
            lines[..3].concat(),
            Problem::CutShort {
                last: 3,
                recorded: 5,
            },
        ),
        (
            Vec::new(),
            Problem::CutShort {
                last: 0,
                recorded: 5,
            },
        ),
        (replaced, Problem::NotAsRecorded { sequence: 5 }),
    ] {
        fs::write(path, &content).unwrap();
        assert!(world.report().is_whole(), "the chain alone is whole");
        let report = verify(&world.journal_dir(), Some(&pin)).unwrap();
        assert_eq!(report.breaks[0].problem, problem);
        let refused = Journal::open(world.options(), &store).await.unwrap_err();
        assert!(
            matches!(refused, JournalError::RolledBack { .. }),
            "{refused}"
        );
        assert_eq!(fs::read(path).unwrap(), content, "nothing was changed");
    }
}

#[tokio::test]
async fn a_cut_journal_is_continued_when_the_operator_says_so() {
    let world = World::new();
    world.written(5).await;
    fs::remove_file(world.files().pop().unwrap()).unwrap();
    let store = world.store().await;
    let refused = Journal::open(world.options(), &store).await.unwrap_err();
    assert!(
        refused.to_string().contains("accept the rollback"),
        "{refused}"
    );
    drop(store);

    let accepting = world.store_options().accept_rollback(true);
    let store = Store::open(accepting).await.unwrap();
    let journal = Journal::open(world.options(), &store).await.unwrap();
    let last = world.events().pop().unwrap();
    assert_eq!(
        last["serviceEventDetails"]["acceptedJournalRollbackFrom"],
        5
    );
    drop((journal, store));
    // Once is enough.
    let store = world.store().await;
    Journal::open(world.options(), &store).await.unwrap();
    assert!(world.report().is_whole());
}

#[tokio::test]
async fn an_older_store_is_refused_until_the_operator_says_so() {
    const THINGS: Collection = Collection("test.things");
    async fn put(store: &Store) -> Version {
        let mut batch = Batch::new();
        batch.put(THINGS, "a", &(), Expect::Any);
        store.commit(batch).await.unwrap()
    }
    let world = World::new();
    let store = world.store().await;
    put(&store).await;
    let old = world.dir.path().join("old");
    store.snapshot(&old).await.unwrap();
    let journal = Journal::open(world.options(), &store).await.unwrap();
    let newest = put(&store).await;
    journal.append(event(1)).await.unwrap();
    drop((journal, store));

    let file = world.dir.path().join("data/store.db");
    fs::copy(&old, &file).unwrap();
    let refused = Store::open(world.store_options()).await.unwrap_err();
    assert_eq!(
        refused,
        OpenError::RolledBack {
            store: Version(1),
            journal: newest
        }
    );
    // A store that is gone altogether is no reason to begin a new one.
    fs::remove_file(&file).unwrap();
    let refused = Store::open(world.store_options()).await.unwrap_err();
    assert!(matches!(refused, OpenError::RolledBack { .. }), "{refused}");
    assert!(!file.exists());

    fs::copy(&old, &file).unwrap();
    let store = Store::open(world.store_options().accept_rollback(true))
        .await
        .unwrap();
    let journal = Journal::open(world.options(), &store).await.unwrap();
    let last = world.events().pop().unwrap();
    assert_eq!(last["serviceEventDetails"]["acceptedStoreRollbackTo"], 1);
    assert_eq!(
        last["serviceEventDetails"]["acceptedStoreRollbackFrom"],
        newest.0
    );
    assert!(put(&store).await > newest, "versions never repeat");
    drop((journal, store));
    // Once is enough.
    world.store().await;
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

/// The disk fails at the Nth write, sync or cut, for N = 1, 2, 3...; of a failing write some bytes
/// arrive. What was acknowledged stays; after the disk is well again, events are taken again.
#[tokio::test]
async fn no_failure_of_the_disk_loses_an_acknowledged_event() {
    for sync in [false, true] {
        for step in 1..24 {
            let world = World::new();
            let store = world.store().await;
            let options = world.options().sync(sync).segment_bytes(700);
            let faults = Arc::clone(&options.faults);
            let journal = Journal::open(options, &store).await.unwrap();
            faults.fail_from(step, (step as usize * 37) % 300);
            let mut acknowledged = Vec::new();
            for n in 1..=8 {
                match journal.append(event(n)).await {
                    Ok(()) => acknowledged.push(n),
                    Err(JournalError::Unavailable(_)) => {}
                    Err(other) => panic!("{other}"),
                }
            }
            faults.heal();
            // The disk is well, but the next try of a failed sync is a moment away.
            let mut last = journal.append(event(100)).await;
            while let Err(JournalError::Unavailable(_)) = last {
                tokio::task::yield_now().await;
                last = journal.append(event(100)).await;
            }
            last.unwrap();
            acknowledged.push(100);
            drop(journal);

            let report = world.report();
            assert!(
                report.is_whole() && !report.unfinished,
                "step {step}: {report:?}"
            );
            let found = numbers(&world.events());
            let mut missing = acknowledged.clone();
            missing.retain(|n| !found.contains(n));
            assert!(missing.is_empty(), "step {step}: {missing:?} of {found:?}");
        }
    }
}

#[tokio::test]
async fn a_disk_that_hangs_is_an_error_within_the_deadline() {
    let world = World::new();
    let store = world.store().await;
    let mut options = world.options();
    options.deadline = Duration::from_millis(50);
    let faults = Arc::clone(&options.faults);
    let journal = Journal::open(options, &store).await.unwrap();
    journal.append(event(1)).await.unwrap();
    faults.hang();
    for n in 2..5 {
        let error = journal.append(event(n)).await.unwrap_err();
        assert!(error.to_string().contains("50 milliseconds"), "{error}");
    }
    faults.heal();
    journal.close().await.unwrap();
    // Those that were told to have failed were tried, and may be there.
    assert!(world.report().is_whole());
    assert_eq!(numbers(&world.events())[0], 1);
}
