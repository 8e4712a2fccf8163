//! What the tests need from outside: Debian packages and two Python environments.
//!
//! Everything is named in files under `tests/`; what cannot be installed is named, and the run fails.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Outcome;
use crate::shell;

/// Debian packages, one a line.
const PACKAGES: &str = "tests/packages.txt";
/// The newest AWS clients, and the peers that come as Python packages.
const NEW: Environment = Environment {
    folder: "venv",
    requirements: "tests/python/requirements.txt",
};
/// The AWS clients from before acm-pca spoke CBOR.
const OLD: Environment = Environment {
    folder: "venv-old",
    requirements: "tests/python/requirements-old.txt",
};

struct Environment {
    folder: &'static str,
    requirements: &'static str,
}

impl Environment {
    fn dir(&self) -> PathBuf {
        shell::target().join(self.folder)
    }

    /// Makes the environment, unless one made from the same requirements is there.
    fn make(&self) -> Outcome {
        let dir = self.dir();
        let wanted = fs::read_to_string(shell::root().join(self.requirements))?;
        let stamp = dir.join("made-from");
        if fs::read_to_string(&stamp).is_ok_and(|made| made == wanted) {
            return Ok(());
        }
        println!(
            "==> Python environment {} from {}",
            dir.display(),
            self.requirements
        );
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        fs::create_dir_all(shell::target())?;
        shell::run(shell::command("python3").args(["-m", "venv"]).arg(&dir))?;
        let mut pip = shell::command(dir.join("bin/python"));
        pip.args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ]);
        shell::run(pip.arg(self.requirements))?;
        fs::write(stamp, wanted)?;
        Ok(())
    }
}

/// Installs everything that is missing; names all that could not be had.
pub(crate) fn install() -> Outcome {
    let mut complaints = Vec::new();
    for made in [packages(), NEW.make(), OLD.make()] {
        complaints.extend(made.err().map(|error| error.to_string()));
    }
    match complaints.is_empty() {
        true => Ok(()),
        false => Err(format!("cannot set up the tests: {}", complaints.join("; ")).into()),
    }
}

/// Installs the Python environment with the newest clients and Envoy; returns its folder of programs.
pub(crate) fn programs() -> Outcome<PathBuf> {
    NEW.make()?;
    Ok(NEW.dir().join("bin"))
}

/// The interpreter with the newest clients and pytest.
pub(crate) fn python() -> PathBuf {
    NEW.dir().join("bin/python")
}

/// How the binary under test was built.
pub(crate) enum Profile {
    Debug,
    Release,
}

/// Tells a test process where the programs are that it uses.
pub(crate) fn name_tools(command: &mut Command, profile: &Profile) {
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release => "release",
    };
    command.env(
        "KEYSTEAD_BIN",
        shell::target().join(folder).join("keystead"),
    );
    command.env("KEYSTEAD_TEST_VENV", NEW.dir());
    command.env("KEYSTEAD_TEST_VENV_OLD", OLD.dir());
}

fn packages() -> Outcome {
    let list = fs::read_to_string(shell::root().join(PACKAGES))?;
    let names = list.lines().map(str::trim);
    let names = names.filter(|name| !name.is_empty() && !name.starts_with('#'));
    let missing: Vec<&str> = names.filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("==> Debian packages: {}", missing.join(" "));
    let install = || {
        shell::run(apt().args(["update", "--quiet=2"]))?;
        shell::run(
            apt()
                .args(["install", "--quiet=2", "--yes", "--no-install-recommends"])
                .args(&missing),
        )
    };
    install().map_err(|error| format!("the Debian packages {missing:?} are needed: {error}").into())
}

fn is_installed(package: &str) -> bool {
    let mut query = shell::command("dpkg-query");
    query.args(["--show", "--showformat=${db:Status-Status}", package]);
    shell::output(&mut query).is_ok_and(|status| status == "installed")
}

/// `apt-get` without questions, waiting for whoever else installs; through sudo unless we are root. What it installs is not
/// started: tests start servers of their own.
fn apt() -> Command {
    let is_root = Path::new("/proc/self").metadata().is_ok_and(|meta| {
        use std::os::unix::fs::MetadataExt;
        meta.uid() == 0
    });
    let mut command = shell::command(if is_root { "sh" } else { "sudo" });
    if !is_root {
        command.args(["--non-interactive", "sh"]);
    }
    command.args(["-c", APT, "sh"]);
    command.args(["-o", "DPkg::Lock::Timeout=300", "-o", "Dpkg::Use-Pty=0"]);
    command
}

/// Debian asks `policy-rc.d` before it starts a service (invoke-rc.d(8)): 101 forbids it. One that is there is the machine's own.
const APT: &str = r#"
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod 755 "$policy"
fi
DEBIAN_FRONTEND=noninteractive apt-get "$@"
"#;
