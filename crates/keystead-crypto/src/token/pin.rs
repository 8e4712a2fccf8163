//! Where a token's PIN comes from.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::error::{TokenError, TokenFailure};

/// Longest PIN: SoftHSM's, and longer than any that we know of.
const MAX: u64 = 255;
/// Who else than the owner may do anything with the file: nobody.
const OTHERS: u32 = 0o077;

/// Where a token's PIN comes from. It is read when the token is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PinSource {
    /// The first line of a file that nobody but its owner can reach.
    File(PathBuf),
}

/// A PIN; overwritten when dropped.
pub(super) type Pin = Zeroizing<String>;

impl PinSource {
    /// # Errors
    /// [`TokenFailure::PinUnusable`].
    pub(super) fn read(&self) -> Result<Pin, TokenError> {
        let Self::File(path) = self;
        read(path).map_err(|reason| {
            TokenError::new(
                TokenFailure::PinUnusable,
                format!("the PIN file {} {reason}", path.display()),
            )
        })
    }
}

/// The error is a clause that follows "the PIN file x".
fn read(path: &Path) -> Result<Pin, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err("is not a file".into());
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(format!(
            "has mode {mode:04o}, so that others can reach it; nobody but its owner may: chmod 600 it"
        ));
    }
    // As long as it can get, so that growing leaves no copy behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX as usize + 3));
    file.take(MAX + 3)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "is not UTF-8 text")?;
    let line = text.strip_suffix('\n').unwrap_or(text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    match line.len() {
        0 => Err("is empty".into()),
        length if length as u64 > MAX => Err(format!("has more than {MAX} bytes")),
        _ if line.contains('\n') => Err("has more than one line".into()),
        _ => Ok(Zeroizing::new(line.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use super::*;

    #[test]
    fn a_pin_is_the_one_line_of_a_file_of_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pin");
        let source = PinSource::File(path.clone());
        let refusal = |source: &PinSource| {
            let error = source.read().unwrap_err();
            assert_eq!(error.failure, TokenFailure::PinUnusable);
            error.message
        };
        assert!(refusal(&source).contains("cannot be read"));
        for (content, expected) in [
            ("1234", Ok("1234")),
            ("12 34\n", Ok("12 34")),
            ("1234\r\n", Ok("1234")),
            ("", Err("is empty")),
            ("\n", Err("is empty")),
            ("12\n34\n", Err("more than one line")),
            (&"1".repeat(255), Ok(&*"1".repeat(255))),
            (&"1".repeat(256), Err("more than 255 bytes")),
            (&"1".repeat(5000), Err("more than 255 bytes")),
        ] {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            match expected {
                Ok(pin) => assert_eq!(source.read().unwrap().as_str(), pin),
                Err(reason) => assert!(refusal(&source).contains(reason), "{content:?}"),
            }
        }
        fs::write(&path, "1234").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let refusal = refusal(&source);
        assert!(refusal.contains("chmod 600") && !refusal.contains("1234"));
    }
}
