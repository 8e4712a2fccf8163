//! Reading: the connections that read, and the queries.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::available_parallelism;

use parking_lot::Mutex;
use rusqlite::{Connection, OptionalExtension};
use tokio::sync::Semaphore;

use super::apart;
use super::connection::{self, failure};
use crate::StoreError;
use crate::engine::Row;

/// Rows that a scan reads where it is asked for: some 50 microseconds. Longer ones change threads.
pub(super) const INLINE_ROWS: usize = 16;

/// Most connections for point reads: a read holds one for microseconds, so more than one a core only
/// costs memory, and eight cores serve more than one writer can change.
const MOST_POINT: usize = 8;

/// Scans at a time: each holds a thread of the blocking pool for milliseconds and a connection with
/// its cache; what waits is a listing, not a signature.
const MANY: usize = 2;

/// The connections that read.
pub(super) struct Readers {
    point: Vec<Mutex<Connection>>,
    /// Where the next point read begins to look for a free connection.
    next: AtomicUsize,
    many: Arc<Many>,
}

struct Many {
    path: PathBuf,
    turns: Semaphore,
    /// Opened when first needed; at most as many as there are turns.
    idle: Mutex<Vec<Connection>>,
}

impl Readers {
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let cores = available_parallelism().map_or(1, usize::from);
        let point = (0..cores.clamp(1, MOST_POINT))
            .map(|_| connection::reader(path).map(Mutex::new).map_err(failure))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            point,
            next: AtomicUsize::new(0),
            many: Arc::new(Many {
                path: path.into(),
                turns: Semaphore::new(MANY),
                idle: Mutex::new(Vec::new()),
            }),
        })
    }

    /// A read of a few microseconds, here and now.
    pub(super) fn point<T>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let start = self.next.fetch_add(1, Ordering::Relaxed);
        let order = || {
            self.point
                .iter()
                .cycle()
                .skip(start % self.point.len().max(1))
        };
        let free = order()
            .take(self.point.len())
            .find_map(Mutex::try_lock)
            .or_else(|| order().next().map(Mutex::lock));
        match free {
            Some(connection) => read(&connection),
            None => Err(StoreError::Closed),
        }
    }

    /// A read of many rows, on the blocking pool.
    pub(super) async fn many<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let many = Arc::clone(&self.many);
        let turn = many.turns.acquire().await.map_err(|_| StoreError::Closed)?;
        let pool = Arc::clone(&many);
        let result = tokio::task::spawn_blocking(move || {
            let idle = pool.idle.lock().pop();
            let connection = match idle {
                Some(connection) => connection,
                None => connection::reader(&pool.path).map_err(failure)?,
            };
            let result = read(&connection);
            pool.idle.lock().push(connection);
            result
        })
        .await
        .unwrap_or_else(|error| Err(StoreError::Unavailable(error.to_string())));
        drop(turn);
        result
    }
}

/// The record with this key.
pub(super) fn get(
    connection: &Connection,
    collection: &str,
    key: &str,
) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT version, value FROM record WHERE collection = ?1 AND key = ?2";
    row(connection, sql, collection, key)
}

/// The one row of this place and key: `sql` asks for its version and its sealed value.
pub(super) fn row(
    connection: &Connection,
    sql: &str,
    place: &str,
    key: &str,
) -> Result<Option<Row>, StoreError> {
    connection
        .prepare_cached(sql)
        .and_then(|mut statement| {
            statement
                .query_row([place, key], |row| {
                    Ok(Row {
                        key: key.into(),
                        version: row.get(0)?,
                        sealed: apart::unwrap(row.get(1)?),
                    })
                })
                .optional()
        })
        .map_err(failure)
}

/// Rows from the prefix, or from behind `after`, on; as the keys are in order, the first one without
/// the prefix ends it.
pub(super) fn scan(
    connection: &Connection,
    collection: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let after = after.filter(|after| *after >= prefix);
    let sql = if after.is_some() {
        "SELECT key, version, value FROM record WHERE collection = ?1 AND key > ?2 ORDER BY key"
    } else {
        "SELECT key, version, value FROM record WHERE collection = ?1 AND key >= ?2 ORDER BY key"
    };
    rows(
        connection,
        sql,
        [collection, after.unwrap_or(prefix)],
        prefix,
        limit,
    )
}

/// As [`scan`], the other way: rows from the last with the prefix, or from before `after`, down.
pub(super) fn scan_back(
    connection: &Connection,
    collection: &str,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let end = behind(prefix);
    let before = match (after, end.as_deref()) {
        (Some(after), Some(end)) => Some(after.min(end)),
        (after, end) => after.or(end),
    };
    let sql = if before.is_some() {
        "SELECT key, version, value FROM record WHERE collection = ?1 AND key < ?2 ORDER BY key DESC"
    } else {
        "SELECT key, version, value FROM record WHERE collection = ?1 AND key >= ?2 ORDER BY key DESC"
    };
    let bound = before.unwrap_or(prefix);
    rows(connection, sql, [collection, bound], prefix, limit)
}

/// The first text, by bytes, behind all that begin with `prefix`; `None` if nothing is.
fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            last => char::from_u32(u32::from(last).saturating_add(1)),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

fn rows(
    connection: &Connection,
    sql: &str,
    parameters: [&str; 2],
    prefix: &str,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let read = || {
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(row) = rows.next()?
        {
            let key: String = row.get(0)?;
            if !key.starts_with(prefix) {
                break;
            }
            found.push(Row {
                key,
                version: row.get(1)?,
                sealed: apart::unwrap(row.get(2)?),
            });
        }
        Ok(found)
    };
    read().map_err(failure)
}
