//! Work that is due: one loop a queue, that takes items under leases and lets a reconciler do one
//! idempotent step for each.
//!
//! A step takes no input but the item's id: it reads the record again and does what is due now, so
//! that the first time, a retry and the repair after a crash are the same code. It stores its outcome
//! and the item's next time in one commit. A loop sleeps until the next item is due; it wakes earlier
//! when the queue changes, or on a [`Nudge`].

mod acm_renewal;
mod key_stores;
mod kms_keys;
mod pca;
mod placements;
mod secrets;
#[cfg(test)]
mod tests;
mod tokens;
mod trust;

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use keystead_core::{Error, Result};
use keystead_store::{Batch, ChangeFeed, FeedEvent, Lease};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::placements::follow as placements_follow;
use crate::{App, lasts, log};

/// A queue with its reconciler.
#[derive(Clone, Copy)]
pub(crate) struct Task {
    /// The queue.
    pub(crate) queue: &'static str,
    /// The step for one item.
    pub(crate) step: Step,
    /// Whether the queue changes too often to be watched, and can wait: it is looked at every
    /// [`QUIET_SLEEP`].
    pub(crate) quiet: bool,
}

/// Does for one item what is due now.
pub(crate) type Step = for<'a> fn(&'a Arc<App>, &'a Lease) -> BoxFuture<'a, Result<Outcome>>;

/// How a step left its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The step's own commit put it back, moved it or took it out.
    Settled,
    /// There is nothing more to do: it leaves the queue.
    Finished,
}

/// Every queue that is worked on.
fn all() -> Vec<Task> {
    vec![
        acm_renewal::CERTIFICATES,
        acm_renewal::INDEX,
        acm_renewal::REISSUES,
        acm_renewal::EXPIRY,
        key_stores::KEY_STORES,
        kms_keys::ROTATE,
        kms_keys::EXPIRE,
        kms_keys::DELETE,
        pca::EXPIRE,
        pca::ISSUE,
        pca::LISTS,
        pca::PURGE,
        pca::REPORT,
        pca::SIGNERS,
        secrets::DELETE,
        secrets::PURGE,
        secrets::ROTATE,
        kms_keys::SCRUB,
        pca::RETENTION,
        placements::AGENTS,
        placements::PLACEMENTS,
        placements::TOKENS,
        tokens::TOKENS,
        trust::ROLL_OVERS,
    ]
}

/// Wakes every loop before its time: after the clock was moved, for instance.
#[derive(Debug)]
pub struct Nudge(watch::Sender<u64>);

impl Default for Nudge {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Nudge {
    /// Wakes them.
    pub fn nudge(&self) {
        self.0.send_modify(|count| *count = count.wrapping_add(1));
    }
}

/// The loops while they run. Dropping it ends them where they stand, which is safe at any point:
/// their leases end by themselves, and another start goes on from what was committed.
#[must_use = "dropping it ends the loops"]
pub struct Running {
    stop: watch::Sender<bool>,
    loops: JoinSet<()>,
}

impl Running {
    /// Takes no more items, and waits for the steps under way.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.loops.join_next().await.is_some() {}
    }
}

/// Starts a loop for every queue, and what is done by the clock.
pub fn start(app: &Arc<App>) -> Running {
    let stop = watch::Sender::new(false);
    let mut loops = JoinSet::new();
    for task in all() {
        loops.spawn(Worker::new(app, task, stop.subscribe()).run());
    }
    loops.spawn(lasts::keep(Arc::clone(app), stop.subscribe()));
    loops.spawn(log::follow(Arc::clone(app), stop.subscribe()));
    let feed = app.store.watch();
    loops.spawn(placements_follow(Arc::clone(app), feed, stop.subscribe()));
    Running { stop, loops }
}

/// Does everything that is due now, and what becomes due at once by that, then returns: the loops'
/// work without the loops, for tests and for tools that move the clock.
pub async fn run_due(app: &Arc<App>) -> Result<()> {
    for task in all() {
        loop {
            let taken = app
                .store
                .take_due(task.queue, app.env.now(), LEASE, CONCURRENT_STEPS)
                .await?;
            if taken.is_empty() {
                break;
            }
            for lease in taken {
                carry_out(app, task, &lease).await;
            }
        }
    }
    Ok(())
}

struct Worker {
    app: Arc<App>,
    task: Task,
    /// `None` for a quiet queue: its loop would be woken by every commit and never act on it.
    feed: Option<ChangeFeed>,
    nudge: watch::Receiver<u64>,
    stop: watch::Receiver<bool>,
    steps: JoinSet<()>,
}

impl Worker {
    fn new(app: &Arc<App>, task: Task, stop: watch::Receiver<bool>) -> Self {
        Self {
            app: Arc::clone(app),
            task,
            feed: (!task.quiet).then(|| app.store.watch()),
            nudge: app.nudge.0.subscribe(),
            stop,
            steps: JoinSet::new(),
        }
    }

