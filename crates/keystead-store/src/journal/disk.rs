//! The few things the journal asks of its file; tests make them fail or hang.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, fallocate};

/// A file of the journal, open for writing.
#[derive(Debug)]
pub(super) struct Disk {
    file: File,
    #[cfg(test)]
    faults: std::sync::Arc<Faults>,
}

impl Disk {
    #[cfg(not(test))]
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }

    #[cfg(test)]
    pub(super) fn new(file: File, faults: std::sync::Arc<Faults>) -> Self {
        Self { file, faults }
    }

    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.write(&self.file, bytes, offset)?;
        self.file.write_all_at(bytes, offset)
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        #[cfg(test)]
        self.faults.sync()?;
        self.file.sync_data()
    }

    pub(super) fn set_len(&self, length: u64) -> io::Result<()> {
        #[cfg(test)]
        self.faults.check()?;
        self.file.set_len(length)
    }

    /// Sets room aside behind the end without moving it.
    pub(super) fn reserve(&self, offset: u64, length: u64) -> io::Result<()> {
        fallocate(&self.file, FallocateFlags::KEEP_SIZE, offset, length)?;
        Ok(())
    }
}

#[cfg(test)]
pub(super) use faults::Faults;

#[cfg(test)]
mod faults {
    use std::fs::File;
    use std::io;
    use std::os::unix::fs::FileExt;

    use parking_lot::{Condvar, Mutex};

    /// What goes wrong.
    #[derive(Debug, Default)]
    pub(in crate::journal) struct Faults {
        state: Mutex<State>,
        changed: Condvar,
    }

    #[derive(Debug, Default)]
    struct State {
        /// Steps until the disk fails; `None` for a healthy one.
        healthy_steps: Option<u64>,
        /// Bytes of the failing write that arrive all the same.
        torn: usize,
        hangs: bool,
    }

    impl Faults {
        /// From the `step`-th write, sync or cut on, everything fails; of a failing write the first
        /// `torn` bytes arrive.
        pub(in crate::journal) fn fail_from(&self, step: u64, torn: usize) {
            let mut state = self.state.lock();
            state.healthy_steps = Some(step - 1);
            state.torn = torn;
        }

        pub(in crate::journal) fn hang(&self) {
            self.state.lock().hangs = true;
        }

        pub(in crate::journal) fn heal(&self) {
            *self.state.lock() = State::default();
            self.changed.notify_all();
        }

        pub(super) fn check(&self) -> io::Result<()> {
            let mut state = self.state.lock();
            while state.hangs {
                self.changed.wait(&mut state);
            }
            match &mut state.healthy_steps {
                None => Ok(()),
                Some(0) => Err(io::ErrorKind::StorageFull.into()),
                Some(steps) => {
                    *steps -= 1;
                    Ok(())
                }
            }
        }

        pub(super) fn write(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
            self.check().inspect_err(|_| {
                let torn = self.state.lock().torn.min(bytes.len());
                file.write_all_at(&bytes[..torn], offset).unwrap();
            })
        }

        pub(super) fn sync(&self) -> io::Result<()> {
            self.check()
        }
    }
}
