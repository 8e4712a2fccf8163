//! Running the test runners, and adding up what they say.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::Outcome;

/// The sum over all runners.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    /// Names of what failed.
    pub(crate) failures: Vec<String>,
}

/// What a line of a runner's output adds: (passed, failed).
type Counts = Option<(u64, u64)>;

impl Tally {
    /// Runs one check, which counts as one test.
    pub(crate) fn step(&mut self, name: &str, check: impl FnOnce() -> Outcome) {
        let begun = begin(name);
        match check() {
            Ok(()) => {
                self.passed += 1;
                println!("    {name}: ok, {} s", begun.elapsed().as_secs());
            }
            Err(error) => self.fail(format!("{name}: {error}")),
        }
    }

    /// Runs a test runner, shows what it prints, and adds what `count` finds in its lines.
    pub(crate) fn runner(&mut self, name: &str, command: &mut Command, count: fn(&str) -> Counts) {
        let begun = begin(name);
        let before = (self.passed, self.failed);
        let outcome = self.follow(command, count);
        let (passed, failed) = (self.passed - before.0, self.failed - before.1);
        let seconds = begun.elapsed().as_secs();
        println!("    {name}: {passed} passed, {failed} failed, {seconds} s");
        match outcome {
            // A runner that could not even start its tests reports no failed one.
            Ok(false) if failed == 0 => self.fail(format!("{name}: ended with an error")),
            Ok(false) => self.failures.push(format!("{name}: {failed} tests")),
            Ok(true) if passed == 0 => self.fail(format!("{name}: ran no test")),
            Ok(true) => {}
            Err(error) => self.fail(format!("{name}: {error}")),
        }
    }

    fn follow(&mut self, command: &mut Command, count: fn(&str) -> Counts) -> Outcome<bool> {
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let stdout = child.stdout.take().ok_or("the runner has no output")?;
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            let (passed, failed) = count(&line).unwrap_or_default();
            self.passed += passed;
            self.failed += failed;
        }
        Ok(child.wait()?.success())
    }

    fn fail(&mut self, failure: String) {
        self.failed += 1;
        println!("    {failure}");
        self.failures.push(failure);
    }
}

fn begin(name: &str) -> Instant {
    println!("==> {name}");
    Instant::now()
}

/// `test result: ok. 3 passed; 0 failed; 0 ignored; ...`
pub(crate) fn cargo_line(line: &str) -> Counts {
    let rest = line.strip_prefix("test result: ")?;
    Some((before(rest, " passed;"), before(rest, " failed;")))
}

/// `==== 1 failed, 3 passed, 1 error in 0.12s ====`
pub(crate) fn pytest_line(line: &str) -> Counts {
    let line = line.trim_matches('=').trim();
    let is_summary = line.contains(" in ") && line.contains('s') && !line.contains("::");
    let counts = (
        before(line, " passed"),
        before(line, " failed") + before(line, " error"),
    );
    (is_summary && counts != (0, 0)).then_some(counts)
}

/// The number that stands right before `word`, or 0.
fn before(text: &str, word: &str) -> u64 {
    let number = text
        .split_once(word)
        .and_then(|(head, _)| head.rsplit(' ').next());
    number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_are_read_and_other_lines_are_not() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s";
        assert_eq!(cargo_line(line), Some((12, 3)));
        assert_eq!(cargo_line("test a ... ok"), None);
        let line = "========= 1 failed, 30 passed, 2 errors in 12.30s =========";
        assert_eq!(pytest_line(line), Some((30, 3)));
        assert_eq!(pytest_line("4 passed in 0.02s"), Some((4, 0)));
        assert_eq!(pytest_line("tests/python/test_sts.py ....   [ 3%]"), None);
    }

    #[test]
    fn a_failed_check_is_counted_and_named() {
        let mut tally = Tally::default();
        tally.step("fine", || Ok(()));
        tally.step("bad", || Err("no".into()));
        assert_eq!((tally.passed, tally.failed), (1, 1));
        assert_eq!(tally.failures, ["bad: no"]);
    }

    #[test]
    fn a_runner_that_ran_nothing_has_failed() {
        let mut tally = Tally::default();
        tally.runner("silent", &mut Command::new("true"), cargo_line);
        assert_eq!(tally.failed, 1);
    }

    #[test]
    fn a_runner_that_broke_before_its_tests_has_failed_once() {
        let mut tally = Tally::default();
        tally.runner("broken", &mut Command::new("false"), cargo_line);
        assert_eq!(tally.failed, 1);
    }
}
