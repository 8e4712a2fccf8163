//! A disk that fails, or loses its power, at the Nth step: a layer between SQLite and its files.
//!
//! It knows for each file what a sync has made durable and what was written since. A power cut
//! leaves of the latter an arbitrary part: any of the writes, the last sector of each torn.
#![expect(unsafe_code, reason = "SQLite's file layer is a table of C functions")]

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::ptr;
use std::sync::{Mutex, MutexGuard, Once, OnceLock, PoisonError};

use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_IOERR_FSYNC, SQLITE_IOERR_TRUNCATE, SQLITE_IOERR_WRITE, SQLITE_OK,
    sqlite3_file, sqlite3_int64, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find,
    sqlite3_vfs_register,
};

/// A disk writes sectors of this size or nothing.
const SECTOR: usize = 512;

/// What happens at the chosen step, and from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is no room, until [`heal`].
    Full,
    /// The disk fails, until [`heal`].
    Broken,
    /// The power is cut; [`reboot`] brings it back.
    PowerCut,
}

#[derive(Default)]
struct Disk {
    steps: u64,
    fault: Option<(u64, Fault)>,
    files: HashMap<PathBuf, Content>,
}

/// A file as the disk has it, and what it has only been told.
#[derive(Default)]
struct Content {
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// How many changes became durable.
    arrived: usize,
}

enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, image: &mut Vec<u8>) {
        match self {
            Self::Write(offset, bytes) => {
                let end = offset + bytes.len();
                if image.len() < end {
                    image.resize(end, 0);
                }
                image[*offset..end].copy_from_slice(bytes);
            }
            Self::Truncate(length) => image.truncate(*length),
        }
    }
}

impl Disk {
    /// Counts a step; what goes wrong with it.
    fn step(&mut self) -> Option<Fault> {
        self.steps += 1;
        match self.fault {
            Some((at, fault)) if self.steps >= at => Some(fault),
            _ => None,
        }
    }
}

impl Disk {
    /// Begins a sync of what was written so far.
    fn begin_sync(&mut self, path: &Path) -> Result<usize, Fault> {
        match self.step() {
            Some(fault) => Err(fault),
            None => Ok(self
                .files
                .get(path)
                .map_or(0, |content| content.arrived + content.pending.len())),
        }
    }

    /// Ends it, if nothing is wrong by now.
    fn end_sync(&mut self, path: &Path, upto: usize) -> Result<(), Fault> {
        if let Some((at, fault)) = self.fault
            && self.steps >= at
        {
            return Err(fault);
        }
        if let Some(content) = self.files.get_mut(path) {
            let more = upto.saturating_sub(content.arrived);
            content.arrived += more;
            for change in content.pending.drain(..more) {
                change.apply(&mut content.durable);
            }
        }
        Ok(())
    }
}

fn disk() -> MutexGuard<'static, Disk> {
    static DISK: OnceLock<Mutex<Disk>> = OnceLock::new();
    // A failed test must not hide the others' results.
    DISK.get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

/// Makes every store of this process use this disk. Tests that do take turns: it is one disk.
pub(crate) fn install() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        register();
        keystead_store::faults::sync_log_by(sync_log);
    });
}

/// A new, healthy disk.
pub(crate) fn reset() {
    *disk() = Disk::default();
}

/// Steps (writes, syncs, cuts) so far.
pub(crate) fn steps() -> u64 {
    disk().steps
}

/// The fault comes at the step with this number.
pub(crate) fn fail_at(step: u64, fault: Fault) {
    disk().fault = Some((step, fault));
}

/// The disk is well again.
pub(crate) fn heal() {
    disk().fault = None;
}

