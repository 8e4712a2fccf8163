//! What people do to a journal: they change it, cut it, and put older copies in its place.

use super::*;
use crate::{Batch, Expect, OpenError};

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
