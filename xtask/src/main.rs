//! The tasks of this repository: `cargo xtask tidy`, `test`, `bench`, `demo`, `gen`, `models`.
//!
//! Everything that continuous integration does is one of these, so that it can be done at a desk too.

mod bench;
mod demo;
mod r#gen;
mod models;
mod shell;
mod test;
mod tidy;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What a task answers: nothing, or a sentence for the person who ran it.
pub(crate) type Outcome<T = ()> = Result<T, Box<dyn std::error::Error>>;

/// Tasks of the Keystead repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Write the code and the coverage page that follow from the models
    ///
    /// Example: cargo xtask gen --check
    Gen {
        /// Write nothing; fail where what is committed is not current
        #[arg(long)]
        check: bool,
    },
    /// Fetch the newest botocore and keep the facts of its models
    ///
    /// Example: cargo xtask models
    Models {
        /// An unpacked botocore to read instead of fetching one
        #[arg(long)]
        botocore: Option<std::path::PathBuf>,
    },
    /// Check the walls between crates and the rules that no compiler knows
    ///
    /// Example: cargo xtask tidy
    Tidy,
    /// Install what the tests need, then run them; without names, all of them
    ///
    /// Example: cargo xtask test rust python
    Test {
        /// The parts to run, in the order of the full run
        #[arg(value_enum)]
        parts: Vec<test::Part>,
        /// Handed to pytest as they are, after `--`
        #[arg(last = true)]
        pytest: Vec<String>,
    },
    /// Show two Envoys that talk TLS with certificates of a private CA, renewed under load
    ///
    /// Example: cargo xtask demo
    Demo {
        /// Handed to `keystead demo` as they are, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Measure the release binary beside the limits of this machine
    ///
    /// Example: cargo xtask bench -- --rounds 5 --million
    Bench {
        /// Handed to benches/bench.py as they are, after `--`
        #[arg(last = true)]
        arguments: Vec<String>,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().task {
        Task::Gen { check } => r#gen::run(check),
        Task::Models { botocore } => models::run(botocore.as_deref()),
        Task::Tidy => tidy::run(),
        Task::Test { parts, pytest } => test::run(&parts, &pytest),
        Task::Demo { arguments } => demo::run(&arguments),
        Task::Bench { arguments } => bench::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
