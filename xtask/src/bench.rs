//! `cargo xtask bench`: builds what users run, then measures it beside the machine's own limits.
//!
//! The measuring itself is `benches/bench.py`: requests have to be signed by a real client, and the
//! helpers of the tests start the server.

use crate::{Outcome, shell, test};

/// Runs the benchmark; `arguments` are those of `benches/bench.py`.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    test::setup::install()?;
    let mut build = shell::cargo();
    build.args(["build", "--release", "--package", "keystead", "--locked"]);
    shell::run(&mut build)?;
    let mut bench = shell::command(test::setup::python());
    bench.arg("benches/bench.py").args(arguments);
    test::setup::name_tools(&mut bench, &test::setup::Profile::Release);
    shell::run(&mut bench)
}
