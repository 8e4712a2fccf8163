//! The change feed.

use jiff::Timestamp;

use super::{Failure, LAMPS, World, ensure, lamp, put, same, watts};
use crate::change::FEED_DEPTH;
use crate::{Batch, Change, ChangeFeed, Expect, FeedEvent, StoreError, Version};

async fn next(feed: &mut ChangeFeed) -> Result<Change, Failure> {
    match feed.next().await {
        Some(FeedEvent::Change(change)) => Ok(change),
        other => Err(format!("expected a change, found {other:?}").into()),
    }
}

fn change(version: Version, collection: &str, key: &str) -> Change {
    Change {
        version,
        collection: collection.into(),
        key: key.into(),
    }
}

pub(super) async fn changes_are_told_in_the_order_of_commits(
    world: &World<'_>,
) -> Result<(), Failure> {
    let store = world.open().await?;
    put(&store, "before", 1, Expect::Absent).await?;
    let mut feed = store.watch();
    let mut batch = Batch::new();
    batch
        .put(LAMPS, "a", &lamp(1), Expect::Absent)
        .delete(LAMPS, "before", Expect::Any)
        .delete(LAMPS, "never-there", Expect::Any)
        .enqueue("test-work", "a", Timestamp::UNIX_EPOCH, &());
    let first = store.commit(batch).await?;
    let second = put(&store, "b", 2, Expect::Absent).await?;

    same(next(&mut feed).await?, change(first, LAMPS.0, "a"), "put")?;
    same(
        watts(&store, "a").await?,
        Some(1),
        "told before it can be read",
    )?;
    same(
        next(&mut feed).await?,
        change(first, LAMPS.0, "before"),
        "delete",
    )?;
    same(
        next(&mut feed).await?,
        change(first, "due:test-work", "a"),
        "enqueue",
    )?;
    same(
        next(&mut feed).await?,
        change(second, LAMPS.0, "b"),
        "next commit",
    )
}

pub(super) async fn a_slow_follower_is_told(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut feed = store.watch();
    let mut commits = tokio::task::JoinSet::new();
    for n in 0..FEED_DEPTH + 10 {
        let store = store.clone();
        commits.spawn(async move { put(&store, &n.to_string(), 1, Expect::Absent).await });
    }
    for result in commits.join_all().await {
        result?;
    }
    let Some(FeedEvent::Lagged(missed)) = feed.next().await else {
        return Err("a follower that missed commits was not told".into());
    };
    ensure(missed >= 10, format!("only {missed} missed"))?;
    let resumed = next(&mut feed).await?;
    ensure(
        resumed.version > Version(missed),
        "after the gap the feed goes on where it is kept",
    )
}

pub(super) async fn the_past_can_be_read(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let start = store.version();
    let mut batch = Batch::new();
    batch
        .put(LAMPS, "b", &lamp(1), Expect::Absent)
        .put(LAMPS, "a", &lamp(1), Expect::Absent);
    let first = store.commit(batch).await?;
    let second = put(&store, "c", 1, Expect::Absent).await?;
    drop(store);

    let store = world.open().await?;
    let told = [
        change(first, LAMPS.0, "b"),
        change(first, LAMPS.0, "a"),
        change(second, LAMPS.0, "c"),
    ];
    same(store.changes_since(start, 100).await?, told.to_vec(), "all")?;
    same(
        store.changes_since(start, 1).await?,
        told[..2].to_vec(),
        "a commit is not cut in two",
    )?;
    same(
        store.changes_since(first, 100).await?,
        told[2..].to_vec(),
        "the rest",
    )?;
    same(
        store.changes_since(second, 100).await?,
        vec![],
        "nothing new",
    )
}

/// Some 100,000 changes are kept; this makes more.
pub(super) async fn the_distant_past_is_refused(world: &World<'_>) -> Result<(), Failure> {
    const CHANGES: usize = 104_000;
    const BATCH: usize = 1000;
    let store = world.open().await?;
    let first = put(&store, "first", 1, Expect::Absent).await?;
    for _ in 0..CHANGES / BATCH {
        let mut batch = Batch::new();
        for _ in 0..BATCH {
            batch.put(LAMPS, "a", &(), Expect::Any);
        }
        store.commit(batch).await?;
    }
    let Err(StoreError::ChangesTrimmed { kept_after }) = store.changes_since(first, 10).await
    else {
        return Err("what was trimmed was not missed".into());
    };
    ensure(kept_after > first, "the bound is in the future")?;
    let kept = store.changes_since(kept_after, 10).await?;
    same(
        kept.first().map(|change| change.version),
        Some(Version(kept_after.0 + 1)),
        "the oldest kept",
    )?;
    ensure(
        kept_after.0 < store.version().0 - 90,
        "far fewer are kept than promised",
    )
}

pub(super) async fn the_end_is_told(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut feed = store.watch();
    put(&store, "a", 1, Expect::Absent).await?;
    store.close().await;
    next(&mut feed).await?;
    same(feed.next().await, None, "after the end")?;
    same(store.watch().next().await, None, "of a closed store")
}
