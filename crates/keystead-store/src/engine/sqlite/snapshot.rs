//! A consistent copy while everything goes on.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use rusqlite::backup::Backup;

use super::connection::{self, failure};
use crate::{StoreError, dir};

/// Pages copied between two looks at the clock: 4 MiB.
const PAGES: i32 = 1024;

/// Copies the store at `from` into a new file; none is left if that fails.
pub(super) fn write(from: &Path, to: &Path) -> Result<(), StoreError> {
    dir::create_file(to).map_err(|error| {
        StoreError::Unavailable(format!(
            "cannot make the snapshot {}: {error}",
            to.display()
        ))
    })?;
    let written = copy(from, to);
    if written.is_err() {
        // The failure is what the caller should hear, not that its remains stay.
        let _ = fs::remove_file(to);
    }
    written
}

fn copy(from: &Path, to: &Path) -> Result<(), StoreError> {
    let source = connection::reader(from).map_err(failure)?;
    // The copy is of this moment, however long it takes: without a transaction of its own, every
    // commit in between would make it begin again.
    let moment = source.unchecked_transaction().map_err(failure)?;
    moment
        .query_row("SELECT count(*) FROM schema_version", [], |_| Ok(()))
        .map_err(failure)?;
    let mut target = Connection::open(to).map_err(failure)?;
    Backup::new(&moment, &mut target)
        .and_then(|backup| backup.run_to_completion(PAGES, Duration::ZERO, None))
        .map_err(failure)?;
    target.close().map_err(|(_, error)| failure(error))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(to)
        .and_then(|file| file.sync_all())
        .and_then(|()| dir::sync(parent.unwrap_or(Path::new("."))))
        .map_err(|error| StoreError::Unavailable(format!("{}: {error}", to.display())))
}