/// The power comes back: files hold what was durable, and of the rest whatever `seed` says.
pub(crate) fn reboot(seed: u64) {
    let mut disk = disk();
    let mut chance = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        // xorshift64
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        chance
    };
    for (path, content) in &mut disk.files {
        let mut image = std::mem::take(&mut content.durable);
        for change in content.pending.drain(..) {
            match next() % 3 {
                0 => {}
                1 => change.apply(&mut image),
                _ => match change {
                    Change::Write(offset, mut bytes) => {
                        let sectors = bytes.len().div_ceil(SECTOR) as u64;
                        bytes.truncate((next() % sectors) as usize * SECTOR);
                        Change::Write(offset, bytes).apply(&mut image);
                    }
                    Change::Truncate(_) => change.apply(&mut image),
                },
            }
        }
        if path.exists() {
            fs::write(path, &image).unwrap();
        }
        // Shared memory does not outlive the machine.
        let mut index = path.clone().into_os_string();
        index.push("-shm");
        let _ = fs::remove_file(index);
        content.durable = image;
    }
    disk.fault = None;
}

/// Our file: SQLite's own lies behind it in the same allocation.
#[repr(C)]
struct File {
    base: sqlite3_file,
    path: *mut PathBuf,
}

fn real_vfs() -> *mut sqlite3_vfs {
    static REAL: OnceLock<usize> = OnceLock::new();
    // SAFETY: the default layer lives as long as the process.
    *REAL.get_or_init(|| unsafe { sqlite3_vfs_find(c"unix".as_ptr()) } as usize) as *mut sqlite3_vfs
}

fn register() {
    let real = real_vfs();
    assert!(!real.is_null(), "SQLite has no unix layer here");
    // SAFETY: `real` is valid; the copy is leaked, so that it lives as long as the process.
    unsafe {
        let mut ours = *real;
        ours.pNext = ptr::null_mut();
        ours.zName = c"faulty".as_ptr();
        ours.szOsFile += size_of::<File>() as c_int;
        ours.xOpen = Some(open);
        assert_eq!(
            sqlite3_vfs_register(Box::leak(Box::new(ours)), 1),
            SQLITE_OK
        );
    }
}

/// SQLite's own file behind ours.
///
/// # Safety
/// `file` was opened by [`open`].
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: `szOsFile` made room for both.
    unsafe { file.cast::<File>().add(1).cast() }
}

/// # Safety
/// `file` was opened by [`open`].
unsafe fn path<'a>(file: *mut sqlite3_file) -> Option<&'a PathBuf> {
    // SAFETY: set by `open`, freed by `close`.
    unsafe { (*file.cast::<File>()).path.as_ref() }
}

/// Calls a function of SQLite's own file.
macro_rules! forward {
    ($file:ident . $function:ident ( $($argument:expr),* )) => {{
        // SAFETY: SQLite calls with a file that `open` opened, and the table below is only used when
        // its own table has these functions.
        unsafe {
            let real = real($file);
            (*(*real).pMethods).$function.unwrap()(real $(, $argument)*)
        }
    }};
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    name: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite hands in an allocation of `szOsFile` bytes and a name that is null or ends.
    unsafe {
        let ours = file.cast::<File>();
        (*ours).base.pMethods = ptr::null();
        (*ours).path = ptr::null_mut();
        let real_file = real(file);
        let result = (*real_vfs()).xOpen.unwrap()(real_vfs(), name, real_file, flags, out_flags);
        if result != SQLITE_OK {
            return result;
        }
        if !name.is_null() {
            let path = PathBuf::from(CStr::from_ptr(name).to_str().unwrap());
            let mut disk = disk();
            if !disk.files.contains_key(&path) {
                let durable = fs::read(&path).unwrap();
                disk.files.insert(
                    path.clone(),
                    Content {
                        durable,
                        ..Content::default()
                    },
                );
            }
            (*ours).path = Box::into_raw(Box::new(path));
        }
        (*ours).base.pMethods = &METHODS;
    }
    SQLITE_OK
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    let result = forward!(file.xClose());
    // SAFETY: `open` made it, and SQLite closes once.
    unsafe {
        let path = (*file.cast::<File>()).path;
        if !path.is_null() {
            drop(Box::from_raw(path));
        }
    }
    result
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    let mut disk = disk();
    let fault = disk.step();
    if let Some(fault) = fault
        && fault != Fault::PowerCut
    {
        return if fault == Fault::Full {
            SQLITE_FULL
        } else {
            SQLITE_IOERR_WRITE
        };
    }
    // The write at which the power goes may still arrive.
    let arrives = fault.is_none() || disk.steps.is_multiple_of(2);
    // SAFETY: SQLite hands in `length` bytes.
    let written = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), length as usize) };
    // SAFETY: `open` opened it.
    if let Some(path) = unsafe { path(file) }
        && let Some(content) = disk.files.get_mut(path)
        && arrives
    {
        content
            .pending
            .push(Change::Write(offset as usize, written.to_vec()));
    }
    if fault.is_some() {
        return SQLITE_IOERR_WRITE;
    }
    forward!(file.xWrite(bytes, length, offset))
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, length: sqlite3_int64) -> c_int {
    let mut disk = disk();
    if disk.step().is_some() {
        return SQLITE_IOERR_TRUNCATE;
    }
    // SAFETY: `open` opened it.
    if let Some(path) = unsafe { path(file) }
        && let Some(content) = disk.files.get_mut(path)
    {
        content.pending.push(Change::Truncate(length as usize));
    }
    forward!(file.xTruncate(length))
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: `open` opened it.
    let synced = match unsafe { path(file) } {
        Some(path) => {
            let mut disk = disk();
            disk.begin_sync(path)
                .and_then(|upto| disk.end_sync(path, upto))
        }
        None => Ok(()),
    };
    // A real sync would only take time: what survives is decided above.
    let _ = flags;
    match synced {
        Ok(()) => SQLITE_OK,
        Err(Fault::Full) => SQLITE_FULL,
        Err(_) => SQLITE_IOERR_FSYNC,
    }
}

