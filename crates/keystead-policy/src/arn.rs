//! How a pattern names resources.
//!
//! An ARN has six parts between colons, the last of which may contain more colons. Each part is matched on its own:
//! a wildcard does not reach over a colon (IAM user guide, "Condition operators", ARN operators). The page
//! "Resource" adds that a `*` at the end of a part may reach further; that only makes a difference for a pattern
//! of fewer than six parts, such as `arn:aws:s3:*`, which is therefore matched as one text.

use crate::context::Context;
use crate::pattern::{Meaning, Pattern};

/// Parts of an ARN, the prefix `arn` included.
const PARTS: usize = 6;

/// A compiled `Resource` or ARN condition value.
#[derive(Clone, Debug)]
pub(crate) enum ArnPattern {
    /// One pattern a part.
    Parts(Box<[Pattern]>),
    /// Fewer parts than an ARN has, one of them open at the end.
    Whole(Pattern),
    /// Names no resource: fewer parts, and no wildcard to stand for the rest.
    Nothing,
}

/// A text to be matched, split once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target<'a> {
    whole: &'a str,
    parts: Option<[&'a str; PARTS]>,
}

impl<'a> Target<'a> {
    pub(crate) fn new(whole: &'a str) -> Self {
        let mut split = whole.splitn(PARTS, ':');
        let mut parts = [""; PARTS];
        let complete = parts
            .iter_mut()
            .all(|part| split.next().map(|text| *part = text).is_some());
        Self {
            whole,
            parts: complete.then_some(parts),
        }
    }
}

impl ArnPattern {
    /// Compiles a `Resource`: variables stand in the last part only (IAM user guide, "Variables and tags").
    pub(crate) fn resource(text: &str, variables: bool) -> Self {
        Self::compile(text, |part| variables && part + 1 == PARTS)
    }

    /// Compiles a value of an ARN condition operator: variables may stand anywhere.
    pub(crate) fn condition(text: &str, variables: bool) -> Self {
        Self::compile(text, |_| variables)
    }

    fn compile(text: &str, variables: impl Fn(usize) -> bool) -> Self {
        let parts = split(text);
        let meaning = |part| Meaning {
            wildcards: true,
            variables: variables(part),
            fold: false,
        };
        if parts.len() == PARTS {
            let parts = parts.iter().enumerate();
            return Self::Parts(
                parts
                    .map(|(at, part)| Pattern::compile(part, meaning(at)))
                    .collect(),
            );
        }
        if parts.iter().any(|part| part.ends_with('*')) {
            Self::Whole(Pattern::compile(text, meaning(PARTS - 1)))
        } else {
            Self::Nothing
        }
    }

    pub(crate) fn matches(&self, target: &Target<'_>, context: &Context) -> bool {
        match self {
            Self::Parts(patterns) => target.parts.is_some_and(|parts| {
                let mut pairs = patterns.iter().zip(parts);
                pairs.all(|(pattern, part)| pattern.matches(part, context))
            }),
            Self::Whole(pattern) => pattern.matches(target.whole, context),
            Self::Nothing => false,
        }
    }

    /// Whether every ARN that the pattern stands for is of one account.
    pub(crate) fn names_account(&self) -> bool {
        match self {
            Self::Parts(parts) => parts
                .get(4)
                .is_some_and(|account| account.is_fixed() && !account.matches("", &Context::new())),
            Self::Whole(_) => false,
            Self::Nothing => true,
        }
    }

    /// The condition keys whose values the pattern takes in.
    pub(crate) fn variables(&self) -> impl Iterator<Item = &str> {
        let patterns: &[Pattern] = match self {
            Self::Parts(patterns) => patterns,
            Self::Whole(pattern) => std::slice::from_ref(pattern),
            Self::Nothing => &[],
        };
        patterns.iter().flat_map(Pattern::variables)
    }
}

/// At most six parts; a colon inside `${...}` does not divide.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::with_capacity(PARTS);
    let mut rest = text;
    while parts.len() + 1 < PARTS {
        let mut braced = false;
        let colon = rest.char_indices().find(|(_, c)| {
            braced = match c {
                '{' => true,
                '}' => false,
                _ => braced,
            };
            *c == ':' && !braced
        });
        let Some((part, after)) = colon.and_then(|(at, _)| rest.split_at_checked(at)) else {
            break;
        };
        parts.push(part);
        rest = after.strip_prefix(':').unwrap_or(after);
    }
    parts.push(rest);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        let mut context = Context::new();
        context.set("aws:username", "bob");
        context.set("aws:PrincipalAccount", "111122223333");
        ArnPattern::resource(pattern, true).matches(&Target::new(text), &context)
    }

    #[test]
    fn a_wildcard_stays_in_its_part() {
        let pattern = "arn:aws:someservice:*:111122223333:finance/*";
        let text = "arn:aws:someservice:us-east-2:999999999999:store/abc:111122223333:finance/document.txt";
        assert!(!matches(pattern, text));
        let inside = "arn:aws:someservice:us-east-2:111122223333:finance/a:b";
        assert!(matches(pattern, inside));
    }

    #[test]
    fn fewer_parts_need_an_open_end() {
        let key = "arn:aws:kms:us-east-1:111122223333:key/k";
        for open in ["*", "arn:*", "arn:aws:kms:*", "arn:aws:kms:*:key/k"] {
            assert!(matches(open, key), "{open}");
        }
        for closed in ["arn:aws:kms", "arn:aws:kms:us-east-1:key/k"] {
            assert!(!matches(closed, key), "{closed}");
        }
    }

    #[test]
    fn only_a_star_stands_for_no_resource() {
        assert!(matches("*", "*"));
        assert!(!matches("arn:aws:iam::*:user/*", "*"));
    }

    #[test]
    fn variables_stand_in_the_last_part_of_a_resource() {
        let user = "arn:aws:iam::111122223333:user/bob";
        assert!(matches(
            "arn:aws:iam::111122223333:user/${aws:username}",
            user
        ));
        assert!(!matches(
            "arn:aws:iam::${aws:PrincipalAccount}:user/bob",
            user
        ));
    }
}
