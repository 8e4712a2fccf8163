//! One batch within the writer's transaction: checked first, then applied.

use keystead_crypto::seal::Sealer;
use rusqlite::{Connection, OptionalExtension, params};

use super::apart;
use super::connection::failure;
use super::due;
use crate::batch::{Expect, Step};
use crate::engine::seal;
use crate::{Change, StoreError, Version};

/// Checks every precondition and lease of the batch against what is stored. `Err` is the batch's
/// answer, or the engine's failure; nothing was written either way.
pub(super) fn check(connection: &Connection, steps: &[Step]) -> Result<(), StoreError> {
    for step in steps {
        match step {
            Step::Put {
                collection,
                key,
                expect,
                ..
            }
            | Step::Delete {
                collection,
                key,
                expect,
            }
            | Step::Expect {
                collection,
                key,
                expect,
            } => {
                if !holds(connection, collection, key, *expect)? {
                    return Err(StoreError::Conflict {
                        collection: (*collection).into(),
                        key: key.clone(),
                    });
                }
            }
            Step::Settle { lease, .. } => due::check(connection, lease)?,
            Step::Enqueue { .. } | Step::Cancel { .. } => {}
        }
    }
    Ok(())
}

fn holds(
    connection: &Connection,
    collection: &str,
    key: &str,
    expect: Expect,
) -> Result<bool, StoreError> {
    if expect == Expect::Any {
        return Ok(true);
    }
    let stored: Option<u64> = connection
        .prepare_cached("SELECT version FROM record WHERE collection = ?1 AND key = ?2")
        .and_then(|mut statement| {
            statement
                .query_row([collection, key], |row| row.get(0))
                .optional()
        })
        .map_err(failure)?;
    Ok(match expect {
        Expect::Any => true,
        Expect::Absent => stored.is_none(),
        Expect::Version(Version(version)) => stored == Some(version),
    })
}

/// Applies the steps in their order as commit `version`, and adds what changed to `changes`.
pub(super) fn apply(
    connection: &Connection,
    sealer: &Sealer,
    steps: &[Step],
    version: u64,
    changes: &mut Vec<Change>,
) -> Result<(), StoreError> {
    for step in steps {
        let changed = match step {
            Step::Put {
                collection,
                key,
                value,
                secret,
                ..
            } => {
                let mut sealed = seal(sealer, collection, key, version, &value.0)?;
                if *secret {
                    let names = collection.len() + key.len();
                    sealed = apart::wrap(&sealed, names).ok_or_else(|| {
                        StoreError::Invalid(format!("the record {key} is too large"))
                    })?;
                }
                put(connection, collection, key, version, &sealed)?;
                Some(((*collection).to_owned(), key))
            }
            Step::Delete {
                collection, key, ..
            } => delete(connection, collection, key)?.then(|| ((*collection).to_owned(), key)),
            Step::Expect { .. } => None,
            Step::Enqueue { .. } | Step::Cancel { .. } | Step::Settle { .. } => {
                due::apply(connection, sealer, step, version)?
            }
        };
        if let Some((collection, key)) = changed {
            changes.push(Change {
                version: Version(version),
                collection,
                key: key.clone(),
            });
        }
    }
    Ok(())
}

fn put(
    connection: &Connection,
    collection: &str,
    key: &str,
    version: u64,
    sealed: &[u8],
) -> Result<(), StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO record (collection, key, version, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (collection, key)
             DO UPDATE SET version = excluded.version, value = excluded.value",
        )
        .and_then(|mut statement| statement.execute(params![collection, key, version, sealed]))
        .map(drop)
        .map_err(failure)
}

fn delete(connection: &Connection, collection: &str, key: &str) -> Result<bool, StoreError> {
    connection
        .prepare_cached("DELETE FROM record WHERE collection = ?1 AND key = ?2")
        .and_then(|mut statement| statement.execute([collection, key]))
        .map(|rows| rows > 0)
        .map_err(failure)
}

/// Notes the newest commit, from which versions go on when the store is opened again.
pub(super) fn note_version(connection: &Connection, version: u64) -> Result<(), StoreError> {
    connection
        .prepare_cached("UPDATE head SET version = ?1")
        .and_then(|mut statement| statement.execute([version]))
        .map(drop)
        .map_err(failure)
}
