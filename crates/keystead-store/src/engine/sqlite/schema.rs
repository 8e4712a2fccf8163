//! The tables, their versions, and what is checked when a file is opened.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior};

use super::connection::{self, failure};
use super::readers;
use crate::dir::FILE_MODE;
use crate::engine::Row;
use crate::{OpenError, StoreError};

/// Marks the file as ours, where `file(1)` and SQLite look: "KSTD".
const APPLICATION: i32 = 0x4b53_5444;

/// Each step brings the tables from one version to the next; a step never changes once released.
/// Records are not here: they migrate when they are read.
const MIGRATIONS: &[&str] = &["
    CREATE TABLE record (
        id INTEGER PRIMARY KEY,
        collection TEXT NOT NULL,
        key TEXT NOT NULL,
        version INTEGER NOT NULL,
        value BLOB NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX record_key ON record (collection, key);

    CREATE TABLE change (
        version INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        place TEXT NOT NULL,
        key TEXT NOT NULL,
        PRIMARY KEY (version, ordinal)
    ) STRICT, WITHOUT ROWID;

    -- ready: when it can be taken; when it is due, or when the lease on it ends.
    CREATE TABLE due (
        queue TEXT NOT NULL,
        id TEXT NOT NULL,
        due INTEGER NOT NULL,
        ready INTEGER NOT NULL,
        version INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        leased INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (queue, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX due_ready ON due (queue, ready);

    -- The newest seals; all open.
    CREATE TABLE data_key (
        number INTEGER PRIMARY KEY,
        wrapped BLOB NOT NULL
    ) STRICT;
", "
    -- The newest commit. Nobody read the list of all changes, and it cost every commit pages of its own.
    CREATE TABLE head (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        version INTEGER NOT NULL
    ) STRICT;
    INSERT INTO head (one, version) SELECT 1, coalesce(max(version), 0) FROM change;
    DROP TABLE change;
"];

/// A file whose format was checked and in which nothing was changed yet.
pub(crate) struct Opening {
    path: PathBuf,
    connection: Connection,
    schema: usize,
}

/// A store that is ready to be served.
pub(crate) struct Opened {
    pub(super) path: PathBuf,
    pub(super) connection: Connection,
    /// The newest commit.
    pub(super) version: u64,
}

impl Opening {
    /// Opens the file, making an empty one if there is none.
    pub(crate) fn begin(path: &Path) -> Result<Self, OpenError> {
        make_file(path).map_err(|error| {
            OpenError::Directory(format!("cannot make {}: {error}", path.display()))
        })?;
        Self::check(path, connection::writer)
    }

    /// Opens the file for reading alone, whoever has it.
    pub(crate) fn read_only(path: &Path) -> Result<Self, OpenError> {
        Self::check(path, connection::reader)
    }

    /// Where SQLite keeps the log of this file.
    pub(crate) fn log_of(path: &Path) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push("-wal");
        name.into()
    }

    /// The record with this key.
    pub(crate) fn get(&self, collection: &str, key: &str) -> Result<Option<Row>, OpenError> {
        readers::get(&self.connection, collection, key).map_err(|error| opening(error, &self.path))
    }

    /// The next records of a collection; see `Engine::scan`.
    pub(crate) fn scan(
        &self,
        collection: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Row>, OpenError> {
        readers::scan(&self.connection, collection, "", after, limit)
            .map_err(|error| opening(error, &self.path))
    }

    fn check(
        path: &Path,
        connect: fn(&Path) -> rusqlite::Result<Connection>,
    ) -> Result<Self, OpenError> {
        let begin = || {
            let connection = connect(path)?;
            let schema = schema_version(&connection)?;
            let application: i32 =
                connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
            Ok((connection, schema, application))
        };
        let (connection, schema, application) =
            begin().map_err(|error| opening(failure(error), path))?;
        if application != APPLICATION && (application != 0 || schema.is_some()) {
            return Err(OpenError::Format(format!(
                "{} is a database of another program (application id {application:#x})",
                path.display()
            )));
        }
        let schema = schema.unwrap_or(0);
        if schema > MIGRATIONS.len() {
            return Err(OpenError::Format(format!(
                "the store {} has format {schema}, and this program knows formats up to {}: a newer \
                 version of Keystead wrote it; use that one",
                path.display(),
                MIGRATIONS.len()
            )));
        }
        Ok(Self {
            path: path.into(),
            connection,
            schema,
        })
    }

    /// The wrapped data keys, the newest first; none in a new store.
    pub(crate) fn data_keys(&self) -> Result<Vec<Vec<u8>>, OpenError> {
        if self.schema == 0 {
            return Ok(Vec::new());
        }
        let read = || {
            self.connection
                .prepare("SELECT wrapped FROM data_key ORDER BY number DESC")?
                .query_map([], |row| row.get(0))?
                .collect::<rusqlite::Result<Vec<Vec<u8>>>>()
        };
        let keys = read().map_err(|error| opening(failure(error), &self.path))?;
        if keys.is_empty() {
            return Err(OpenError::Corrupt(format!(
                "{} has no data key",
                self.path.display()
            )));
        }
        Ok(keys)
    }

    /// The newest commit.
    pub(crate) fn version(&self) -> Result<u64, OpenError> {
        let sql = match self.schema {
            0 => return Ok(0),
            1 => "SELECT coalesce(max(version), 0) FROM change",
            _ => "SELECT version FROM head",
        };
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| opening(failure(error), &self.path))
    }

    /// Brings the tables up to date and stores the first data key of a new store. Versions go on
    /// after the newest commit, and after `seen`: they never repeat, also where an older copy of
    /// the store came back.
    pub(crate) fn finish(
        mut self,
        first_key: Option<&[u8]>,
        seen: u64,
    ) -> Result<Opened, OpenError> {
        let mut finish = || {
            self.connection.pragma_update(None, "journal_mode", "wal")?;
            if self.schema < MIGRATIONS.len() {
                migrate(&mut self.connection, self.schema, first_key)?;
                self.schema = MIGRATIONS.len();
            }
            Ok(())
        };
        finish().map_err(|error| opening(failure(error), &self.path))?;
        let version = self.version()?.max(seen);
        Ok(Opened {
            path: self.path,
            connection: self.connection,
            version,
        })
    }
}

/// All missing steps in one transaction: a crash leaves the old format.
fn migrate(
    connection: &mut Connection,
    from: usize,
    first_key: Option<&[u8]>,
) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if from == 0 {
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction
            .execute_batch("CREATE TABLE schema_version (version INTEGER PRIMARY KEY) STRICT")?;
    }
    for (step, version) in MIGRATIONS.iter().zip(1u64..).skip(from) {
        transaction.execute_batch(step)?;
        transaction.execute(
            "INSERT INTO schema_version (version) VALUES (?1)",
            [version],
        )?;
    }
    if let Some(wrapped) = first_key {
        transaction.execute("INSERT INTO data_key (wrapped) VALUES (?1)", [wrapped])?;
    }
    transaction.commit()
}

/// `None` where there are no tables at all.
fn schema_version(connection: &Connection) -> rusqlite::Result<Option<usize>> {
    let tables: u64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(None);
    }
    let ours = connection
        .query_row(
            "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'schema_version'",
            [],
            |_| Ok(()),
        )
        .optional()?
        .is_some();
    if !ours {
        return Ok(Some(0));
    }
    connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_version",
        [],
        |row| row.get(0).map(Some),
    )
}

/// SQLite would make it readable for others; its companions get the same mode as it has.
fn make_file(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path)
        .map(drop)
}

fn opening(error: StoreError, path: &Path) -> OpenError {
    match error {
        StoreError::Corrupt(reason) => OpenError::Corrupt(format!("{}: {reason}", path.display())),
        other => OpenError::Unavailable(format!("{}: {other}", path.display())),
    }
}
