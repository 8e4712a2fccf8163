//! Opening: which directory, which root key, and what is checked before anything is touched.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, io};

use keystead_crypto::CryptoError;
use keystead_crypto::seal::{DataKey, RootKey, Sealer};
use keystead_crypto::token::Token;

use crate::change::Publisher;
use crate::dir::DataDir;
use crate::engine::Row;
use crate::engine::sqlite::{Opening, Sqlite};
use crate::store::{Inner, MAX_PAGE};
use crate::{Collection, OpenError, Stored, Version, Versioned, journal, record};

/// How long a start waits for the token that seals the root key: machines come up within a minute,
/// and systemd waits for a service for one and a half (systemd-system.conf(5),
/// `DefaultTimeoutStartSec`).
const TOKEN_DEADLINE: Duration = Duration::from_secs(60);

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub(crate) dir: PathBuf,
    pub(crate) root_key: Option<PathBuf>,
    pub(crate) root_key_token: Option<Arc<Token>>,
    pub(crate) accept_rollback: bool,
}

impl StoreOptions {
    /// The store in this directory, which is made if need be (mode 0700), with its root key in the
    /// file `root.key` there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            root_key: None,
            root_key_token: None,
            accept_rollback: false,
        }
    }

    /// Keeps the root key in another file, for instance on another disk than the store.
    pub fn root_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_key = Some(path.into());
        self
    }

    /// Expects the root key to be sealed by this token, and makes one that is. Opening waits for the
    /// token.
    pub fn root_key_token(mut self, token: Arc<Token>) -> Self {
        self.root_key_token = Some(token);
        self
    }

    /// The operator says that a store older than the journal beside it is meant: a restored backup.
    pub fn accept_rollback(mut self, accept: bool) -> Self {
        self.accept_rollback = accept;
        self
    }
}

/// Opens the store of this directory, on the blocking pool.
pub(crate) async fn open(options: StoreOptions) -> Result<Inner, OpenError> {
    tokio::task::spawn_blocking(move || open_blocking(&options))
        .await
        .unwrap_or_else(|error| Err(OpenError::Unavailable(error.to_string())))
}

/// First everything is checked, then something is changed.
fn open_blocking(options: &StoreOptions) -> Result<Inner, OpenError> {
    let dir = DataDir::open(&options.dir)?;
    let has_data = holds_data(&dir)?;
    let seen = journal::last_store_version(&dir.journal_dir())
        .map_err(|error| OpenError::Unavailable(error.to_string()))?
        .unwrap_or_default();
    if !has_data && seen > Version(0) && !options.accept_rollback {
        return Err(OpenError::RolledBack {
            store: Version(0),
            journal: seen,
        });
    }
    let root_key = open_root_key(options, &dir, has_data)?;
    let opening = Opening::begin(&dir.store_file())?;
    let (sealer, first_key) = open_sealer(&opening, &root_key)?;
    let rolled_back = accept_or_refuse(Version(opening.version()?), seen, options)?;
    let opened = opening.finish(first_key.as_deref(), seen.0)?;

    let sealer = Arc::new(sealer);
    let publisher = Publisher::new();
    let (feed, counters) = publisher.followers();
    let engine = Sqlite::start(opened, Arc::clone(&sealer), publisher)
        .map_err(|error| OpenError::Unavailable(error.to_string()))?;
    Ok(Inner {
        engine: Box::new(engine),
        sealer,
        root_key,
        feed,
        counters,
        accept_rollback: options.accept_rollback,
        rolled_back,
        #[cfg(feature = "testing")]
        faults: crate::faults::Faults::default(),
        _dir: dir,
    })
}

/// A store that is older than its journal is an old copy. Where that is accepted, from which version
/// to which one it was rolled back.
fn accept_or_refuse(
    store: Version,
    journal: Version,
    options: &StoreOptions,
) -> Result<Option<(Version, Version)>, OpenError> {
    if store >= journal {
        return Ok(None);
    }
    if !options.accept_rollback {
        return Err(OpenError::RolledBack { store, journal });
    }
    tracing::warn!(%store, %journal, "a store older than its audit journal was accepted");
    Ok(Some((store, journal)))
}

/// The records of a store, read without opening it: also beside a running server.
pub struct Peek {
    opening: Opening,
    sealer: Sealer,
}

impl Peek {
    /// Reads the store of this directory; `None` where there is none yet.
    ///
    /// # Errors
    /// [`OpenError`], as opening the store, except that it does not matter who has it.
    pub fn open(options: &StoreOptions) -> Result<Option<Self>, OpenError> {
        let dir = DataDir::unlocked(&options.dir);
        if !holds_data(&dir)? {
            return Ok(None);
        }
        let root_key = open_root_key(options, &dir, true)?;
        let opening = Opening::read_only(&dir.store_file())?;
        let (sealer, _) = open_sealer(&opening, &root_key)?;
        Ok(Some(Self { opening, sealer }))
    }

