//! How long files and functions are.

use super::Source;

/// A file is read in one sitting (style: p90 of well-kept projects lies under this).
pub(crate) const FILE_LINES: usize = 500;
/// A file of tests may be longer: its tables are looked up, not read through.
pub(crate) const TEST_FILE_LINES: usize = 800;
/// A function fits a screen (the longest of well-kept projects are about this).
pub(crate) const FUNCTION_LINES: usize = 70;

/// Something whose length counts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    /// `file-length` or `function-length`.
    pub(crate) rule: &'static str,
    /// The file, or the file and the function: `path` or `path::function`.
    pub(crate) what: String,
    /// The file.
    pub(crate) path: String,
    /// Where it starts, from 1.
    pub(crate) line: usize,
    /// How many lines it has.
    pub(crate) lines: usize,
    /// How many it may have.
    pub(crate) limit: usize,
}

/// Every file and function that is longer than its limit.
pub(crate) fn measure(sources: &[Source]) -> Vec<Measured> {
    let written = sources.iter().filter(|source| source.is_written_rust());
    let long = written.flat_map(|source| {
        let file = Measured {
            rule: "file-length",
            what: source.path.clone(),
            path: source.path.clone(),
            line: 1,
            lines: source.text.lines().count(),
            limit: if source.is_tests() {
                TEST_FILE_LINES
            } else {
                FILE_LINES
            },
        };
        std::iter::once(file).chain(functions(source))
    });
    long.filter(|measured| measured.lines > measured.limit)
        .collect()
}

/// The functions of production code. The text is formatted by rustfmt, so a function ends at the first
/// closing brace that is indented as its first line is.
fn functions(source: &Source) -> Vec<Measured> {
    let mut open: Vec<(usize, usize, String)> = Vec::new();
    let mut found = Vec::new();
    if source.is_tests() {
        return found;
    }
    for (number, line) in source.production_lines() {
        let indent = line.len() - line.trim_start().len();
        if let Some(name) = function_name(line.trim_start()) {
            if !line.ends_with(';') && !line.ends_with('}') {
                open.push((indent, number, name.to_owned()));
            }
        } else if matches!(line.trim_start(), "}" | ");" | ");}") {
            let closes = open.last().is_some_and(|(at, _, _)| *at == indent);
            if let Some((_, start, name)) = closes.then(|| open.pop()).flatten() {
                found.push(Measured {
                    rule: "function-length",
                    what: format!("{}::{name}", source.path),
                    path: source.path.clone(),
                    line: start,
                    lines: number - start + 1,
                    limit: FUNCTION_LINES,
                });
            }
        }
    }
    found
}

/// The name of the function that a line declares.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line;
    loop {
        let (word, after) = rest.split_once(' ')?;
        match word {
            "fn" => {
                let end = after.find(|c: char| !c.is_alphanumeric() && c != '_')?;
                return after.get(..end).filter(|name| !name.is_empty());
            }
            "pub" | "async" | "const" | "unsafe" | "extern" => rest = after,
            _ if word.starts_with("pub(") && word.ends_with(')') => rest = after,
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: String) -> Source {
        Source {
            path: "crates/x/src/a.rs".into(),
            text,
        }
    }

    #[test]
    fn names_are_found_behind_every_qualifier() {
        assert_eq!(
            function_name("pub(crate) async fn a_b(x: u8) -> u8 {"),
            Some("a_b")
        );
        assert_eq!(function_name("pub const fn c<T>("), Some("c"));
        assert_eq!(function_name("let fn_name = 1;"), None);
        assert_eq!(function_name("// fn d() {"), None);
    }

    #[test]
    fn a_long_function_is_measured_and_a_short_one_is_not() {
        let body = "    let _x = 1;\n".repeat(69);
        let text = format!("fn short() {{\n    a();\n}}\n\npub fn long() {{\n{body}}}\n");
        let found = measure(&[source(text)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].line, found[0].lines), (5, 71));
        assert_eq!(found[0].what, "crates/x/src/a.rs::long");
    }

    #[test]
    fn unit_tests_may_be_long_functions() {
        let body = "        a();\n".repeat(90);
        let text = format!("#[cfg(test)]\nmod tests {{\n    fn long() {{\n{body}    }}\n}}\n");
        assert_eq!(measure(&[source(text)]), []);
    }

    #[test]
    fn a_long_file_is_measured_whole() {
        let found = measure(&[source("// x\n".repeat(501))]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rule, "file-length");
    }
}
