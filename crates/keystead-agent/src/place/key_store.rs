//! PKCS #12 files: a key, its certificate and chain under a password, for programs that read nothing else.
//!
//! The password stands in a file of the machine, whose first line it is, and is read whenever a version is made. The same
//! key and password make the same file, so that a version that is read anew is seen to be the same.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use keystead_crypto::key_store::{self, Entry};
use zeroize::Zeroizing;

use super::fetch::Fetched;
use crate::private::Bytes;

/// How a PKCS #12 file is made.
pub(super) struct KeyStore {
    pub(super) password_file: PathBuf,
    pub(super) alias: String,
}

impl KeyStore {
    /// The file of this certificate.
    pub(super) async fn make(&self, fetched: &Fetched) -> Result<Bytes, String> {
        let Fetched::Certificate {
            leaf, chain, key, ..
        } = fetched
        else {
            return Err("it has no key".into());
        };
        let password = password(&self.password_file)?;
        let (alias, leaf, key) = (self.alias.clone(), leaf.clone(), key.clone());
        let chain = chain.clone();
        let made = tokio::task::spawn_blocking(move || {
            let chain: Vec<&[u8]> = chain.iter().map(|one| one.der()).collect();
            let entry = Entry {
                alias: &alias,
                certificate: leaf.der(),
                chain: &chain,
            };
            let key = std::str::from_utf8(key.expose()).unwrap_or_default();
            key_store::pkcs12(key, entry, &password)
        });
        let made = made.await.map_err(|error| error.to_string())?;
        Ok(made.map_err(|error| error.to_string())?.into())
    }
}

/// The first line of a file that not everybody may read.
fn password(path: &Path) -> Result<Zeroizing<String>, String> {
    let failed =
        |error: std::io::Error| format!("cannot read the password in {}: {error}", path.display());
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    let mode = found.permissions().mode();
    if mode & 0o007 != 0 {
        return Err(format!(
            "everybody can read the password in {} (mode {:o}): expected 0600 or 0640",
            path.display(),
            mode & 0o777
        ));
    }
    let mut text = Zeroizing::new(String::with_capacity(LONGEST));
    let most = u64::try_from(LONGEST).unwrap_or_default();
    file.take(most).read_to_string(&mut text).map_err(failed)?;
    let line = text.lines().next().unwrap_or_default();
    let is_plain = line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if line.is_empty() || text.len() == LONGEST || !is_plain {
        return Err(format!(
            "expected a password in the first line of {}, of ASCII characters (Java takes no others), and nothing else",
            path.display()
        ));
    }
    Ok(Zeroizing::new(line.to_owned()))
}

/// Bytes of a password's file.
const LONGEST: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, mode: u32) -> Result<String, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        password(&path).map(|password| password.to_string())
    }

    #[test]
    fn a_password_is_the_first_line_of_a_file_that_others_can_not_read() {
        assert_eq!(said("changeit\n", 0o600).unwrap(), "changeit");
        assert_eq!(said("a b ", 0o640).unwrap(), "a b ");
        assert!(said("changeit", 0o644).unwrap_err().contains("0600"));
        assert!(said("\n", 0o600).unwrap_err().contains("first line"));
        assert!(said("", 0o600).unwrap_err().contains("first line"));
        assert!(said("wörd", 0o600).unwrap_err().contains("ASCII"));
        assert!(said(&"x".repeat(2000), 0o600).is_err());
        assert!(password(Path::new("/no/such/file")).is_err());
    }
}
