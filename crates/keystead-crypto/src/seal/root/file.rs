//! Files that hold a key: nobody but their owner reaches them, and they are whole or not there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::CryptoError;
use crate::seal::KeyId;

/// Who else than the owner may do anything: nobody.
const OTHERS: u32 = 0o077;
/// Longer than any root key file.
const MOST: u64 = 4096;

/// What is in a root key file.
///
/// # Errors
/// [`CryptoError::RootKeyMissing`]; [`CryptoError::RootKey`] when it cannot be read, or others than
/// its owner have access.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let shown = path.display();
    let fail = |error: io::Error| match error.kind() {
        ErrorKind::NotFound => CryptoError::RootKeyMissing(path.into()),
        _ => CryptoError::RootKey(format!("cannot read the root key file {shown}: {error}")),
    };
    let file = File::open(path).map_err(fail)?;
    let metadata = file.metadata().map_err(fail)?;
    if !metadata.is_file() {
        return Err(CryptoError::RootKey(format!("{shown} is not a file")));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(CryptoError::RootKey(format!(
            "the root key file {shown} has mode {mode:04o}, so that others can reach it; nobody \
             but its owner may: chmod 600 it"
        )));
    }
    // As long as it can get, so that growing leaves no copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MOST as usize));
    file.take(MOST).read_to_end(&mut text).map_err(fail)?;
    Ok(text)
}

/// Makes a file, mode 0600, whole and durable or not at all. Whatever is there already stays.
///
/// # Errors
/// [`CryptoError::RootKey`].
pub(super) fn create(path: &Path, text: &str) -> Result<(), CryptoError> {
    // A link never replaces a file and never shows half of one.
    put(path, text, "create", |draft| {
        fs::hard_link(draft, path)?;
        fs::remove_file(draft)
    })
}

/// Puts another text in the place of a file: at every moment there is the old one or the new one,
/// whole.
///
/// # Errors
/// [`CryptoError::RootKey`].
pub(super) fn replace(path: &Path, text: &str) -> Result<(), CryptoError> {
    put(path, text, "replace", |draft| fs::rename(draft, path))
}

/// Written under a name that nobody else uses, then put in its place.
fn put(
    path: &Path,
    text: &str,
    what: &str,
    place: impl FnOnce(&Path) -> io::Result<()>,
) -> Result<(), CryptoError> {
    let (draft, directory) = draft_of(path)?;
    let written = sweep(path, directory)
        .and_then(|()| write(&draft, text))
        .and_then(|()| place(&draft))
        .and_then(|()| File::open(directory)?.sync_all());
    written.map_err(|error| {
        // The draft holds a key that is elsewhere too, or that nothing uses; failing to remove it
        // harms nothing.
        let _ = fs::remove_file(&draft);
        CryptoError::RootKey(format!(
            "cannot {what} the root key file {}: {error}",
            path.display()
        ))
    })
}

fn draft_of(path: &Path) -> Result<(PathBuf, &Path), CryptoError> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(CryptoError::RootKey(format!(
            "{} cannot be the name of a root key file",
            path.display()
        )));
    };
    let directory = if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    };
    let mut draft = name.to_os_string();
    draft.push(format!(".{}", KeyId::random()?));
    Ok((directory.join(draft), directory))
}

/// Removes the drafts that an earlier attempt left when the machine stopped: they hold the key, maybe
/// in clear.
fn sweep(path: &Path, directory: &Path) -> io::Result<()> {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let found = entry.file_name();
        let rest = found.as_encoded_bytes().strip_prefix(name);
        let id = rest.and_then(|rest| str::from_utf8(rest.strip_prefix(b".")?).ok());
        if id.is_some_and(|id| id.parse::<KeyId>().is_ok()) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_replaced_file_is_its_owners_and_leaves_no_draft() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        create(&path, "one").unwrap();
        // What a stopped machine left, and what looks like it.
        let draft = format!("root.key.{}", KeyId::random().unwrap());
        let others = ["root.key.bak", "root.keys.00112233445566778899aabbccddeeff"];
        for name in others.into_iter().chain([draft.as_str()]) {
            fs::write(directory.path().join(name), "x").unwrap();
        }
        replace(&path, "two").unwrap();
        assert_eq!(read(&path).unwrap().as_slice(), b"two");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(
            names(directory.path()),
            [&["root.key"], &others[..]].concat()
        );
    }

    #[test]
    fn what_cannot_be_replaced_stays_and_leaves_no_draft() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root.key");
        fs::create_dir(&path).unwrap();
        for refused in [replace(&path, "text"), create(&path, "text")] {
            assert!(matches!(refused, Err(CryptoError::RootKey(_))));
        }
        assert_eq!(names(directory.path()), ["root.key"]);
        let missing = directory.path().join("missing/root.key");
        assert!(replace(&missing, "text").is_err());
        assert!(replace(Path::new("/"), "text").is_err());
    }
}
