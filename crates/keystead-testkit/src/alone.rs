//! Tests in processes of their own.
//!
//! Some libraries read the environment, or keep one state for the whole process. A test of them
//! runs in a process that is its own: the test's program, started once more for this test alone.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Says that this is the other process, and where its folder is.
const FOLDER: &str = "KEYSTEAD_TEST_FOLDER";

/// Runs `body` with a folder of its own in a process of its own, whose environment also has the
/// variables that `prepare` answers for the folder. `module` is the caller's `module_path!()`, and
/// `name` the name of the test that calls this first thing.
///
/// # Panics
///
/// Where the body does.
pub fn alone(
    module: &str,
    name: &str,
    prepare: impl FnOnce(&Path) -> Vec<(&'static str, OsString)>,
    body: impl FnOnce(&Path),
) {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return body(&PathBuf::from(folder));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // The first part is the program's own name.
    let path = module.split_once("::").map_or("", |(_, path)| path);
    let test = match path {
        "" => name.to_owned(),
        path => format!("{path}::{name}"),
    };
    let output = Command::new(std::env::current_exe().expect("a test knows its own file"))
        .args([&test, "--exact", "--nocapture"])
        .env(FOLDER, folder.path())
        .envs(prepare(folder.path()))
        .stdin(Stdio::null())
        .output()
        .expect("a test's program starts");
    let said = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(output.status.success(), "in its own process:\n{said}");
    assert!(
        said.contains("1 passed"),
        "there is no test {test}:\n{said}"
    );
}
