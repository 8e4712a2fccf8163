//! The file in which an identity is kept: readable by the agent's user alone, replaced as a whole.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use zeroize::Zeroizing;

use super::key::Key;
use crate::Failure;
use crate::link::text;

/// What is kept of an identity.
#[derive(Serialize, Deserialize)]
pub(super) struct Kept {
    /// The URL of the server.
    pub(super) endpoint: String,
    /// What the server is known by (PEM); `None` for what the machine trusts.
    pub(super) roots: Option<String>,
    pub(super) region: String,
    pub(super) agent_arn: String,
    pub(super) role_arn: String,
    pub(super) profile_arn: String,
    pub(super) trust_anchor_arn: String,
    /// The certificate (PEM).
    pub(super) certificate: String,
    /// Its key (PEM).
    pub(super) key: Secret,
}

/// Text that does not print and is wiped.
#[derive(Deserialize)]
#[serde(from = "String")]
pub(super) struct Secret(Zeroizing<String>);

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl Serialize for Secret {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Kept {
    /// What the server answered (`AgentIdentity`), with the key that it certified.
    pub(super) fn of(
        identity: &Value,
        endpoint: &str,
        roots: Option<String>,
        key: &Key,
    ) -> Result<Self, Failure> {
        let of = |name: &str| text(identity, name).map(str::to_owned);
        Ok(Self {
            endpoint: endpoint.to_owned(),
            roots,
            region: of("Region")?,
            agent_arn: of("AgentArn")?,
            role_arn: of("RoleArn")?,
            profile_arn: of("ProfileArn")?,
            trust_anchor_arn: of("TrustAnchorArn")?,
            certificate: of("Certificate")?,
            key: key.pem().to_owned().into(),
        })
    }
}

/// What is kept in this directory.
pub(super) fn read(dir: &Path) -> Result<Option<Kept>, Failure> {
    let Some(text) = read_private(dir, NAME)? else {
        return Ok(None);
    };
    let kept = serde_json::from_str(&text);
    // The error may quote what was read.
    kept.map(Some).map_err(|_| {
        Failure::Here(format!(
            "{} is damaged: join again with a new token",
            dir.join(NAME).display()
        ))
    })
}

/// Keeps an identity, in place of the one before.
pub(super) fn write(dir: &Path, kept: &Kept) -> Result<(), Failure> {
    let text = serde_json::to_vec(kept).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::Here(format!("an identity has no form: {error}")))?;
    write_private(dir, NAME, &text)
}

/// A file of the agent's own; `None` where it is not there. One that others may read is not used any more.
pub(super) fn read_private(dir: &Path, name: &str) -> Result<Option<Zeroizing<String>>, Failure> {
    let path = dir.join(name);
    let failed =
        |error: std::io::Error| Failure::Here(format!("cannot read {}: {error}", path.display()));
    let file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::Here(format!(
            "{} can be read by others (mode {:o}): remove it, and join again with a new token",
            path.display(),
            mode & 0o777
        )));
    }
    let text = std::io::read_to_string(file).map_err(failed)?;
    Ok(Some(Zeroizing::new(text)))
}

/// Writes such a file, all of it or nothing, and makes the directory where it is missing.
pub(super) fn write_private(dir: &Path, name: &str, content: &[u8]) -> Result<(), Failure> {
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
pub(super) fn remove(dir: &Path, name: &str) -> Result<(), Failure> {
    let path = dir.join(name);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Failure::Here(format!(
            "cannot remove {}: {error}",
            path.display()
        ))),
        _ => Ok(()),
    }
}

const NAME: &str = "identity.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_private_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("state");
        assert!(read_private(&dir, "x").unwrap().is_none());
        write_private(&dir, "x", b"one").unwrap();
        fs::write(dir.join("x.new"), "left by a crash").unwrap();
        write_private(&dir, "x", b"two").unwrap();
        assert_eq!(read_private(&dir, "x").unwrap().unwrap().as_str(), "two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("x"))), (0o700, 0o600));
        fs::set_permissions(dir.join("x"), fs::Permissions::from_mode(0o640)).unwrap();
        let refusal = read_private(&dir, "x").unwrap_err().to_string();
        assert!(
            refusal.contains("can be read by others (mode 640)"),
            "{refusal}"
        );
        remove(&dir, "x").unwrap();
        remove(&dir, "x").unwrap();
    }
}
