//! Text with wildcards and policy variables, and how it matches.
//!
//! `*` stands for any run of characters and `?` for exactly one. A failed match goes back to the last `*` only, so
//! the work is bounded by pattern times text, whatever the pattern. Values that replace a variable are taken
//! literally: a user called `*` is not everybody.

use crate::context::Context;

/// Compiled text of a policy.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    shape: Shape,
    /// Whether case is ignored; the shape is then in lower case.
    fold: bool,
}

#[derive(Clone, Debug)]
enum Shape {
    Everything,
    Exact(Box<str>),
    Prefix(Box<str>),
    Glob(Box<[Token]>),
    Template(Box<[Part]>),
}

#[derive(Clone, Copy, Debug)]
enum Token {
    Char(char),
    One,
    Many,
}

#[derive(Clone, Debug)]
enum Part {
    Token(Token),
    Variable {
        key: Box<str>,
        default: Option<Box<str>>,
    },
}

/// Which characters of a text mean more than themselves.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meaning {
    /// `*` and `?` are wildcards.
    pub(crate) wildcards: bool,
    /// `${...}` is a policy variable: only in documents of version 2012-10-17.
    pub(crate) variables: bool,
    /// Case does not matter.
    pub(crate) fold: bool,
}

impl Pattern {
    pub(crate) fn compile(text: &str, meaning: Meaning) -> Self {
        let folded = meaning.fold.then(|| text.to_lowercase());
        let parts = parts(folded.as_deref().unwrap_or(text), meaning);
        Self {
            shape: shape(parts),
            fold: meaning.fold,
        }
    }

    /// Whether `text` is one of those that the pattern stands for. A variable without a value matches nothing.
    pub(crate) fn matches(&self, text: &str, context: &Context) -> bool {
        if self.fold {
            return self.shape.matches(&text.to_lowercase(), context, true);
        }
        self.shape.matches(text, context, false)
    }

    /// Whether the pattern stands for one text only, the same in every request.
    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.shape, Shape::Exact(_))
    }

    /// The condition keys whose values the pattern takes in.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        let parts: &[Part] = match &self.shape {
            Shape::Template(parts) => parts,
            _ => &[],
        };
        parts.iter().filter_map(|part| match part {
            Part::Variable { key, .. } => Some(key.as_ref()),
            Part::Token(_) => None,
        })
    }
}

impl Shape {
    fn matches(&self, text: &str, context: &Context, fold: bool) -> bool {
        match self {
            Self::Everything => true,
            Self::Exact(exact) => **exact == *text,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Glob(tokens) => glob(tokens, text),
            Self::Template(parts) => {
                resolve(parts, context, fold).is_some_and(|tokens| glob(&tokens, text))
            }
        }
    }
}

fn shape(parts: Vec<Part>) -> Shape {
    let mut tokens = Vec::with_capacity(parts.len());
    for part in &parts {
        match part {
            Part::Token(token) => tokens.push(*token),
            Part::Variable { .. } => return Shape::Template(parts.into()),
        }
    }
    let wild = tokens
        .iter()
        .take_while(|token| matches!(token, Token::Char(_)))
        .count();
    let literal = |tokens: &[Token]| -> Box<str> {
        let chars = tokens.iter().filter_map(|token| match token {
            Token::Char(c) => Some(*c),
            _ => None,
        });
        chars.collect::<String>().into()
    };
    match tokens.get(wild..).unwrap_or_default() {
        [] => Shape::Exact(literal(&tokens)),
        [Token::Many] if wild == 0 => Shape::Everything,
        [Token::Many] => Shape::Prefix(literal(&tokens)),
        _ => Shape::Glob(tokens.into()),
    }
}

/// Splits text into tokens and variables (IAM user guide, "Variables and tags": `${key}`, `${key, 'default'}`, and
/// `${*}`, `${?}`, `${$}` for the characters themselves).
fn parts(text: &str, meaning: Meaning) -> Vec<Part> {
    let mut parts = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        let variable = (c == '$' && meaning.variables)
            .then(|| rest.as_str().strip_prefix('{')?.split_once('}'))
            .flatten();
        if let Some((inside, after)) = variable {
            parts.push(variable_part(inside));
            rest = after.chars();
            continue;
        }
        parts.push(Part::Token(match c {
            '*' if meaning.wildcards => Token::Many,
            '?' if meaning.wildcards => Token::One,
            c => Token::Char(c),
        }));
    }
    parts
}

fn variable_part(inside: &str) -> Part {
    match inside {
        "*" | "?" | "$" => Part::Token(Token::Char(inside.chars().next().unwrap_or('$'))),
        _ => {
            let (key, default) = match inside.split_once(',') {
                None => (inside, None),
                Some((key, default)) => (key, Some(default.trim())),
            };
            let unquoted = |text: &str| Some(text.strip_prefix('\'')?.strip_suffix('\'')?.into());
            Part::Variable {
                key: key.trim().into(),
                default: default.and_then(unquoted),
            }
        }
    }
}

