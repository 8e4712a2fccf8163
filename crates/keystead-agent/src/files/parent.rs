//! The directory that a file is placed in, reached so that no other user decides which one it is.
//!
//! Every part of the path is opened by itself and never followed (openat(2), `O_NOFOLLOW`). A symbolic link is resolved here, and
//! counts if it is root's or the agent's. A directory has to belong to root, to the agent's user or to the one that the file is
//! for, and nobody else may write to it; on the way, though not as the last, one like `/tmp` will do, in which users can't move
//! what is not theirs (the sticky bit).

use std::collections::VecDeque;
use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags};

/// Opens the directory of this file, for the user with this id.
pub(super) fn open(path: &Path, owner: Option<u32>) -> Result<OwnedFd, String> {
    let parent = path.parent().filter(|_| path.is_absolute());
    let parent = parent.ok_or_else(|| "expected a path from the root".to_owned())?;
    let mut trusted = vec![0, rustix::process::geteuid().as_raw()];
    trusted.extend(owner);
    let mut walk = Walk {
        open: vec![root()?],
        way: PathBuf::from("/"),
        trusted,
    };
    let mut left: VecDeque<OsString> = parts(parent);
    let mut links = 0;
    walk.check(left.is_empty())?;
    while let Some(part) = left.pop_front() {
        if part == ".." {
            if walk.open.len() > 1 {
                walk.open.pop();
                walk.way.pop();
            }
        } else if let Some(target) = walk.link(&part)? {
            links += 1;
            if links > MOST_LINKS {
                return Err(format!("{} has too many symbolic links", path.display()));
            }
            if target.is_absolute() {
                walk.open.truncate(1);
                walk.way = PathBuf::from("/");
            }
            for part in parts(&target).into_iter().rev() {
                left.push_front(part);
            }
        } else {
            walk.enter(&part)?;
        }
        walk.check(left.is_empty())?;
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = fs::openat(walk.here()?, ".", flags, Mode::empty());
    opened.map_err(|error| walk.failed(error))
}

fn root() -> Result<OwnedFd, String> {
    fs::open("/", DIRECTORY, Mode::empty()).map_err(|error| format!("/: {error}"))
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let parts = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    parts.collect()
}

struct Walk {
    /// The root and every directory from there.
    open: Vec<OwnedFd>,
    way: PathBuf,
    trusted: Vec<u32>,
}

impl Walk {
    fn here(&self) -> Result<&OwnedFd, String> {
        self.open
            .last()
            .ok_or_else(|| "there is no root directory".into())
    }

    fn failed(&self, error: rustix::io::Errno) -> String {
        format!("{}: {error}", self.way.display())
    }

    /// Where this leads if it is a symbolic link.
    fn link(&self, part: &OsString) -> Result<Option<PathBuf>, String> {
        let here = self.here()?;
        let path = self.way.join(part);
        let failed = |error| format!("{}: {error}", path.display());
        let found = fs::statat(here, part, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
            return Ok(None);
        }
        // The file's own user could change it while it is looked at.
        if ![0, rustix::process::geteuid().as_raw()].contains(&found.st_uid) {
            return Err(format!(
                "{} is a symbolic link of another user ({})",
                path.display(),
                found.st_uid
            ));
        }
        let target = fs::readlinkat(here, part, Vec::new()).map_err(failed)?;
        Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes()))))
    }

    fn enter(&mut self, part: &OsString) -> Result<(), String> {
        let opened = fs::openat(self.here()?, part, DIRECTORY, Mode::empty());
        self.way.push(part);
        let opened = opened.map_err(|error| self.failed(error))?;
        self.open.push(opened);
        Ok(())
    }

    /// Whether nobody else decides what is in the directory.
    fn check(&self, is_last: bool) -> Result<(), String> {
        let found = fs::fstat(self.here()?).map_err(|error| self.failed(error))?;
        let way = self.way.display();
        if !self.trusted.contains(&found.st_uid) {
            return Err(format!("{way} belongs to another user ({})", found.st_uid));
        }
        let mode = Mode::from_raw_mode(found.st_mode);
        let is_open = mode.intersects(Mode::WGRP | Mode::WOTH);
        if is_open && (is_last || !mode.contains(Mode::SVTX)) {
            return Err(format!(
                "{way} can be written to by others (mode {:o})",
                found.st_mode & 0o7777
            ));
        }
        Ok(())
    }
}

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// As the kernel has it (path_resolution(7)).
const MOST_LINKS: u32 = 40;