    async fn run(mut self) {
        while !*self.stop.borrow_and_update() {
            let sleep = match self.take().await {
                Ok(sleep) => sleep,
                Err(error) => {
                    tracing::error!(queue = self.task.queue, %error, "due work can't be read");
                    AFTER_STORE_FAILURE
                }
            };
            if !self.wait(sleep).await {
                break;
            }
        }
        while self.steps.join_next().await.is_some() {}
    }

    /// Starts steps for what is due, as many as there is room for; answers for how long there is
    /// nothing more to start.
    async fn take(&mut self) -> Result<Duration> {
        let room = CONCURRENT_STEPS.saturating_sub(self.steps.len());
        if room == 0 {
            return Ok(self.longest_sleep());
        }
        let now = self.app.env.now();
        for lease in self
            .app
            .store
            .take_due(self.task.queue, now, LEASE, room)
            .await?
        {
            let (app, task) = (Arc::clone(&self.app), self.task);
            self.steps
                .spawn(async move { carry_out(&app, task, &lease).await });
        }
        let longest = self.longest_sleep();
        if self.task.quiet {
            return Ok(longest);
        }
        let next = self.app.store.next_due(self.task.queue).await?;
        Ok(next.map_or(longest, |next| until(next, now).min(longest)))
    }

    fn longest_sleep(&self) -> Duration {
        if self.task.quiet {
            QUIET_SLEEP
        } else {
            LONGEST_SLEEP
        }
    }

    /// Waits that long, or for a reason to look again; `false` when it is time to stop.
    async fn wait(&mut self, sleep: Duration) -> bool {
        let sleep = tokio::time::sleep(sleep);
        tokio::pin!(sleep);
        let queue = format!("due:{}", self.task.queue);
        loop {
            tokio::select! {
                () = &mut sleep => return true,
                stopped = self.stop.changed() => return stopped.is_ok() && !*self.stop.borrow(),
                nudged = self.nudge.changed() => return nudged.is_ok(),
                Some(done) = self.steps.join_next() => {
                    if let Err(error) = done {
                        tracing::error!(queue = self.task.queue, %error, "a step did not come to its end");
                    }
                    return true;
                }
                event = next_event(&mut self.feed) => match event {
                    Some(FeedEvent::Change(change)) if change.collection != queue => {}
                    Some(FeedEvent::Change(_) | FeedEvent::Lagged(_)) => return true,
                    None => return false,
                },
            }
        }
    }
}

/// The next event of a feed that is followed; never, without one.
async fn next_event(feed: &mut Option<ChangeFeed>) -> Option<FeedEvent> {
    match feed {
        Some(feed) => feed.next().await,
        None => std::future::pending().await,
    }
}

/// One step, and what becomes of its item.
async fn carry_out(app: &Arc<App>, task: Task, lease: &Lease) {
    let outcome = (task.step)(app, lease).await;
    let mut batch = Batch::new();
    match outcome {
        Ok(Outcome::Settled) => return,
        Ok(Outcome::Finished) => batch.finish(lease),
        Err(error) => {
            let due = retry_at(app.env.now(), lease.attempt());
            tracing::warn!(queue = task.queue, item = lease.id(), attempt = lease.attempt(), %error, %due, "due work failed and will be tried again");
            batch.retry(lease, due)
        }
    };
    // A lease that was lost means that somebody else has settled the item since.
    if let Err(error) = app.store.commit(batch).await.map_err(Error::from) {
        tracing::debug!(queue = task.queue, item = lease.id(), %error, "an item was not settled; its lease ends by itself");
    }
}

fn until(next: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// A second, doubling with every attempt up to [`LONGEST_RETRY`].
fn retry_at(now: Timestamp, attempt: u32) -> Timestamp {
    let secs = 1_i64 << attempt.saturating_sub(1).min(16);
    let wait = SignedDuration::from_secs(secs).min(LONGEST_RETRY);
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// Many times what a step takes (a key, a signature, two commits: well under a second, and a few
/// seconds on a loaded machine), so that it isn't done twice; after a crash it delays by as much.
const LEASE: Duration = Duration::from_secs(30);

/// Steps of one queue at a time. They wait for the key ring's pool and the disk; more of them would
/// only queue there, in front of the callers.
const CONCURRENT_STEPS: usize = 8;

/// The clock may be set while a loop sleeps; it looks again at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What is left halfway, on purpose or by a crash, waits for no longer than this, and a revocation until it stands in its
/// list; looking costs one read of an index.
const QUIET_SLEEP: Duration = Duration::from_secs(2);

/// Enough for a full disk not to fill the log as well.
const AFTER_STORE_FAILURE: Duration = Duration::from_secs(5);

/// Retries of steps that failed for a reason of ours (store, key ring); a step keeps its own time for
/// reasons that lie in its record.
const LONGEST_RETRY: SignedDuration = SignedDuration::from_mins(5);
