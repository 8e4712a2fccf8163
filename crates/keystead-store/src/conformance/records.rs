//! Records and batches.

use tokio::task::JoinSet;

use super::{Failure, LAMPS, Lamp, World, conflict, ensure, lamp, put, same, watts};
use crate::{Batch, Collection, Expect, Haste, Store, StoreError, Version};

pub(super) async fn a_record_is_read_as_it_was_written(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    same(watts(&store, "a").await?, None, "before")?;
    let version = put(&store, "a", 40, Expect::Absent).await?;
    let stored = store.get::<Lamp>(LAMPS, "a").await?.ok_or("not there")?;
    same(stored.key.as_str(), "a", "key")?;
    same(stored.value, lamp(40), "value")?;
    same(stored.version, version, "version")?;
    same(store.version(), version, "the store's version")
}

pub(super) async fn versions_only_grow(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut last = store.version();
    for round in 0..20 {
        let version = put(&store, &format!("k{}", round % 3), round, Expect::Any).await?;
        ensure(version > last, format!("{version} after {last}"))?;
        last = version;
    }
    drop(store);
    let store = world.open().await?;
    same(store.version(), last, "version after reopening")?;
    let next = put(&store, "k0", 1, Expect::Any).await?;
    ensure(next > last, format!("{next} after reopening at {last}"))
}

pub(super) async fn preconditions_are_checked(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let first = put(&store, "a", 1, Expect::Absent).await?;
    conflict(put(&store, "a", 2, Expect::Absent).await, "a")?;
    let second = put(&store, "a", 3, Expect::Version(first)).await?;
    conflict(put(&store, "a", 4, Expect::Version(first)).await, "a")?;
    conflict(put(&store, "b", 5, Expect::Version(second)).await, "b")?;
    put(&store, "a", 6, Expect::Any).await?;
    same(watts(&store, "a").await?, Some(6), "value")?;
    same(watts(&store, "b").await?, None, "never stored")
}

pub(super) async fn a_refused_batch_stores_nothing(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let before = put(&store, "a", 1, Expect::Absent).await?;
    for last_step in 0..3 {
        let mut batch = Batch::new();
        batch
            .put(LAMPS, "a", &lamp(2), Expect::Any)
            .put(LAMPS, "b", &lamp(2), Expect::Absent)
            .enqueue("test-work", "b", jiff::Timestamp::UNIX_EPOCH, &());
        match last_step {
            0 => batch.expect(LAMPS, "missing", Expect::Version(before)),
            1 => batch.delete(LAMPS, "missing", Expect::Version(before)),
            _ => batch.put(LAMPS, "missing", &lamp(3), Expect::Version(before)),
        };
        conflict(store.commit(batch).await, "missing")?;
        same(watts(&store, "a").await?, Some(1), "overwritten")?;
        same(watts(&store, "b").await?, None, "added")?;
        same(store.next_due("test-work").await?, None, "enqueued")?;
        same(store.version(), before, "version")?;
    }
    Ok(())
}

pub(super) async fn preconditions_see_the_store_before_the_batch(
    world: &World<'_>,
) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut batch = Batch::new();
    batch
        .put(LAMPS, "a", &lamp(1), Expect::Absent)
        .expect(LAMPS, "a", Expect::Absent)
        .put(LAMPS, "a", &lamp(2), Expect::Absent);
    store.commit(batch).await?;
    same(watts(&store, "a").await?, Some(2), "steps in their order")
}

pub(super) async fn one_of_many_wins(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut racers = JoinSet::new();
    for racer in 0..32 {
        let store = store.clone();
        racers.spawn(async move { put(&store, "a", racer, Expect::Absent).await });
    }
    let results = racers.join_all().await;
    same(results.iter().filter(|r| r.is_ok()).count(), 1, "winners")?;
    for loser in results.into_iter().filter(Result::is_err) {
        conflict(loser, "a")?;
    }
    Ok(())
}

