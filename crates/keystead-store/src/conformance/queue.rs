//! The due-queue.

use std::time::Duration;

use jiff::Timestamp;
use tokio::task::JoinSet;

use super::{Failure, LAMPS, Lamp, World, ensure, lamp, same, watts};
use crate::{Batch, Expect, Lease, Store, StoreError};

const WORK: &str = "test-work";
const MINUTE: Duration = Duration::from_secs(60);

/// Seconds of Unix time.
fn at(second: i64) -> Result<Timestamp, Failure> {
    Ok(Timestamp::from_second(second)?)
}

async fn enqueue(store: &Store, id: &str, due: i64) -> Result<(), Failure> {
    let mut batch = Batch::new();
    batch.enqueue(WORK, id, at(due)?, &());
    store.commit(batch).await?;
    Ok(())
}

async fn take(store: &Store, now: i64, limit: usize) -> Result<Vec<Lease>, Failure> {
    Ok(store.take_due(WORK, at(now)?, MINUTE, limit).await?)
}

async fn take_one(store: &Store, now: i64) -> Result<Lease, Failure> {
    let mut leases = take(store, now, 10).await?;
    same(leases.len(), 1, "leases")?;
    leases.pop().ok_or_else(|| "nothing is due".into())
}

fn ids(leases: &[Lease]) -> Vec<&str> {
    leases.iter().map(Lease::id).collect()
}

pub(super) async fn items_are_taken_when_due_and_in_order(
    world: &World<'_>,
) -> Result<(), Failure> {
    let store = world.open().await?;
    same(store.next_due(WORK).await?, None, "an empty queue")?;
    for (id, due) in [("c", 30), ("a", 10), ("b", 20), ("z", 99)] {
        enqueue(&store, id, due).await?;
    }
    same(store.next_due(WORK).await?, Some(at(10)?), "next")?;
    same(take(&store, 9, 10).await?.len(), 0, "too early")?;
    let first = take(&store, 30, 2).await?;
    same(ids(&first), vec!["a", "b"], "the two earliest")?;
    for lease in &first {
        same(lease.queue(), WORK, "queue")?;
        same(lease.attempt(), 1, "attempt")?;
        same(lease.expires_at, at(90)?, "end of the lease")?;
    }
    same(first.first().map(|l| l.due_at), Some(at(10)?), "due")?;
    same(
        ids(&take(&store, 30, 10).await?),
        vec!["c"],
        "the rest that is due",
    )?;
    same(
        store.next_due(WORK).await?,
        Some(at(90)?),
        "when leases end",
    )?;
    let other = store.take_due("test-other", at(99)?, MINUTE, 10).await?;
    same(other.len(), 0, "another queue")
}

pub(super) async fn a_lease_ends_by_itself(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    enqueue(&store, "a", 10).await?;
    let dead = take_one(&store, 10).await?;
    same(
        take(&store, 69, 10).await?.len(),
        0,
        "while the lease holds",
    )?;
    let taken = take_one(&store, 70).await?;
    same(taken.attempt(), 2, "attempt")?;
    same(taken.due_at, at(10)?, "due as before")?;
    // The first worker was not dead but slow.
    let mut late = Batch::new();
    late.finish(&dead);
    ensure(
        matches!(store.commit(late).await, Err(StoreError::LeaseLost { .. })),
        "the old lease still holds",
    )?;
    let mut batch = Batch::new();
    batch.finish(&taken);
    store.commit(batch).await?;
    same(store.next_due(WORK).await?, None, "finished")
}

pub(super) async fn what_waits_can_be_looked_at(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let queued = async || -> Result<_, Failure> {
        let found = store.queued::<Lamp>(WORK, "a").await?;
        Ok(found.map(|item| (item.key, item.version, item.value)))
    };
    ensure(queued().await?.is_none(), "nothing was put there")?;
    let mut batch = Batch::new();
    batch.enqueue(WORK, "a", at(10)?, &lamp(7));
    let version = store.commit(batch).await?;
    let there = Some(("a".to_owned(), version, lamp(7)));
    same(queued().await?, there.clone(), "before it is due")?;
    let lease = take_one(&store, 20).await?;
    same(queued().await?, there, "under a lease")?;
    let elsewhere = store.queued::<Lamp>("test-other", "a").await?;
    ensure(elsewhere.is_none(), "another queue")?;
    let mut batch = Batch::new();
    batch.finish(&lease);
    store.commit(batch).await?;
    ensure(queued().await?.is_none(), "it was finished")
}

pub(super) async fn an_item_is_taken_by_one(world: &World<'_>) -> Result<(), Failure> {
    const ITEMS: usize = 40;
    let store = world.open().await?;
    for n in 0..ITEMS {
        enqueue(&store, &format!("{n:02}"), 1).await?;
    }
    let mut workers = JoinSet::new();
    let now = at(5)?;
    for _ in 0..8 {
        let store = store.clone();
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let leases = store.take_due(WORK, now, MINUTE, 3).await?;
                if leases.is_empty() {
                    return Ok::<_, StoreError>(mine);
                }
                mine.extend(leases.into_iter().map(|lease| lease.id().to_owned()));
            }
        });
    }
    let mut all = Vec::new();
    for mine in workers.join_all().await {
        all.extend(mine?);
    }
    same(all.len(), ITEMS, "taken")?;
    all.sort();
    all.dedup();
    same(all.len(), ITEMS, "taken once")
}

