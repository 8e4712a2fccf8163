//! The agent's own files, readable by its user alone and replaced as a whole; and bytes that do not print.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use crate::Failure;

/// Bytes that are wiped when dropped; as text, base64.
#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes(Zeroizing<Vec<u8>>);

impl Bytes {
    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn expose_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(STANDARD.encode(self.expose())))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let bytes = STANDARD.decode(text.as_bytes());
        bytes
            .map(Self::from)
            .map_err(|_| de::Error::custom("not base64"))
    }
}

/// A file of the agent's own; `None` where it is not there. One that others may read is not used any more.
pub(crate) fn read(dir: &Path, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let path = dir.join(name);
    let failed =
        |error: std::io::Error| Failure::Here(format!("cannot read {}: {error}", path.display()));
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let found = file.metadata().map_err(failed)?;
    let mode = found.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::Here(format!(
            "{} can be read by others (mode {:o}): remove it; an identity has to be made anew, with a new token",
            path.display(),
            mode & 0o777
        )));
    }
    // Growing would leave copies behind.
    let length = usize::try_from(found.len()).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(length.saturating_add(1)));
    file.read_to_end(&mut bytes).map_err(failed)?;
    Ok(Some(bytes))
}

/// Writes such a file, all of it or nothing, and makes the directory where it is missing.
pub(crate) fn write(dir: &Path, name: &str, content: &[u8]) -> Result<(), Failure> {
    let path = dir.join(name);
    let new = dir.join(format!("{name}.new"));
    let write = || -> std::io::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        match fs::remove_file(&new) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, &path)?;
        File::open(dir)?.sync_all()
    };
    write().map_err(|error| Failure::Here(format!("cannot write {}: {error}", path.display())))
}

/// Removes such a file, if it is there.
pub(crate) fn remove(dir: &Path, name: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::Here(format!(
            "cannot remove {}: {error}",
            path.display()
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        assert!(read(&dir, "x").unwrap().is_none());
        write(&dir, "x", b"one").unwrap();
        fs::write(dir.join("x.new"), "left by a crash").unwrap();
        write(&dir, "x", b"two").unwrap();
        assert_eq!(read(&dir, "x").unwrap().unwrap().as_slice(), b"two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("x"))), (0o700, 0o600));
        fs::set_permissions(dir.join("x"), fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = read(&dir, "x").unwrap_err().to_string();
        assert!(
            refusal.contains("can be read by others (mode 640)"),
            "{refusal}"
        );
        remove(&dir, "x").unwrap();
        remove(&dir, "x").unwrap();
    }

    #[test]
    fn bytes_do_not_print() {
        let bytes = Bytes::from(b"hunter2".to_vec());
        assert_eq!(format!("{bytes:?}"), "[redacted]");
        let text = serde_json::to_string(&bytes).unwrap();
        assert_eq!(serde_json::from_str::<Bytes>(&text).unwrap(), bytes);
    }
}
