//! Rules about the text of the files: who may say what.

use super::{Breach, Source};

/// Words that only some places may use.
struct Ban {
    rule: &'static str,
    /// Plain text, compared without regard to case.
    words: &'static [&'static str],
    /// Which files are looked at.
    applies: fn(&Source) -> bool,
    /// Whether the unit tests at the end of a file are looked at too.
    tests_too: bool,
    advice: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        rule: "signature-words",
        words: &["x-amz-", "aws4-hmac", "aws4_request"],
        applies: |source| crate_is_none_of(source, &["keystead-wire"]),
        tests_too: false,
        advice: "only keystead-wire knows how requests are signed: ask it",
    },
    Ban {
        rule: "clock",
        words: &["SystemTime::now", "Timestamp::now", "Zoned::now"],
        applies: |source| {
            crate_is_one_of(
                source,
                &["keystead-core", "keystead-wire", "keystead-crypto"],
            )
        },
        tests_too: false,
        advice: "time is an argument here: take it from the caller, who has it from `Env`",
    },
    Ban {
        rule: "pure",
        words: &[
            "std::fs",
            "TcpStream",
            "UdpSocket",
            "std::thread",
            "std::process",
            "async fn",
            ".await",
        ],
        applies: |source| crate_is_one_of(source, &["keystead-core", "keystead-policy"]),
        tests_too: false,
        advice: "this crate decides and does nothing else: return what is to be done",
    },
    Ban {
        rule: "environment",
        words: &[
            "std::env::var",
            "env::var(",
            "env::var_os(",
            "std::env::args",
        ],
        applies: |source| crate_is_none_of(source, OUTSIDE),
        tests_too: false,
        advice: "only the server, the agent and the binary read the environment: take it as an argument",
    },
    Ban {
        rule: "listener",
        words: &["TcpListener", "UnixListener"],
        applies: |source| crate_is_none_of(source, OUTSIDE),
        tests_too: false,
        advice: "only the server, the agent and the binary open listeners: take a stream as an argument",
    },
    Ban {
        rule: "sleep-as-sync",
        words: &["thread::sleep", "time::sleep(", "time.sleep("],
        applies: |source| {
            // Where tokio's own clock is paused, its sleep only moves that clock.
            let paused = source.text.contains("start_paused");
            is_code(source) && source.is_tests() && !paused && source.path != WAITING
        },
        tests_too: true,
        advice: "a test that sleeps is slow or wrong: wait for the condition, with a deadline",
    },
    Ban {
        rule: "unfinished",
        words: &["todo!(", "unimplemented!(", "TODO", "FIXME", "XXX:"],
        applies: is_code,
        tests_too: true,
        advice: "finish it, or leave it out and file an issue",
    },
    Ban {
        rule: "skipped-test",
        words: &[
            "#[ignore]",
            "pytest.skip",
            "mark.skip",
            "mark.xfail",
            "importorskip",
        ],
        applies: is_code,
        tests_too: true,
        advice: "a test runs or is not there; what it needs is installed by `cargo xtask test`",
    },
    Ban {
        rule: "machine-path",
        words: &["/root/", "/home/", "/users/", "/work/", "\"/tmp/"],
        applies: |source| !is_foreign(source),
        tests_too: true,
        advice: "a path of one machine: use the environment, a temporary folder, or a relative path",
    },
    Ban {
        rule: "keystead-alone",
        words: &[
            "../shared",
            "language model",
            "chatbot",
            "as an assistant",
            "pypi.org",
            "pythonhosted",
            "npmjs",
            "deb.debian.org",
        ],
        applies: |source| !is_foreign(source),
        tests_too: true,
        advice: "the project speaks of Keystead alone, not of how or where it was made",
    },
];

/// The one place where a Python test pauses: between two looks at a condition.
const WAITING: &str = "tests/python/waiting.py";

/// Crates at the edge of the program, where the world is touched.
const OUTSIDE: &[&str] = &[
    "keystead-server",
    "keystead-agent",
    "keystead",
    "keystead-testkit",
];

/// Every banned word that is used where it may not be, and files that are not formatted as text.
pub(crate) fn check(sources: &[Source]) -> Vec<Breach> {
    // This file has to name what it looks for.
    let others = sources
        .iter()
        .filter(|source| source.path != "xtask/src/tidy/text.rs");
    others.flat_map(check_source).collect()
}