/// Counters incremented by compare-and-set from many tasks: no increment is lost.
pub(super) async fn many_at_once_are_all_stored(world: &World<'_>) -> Result<(), Failure> {
    const TASKS: u64 = 8;
    const ROUNDS: u64 = 25;
    let store = world.open().await?;
    put(&store, "shared", 0, Expect::Absent).await?;
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.spawn(async move {
            for round in 0..ROUNDS {
                loop {
                    let stored = store
                        .get::<Lamp>(LAMPS, "shared")
                        .await?
                        .ok_or(StoreError::Closed)?;
                    let mut batch = Batch::new();
                    let next = lamp(stored.value.watts + 1);
                    batch
                        .put(LAMPS, "shared", &next, Expect::Version(stored.version))
                        .put(LAMPS, format!("own/{task}/{round}"), &next, Expect::Absent);
                    match store.commit(batch).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict { .. }) => {}
                        Err(other) => return Err(other),
                    }
                }
            }
            Ok(())
        });
    }
    for result in tasks.join_all().await {
        result?;
    }
    same(
        watts(&store, "shared").await?,
        Some(TASKS * ROUNDS),
        "count",
    )?;
    let own = store.scan::<Lamp>(LAMPS, "own/", None, 1000).await?;
    same(own.len() as u64, TASKS * ROUNDS, "records")
}

pub(super) async fn scans_are_in_byte_order_and_page(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    // By bytes: capitals before small letters, and a character beyond U+FFFF after all.
    let mut keys: Vec<String> = ["a/B", "a/a", "a/a ", "a/a/", "a/z", "a/é", "a/\u{10ffff}x"]
        .map(String::from)
        .to_vec();
    keys.extend((0..60).map(|n| format!("a/n{n:03}")));
    keys.sort();
    let mut batch = Batch::new();
    for (watts, key) in keys.iter().rev().enumerate() {
        batch.put(LAMPS, key, &lamp(watts as u64), Expect::Absent);
    }
    for outside in ["a", "a.", "a0", "b/a"] {
        batch.put(LAMPS, outside, &lamp(0), Expect::Absent);
    }
    store.commit(batch).await?;
    for limit in [1, 7, 16, 17, 1000] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().cloned();
            let page = store
                .scan::<Lamp>(LAMPS, "a/", after.as_deref(), limit)
                .await?;
            ensure(page.len() <= limit, "a page is longer than asked for")?;
            let full = page.len() == limit;
            found.extend(page.into_iter().map(|stored| stored.key));
            if !full {
                break;
            }
        }
        same(&found, &keys, &format!("pages of {limit}"))?;
    }
    same(
        store.scan::<Lamp>(LAMPS, "a/", None, 0).await?.len(),
        0,
        "none asked for",
    )?;
    let early = store.scan::<Lamp>(LAMPS, "a/", Some("Z"), 1).await?;
    same(
        early.first().map(|s| s.key.as_str()),
        Some("a/B"),
        "a cursor before the prefix",
    )?;
    let late = store.scan::<Lamp>(LAMPS, "a/", Some("b"), 1).await?;
    same(late.len(), 0, "a cursor behind the prefix")?;
    scans_go_back_too(&store, keys).await
}

async fn scans_go_back_too(store: &Store, mut keys: Vec<String>) -> Result<(), Failure> {
    keys.reverse();
    for limit in [1, 7, 17, 1000] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let after = found.last().cloned();
            let page = store
                .scan_back::<Lamp>(LAMPS, "a/", after.as_deref(), limit)
                .await?;
            let full = page.len() == limit;
            found.extend(page.into_iter().map(|stored| stored.key));
            if !full {
                break;
            }
        }
        same(&found, &keys, &format!("pages of {limit}, back"))?;
    }
    let all = store.scan_back::<Lamp>(LAMPS, "", None, 1000).await?;
    same(all.len(), keys.len() + 4, "all, back")?;
    let behind = store.scan_back::<Lamp>(LAMPS, "a/", Some("b"), 1).await?;
    same(
        behind.first().map(|s| &s.key),
        keys.first(),
        "a cursor behind the prefix, back",
    )?;
    let before = store.scan_back::<Lamp>(LAMPS, "a/", Some("a"), 1).await?;
    same(before.len(), 0, "a cursor before the prefix, back")
}