pub(super) async fn outcome_and_settling_are_one(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    enqueue(&store, "a", 1).await?;
    let lease = take_one(&store, 1).await?;
    let mut refused = Batch::new();
    refused
        .put(LAMPS, "a", &lamp(1), Expect::Version(store.version()))
        .finish(&lease);
    ensure(
        store.commit(refused).await.is_err(),
        "the precondition fails",
    )?;
    ensure(
        store.next_due(WORK).await?.is_some(),
        "finished without its outcome",
    )?;
    let mut batch = Batch::new();
    batch
        .put(LAMPS, "a", &lamp(2), Expect::Absent)
        .finish(&lease);
    store.commit(batch).await?;
    same(watts(&store, "a").await?, Some(2), "outcome")?;
    same(store.next_due(WORK).await?, None, "finished")
}

pub(super) async fn a_lost_lease_stores_nothing(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    enqueue(&store, "a", 1).await?;
    let lease = take_one(&store, 1).await?;
    let mut finish = Batch::new();
    finish.finish(&lease);
    store.commit(finish).await?;
    for settle in 0..3 {
        let mut batch = Batch::new();
        batch.put(LAMPS, "a", &lamp(1), Expect::Any);
        match settle {
            0 => batch.finish(&lease),
            1 => batch.reschedule(&lease, at(5)?, &()),
            _ => batch.retry(&lease, at(5)?),
        };
        same(
            store.commit(batch).await,
            Err(StoreError::LeaseLost {
                queue: WORK.into(),
                id: "a".into(),
            }),
            "settling again",
        )?;
    }
    same(watts(&store, "a").await?, None, "outcome of a lost lease")?;
    same(store.next_due(WORK).await?, None, "queue")
}

pub(super) async fn rescheduling_counts_anew_and_retrying_goes_on(
    world: &World<'_>,
) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut batch = Batch::new();
    batch.enqueue(WORK, "a", at(1)?, &lamp(1));
    store.commit(batch).await?;

    let lease = take_one(&store, 1).await?;
    let mut retry = Batch::new();
    retry.retry(&lease, at(10)?);
    store.commit(retry).await?;
    same(
        store.next_due(WORK).await?,
        Some(at(10)?),
        "after the retry",
    )?;
    let mut again = Batch::new();
    again.finish(&lease);
    ensure(store.commit(again).await.is_err(), "a lease settles once")?;

    let lease = take_one(&store, 10).await?;
    same(lease.attempt(), 2, "attempts go on")?;
    same(lease.payload::<Lamp>()?, lamp(1), "the payload stays")?;
    let mut reschedule = Batch::new();
    reschedule.reschedule(&lease, at(20)?, &lamp(2));
    store.commit(reschedule).await?;

    let lease = take_one(&store, 20).await?;
    same(lease.attempt(), 1, "attempts begin again")?;
    same(lease.payload::<Lamp>()?, lamp(2), "the new payload")
}

pub(super) async fn enqueueing_again_replaces(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    enqueue(&store, "a", 50).await?;
    enqueue(&store, "a", 5).await?;
    same(store.next_due(WORK).await?, Some(at(5)?), "the new time")?;
    let lease = take_one(&store, 5).await?;
    enqueue(&store, "a", 6).await?;
    let mut finish = Batch::new();
    finish.finish(&lease);
    ensure(
        matches!(
            store.commit(finish).await,
            Err(StoreError::LeaseLost { .. })
        ),
        "a lease on what was replaced still holds",
    )?;
    same(take_one(&store, 6).await?.attempt(), 1, "attempt")
}

pub(super) async fn cancelling_takes_it_out(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    enqueue(&store, "a", 1).await?;
    enqueue(&store, "b", 2).await?;
    let lease = take_one(&store, 1).await?;
    let mut cancel = Batch::new();
    cancel.cancel(WORK, "a").cancel(WORK, "never-there");
    store.commit(cancel).await?;
    let mut finish = Batch::new();
    finish.finish(&lease);
    ensure(
        store.commit(finish).await.is_err(),
        "a lease on what was cancelled holds",
    )?;
    same(store.next_due(WORK).await?, Some(at(2)?), "the other stays")
}

pub(super) async fn the_queue_outlives_the_server(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    enqueue(&store, "a", 1).await?;
    let lease = take_one(&store, 1).await?;
    drop(store);
    let store = world.open().await?;
    same(take(&store, 2, 10).await?.len(), 0, "the lease holds")?;
    let mut finish = Batch::new();
    finish.finish(&lease);
    store.commit(finish).await?;
    same(
        store.next_due(WORK).await?,
        None,
        "finished after reopening",
    )
}

pub(super) async fn payloads_come_back(world: &World<'_>) -> Result<(), Failure> {
    let store = world.open().await?;
    let mut batch = Batch::new();
    batch
        .enqueue(WORK, "a", at(1)?, &lamp(7))
        .enqueue(WORK, "b", at(1)?, &());
    store.commit(batch).await?;
    for lease in take(&store, 1, 10).await? {
        if lease.id() == "a" {
            same(lease.payload::<Lamp>()?, lamp(7), "payload")?;
            ensure(lease.payload::<()>().is_err(), "a lamp was read as nothing")?;
        } else {
            lease.payload::<()>()?;
        }
    }
    Ok(())
}
