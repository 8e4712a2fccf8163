//! Opening: which directory, which root key, and what is checked before anything is touched.

use std::path::PathBuf;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    pub(crate) dir: PathBuf,
    pub(crate) root_key: Option<PathBuf>,
    pub(crate) accept_rollback: bool,
}

impl StoreOptions {
    /// The store in this directory, which is made if need be (mode 0700), with its root key in the
    /// file `root.key` there.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            root_key: None,
            accept_rollback: false,
        }
    }

    /// Keeps the root key in another file, for instance on another disk than the store.
    pub fn root_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.root_key = Some(path.into());
        self
    }

    /// The operator says that a store older than the journal beside it is meant: a restored backup.
    pub fn accept_rollback(mut self, accept: bool) -> Self {
        self.accept_rollback = accept;
        self
    }
}

/// Opens the store in this process.
pub(crate) async fn open(options: StoreOptions) -> Result<crate::store::Inner, crate::OpenError> {
    Err(crate::OpenError::Unavailable(format!(
        "{}: the engine is not there yet",
        options.dir.display()
    )))
}