/// The store's own sync of the log. What others write meanwhile is not made durable by it.
fn sync_log(path: &Path) -> io::Result<()> {
    let begun = disk().begin_sync(path);
    std::thread::yield_now();
    let done = begun.and_then(|upto| disk().end_sync(path, upto));
    done.map_err(|fault| match fault {
        Fault::Full => io::ErrorKind::StorageFull.into(),
        _ => io::Error::other(format!("{fault:?}")),
    })
}

unsafe extern "C" fn read(
    file: *mut sqlite3_file,
    to: *mut c_void,
    length: c_int,
    offset: sqlite3_int64,
) -> c_int {
    forward!(file.xRead(to, length, offset))
}

unsafe extern "C" fn file_size(file: *mut sqlite3_file, size: *mut sqlite3_int64) -> c_int {
    forward!(file.xFileSize(size))
}

unsafe extern "C" fn lock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xLock(level))
}

unsafe extern "C" fn unlock(file: *mut sqlite3_file, level: c_int) -> c_int {
    forward!(file.xUnlock(level))
}

unsafe extern "C" fn check_reserved_lock(file: *mut sqlite3_file, out: *mut c_int) -> c_int {
    forward!(file.xCheckReservedLock(out))
}

unsafe extern "C" fn file_control(
    file: *mut sqlite3_file,
    operation: c_int,
    argument: *mut c_void,
) -> c_int {
    forward!(file.xFileControl(operation, argument))
}

unsafe extern "C" fn sector_size(file: *mut sqlite3_file) -> c_int {
    forward!(file.xSectorSize())
}

unsafe extern "C" fn device_characteristics(file: *mut sqlite3_file) -> c_int {
    forward!(file.xDeviceCharacteristics())
}

unsafe extern "C" fn shm_map(
    file: *mut sqlite3_file,
    page: c_int,
    size: c_int,
    extend: c_int,
    out: *mut *mut c_void,
) -> c_int {
    forward!(file.xShmMap(page, size, extend, out))
}

unsafe extern "C" fn shm_lock(
    file: *mut sqlite3_file,
    offset: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    forward!(file.xShmLock(offset, count, flags))
}

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    forward!(file.xShmBarrier());
}

unsafe extern "C" fn shm_unmap(file: *mut sqlite3_file, delete: c_int) -> c_int {
    forward!(file.xShmUnmap(delete))
}

/// Version 2: with shared memory for the log's index, without memory-mapped reads.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
