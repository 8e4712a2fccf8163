//! The data directory: who may enter it, and that only one server does.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::OpenError;

/// Nobody but the owner enters.
const DIR_MODE: u32 = 0o700;
/// Nobody but the owner reads.
pub(crate) const FILE_MODE: u32 = 0o600;

/// The store's file, beside which SQLite keeps `-wal` and `-shm`.
const STORE: &str = "store.db";
const ROOT_KEY: &str = "root.key";
const LOCK: &str = "lock";
/// The audit journal's directory within the data directory.
const JOURNAL: &str = "audit";

/// A data directory; a locked one this process has for itself until it drops this.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Locked as long as it is open; the kernel lets go when the process dies, however it dies.
    _lock: Option<File>,
}

impl DataDir {
    /// Makes the directory if need be and locks it.
    pub(crate) fn open(path: &Path) -> Result<Self, OpenError> {
        prepare(path)?;
        let lock = lock(path)?;
        Ok(Self {
            path: path.into(),
            _lock: Some(lock),
        })
    }

    /// A directory that another process may have; only for reading.
    pub(crate) fn unlocked(path: &Path) -> Self {
        Self {
            path: path.into(),
            _lock: None,
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn store_file(&self) -> PathBuf {
        self.path.join(STORE)
    }

    pub(crate) fn root_key_file(&self) -> PathBuf {
        self.path.join(ROOT_KEY)
    }

    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.path.join(JOURNAL)
    }
}

/// Makes a directory with all that lead to it, mode 0700; one that exists stays as it is.
pub(crate) fn create(path: &Path) -> io::Result<()> {
    DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(path)
}

/// Makes a new, empty file, mode 0600, open for reading and writing.
pub(crate) fn create_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
}

/// Makes the names in a directory durable.
pub(crate) fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn prepare(path: &Path) -> Result<(), OpenError> {
    let fail = |what: &str, error: io::Error| {
        OpenError::Directory(format!(
            "cannot {what} the data directory {}: {error}",
            path.display()
        ))
    };
    create(path).map_err(|error| fail("make", error))?;
    let metadata = fs::metadata(path).map_err(|error| fail("use", error))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & !DIR_MODE == 0 {
        return Ok(());
    }
    // A directory that was made for us, by mkdir or by an image, is closed to others. One with
    // other things in it may be meant for others too: that is for its owner to decide.
    let mut entries = fs::read_dir(path).map_err(|error| fail("read", error))?;
    let ours = [STORE, ROOT_KEY, LOCK]
        .iter()
        .any(|name| path.join(name).exists());
    if ours || entries.next().is_none() {
        return fs::set_permissions(path, fs::Permissions::from_mode(DIR_MODE))
            .map_err(|error| fail("close to others", error));
    }
    Err(OpenError::Directory(format!(
        "the data directory {} has mode {mode:04o}, so that others can enter it, and things in it \
         that are not Keystead's: name another directory, or chmod 700 this one",
        path.display()
    )))
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let fail = |error: io::Error| {
        OpenError::Directory(format!(
            "cannot lock the data directory {}: {error}",
            path.display()
        ))
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path.join(LOCK))
        .map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // Only for the message; whoever holds the lock may be writing its id just now.
            let _ = file.take(20).read_to_string(&mut holder);
            return Err(OpenError::Locked {
                dir: path.into(),
                pid: holder.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    // Who holds it is only for that message: a disk too full to tell it still serves reads.
    let _ = file
        .set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn is_made_for_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let held = DataDir::open(&path).unwrap();
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(LOCK)), 0o600);
        drop(held);
    }

    #[test]
    fn an_empty_directory_is_closed_to_others_and_a_used_one_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("d");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        drop(DataDir::open(&path).unwrap());
        assert_eq!(mode(&path), 0o700);

        let home = parent.path().join("home");
        fs::create_dir(&home).unwrap();
        fs::write(home.join("letter.txt"), "dear").unwrap();
        fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
        let error = DataDir::open(&home).unwrap_err().to_string();
        assert!(
            error.contains("0755") && error.contains("chmod 700"),
            "{error}"
        );
        assert_eq!(fs::read_dir(&home).unwrap().count(), 1, "nothing was made");
        assert_eq!(mode(&home), 0o755);
    }

    #[test]
    fn a_second_holder_is_told_who_has_it() {
        let parent = tempfile::tempdir().unwrap();
        let held = DataDir::open(parent.path()).unwrap();
        let error = DataDir::open(parent.path()).unwrap_err();
        assert_eq!(
            error,
            OpenError::Locked {
                dir: parent.path().into(),
                pid: Some(std::process::id()),
            }
        );
        drop(held);
        DataDir::open(parent.path()).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_named() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.contains("cannot make the data directory"), "{error}");
    }
}
