//! The loop itself, with steps that fail, panic, hang and count.

use std::sync::atomic::{AtomicUsize, Ordering};

use futures::FutureExt as _;
use keystead_core::ErrorKind;

use super::*;
use crate::pca::tests::world::World;

const SOON: Duration = Duration::from_secs(20);

async fn enqueue(world: &World, queue: &'static str, id: &str) {
    let mut batch = Batch::new();
    batch.enqueue(queue, id, world.app.env.now(), &());
    world.app.store.commit(batch).await.unwrap();
}

/// Runs a loop for `task` while `until` is awaited, then stops it.
async fn while_running(world: &World, task: Task, until: impl Future<Output = ()>) {
    let stop = watch::Sender::new(false);
    let worker = Worker::new(&world.app, task, stop.subscribe());
    let running = tokio::spawn(worker.run());
    tokio::time::timeout(SOON, until).await.unwrap();
    stop.send_replace(true);
    tokio::time::timeout(SOON, running).await.unwrap().unwrap();
}

async fn empty(world: &World, queue: &'static str) {
    let mut feed = world.app.store.watch();
    while world.app.store.next_due(queue).await.unwrap().is_some() {
        feed.next().await.unwrap();
    }
}

#[tokio::test]
async fn a_step_that_failed_is_tried_again_when_its_time_has_come() {
    static TRIES: AtomicUsize = AtomicUsize::new(0);
    let world = World::new().await;
    let task = Task {
        queue: "test.retry",
        step: |_, lease| {
            async move {
                assert_eq!(
                    lease.attempt() as usize,
                    TRIES.fetch_add(1, Ordering::SeqCst) + 1
                );
                match lease.attempt() {
                    1 | 2 => Err(Error::new(ErrorKind::Unavailable, "not yet")),
                    _ => Ok(Outcome::Finished),
                }
            }
            .boxed()
        },
        quiet: false,
    };
    enqueue(&world, task.queue, "one").await;
    let clock = async {
        let mut feed = world.app.store.watch();
        while TRIES.load(Ordering::SeqCst) < 3 {
            world.pass(SignedDuration::from_secs(10));
            world.app.nudge.nudge();
            feed.next().await.unwrap();
        }
        empty(&world, task.queue).await;
    };
    while_running(&world, task, clock).await;
    assert_eq!(TRIES.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_step_that_panics_harms_no_other_and_is_taken_again_after_its_lease() {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    let world = World::new().await;
    let task = Task {
        queue: "test.panic",
        step: |_, lease| {
            async move {
                if lease.id() == "bad" && PANICS.fetch_add(1, Ordering::SeqCst) == 0 {
                    panic!("a fault");
                }
                Ok(Outcome::Finished)
            }
            .boxed()
        },
        quiet: false,
    };
    enqueue(&world, task.queue, "bad").await;
    enqueue(&world, task.queue, "good").await;
    let clock = async {
        let mut feed = world.app.store.watch();
        while PANICS.load(Ordering::SeqCst) < 1 {
            feed.next().await.unwrap();
        }
        world.pass(SignedDuration::try_from(LEASE).unwrap());
        world.app.nudge.nudge();
        empty(&world, task.queue).await;
    };
    while_running(&world, task, clock).await;
    assert_eq!(PANICS.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn no_more_steps_run_at_a_time_than_there_is_room_for() {
    static NOW: AtomicUsize = AtomicUsize::new(0);
    static MOST: AtomicUsize = AtomicUsize::new(0);
    let world = World::new().await;
    let task = Task {
        queue: "test.room",
        step: |_, _| {
            async {
                MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                NOW.fetch_sub(1, Ordering::SeqCst);
                Ok(Outcome::Finished)
            }
            .boxed()
        },
        quiet: false,
    };
    for id in 0..40 {
        enqueue(&world, task.queue, &id.to_string()).await;
    }
    while_running(&world, task, empty(&world, task.queue)).await;
    assert_eq!(MOST.load(Ordering::SeqCst), CONCURRENT_STEPS);
}

#[tokio::test]
async fn an_item_that_is_put_in_later_wakes_the_loop() {
    let world = World::new().await;
    let task = Task {
        queue: "test.wake",
        step: |_, _| async { Ok(Outcome::Finished) }.boxed(),
        quiet: false,
    };
    let late = async {
        for id in ["one", "two"] {
            enqueue(&world, task.queue, id).await;
            empty(&world, task.queue).await;
        }
    };
    while_running(&world, task, late).await;
}

#[test]
fn retries_double_up_to_a_limit() {
    let waits = [1, 2, 3, 9, 10, u32::MAX].map(|attempt| {
        let due = retry_at(Timestamp::UNIX_EPOCH, attempt);
        due.as_second()
    });
    assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    assert_eq!(retry_at(Timestamp::MAX, 3), Timestamp::MAX);
}
