//! A module between the ring and SoftHSM2 that hangs, refuses and counts as a test tells it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use keystead_testkit::SoftHsm;

use super::options;
use keystead_crypto::token::TokenOptions;

/// The module, and the folder by which it is told what to do.
pub(super) struct Shim {
    folder: PathBuf,
}

impl Shim {
    /// Compiles it, with the compiler that the program itself needs.
    pub(super) fn new(folder: &Path) -> Self {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/token/shim.c");
        let module = folder.join("shim.so");
        if !module.exists() {
            let output = Command::new("cc")
                .args(["-shared", "-fPIC", "-Wall", "-Werror", "-o"])
                .arg(&module)
                .arg(source)
                .arg("-ldl")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{said}");
        }
        Self {
            folder: folder.to_owned(),
        }
    }

    /// How the token is opened through it.
    pub(super) fn options(&self, hsm: &SoftHsm) -> TokenOptions {
        TokenOptions {
            module: self.folder.join("shim.so"),
            ..options(hsm)
        }
    }

    /// From now on, the function hangs.
    pub(super) fn hang(&self, function: &str) {
        self.put(function, "hang");
    }

    /// From now on, the function answers this.
    pub(super) fn answer(&self, function: &str, rv: u64) {
        self.put(function, &rv.to_string());
    }

    fn put(&self, function: &str, what: &str) {
        // Whole from the first moment on.
        let draft = self.folder.join("draft");
        fs::write(&draft, what).unwrap();
        fs::rename(draft, self.folder.join(function)).unwrap();
    }

    /// From now on, the function does what SoftHSM2's does.
    pub(super) fn release(&self, function: &str) {
        fs::remove_file(self.folder.join(function)).unwrap();
    }

    /// How often the function was called.
    pub(super) fn calls(&self, function: &str) -> usize {
        let file = self.folder.join(format!("{function}.calls"));
        fs::metadata(file).map_or(0, |file| file.len() as usize)
    }
}
