//! The queue's rows.

use keystead_crypto::seal::Sealer;
use rusqlite::{Connection, OptionalExtension, params};

use super::connection::failure;
use super::readers;
use crate::StoreError;
use crate::batch::{LeaseToken, Settle, Step};
use crate::engine::{Row, Take, Taken, seal};
use crate::queue::place;

/// When the next item can be taken.
pub(super) fn next(connection: &Connection, queue: &str) -> Result<Option<i64>, StoreError> {
    connection
        .prepare_cached("SELECT min(ready) FROM due WHERE queue = ?1")
        .and_then(|mut statement| statement.query_row([queue], |row| row.get(0)))
        .map_err(failure)
}

/// The item with this id.
pub(super) fn get(
    connection: &Connection,
    queue: &str,
    id: &str,
) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT version, payload FROM due WHERE queue = ?1 AND id = ?2";
    readers::row(connection, sql, queue, id)
}

/// Takes what is due; within the writer's transaction.
pub(super) fn take(connection: &Connection, take: Take) -> Result<Vec<Taken>, StoreError> {
    let taken = || {
        let mut select = connection.prepare_cached(
            "SELECT id, version, attempt, due, payload FROM due
             WHERE queue = ?1 AND ready <= ?2 ORDER BY ready LIMIT ?3",
        )?;
        let mut lease = connection.prepare_cached(
            "UPDATE due SET ready = ?3, attempt = ?4, leased = 1 WHERE queue = ?1 AND id = ?2",
        )?;
        let taken = select
            .query_map(params![take.queue, take.now, take.limit], |row| {
                Ok(Taken {
                    id: row.get(0)?,
                    version: row.get(1)?,
                    attempt: row.get::<_, u32>(2)?.saturating_add(1),
                    due: row.get(3)?,
                    sealed: row.get(4)?,
                })
            })?
            .collect::<rusqlite::Result<Vec<_>>>()?;
        for item in &taken {
            lease.execute(params![take.queue, item.id, take.expires, item.attempt])?;
        }
        Ok(taken)
    };
    taken().map_err(failure)
}

/// Whether the lease still holds.
pub(super) fn check(connection: &Connection, lease: &LeaseToken) -> Result<(), StoreError> {
    let holds = connection
        .prepare_cached(
            "SELECT 1 FROM due WHERE queue = ?1 AND id = ?2 AND version = ?3 AND attempt = ?4
             AND leased = 1",
        )
        .and_then(|mut statement| {
            statement
                .query_row(
                    params![lease.queue, lease.id, lease.version, lease.attempt],
                    |_| Ok(()),
                )
                .optional()
        })
        .map_err(failure)?;
    holds.ok_or_else(|| StoreError::LeaseLost {
        queue: lease.queue.into(),
        id: lease.id.clone(),
    })
}

/// Applies a step on the queue as commit `version`; what it changed.
pub(super) fn apply<'a>(
    connection: &Connection,
    sealer: &Sealer,
    step: &'a Step,
    version: u64,
) -> Result<Option<(String, &'a String)>, StoreError> {
    let (queue, id, changed) = match step {
        Step::Enqueue {
            queue,
            id,
            due,
            payload,
        } => {
            let sealed = seal(sealer, &place(queue), id, version, &payload.0)?;
            put(connection, queue, id, *due, version, &sealed)?;
            (queue, id, true)
        }
        Step::Cancel { queue, id } => (queue, id, remove(connection, queue, id)?),
        Step::Settle { lease, outcome } => {
            let (queue, id) = (&lease.queue, &lease.id);
            match outcome {
                Settle::Finish => {
                    remove(connection, queue, id)?;
                }
                Settle::Reschedule { due, payload } => {
                    let sealed = seal(sealer, &place(queue), id, version, &payload.0)?;
                    put(connection, queue, id, *due, version, &sealed)?;
                }
                Settle::Retry { due } => retry(connection, queue, id, *due)?,
            }
            (queue, id, true)
        }
        Step::Put { .. } | Step::Delete { .. } | Step::Expect { .. } => return Ok(None),
    };
    Ok(changed.then(|| (place(queue), id)))
}

fn put(
    connection: &Connection,
    queue: &str,
    id: &str,
    due: i64,
    version: u64,
    sealed: &[u8],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO due (queue, id, due, ready, version, attempt, leased, payload)
             VALUES (?1, ?2, ?3, ?3, ?4, 0, 0, ?5)
             ON CONFLICT (queue, id) DO UPDATE SET due = excluded.due, ready = excluded.ready,
                 version = excluded.version, attempt = 0, leased = 0, payload = excluded.payload",
        )
        .and_then(|mut statement| statement.execute(params![queue, id, due, version, sealed]))
        .map(drop)
        .map_err(failure)
}

/// The payload stays, and with it the version it is sealed for.
fn retry(connection: &Connection, queue: &str, id: &str, due: i64) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "UPDATE due SET due = ?3, ready = ?3, leased = 0 WHERE queue = ?1 AND id = ?2",
        )
        .and_then(|mut statement| statement.execute(params![queue, id, due]))
        .map(drop)
        .map_err(failure)
}

fn remove(connection: &Connection, queue: &str, id: &str) -> Result<bool, StoreError> {
    connection
        .prepare_cached("DELETE FROM due WHERE queue = ?1 AND id = ?2")
        .and_then(|mut statement| statement.execute([queue, id]))
        .map(|rows| rows > 0)
        .map_err(failure)
}
