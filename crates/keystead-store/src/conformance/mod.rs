//! What every engine must do, as cases that run against a [`Store`] on that engine.
//!
//! An engine's own tests call [`run`] with a function that opens a store, new or again. The list of
//! cases is here and nowhere else.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::{Batch, Collection, Expect, Store, StoreError, Version, Versioned};

mod feed;
mod queue;
mod records;

/// Why a case failed.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Opens the store of this directory: a new one the first time, the same one after that.
pub type Open<'a> =
    &'a (dyn Fn(&Path) -> Pin<Box<dyn Future<Output = Result<Store, Failure>> + Send>> + Sync);

/// What a case gets: its own directory, and how to open a store there.
pub struct World<'a> {
    open: Open<'a>,
    dir: &'a Path,
}

impl World<'_> {
    /// Opens this case's store, new or again.
    async fn open(&self) -> Result<Store, Failure> {
        (self.open)(self.dir).await
    }
}

type Outcome<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>>;
type Case = for<'a> fn(&'a World<'a>) -> Outcome<'a>;

/// The list: a name and a case for each.
macro_rules! cases {
    ($($module:ident :: $case:ident,)*) => {
        const CASES: &[(&str, Case)] = &[
            $((concat!(stringify!($module), "::", stringify!($case)), |world| Box::pin($module::$case(world))),)*
        ];
    };
}

cases! {
    records::a_record_is_read_as_it_was_written,
    records::versions_only_grow,
    records::preconditions_are_checked,
    records::a_refused_batch_stores_nothing,
    records::preconditions_see_the_store_before_the_batch,
    records::one_of_many_wins,
    records::many_at_once_are_all_stored,
    records::scans_are_in_byte_order_and_page,
    records::a_prefix_is_not_a_pattern,
    records::deleted_records_are_gone,
    records::what_was_committed_is_there_after_reopening,
    records::what_can_wait_is_stored_all_the_same,
    records::collections_are_apart,
    records::nothing_changes_nothing,
    records::a_closed_store_says_so,
    queue::items_are_taken_when_due_and_in_order,
    queue::a_lease_ends_by_itself,
    queue::what_waits_can_be_looked_at,
    queue::an_item_is_taken_by_one,
    queue::outcome_and_settling_are_one,
    queue::a_lost_lease_stores_nothing,
    queue::rescheduling_counts_anew_and_retrying_goes_on,
    queue::enqueueing_again_replaces,
    queue::cancelling_takes_it_out,
    queue::the_queue_outlives_the_server,
    queue::payloads_come_back,
    feed::changes_are_told_in_the_order_of_commits,
    feed::a_slow_follower_is_told,
    feed::changes_are_counted_before_they_are_answered,
    feed::the_end_is_told,
}

/// Runs every case in a directory of its own under `scratch`; the names of those that failed, and
/// why.
///
/// # Errors
/// Only when a case fails: one line each.
pub async fn run(scratch: &Path, open: Open<'_>) -> Result<(), Failure> {
    let mut failures = Vec::new();
    let names: BTreeSet<_> = CASES.iter().map(|(name, _)| name).collect();
    ensure(names.len() == CASES.len(), "a case is listed twice")?;
    for (name, case) in CASES {
        let dir = scratch.join(name.replace("::", "-"));
        if let Err(failure) = case(&World { open, dir: &dir }).await {
            failures.push(format!("{name}: {failure}"));
        }
    }
    if failures.is_empty() {
        return Ok(());
    }
    Err(failures.join("\n").into())
}

const LAMPS: Collection = Collection("test.lamps");

/// The record of the cases.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Lamp {
    watts: u64,
}

impl Versioned for Lamp {
    const MARKER: &'static str = "test.lamp/1";
}

fn lamp(watts: u64) -> Lamp {
    Lamp { watts }
}

/// Commits one put of a lamp.
async fn put(store: &Store, key: &str, watts: u64, expect: Expect) -> Result<Version, StoreError> {
    let mut batch = Batch::new();
    batch.put(LAMPS, key, &lamp(watts), expect);
    store.commit(batch).await
}

/// The watts of the lamp under a key.
async fn watts(store: &Store, key: &str) -> Result<Option<u64>, StoreError> {
    let stored = store.get::<Lamp>(LAMPS, key).await?;
    Ok(stored.map(|stored| stored.value.watts))
}

fn ensure(holds: bool, what: impl Display) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    Err(what.to_string().into())
}

fn same<T: PartialEq + std::fmt::Debug>(found: T, expected: T, what: &str) -> Result<(), Failure> {
    ensure(
        found == expected,
        format!("{what}: found {found:?}, expected {expected:?}"),
    )
}

/// That a batch was refused for this record's sake.
fn conflict(result: Result<Version, StoreError>, expected: &str) -> Result<(), Failure> {
    match result {
        Err(StoreError::Conflict { collection, key })
            if collection == LAMPS.0 && key == expected =>
        {
            Ok(())
        }
        other => Err(format!("expected a conflict about {expected}, found {other:?}").into()),
    }
}
