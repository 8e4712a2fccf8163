//! The list of what is still too long, in `xtask/ratchet.txt`: `rule what lines`, one a line.
//!
//! An entry states the exact length. What grows past its entry fails, and so does an entry that has
//! become larger than the truth: so the list follows every improvement down, and never up unseen.

use std::collections::BTreeMap;

use super::length::Measured;
use super::{Breach, Source};

const LIST: &str = "xtask/ratchet.txt";

/// Every measurement above its limit that the list does not forgive, and every entry that is out of date.
pub(crate) fn check(sources: &[Source], measured: Vec<Measured>) -> Vec<Breach> {
    let list = sources.iter().find(|source| source.path == LIST);
    let (mut entries, mut breaches) = read(list.map_or("", |source| &source.text));
    for found in measured {
        let key = (found.rule.to_owned(), found.what.clone());
        let (lines, limit) = (found.lines, found.limit);
        let entry = entries.remove(&key);
        if entry.is_some_and(|(_, allowed)| allowed == lines) {
            continue;
        }
        let advice = match entry {
            None => format!(
                "{} has {lines} lines, {limit} are allowed: split it",
                found.what
            ),
            Some((_, allowed)) if lines > allowed => format!(
                "{} has grown from {allowed} to {lines} lines: split it, {limit} are allowed",
                found.what
            ),
            Some((line, _)) => {
                let advice = format!("{} has shrunk: put {lines} here", found.what);
                breaches.push(Breach::new(LIST, line, "ratchet", advice));
                continue;
            }
        };
        breaches.push(Breach::new(&found.path, found.line, found.rule, advice));
    }
    let kept = entries.into_iter().map(|((_, what), (line, _))| {
        let advice = format!("{what} is within its limit or gone: remove the line");
        Breach::new(LIST, line, "ratchet", advice)
    });
    breaches.extend(kept);
    breaches
}

type Entries = BTreeMap<(String, String), (usize, usize)>;

fn read(text: &str) -> (Entries, Vec<Breach>) {
    let mut entries = Entries::new();
    let mut breaches = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            [] => {}
            [first, ..] if first.starts_with('#') => {}
            [rule, what, lines] if lines.parse::<usize>().is_ok() => {
                let lines = lines.parse().unwrap_or_default();
                entries.insert(((*rule).to_owned(), (*what).to_owned()), (index + 1, lines));
            }
            _ => {
                let advice = "expected: rule what lines";
                breaches.push(Breach::new(LIST, index + 1, "ratchet", advice));
            }
        }
    }
    (entries, breaches)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> Vec<Source> {
        vec![Source {
            path: LIST.into(),
            text: text.into(),
        }]
    }

    fn long(lines: usize) -> Vec<Measured> {
        vec![Measured {
            rule: "file-length",
            what: "a.rs".into(),
            path: "a.rs".into(),
            line: 1,
            lines,
            limit: 500,
        }]
    }

    #[test]
    fn an_exact_entry_is_forgiven() {
        assert_eq!(check(&list("# why\nfile-length a.rs 600\n"), long(600)), []);
    }

    #[test]
    fn growth_and_newcomers_are_not() {
        let grown = check(&list("file-length a.rs 600\n"), long(601));
        assert_eq!(
            (grown[0].file.as_str(), grown[0].rule),
            ("a.rs", "file-length")
        );
        assert_eq!(check(&[], long(501)).len(), 1);
    }

    #[test]
    fn an_entry_must_follow_an_improvement() {
        let shrunk = check(&list("file-length a.rs 600\n"), long(550));
        assert_eq!((shrunk[0].file.as_str(), shrunk[0].line), (LIST, 1));
        let gone = check(&list("file-length a.rs 600\n"), Vec::new());
        assert!(gone[0].advice.contains("remove the line"));
    }

    #[test]
    fn a_line_that_is_no_entry_is_named() {
        assert_eq!(check(&list("file-length a.rs\n"), Vec::new())[0].line, 1);
    }
}