    /// The record with this key, as it is now.
    ///
    /// # Errors
    /// [`OpenError`] when it can't be read, or is not what was stored.
    pub fn get<T: Versioned>(
        &self,
        collection: Collection,
        key: &str,
    ) -> Result<Option<T>, OpenError> {
        let row = self.opening.get(collection.0, key)?;
        let stored = row.map(|row| self.unseal(collection, row)).transpose()?;
        Ok(stored.map(|stored| stored.value))
    }

    /// The next records in the order of their keys, at most `limit`. `after` is the last key of the page before.
    ///
    /// # Errors
    /// As [`Peek::get`].
    pub fn scan<T: Versioned>(
        &self,
        collection: Collection,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Stored<T>>, OpenError> {
        let rows = self
            .opening
            .scan(collection.0, after, limit.min(MAX_PAGE))?;
        rows.into_iter()
            .map(|row| self.unseal(collection, row))
            .collect()
    }

    fn unseal<T: Versioned>(
        &self,
        collection: Collection,
        row: Row,
    ) -> Result<Stored<T>, OpenError> {
        let damaged =
            |reason: String| OpenError::Corrupt(format!("{} {}: {reason}", collection.0, row.key));
        let plain = self
            .sealer
            .open(collection.0, &row.key, row.version, &row.sealed);
        let plain = plain.map_err(|error| damaged(error.to_string()))?;
        let value = record::decode(&plain).map_err(|error| damaged(error.to_string()))?;
        Ok(Stored {
            version: Version(row.version),
            key: row.key,
            value,
        })
    }
}

/// The root key of the store that is there; a new one only where there is none.
fn open_root_key(
    options: &StoreOptions,
    dir: &DataDir,
    has_data: bool,
) -> Result<RootKey, OpenError> {
    let path = options
        .root_key
        .clone()
        .unwrap_or_else(|| dir.root_key_file());
    let refused = |error: CryptoError| OpenError::RootKey(error.to_string());
    let token = options.root_key_token.as_ref();
    if let Some(token) = token {
        let connected = token.wait_connected(TOKEN_DEADLINE);
        connected.map_err(|error| refused(error.into()))?;
    }
    match RootKey::open(&path, token) {
        Err(CryptoError::RootKeyMissing(path)) if has_data => Err(OpenError::RootKeyMissing {
            dir: dir.path().into(),
            path,
        }),
        // Made before the store: whatever is sealed, its key is on the disk already.
        Err(CryptoError::RootKeyMissing(path)) => RootKey::establish(&path, token).map_err(refused),
        loaded => loaded.map_err(refused),
    }
}

/// Whether there is a store. A crash during the very first start leaves an empty file at most.
fn holds_data(dir: &DataDir) -> Result<bool, OpenError> {
    let size = |file: &Path| match fs::metadata(file) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(OpenError::Directory(format!(
            "cannot read {}: {error}",
            file.display()
        ))),
    };
    let file = dir.store_file();
    let log = Opening::log_of(&file);
    if size(&file)? > 0 {
        return Ok(true);
    }
    if size(&log)? > 0 {
        // SQLite would begin a new file and throw the log away.
        return Err(OpenError::Corrupt(format!(
            "{} is missing or empty, but its log {} is not",
            file.display(),
            log.display()
        )));
    }
    Ok(false)
}

/// The sealer with the store's data keys; for a new store with a new one, which is also returned
/// wrapped.
fn open_sealer(
    opening: &Opening,
    root_key: &RootKey,
) -> Result<(Sealer, Option<Vec<u8>>), OpenError> {
    let failed = |error: CryptoError| match error {
        CryptoError::RootKey(reason) => OpenError::RootKey(reason),
        CryptoError::Sealed(reason) => OpenError::Corrupt(format!("a data key: {reason}")),
        other => OpenError::Unavailable(other.to_string()),
    };
    let mut keys = opening.data_keys()?.into_iter();
    let Some(newest) = keys.next() else {
        let key = DataKey::generate().map_err(failed)?;
        let wrapped = root_key.wrap(&key).map_err(failed)?;
        return Ok((Sealer::new(key), Some(wrapped)));
    };
    let mut sealer = Sealer::new(root_key.unwrap(&newest).map_err(failed)?);
    for older in keys {
        sealer = sealer.with_older(root_key.unwrap(&older).map_err(failed)?);
    }
    Ok((sealer, None))
}
