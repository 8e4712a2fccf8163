//! What the person at the terminal sees: a bar over the steps, and a line for each that is done.

use std::io::Write as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// The steps of a demo. Where the output is no terminal there is no bar, only the lines.
pub(super) struct Progress(ProgressBar);

impl Progress {
    /// `steps` is how many times [`done`](Self::done) will be called.
    pub(super) fn new(steps: u64) -> Self {
        let bar = ProgressBar::new(steps);
        if let Ok(style) = ProgressStyle::with_template("{spinner} [{pos}/{len}] {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is being done now.
    pub(super) fn doing(&self, what: &str) {
        self.0.set_message(what.to_owned());
    }

    /// A step is done: its name and what came of it.
    pub(super) fn done(&self, name: &str, outcome: &str) {
        self.0.inc(1);
        self.say(name, outcome);
    }

    /// More about the step before.
    pub(super) fn note(&self, text: &str) {
        self.say("", text);
    }

    fn say(&self, name: &str, text: &str) {
        // Whoever closes the output has seen enough; the demo ends as it should all the same.
        self.0.suspend(|| {
            let _ = writeln!(std::io::stdout(), "{name:<14}{text}");
        });
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
