//! Files that are placed together.
//!
//! All of them are written beside their places first, under other names, with their owner, group and mode before the first byte; then
//! each is renamed. What fails before the first rename leaves everything as it was. A kill between two renames leaves old and new
//! beside each other: who placed them knows both, and repairs that when it starts again.

mod parent;

use std::ffi::OsString;
use std::fs::File as Handle;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{self, AtFlags, FileType, Gid, Mode, OFlags, Uid};
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::private::Bytes;

/// A file as it has to be.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    /// Where; from the root.
    pub(crate) path: PathBuf,
    /// Whose; `None` for the agent's own user.
    pub(crate) owner: Option<u32>,
    /// `None` for the agent's own group.
    pub(crate) group: Option<u32>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) content: Bytes,
}

/// What is called before each step, and may let it fail: for tests.
pub(crate) type Before<'a> = &'a dyn Fn(&'static str) -> io::Result<()>;

/// Why files were not placed.
#[derive(Debug)]
pub(crate) struct Unplaced {
    /// What went wrong, and with which file.
    pub(crate) why: Failure,
    /// Whether all is as it was.
    pub(crate) untouched: bool,
}

/// Places all of them.
///
/// # Errors
/// [`Failure::Here`], naming the file.
pub(crate) fn place(files: &[File], before: Before<'_>) -> Result<(), Unplaced> {
    let mut ready = Vec::with_capacity(files.len());
    for file in files {
        ready.push(prepare(file, before).map_err(|error| failed(file, &error, true))?);
    }
    let mut untouched = true;
    for (file, new) in files.iter().zip(&mut ready) {
        let renamed = before("rename").and_then(|()| new.rename());
        renamed.map_err(|error| failed(file, &error, untouched))?;
        untouched = false;
    }
    for (file, new) in files.iter().zip(&ready) {
        let synced = before("sync").and_then(|()| Ok(fs::fsync(&new.dir)?));
        synced.map_err(|error| failed(file, &error, false))?;
    }
    Ok(())
}

/// Whether it is there just as it has to be.
pub(crate) fn is_placed(file: &File) -> bool {
    let Ok(Some(found)) = read(&file.path, file.owner) else {
        return false;
    };
    let user = rustix::process::geteuid().as_raw();
    found.content == file.content
        && found.mode == file.mode
        && found.owner == Some(file.owner.unwrap_or(user))
        && file.group.is_none_or(|group| found.group == Some(group))
}

/// The file that is at this place, for this owner; `None` where there is none.
///
/// # Errors
/// [`Failure::Here`] where others decide what is there, or it can't be read.
pub(crate) fn read(path: &std::path::Path, owner: Option<u32>) -> Result<Option<File>, Failure> {
    let failed = |why: &dyn std::fmt::Display| {
        Failure::Here(format!("cannot read {}: {why}", path.display()))
    };
    let dir = parent::open(path, owner).map_err(|why| failed(&why))?;
    let name = path.file_name().unwrap_or_default();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let opened = match fs::openat(&dir, name, flags, Mode::empty()) {
        Ok(opened) => opened,
        // ELOOP: a symbolic link, which is not what was placed.
        Err(rustix::io::Errno::NOENT | rustix::io::Errno::LOOP) => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    let stat = fs::fstat(&opened).map_err(|error| failed(&error))?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
        return Err(failed(&"it is not a file"));
    }
    let mut content = Bytes::default();
    Handle::from(opened)
        .take(LARGEST)
        .read_to_end(content.expose_mut())
        .map_err(|error| failed(&error))?;
    Ok(Some(File {
        path: path.to_owned(),
        owner: Some(stat.st_uid),
        group: Some(stat.st_gid),
        mode: stat.st_mode & 0o7777,
        content,
    }))
}

/// A file beside its place; removed unless it was renamed.
struct New {
    dir: OwnedFd,
    temporary: OsString,
    name: OsString,
    renamed: bool,
}

impl New {
    fn rename(&mut self) -> io::Result<()> {
        fs::renameat(&self.dir, &self.temporary, &self.dir, &self.name)?;
        self.renamed = true;
        Ok(())
    }
}

impl Drop for New {
    fn drop(&mut self) {
        if !self.renamed {
            // At worst it is found when the file is placed next.
            let _ = fs::unlinkat(&self.dir, &self.temporary, AtFlags::empty());
        }
    }
}

fn prepare(file: &File, before: Before<'_>) -> io::Result<New> {
    let dir = parent::open(&file.path, file.owner).map_err(io::Error::other)?;
    let name = file.path.file_name().unwrap_or_default().to_owned();
    let mut temporary = OsString::from(".");
    temporary.push(&name);
    temporary.push(".keystead-new");
    before("create")?;
    match fs::unlinkat(&dir, &temporary, AtFlags::empty()) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = fs::openat(&dir, &temporary, flags, Mode::RUSR | Mode::WUSR)?;
    let new = New {
        dir,
        temporary,
        name,
        renamed: false,
    };
    before("own")?;
    let (owner, group) = (file.owner.map(Uid::from_raw), file.group.map(Gid::from_raw));
    if owner.is_some() || group.is_some() {
        fs::fchown(&opened, owner, group)?;
    }
    // After that: changing owners takes the set-id bits away (chown(2)).
    fs::fchmod(&opened, Mode::from_raw_mode(file.mode))?;
    before("write")?;
    let mut handle = Handle::from(opened);
    handle.write_all(file.content.expose())?;
    handle.sync_all()?;
    Ok(new)
}

fn failed(file: &File, error: &io::Error, untouched: bool) -> Unplaced {
    Unplaced {
        why: Failure::Here(format!("cannot write {}: {error}", file.path.display())),
        untouched,
    }
}

/// Secrets have 64 KiB at most, chains of certificates two megabytes.
const LARGEST: u64 = 8 << 20;

#[cfg(test)]
mod tests;
