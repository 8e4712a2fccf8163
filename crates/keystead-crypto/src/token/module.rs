//! PKCS #11 modules: loaded once, never unloaded, started anew where that is the only way.
//!
//! A module is a library in this process, and its state belongs to the whole process: whoever else
//! uses it here has started it already, and is logged in where we are. Some find a token that came
//! back only when they are started anew (SoftHSM). Starting anew ends the sessions of every token
//! of the module, and must not happen while another thread is inside it (PKCS #11 version 3.1
//! section 5.4), so that each call is made under the gate, and handles belong to a generation.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error as ModuleError, RvError};
use parking_lot::{Mutex, RwLock, RwLockReadGuard};

use super::error::{TokenError, TokenFailure, said};

/// How long a new start waits for calls under way. Others wait behind it meanwhile, so it is short;
/// there will be another occasion.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often a module is started anew while another of its tokens is in use: one interruption a
/// minute, of some milliseconds, is what the other token has to bear.
const PAUSE: Duration = Duration::from_secs(60);

/// A module of this process.
pub(super) struct Module {
    path: PathBuf,
    pub(super) pkcs11: Pkcs11,
    /// Read by whoever calls into the module, written while it is started; the value is the
    /// generation of what is handed out.
    gate: RwLock<u64>,
    users: Mutex<Users>,
}

/// Who uses a module.
struct Users {
    connected: usize,
    started: Instant,
}

/// Leave to call into the module; with the generation that handles must have.
pub(super) type Entered<'a> = RwLockReadGuard<'a, u64>;

/// The modules of this process by their files. The outer lock is never held while a module is
/// loaded, because that may take for ever.
static MODULES: Mutex<Option<HashMap<PathBuf, Arc<Place>>>> = Mutex::new(None);

type Place = Mutex<Option<Arc<Module>>>;

/// The module of this file, loaded and started.
///
/// # Errors
/// [`TokenFailure::Module`].
pub(super) fn load(path: &Path) -> Result<Arc<Module>, TokenError> {
    // The system's loader looks for a bare name in places of its own.
    if !path.is_absolute() {
        return Err(TokenError::new(
            TokenFailure::Module,
            format!("the module {} is not an absolute path", path.display()),
        ));
    }
    // The system loads a library once, whatever links lead to it.
    let real = std::fs::canonicalize(path);
    let path = real.as_deref().unwrap_or(path);
    let place = Arc::clone(
        MODULES
            .lock()
            .get_or_insert_default()
            .entry(path.to_path_buf())
            .or_default(),
    );
    let mut place = place.lock();
    if let Some(module) = &*place {
        return Ok(Arc::clone(module));
    }
    let pkcs11 = Pkcs11::new(path).map_err(|error| refused(path, "loaded", &error))?;
    let started = start(&pkcs11).map_err(|error| refused(path, "started", &error));
    // Kept also when it does not start: nobody knows what a library leaves behind that is unloaded.
    let module = place.insert(Arc::new(Module {
        path: path.to_path_buf(),
        pkcs11,
        gate: RwLock::new(1),
        users: Mutex::new(Users {
            connected: 0,
            started: Instant::now(),
        }),
    }));
    started.map(|()| Arc::clone(module))
}

impl Module {
    /// Leave to call into it. Not to be asked for twice by one thread.
    pub(super) fn enter(&self) -> Entered<'_> {
        self.gate.read()
    }

    /// Ends everything that goes on in it and starts it anew, so that it sees its tokens as they
    /// are now. Answers whether it did: not while another of its tokens is in use and this was done
    /// not long ago, and not while a call does not come back.
    ///
    /// # Errors
    /// [`TokenFailure::Module`] when it does not start.
    pub(super) fn restart(&self) -> Result<bool, TokenError> {
        let mut users = self.users.lock();
        if users.connected > 0 && users.started.elapsed() < PAUSE {
            return Ok(false);
        }
        let Some(mut generation) = self.gate.try_write_for(PATIENCE) else {
            return Ok(false);
        };
        *generation += 1;
        users.started = Instant::now();
        // One that is not started cannot be ended, and needs not.
        let _ = self.pkcs11.clone().finalize();
        start(&self.pkcs11).map_err(|error| refused(&self.path, "started", &error))?;
        Ok(true)
    }

    /// One more of its tokens is in use.
    pub(super) fn is_used(&self) {
        self.users.lock().connected += 1;
    }

    /// One less of its tokens is in use.
    pub(super) fn is_left(&self) {
        let mut users = self.users.lock();
        users.connected = users.connected.saturating_sub(1);
    }
}

/// Somebody else in this process may have started it.
fn start(pkcs11: &Pkcs11) -> Result<(), ModuleError> {
    let threads = CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK);
    match pkcs11.initialize(threads) {
        Err(ModuleError::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => Ok(()),
        other => other,
    }
}

fn refused(path: &Path, what: &str, error: &ModuleError) -> TokenError {
    TokenError::new(
        TokenFailure::Module,
        format!(
            "the PKCS #11 module {} cannot be {what}: {}",
            path.display(),
            said(error)
        ),
    )
}
