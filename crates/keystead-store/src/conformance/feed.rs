//! The change feed.

use jiff::Timestamp;

use super::{Failure, LAMPS, World, ensure, lamp, put, same, watts};
use crate::change::FEED_DEPTH;
use crate::{Batch, Change, ChangeFeed, Expect, FeedEvent, Version};

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

pub(super) async fn changes_are_counted_before_they_are_answered(
    world: &World<'_>,
) -> Result<(), Failure> {
    let store = world.open().await?;
    let count = store.count_changes(&[LAMPS]);
    let mut before = count.get();
    for n in 1..4 {
        put(&store, "a", n, Expect::Any).await?;
        ensure(count.get() > before, "a change was not counted")?;
        before = count.get();
    }
    let mut batch = Batch::new();
    batch.enqueue("elsewhere", "a", jiff::Timestamp::UNIX_EPOCH, &());
    store.commit(batch).await?;
    same(count.get(), before, "after a change of something else")
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