/// The tokens of a template in this request; nothing where a variable has neither a value nor a default.
fn resolve(parts: &[Part], context: &Context, fold: bool) -> Option<Vec<Token>> {
    let mut tokens = Vec::with_capacity(parts.len());
    for part in parts {
        match part {
            Part::Token(token) => tokens.push(*token),
            Part::Variable { key, default } => {
                let value = context.single(key).or(default.as_deref())?;
                if fold {
                    tokens.extend(value.to_lowercase().chars().map(Token::Char));
                } else {
                    tokens.extend(value.chars().map(Token::Char));
                }
            }
        }
    }
    Some(tokens)
}

fn glob(tokens: &[Token], text: &str) -> bool {
    let mut rest = text;
    let mut next = 0;
    // Where to go on after the last `*`, and the text that it has not taken yet.
    let mut last_many: Option<(usize, &str)> = None;
    loop {
        let accepted = match tokens.get(next) {
            Some(Token::Many) => {
                next += 1;
                last_many = Some((next, rest));
                continue;
            }
            Some(Token::One) => without_first(rest, |_| true),
            Some(Token::Char(wanted)) => without_first(rest, |c| c == *wanted),
            None if rest.is_empty() => return true,
            None => None,
        };
        if let Some(shorter) = accepted {
            rest = shorter;
            next += 1;
            continue;
        }
        // The last `*` takes one character more; at the end of the text it cannot.
        let Some((resume, untaken)) = last_many else {
            return false;
        };
        if resume == tokens.len() {
            return true;
        }
        let Some(shorter) = without_first(untaken, |_| true) else {
            return false;
        };
        last_many = Some((resume, shorter));
        rest = shorter;
        next = resume;
    }
}

fn without_first(text: &str, accepts: impl Fn(char) -> bool) -> Option<&str> {
    let mut chars = text.chars();
    chars.next().filter(|c| accepts(*c))?;
    Some(chars.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIKE: Meaning = Meaning {
        wildcards: true,
        variables: true,
        fold: false,
    };

    fn like(pattern: &str, text: &str) -> bool {
        Pattern::compile(pattern, LIKE).matches(text, &Context::new())
    }

    /// What the wildcards mean, said in the plainest way.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (None, Some(_)) => false,
            (Some(('*', more)), None) => naive(more, text),
            (Some(('*', more)), Some((_, rest))) => naive(more, text) || naive(pattern, rest),
            (Some(('?', more)), Some((_, rest))) => naive(more, rest),
            (Some((p, more)), Some((t, rest))) => p == t && naive(more, rest),
            (Some(_), None) => false,
        }
    }

    proptest! {
        #[test]
        fn wildcards_agree_with_their_definition(pattern in "[ab*?é]{0,9}", text in "[abé]{0,9}") {
            let (p, t): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
            prop_assert_eq!(like(&pattern, &text), naive(&p, &t), "{} {}", pattern, text);
        }

        #[test]
        fn a_text_matches_itself_when_nothing_in_it_is_special(text in "[^*?$]{0,20}") {
            prop_assert!(like(&text, &text));
        }
    }

    #[test]
    fn many_stars_end_in_time() {
        let pattern = "a*".repeat(200) + "b";
        assert!(!like(&pattern, &"a".repeat(5_000)));
    }

    #[test]
    fn variables_are_replaced_literally_or_match_nothing() {
        let mut context = Context::new();
        context.set("aws:username", "*");
        let matches =
            |pattern: &str, text: &str| Pattern::compile(pattern, LIKE).matches(text, &context);
        assert!(matches("home/${AWS:UserName}/?", "home/*/x"));
        assert!(!matches("home/${aws:username}/?", "home/bob/x"));
        assert!(!matches("home/${aws:userid}", "home/"));
        assert!(matches("home/${aws:userid, 'nobody'}", "home/nobody"));
        assert!(matches("${*}${?}${$}", "*?$"));
        assert!(!matches("${*}", "a"));
        assert!(matches("$x${", "$x${"));
    }

    #[test]
    fn a_variable_needs_a_single_value() {
        let mut context = Context::new();
        context.set_all("aws:TagKeys", vec!["a".into(), "b".into()]);
        assert!(!Pattern::compile("${aws:TagKeys}", LIKE).matches("a", &context));
    }

    #[test]
    fn before_2012_a_variable_is_mere_text() {
        let meaning = Meaning {
            variables: false,
            ..LIKE
        };
        let pattern = Pattern::compile("${aws:username}", meaning);
        assert!(pattern.matches("${aws:username}", &Context::new()));
    }

    #[test]
    fn case_is_ignored_on_both_sides_when_asked() {
        let mut context = Context::new();
        context.set("aws:username", "Élan");
        let meaning = Meaning { fold: true, ..LIKE };
        assert!(Pattern::compile("X-${aws:username}", meaning).matches("x-éLAN", &context));
    }
}
