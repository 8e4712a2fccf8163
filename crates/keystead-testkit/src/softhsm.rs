//! SoftHSM2: a PKCS #11 token in files.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The places where distributions put the module.
const MODULES: [&str; 3] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];
/// The PIN of the tokens.
pub const PIN: &str = "0123456789";

/// Tokens in a folder. A process sees them that has [`SoftHsm::variables`] in its environment.
#[derive(Clone, Debug)]
pub struct SoftHsm {
    folder: PathBuf,
}

impl SoftHsm {
    /// No tokens yet, below this folder.
    ///
    /// # Panics
    ///
    /// When the folder cannot be written to.
    pub fn new(folder: &Path) -> Self {
        let hsm = Self {
            folder: folder.join("softhsm"),
        };
        fs::create_dir_all(hsm.tokens()).expect("the test's own folder");
        let text = format!(
            "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
            hsm.tokens().display()
        );
        fs::write(hsm.configuration(), text).expect("the test's own folder");
        hsm
    }

    /// What is there already.
    pub fn at(folder: &Path) -> Self {
        Self {
            folder: folder.join("softhsm"),
        }
    }

    /// The module's file.
    ///
    /// # Panics
    ///
    /// When it is not installed: `cargo xtask test` installs it.
    pub fn module() -> PathBuf {
        let mut places = MODULES.into_iter().map(PathBuf::from);
        places
            .find(|place| place.is_file())
            .expect("SoftHSM2: `cargo xtask test` installs the package softhsm2")
    }

    /// Where the tokens are: a folder each.
    pub fn tokens(&self) -> PathBuf {
        self.folder.join("tokens")
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("softhsm2.conf")
    }

    /// What a process's environment must have to see these tokens.
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![("SOFTHSM2_CONF", self.configuration().into())]
    }

    /// One more token, with this label and [`PIN`].
    ///
    /// # Panics
    ///
    /// When SoftHSM2 does not make it.
    pub fn initialize(&self, label: &str) {
        self.initialize_with(label, PIN);
    }

    /// One more token, with this label and PIN.
    ///
    /// # Panics
    ///
    /// When SoftHSM2 does not make it.
    pub fn initialize_with(&self, label: &str, pin: &str) {
        let output = Command::new("softhsm2-util")
            .args(["--init-token", "--free", "--label", label])
            .args(["--so-pin", "98765432", "--pin", pin])
            .envs(self.variables())
            .output()
            .expect("softhsm2-util: `cargo xtask test` installs the package softhsm2");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "no token {label}: {said}");
    }

    /// A file with this PIN that nobody else can read.
    ///
    /// # Panics
    ///
    /// When the folder cannot be written to.
    pub fn pin_file(&self, name: &str, pin: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt as _;
        let path = self.folder.join(name);
        fs::write(&path, format!("{pin}\n")).expect("the test's own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("the test's own file");
        path
    }

    /// Takes all tokens away.
    ///
    /// # Panics
    ///
    /// When they are away already.
    pub fn take_away(&self) {
        fs::rename(self.tokens(), self.folder.join("away")).expect("tokens that are there");
    }

    /// Brings them back.
    ///
    /// # Panics
    ///
    /// When they are not away.
    pub fn bring_back(&self) {
        fs::rename(self.folder.join("away"), self.tokens()).expect("tokens that are away");
    }
}
