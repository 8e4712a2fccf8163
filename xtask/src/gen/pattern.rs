//! From Java's regular expressions, which the models use, to the syntax of the `regex` crate.
//!
//! The differences that matter: Java's `\w`, `\d`, `\s` know ASCII only, its `.` stops at more line
//! ends, and Java has look-around and possessive repetition, which have no mechanical translation
//! and fail the generation unless `models/served.toml` lists an equivalent.

use crate::Outcome;
use crate::r#gen::served::HandTranslated;

/// Translates `source`; the result matches whole texts only.
pub(crate) fn translate(source: &str, by_hand: &[HandTranslated]) -> Outcome<String> {
    let body = match by_hand.iter().find(|pattern| pattern.source == source) {
        Some(pattern) => pattern.translated.clone(),
        None => mechanically(source).map_err(|why| {
            format!("pattern {source}: {why}; add an equivalent to models/served.toml")
        })?,
    };
    let anchored = format!("^(?:{body})$");
    regex::Regex::new(&anchored).map_err(|e| format!("pattern {source}: {e}"))?;
    Ok(anchored)
}

fn mechanically(source: &str) -> Result<String, String> {
    let mut out = String::with_capacity(source.len());
    let mut letters = source.chars().peekable();
    let mut in_class = false;
    let mut last = None;
    while let Some(c) = letters.next() {
        match c {
            '\\' => escape(&mut letters, in_class, &mut out)?,
            '[' if in_class => return Err("a class within a class".to_owned()),
            '[' => {
                in_class = true;
                out.push('[');
                if letters.next_if_eq(&'^').is_some() {
                    out.push('^');
                }
                if letters.next_if_eq(&'-').is_some() {
                    out.push_str("\\-");
                }
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            '&' | '~' | '-' if in_class && letters.peek() == Some(&c) => {
                return Err(format!("{c}{c} in a class"));
            }
            '.' if !in_class => out.push_str(r"[^\n\r\x{85}\x{2028}\x{2029}]"),
            '(' if !in_class && letters.peek() == Some(&'?') => {
                out.push('(');
                group(&mut letters, &mut out)?;
            }
            '+' if !in_class && matches!(last, Some('*' | '+' | '?' | '}')) => {
                return Err("possessive repetition".to_owned());
            }
            _ => out.push(c),
        }
        last = (!in_class && c != '\\').then_some(c);
    }
    Ok(out)
}

/// After `(`: only a group without capture has the same meaning in both.
fn group(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    out: &mut String,
) -> Result<(), String> {
    letters.next();
    match letters.next() {
        Some(':') => {
            out.push_str("?:");
            Ok(())
        }
        other => Err(format!("a group (?{}", other.unwrap_or(' '))),
    }
}

/// After a backslash.
fn escape(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    in_class: bool,
    out: &mut String,
) -> Result<(), String> {
    let c = letters.next().ok_or("a backslash at the end")?;
    let class = match c {
        'w' => "0-9A-Za-z_",
        'd' => "0-9",
        's' => r" \t\n\x0B\f\r",
        'u' => {
            let digits: String = letters.by_ref().take(4).collect();
            out.push_str(&format!("\\x{{{digits}}}"));
            return Ok(());
        }
        'p' => {
            out.push_str(r"\p");
            return Ok(());
        }
        't' | 'n' | 'r' | 'f' => {
            out.push('\\');
            out.push(c);
            return Ok(());
        }
        c if c.is_ascii_alphanumeric() => return Err(format!("the escape \\{c}")),
        c => {
            out.push_str(&regex::escape(&c.to_string()));
            return Ok(());
        }
    };
    if in_class {
        out.push_str(class);
        // After a class a hyphen stands for itself; spelled out, the class would end in a range.
        if letters.next_if_eq(&'-').is_some() {
            out.push_str("\\-");
        }
    } else {
        out.push_str(&format!("[{class}]"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn java_and_rust_agree() {
        for (source, expected) in [
            (r"[\w+=/,.@-]*", r"^(?:[0-9A-Za-z_+=/,.@-]*)$"),
            (r"\d{6}", r"^(?:[0-9]{6})$"),
            (r"[\w-z]", r"^(?:[0-9A-Za-z_\-z])$"),
            (
                r"[\u0009\u0020-\u00FF]+",
                r"^(?:[\x{0009}\x{0020}-\x{00FF}]+)$",
            ),
            (r"[-a-z._~]*", r"^(?:[\-a-z._~]*)$"),
            (r"(?:a|b)", r"^(?:(?:a|b))$"),
            (r"[\p{L}=+\-@]+", r"^(?:[\p{L}=+\-@]+)$"),
            (r"a.", r"^(?:a[^\n\r\x{85}\x{2028}\x{2029}])$"),
            (r"a\++", r"^(?:a\++)$"),
            (r"\!?[\!\_]", r"^(?:!?[!_])$"),
        ] {
            assert_eq!(translate(source, &[]).unwrap(), expected, "{source}");
        }
    }

    #[test]
    fn what_has_no_translation_is_refused() {
        for source in [
            r"(?!-)a", r"(?<=a)b", "a*+", r"\bword", r"[a[b]]", r"[a&&b]", r"(?i)a", "(",
        ] {
            assert!(translate(source, &[]).is_err(), "{source}");
        }
    }

    #[test]
    fn a_listed_equivalent_is_taken() {
        let listed = HandTranslated {
            source: "(?!-)[a-]".to_owned(),
            translated: "a".to_owned(),
            reason: "only a is left".to_owned(),
        };
        assert_eq!(translate("(?!-)[a-]", &[listed]).unwrap(), "^(?:a)$");
    }
}
