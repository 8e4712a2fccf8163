//! `cargo xtask demo`: installs Envoy, builds what users run, and shows it at work.

use std::env;

use crate::{Outcome, shell, test};

/// Runs `keystead demo` with `arguments` (by default `mesh`) and Envoy on the PATH.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let programs = test::setup::programs()?;
    let mut build = shell::cargo();
    build.args(["build", "--release", "--package", "keystead", "--locked"]);
    shell::run(&mut build)?;
    let path = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths(std::iter::once(programs).chain(env::split_paths(&path)))?;
    let mut demo = shell::command(shell::target().join("release/keystead"));
    demo.arg("demo").env("PATH", path);
    match arguments {
        [] => demo.arg("mesh"),
        chosen => demo.args(chosen),
    };
    shell::run(&mut demo)
}
