//! What is kept of a placement on the disk, sealed: the last version that was proven, and the one that is being placed.
//!
//! The key lies beside it, in a file that the agent's user alone can read: what is sealed is of no use in a copy or a backup of
//! that one file, and can't be swapped with another placement's or altered. Who can read the whole directory has everything.

use std::path::{Path, PathBuf};

use keystead_crypto::CryptoError;
use keystead_crypto::seal::{RootKey, TokenSealer};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::fetch::Version;
use crate::{Failure, private};

/// Where placements are kept.
pub(super) struct Shelf {
    dir: PathBuf,
    sealer: TokenSealer,
}

/// What is kept of one.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    /// The last good one.
    pub(super) good: Option<Version>,
    /// The one that was begun and neither proven nor taken back.
    pub(super) begun: Option<Version>,
}

impl Shelf {
    /// Opens what is kept in this directory of the agent's; makes it where there is nothing.
    pub(super) fn open(state: &Path) -> Result<Self, Failure> {
        let path = state.join(KEY);
        let root = match RootKey::load(&path) {
            Err(CryptoError::RootKeyMissing(_)) => RootKey::create(&path),
            loaded => loaded,
        };
        let failed = |error: CryptoError| Failure::Here(format!("{}: {error}", path.display()));
        let root = root.map_err(failed)?;
        Ok(Self {
            dir: state.join("places"),
            sealer: TokenSealer::new(&root, "placements").map_err(failed)?,
        })
    }

    /// What is kept of the placement of this name.
    pub(super) fn read(&self, name: &str) -> Result<Kept, Failure> {
        let Some(sealed) = private::read(&self.dir, &file(name))? else {
            return Ok(Kept::default());
        };
        let opened = self.sealer.open(name, &sealed).map_err(|error| {
            Failure::Here(format!("{}: {error}", self.dir.join(file(name)).display()))
        })?;
        // The error may quote what was read.
        serde_json::from_slice(&opened)
            .map_err(|_| Failure::Here(format!("what is kept of {name} has no known form")))
    }

    /// Keeps it, in place of what was kept.
    pub(super) fn write(&self, name: &str, kept: &Kept) -> Result<(), Failure> {
        let failed =
            |why: &dyn std::fmt::Display| Failure::Here(format!("{name} can't be kept: {why}"));
        let text = serde_json::to_vec(kept).map(Zeroizing::new);
        let text = text.map_err(|error| failed(&error))?;
        let sealed = self
            .sealer
            .seal(name, &text)
            .map_err(|error| failed(&error))?;
        private::write(&self.dir, &file(name), &sealed)
    }
}

fn file(name: &str) -> String {
    format!("{name}.sealed")
}

const KEY: &str = "places.key";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_is_kept_opens_here_alone() {
        let dir = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(dir.path()).unwrap();
        assert!(shelf.read("shop").unwrap().good.is_none());
        let version = Version {
            labels: BTreeMap::from([("arn".into(), "01".into())]),
            validity: None,
            leaf: None,
            pair: Some((b"public".to_vec().into(), b"hunter2".to_vec().into())),
            files: Vec::new(),
        };
        let kept = Kept {
            good: Some(version),
            begun: None,
        };
        shelf.write("shop", &kept).unwrap();
        let again = Shelf::open(dir.path()).unwrap();
        assert!(again.read("shop").unwrap().good == kept.good);
        let places = dir.path().join("places");
        let sealed = std::fs::read(places.join("shop.sealed")).unwrap();
        assert!(
            !sealed
                .windows(7)
                .any(|bytes| bytes == b"hunter2" || bytes == b"aHVudGV")
        );
        std::fs::copy(places.join("shop.sealed"), places.join("other.sealed")).unwrap();
        assert!(again.read("other").is_err());
        std::fs::remove_file(dir.path().join("places.key")).unwrap();
        assert!(Shelf::open(dir.path()).unwrap().read("shop").is_err());
    }
}