pub(super) async fn a_prefix_is_not_a_pattern(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    for key in ["100%", "100x", "a_b", "axb", "a*", "a'; --"] {
        put(&store, key, 1, Expect::Absent).await?;
    }
    for prefix in ["100%", "a_", "a*", "a';"] {
        let found = store.scan::<Lamp>(LAMPS, prefix, None, 10).await?;
        same(found.len(), 1, prefix)?;
    }
    same(
        store.scan::<Lamp>(LAMPS, "", None, 10).await?.len(),
        6,
        "all",
    )
}

pub(super) async fn deleted_records_are_gone(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let version = put(&store, "a", 1, Expect::Absent).await?;
    let mut wrong = Batch::new();
    wrong.delete(LAMPS, "a", Expect::Version(Version(version.0 + 1)));
    conflict(store.commit(wrong).await, "a")?;
    let mut right = Batch::new();
    right.delete(LAMPS, "a", Expect::Version(version));
    store.commit(right).await?;
    same(watts(&store, "a").await?, None, "after")?;
    same(
        store.scan::<Lamp>(LAMPS, "", None, 10).await?.len(),
        0,
        "scan",
    )?;
    put(&store, "a", 2, Expect::Absent).await?;
    Ok(())
}

pub(super) async fn what_was_committed_is_there_after_reopening(
    world: &World<'_>,
) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut versions = Vec::new();
    for n in 0..10 {
        versions.push(put(&store, &format!("k{n}"), n, Expect::Absent).await?);
    }
    store.close().await;
    drop(store);
    let store = world.open().await?;
    let found = store.scan::<Lamp>(LAMPS, "k", None, 100).await?;
    same(
        found.iter().map(|s| s.version).collect::<Vec<_>>(),
        versions,
        "versions",
    )?;
    same(
        found.iter().map(|s| s.value.watts).collect::<Vec<_>>(),
        (0..10).collect(),
        "values",
    )
}

pub(super) async fn what_can_wait_is_stored_all_the_same(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut patient = Batch::new();
    patient.put(LAMPS, "a", &lamp(1), Expect::Absent);
    // Handed over first; the empty one behind it waits for it.
    let soon = store.commit_with(patient, Haste::Soon);
    let (stored, behind) = tokio::join!(soon, store.commit(Batch::new()));
    same(behind?, stored?, "the newest")?;
    let mut alone = Batch::new();
    alone.put(LAMPS, "b", &lamp(2), Expect::Absent);
    store.commit_with(alone, Haste::Soon).await?;
    drop(store);
    let store = world.open().await?;
    for (key, watts_of) in [("a", 1), ("b", 2)] {
        same(watts(&store, key).await?, Some(watts_of), key)?;
    }
    Ok(())
}

pub(super) async fn collections_are_apart(world: &World<'_>) -> Result<(), Failure> {
    const OTHER: Collection = Collection("test.lampshades");
    let store = world.open().await?;
    put(&store, "a", 1, Expect::Absent).await?;
    let mut batch = Batch::new();
    batch.put(OTHER, "a", &lamp(2), Expect::Absent);
    store.commit(batch).await?;
    same(watts(&store, "a").await?, Some(1), "one")?;
    let other = store.get::<Lamp>(OTHER, "a").await?.map(|s| s.value);
    same(other, Some(lamp(2)), "other")?;
    same(
        store.scan::<Lamp>(LAMPS, "", None, 10).await?.len(),
        1,
        "scan",
    )
}

pub(super) async fn nothing_changes_nothing(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let version = put(&store, "a", 1, Expect::Absent).await?;
    same(store.commit(Batch::new()).await?, version, "an empty batch")?;
    let mut batch = Batch::new();
    batch
        .expect(LAMPS, "a", Expect::Version(version))
        .delete(LAMPS, "b", Expect::Any)
        .cancel("test-work", "b");
    same(
        store.commit(batch).await?,
        version,
        "a batch without effect",
    )?;
    same(store.version(), version, "the store's version")
}

pub(super) async fn a_closed_store_says_so(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    put(&store, "a", 1, Expect::Absent).await?;
    store.close().await;
    same(watts(&store, "a").await, Err(StoreError::Closed), "get")?;
    same(
        put(&store, "a", 1, Expect::Any).await,
        Err(StoreError::Closed),
        "commit",
    )?;
    same(
        store.next_due("test-work").await,
        Err(StoreError::Closed),
        "due",
    )?;
    store.close().await;
    Ok(())
}
