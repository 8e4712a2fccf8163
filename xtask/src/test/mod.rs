//! `cargo xtask test`: everything that has to hold before a change lands.
//!
//! It installs what is missing, runs every part even when an earlier one failed, and ends with the one
//! line `N passed, N failed` that sums up all runners.

mod runner;
pub(crate) mod setup;

use std::time::Instant;

use clap::ValueEnum;

use crate::shell;
use crate::{Outcome, r#gen, tidy};
use runner::Tally;

/// A part of the full run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Formatting, walls, rules of text, generated code, lints, licences
    Lint,
    /// Unit and integration tests in Rust
    Rust,
    /// The real AWS clients and raw sockets against the real binary
    Python,
}

/// Runs `parts`, or everything when it is empty; `pytest` is handed to pytest.
pub(crate) fn run(parts: &[Part], pytest: &[String]) -> Outcome {
    let begun = Instant::now();
    let parts = match parts {
        [] => Part::value_variants(),
        chosen => chosen,
    };
    if parts.iter().any(|part| *part != Part::Lint) {
        setup::install()?;
    }
    let mut tally = Tally::default();
    for part in parts {
        match part {
            Part::Lint => lint(&mut tally),
            Part::Rust => rust(&mut tally),
            Part::Python => python(&mut tally, pytest, parts.contains(&Part::Rust)),
        }
    }
    for failure in &tally.failures {
        println!("failed: {failure}");
    }
    println!("test: {} s", begun.elapsed().as_secs());
    println!("{} passed, {} failed", tally.passed, tally.failed);
    match tally.failed {
        0 => Ok(()),
        _ => Err("some tests failed, named above".into()),
    }
}

fn lint(tally: &mut Tally) {
    let all = ["--workspace", "--all-targets", "--locked"];
    tally.step("formatting", || {
        shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
    });
    tally.step("tidy", tidy::run);
    tally.step("generated code", || r#gen::run(true));
    tally.step("clippy", || {
        let mut clippy = shell::cargo();
        clippy
            .arg("clippy")
            .args(all)
            .args(["--features", "keystead/testing"]);
        shell::run(clippy.args(["--", "--deny", "warnings"]))
    });
    if shell::on_path("cargo-deny") {
        tally.step("cargo deny", || {
            shell::run(shell::cargo().args([
                "deny",
                "--offline",
                "check",
                "bans",
                "licenses",
                "sources",
            ]))
        });
    } else {
        println!(
            "cargo-deny is not installed: the licences were checked by tidy, duplicates were not"
        );
    }
}

fn rust(tally: &mut Tally) {
    let mut tests = shell::cargo();
    tests.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    tests.args(["--features", "keystead/testing"]);
    setup::name_tools(&mut tests, &setup::Profile::Debug);
    tally.runner("cargo test", &mut tests, runner::cargo_line);
}

/// Needs the binary, which the Rust tests have built with the same features if they ran before.
fn python(tally: &mut Tally, arguments: &[String], built: bool) {
    if !built {
        let before = tally.failed;
        let mut build = shell::cargo();
        build.args([
            "build",
            "--package",
            "keystead",
            "--features",
            "testing",
            "--locked",
        ]);
        tally.step("the binary", || shell::run(&mut build));
        if tally.failed > before {
            return;
        }
    }
    let mut pytest = shell::command(setup::python());
    pytest.args([
        "-m",
        "pytest",
        "tests/python",
        "--durations=10",
        "-p",
        "no:cacheprovider",
    ]);
    pytest.args(arguments).env("PYTHONDONTWRITEBYTECODE", "1");
    setup::name_tools(&mut pytest, &setup::Profile::Debug);
    tally.runner("pytest", &mut pytest, runner::pytest_line);
}
