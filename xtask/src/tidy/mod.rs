//! `cargo xtask tidy`: the rules that no compiler knows, each with what to do about a breach.

mod length;
mod licences;
mod operations;
mod ratchet;
mod text;
mod walls;

use std::fmt;
use std::fs;

use crate::Outcome;
use crate::shell;

/// A rule that something breaks.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Breach {
    /// The file, relative to the root of the repository.
    file: String,
    /// The line, from 1; 0 where the whole file is meant.
    line: usize,
    /// The rule's short name.
    rule: &'static str,
    /// What is wrong and what to do.
    advice: String,
}

impl Breach {
    fn new(file: &str, line: usize, rule: &'static str, advice: impl Into<String>) -> Self {
        let (file, advice) = (file.to_owned(), advice.into());
        Self {
            file,
            line,
            rule,
            advice,
        }
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            rule,
            advice,
        } = self;
        match line {
            0 => write!(f, "{file}: [{rule}] {advice}"),
            _ => write!(f, "{file}:{line}: [{rule}] {advice}"),
        }
    }
}

/// A text file of the repository.
pub(crate) struct Source {
    /// Relative to the root of the repository, with forward slashes.
    path: String,
    /// What is in it.
    text: String,
}

impl Source {
    /// Whether this is a Rust file somebody wrote.
    fn is_written_rust(&self) -> bool {
        self.path.ends_with(".rs") && !self.path.contains("/generated/")
    }

    /// Whether the whole file is tests.
    fn is_tests(&self) -> bool {
        let path = self.path.as_str();
        let in_folder = path.starts_with("tests/") || path.contains("/tests/");
        in_folder || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
    }

    /// The crate's folder name if this is production code of a crate under `crates/`.
    fn production_crate(&self) -> Option<&str> {
        let (name, rest) = self.path.strip_prefix("crates/")?.split_once('/')?;
        (rest.starts_with("src/") && !self.is_tests()).then_some(name)
    }

    /// The lines before the module of unit tests, numbered from 1.
    fn production_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate();
        let lines = lines.map(|(index, line)| (index + 1, line));
        lines.take_while(|(_, line)| *line != "#[cfg(test)]")
    }
}

/// Checks everything; prints each breach on a line of its own and fails if there is one.
pub(crate) fn run() -> Outcome {
    let sources = read_sources()?;
    let metadata = walls::metadata()?;
    let mut breaches = walls::check(&metadata);
    breaches.extend(licences::check(&metadata));
    breaches.extend(text::check(&sources));
    breaches.extend(ratchet::check(&sources, length::measure(&sources)));
    breaches.extend(operations::check(&sources));
    breaches.sort();
    for breach in &breaches {
        println!("{breach}");
    }
    match breaches.len() {
        0 => {
            println!("tidy: {} files, no rule is broken", sources.len());
            Ok(())
        }
        count => Err(format!("tidy: {count} broken rules, listed above").into()),
    }
}

fn read_sources() -> Outcome<Vec<Source>> {
    let root = shell::root();
    let mut sources = Vec::new();
    for path in shell::tracked_files()? {
        // What is no text (an archive, a picture) has no rules here.
        if let Ok(text) = fs::read_to_string(root.join(&path)) {
            sources.push(Source { path, text });
        }
    }
    Ok(sources)
}
