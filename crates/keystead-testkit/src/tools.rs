//! Programs that `cargo xtask test` installs into Python environments of its own.

use std::path::{Path, PathBuf};

/// The program `name` (for instance `aws` or `envoy`) of the test environment.
///
/// # Panics
///
/// When it is not there: a test whose tools are missing fails, it is never skipped.
pub fn tool(name: &str) -> PathBuf {
    let venv = std::env::var_os("KEYSTEAD_TEST_VENV").map_or_else(default_venv, PathBuf::from);
    let program = venv.join("bin").join(name);
    assert!(
        program.is_file(),
        "there is no {}: `cargo xtask test` installs it",
        program.display()
    );
    program
}

/// `target/venv`, found from the running test's own place: `target/debug/deps/test`.
fn default_venv() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own file");
    let target = test
        .ancestors()
        .find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(Path::new("target")).join("venv")
}