fn check_source(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for ban in BANS.iter().filter(|ban| (ban.applies)(source)) {
        let all = source.text.lines().count();
        let last = match ban.tests_too {
            true => all,
            false => source.production_lines().count(),
        };
        for (index, line) in source.text.lines().take(last).enumerate() {
            let found = ban
                .words
                .iter()
                .find(|word| contains_ignoring_case(line, word));
            breaches.extend(found.map(|word| {
                let advice = format!("'{word}': {}", ban.advice);
                Breach::new(&source.path, index + 1, ban.rule, advice)
            }));
        }
    }
    if !source.text.is_empty() && !source.text.ends_with('\n') && !is_foreign(source) {
        let advice = "end the file with a newline";
        breaches.push(Breach::new(&source.path, 0, "newline", advice));
    }
    breaches
}

fn contains_ignoring_case(line: &str, word: &str) -> bool {
    // An all-capitals word (a marker in a comment) is meant as it is written.
    if word.bytes().any(|b| b.is_ascii_uppercase()) {
        line.contains(word)
    } else {
        line.to_ascii_lowercase().contains(word)
    }
}

fn crate_is_one_of(source: &Source, names: &[&str]) -> bool {
    source.is_written_rust()
        && source
            .production_crate()
            .is_some_and(|name| names.contains(&name))
}

fn crate_is_none_of(source: &Source, names: &[&str]) -> bool {
    source.is_written_rust()
        && source
            .production_crate()
            .is_some_and(|name| !names.contains(&name))
}

fn is_code(source: &Source) -> bool {
    source.is_written_rust() || source.path.ends_with(".py") || source.path.ends_with(".sh")
}

/// What others wrote or a program generated: its text is not ours to judge.
fn is_foreign(source: &Source) -> bool {
    let path = source.path.as_str();
    path.ends_with(".lock")
        || path == "LICENSE"
        || path.starts_with("models/")
        || path.contains("/generated/")
        || path.contains("/vectors/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaches(path: &str, text: &str) -> Vec<(&'static str, usize)> {
        let source = Source {
            path: path.into(),
            text: text.into(),
        };
        check_source(&source)
            .into_iter()
            .map(|b| (b.rule, b.line))
            .collect()
    }

    #[test]
    fn only_wire_knows_signatures() {
        let text = "//! x\nconst DATE: &str = \"X-Amz-Date\";\n";
        assert_eq!(
            breaches("crates/keystead-app/src/a.rs", text),
            [("signature-words", 2)]
        );
        assert_eq!(breaches("crates/keystead-wire/src/a.rs", text), []);
    }

    #[test]
    fn unit_tests_may_name_what_production_code_may_not() {
        let text =
            "fn a() {}\n\n#[cfg(test)]\nmod tests {\n    const D: &str = \"x-amz-date\";\n}\n";
        assert_eq!(breaches("crates/keystead-app/src/a.rs", text), []);
    }

    #[test]
    fn nothing_is_left_unfinished() {
        let text = "fn a() {\n    todo!()\n}\n";
        assert_eq!(
            breaches("crates/keystead-xds/src/a.rs", text),
            [("unfinished", 2)]
        );
        assert_eq!(
            breaches("tests/python/test_a.py", "# TODO later\n"),
            [("unfinished", 1)]
        );
    }

    #[test]
    fn paths_of_one_machine_are_found_in_any_text() {
        assert_eq!(
            breaches("docs/a.md", "see /root/x\n"),
            [("machine-path", 1)]
        );
        assert_eq!(breaches("Cargo.lock", "see /root/x\n"), []);
    }

    #[test]
    fn a_file_ends_with_a_newline() {
        assert_eq!(breaches("docs/a.md", "no end"), [("newline", 0)]);
    }

    #[test]
    fn core_neither_waits_nor_reads_a_clock() {
        let text = "async fn a() {}\nfn b() { Timestamp::now(); }\n";
        let found = breaches("crates/keystead-core/src/a.rs", text);
        assert_eq!(found, [("clock", 2), ("pure", 1)]);
    }
}
