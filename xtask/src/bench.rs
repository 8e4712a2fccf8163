//! `cargo xtask bench`: builds what users run, then measures it beside the machine's own limits.
//!
//! The measuring itself is `benches/bench.py`, and with `kms`, `acm`, `revocation`, `secrets` or `delivery` as the first argument the script
//! for that: requests have to be signed by a real client, and the helpers of the tests start the server.

use crate::{Outcome, shell, test};

/// Runs the benchmark; `arguments` are those of the script.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    test::setup::install()?;
    let mut build = shell::cargo();
    build.args(["build", "--release", "--package", "keystead", "--locked"]);
    shell::run(&mut build)?;
    let mut bench = shell::command(test::setup::python());
    let (script, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == "kms" => ("benches/kms.py", rest),
        Some((first, rest)) if first == "acm" => ("benches/acm.py", rest),
        Some((first, rest)) if first == "revocation" => ("benches/revoking.py", rest),
        Some((first, rest)) if first == "delivery" => ("benches/delivery.py", rest),
        Some((first, rest)) if first == "secrets" => ("benches/secret_values.py", rest),
        _ => ("benches/bench.py", arguments),
    };
    bench.arg(script).args(arguments);
    test::setup::name_tools(&mut bench, &test::setup::Profile::Release);
    shell::run(&mut bench)
}
