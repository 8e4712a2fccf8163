//! Filters of listings (API reference, Filter; user guide, "Find secrets in AWS Secrets Manager").
//!
//! AWS documents that `all` is searched by words and everything else by how it begins. What it does, as the tests of moto
//! that were checked against it record, is to search descriptions by words, too. A text is cut into words at spaces, then at the
//! special characters of names, where a piece has one kind of them only, and then before a capital letter or a digit that a small
//! letter follows. A word is found by its beginning, in any case.

use super::secret::Secret;

/// What a filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The description.
    Description,
    /// The name.
    Name,
    /// The keys of tags.
    TagKey,
    /// The values of tags.
    TagValue,
    /// The region of a replicated secret's primary.
    PrimaryRegion,
    /// The service that made it.
    OwningService,
    /// All of these.
    All,
}

/// A filter: one of its values has to be found, or with an exclamation mark before it, not to be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Where.
    pub key: Key,
    /// What.
    pub values: Vec<String>,
}

impl Filter {
    /// Whether the secret passes.
    pub fn passes(&self, secret: &Secret) -> bool {
        let texts = self.texts(secret);
        self.values
            .iter()
            .any(|value| match value.strip_prefix('!') {
                Some(unwanted) => !self.found(unwanted, &texts),
                None => self.found(value, &texts),
            })
    }

    fn texts<'a>(&self, secret: &'a Secret) -> Vec<&'a str> {
        let keys = || secret.tagged().keys().map(String::as_str);
        let values = || secret.tagged().values().map(String::as_str);
        let described = secret.description.as_deref();
        let owner = secret.owning_service.as_deref();
        let region = secret.primary_region();
        match self.key {
            Key::Description => described.into_iter().collect(),
            Key::Name => vec![&secret.name],
            Key::TagKey => keys().collect(),
            Key::TagValue => values().collect(),
            Key::PrimaryRegion => region.into_iter().collect(),
            Key::OwningService => owner.into_iter().collect(),
            Key::All => [secret.name.as_str()]
                .into_iter()
                .chain(described)
                .chain(keys())
                .chain(values())
                .chain(region)
                .chain(owner)
                .collect(),
        }
    }

    fn found(&self, value: &str, texts: &[&str]) -> bool {
        match self.key {
            Key::Description | Key::All => {
                let wanted = words(value);
                !wanted.is_empty()
                    && texts.iter().any(|text| {
                        let known = words(text);
                        wanted
                            .iter()
                            .all(|word| known.iter().any(|known| known.starts_with(word)))
                    })
            }
            _ => texts.iter().any(|text| text.starts_with(value)),
        }
    }
}

/// The words of a text, in lower case.
fn words(text: &str) -> Vec<String> {
    text.split_whitespace().flat_map(words_of).collect()
}

/// The words of a piece of a text without spaces.
fn words_of(text: &str) -> Vec<String> {
    let mut kinds = SPECIAL.iter().filter(|c| text.contains(**c));
    let pieces: Vec<&str> = match (kinds.next(), kinds.next()) {
        (Some(_), Some(_)) => return vec![text.to_lowercase()],
        (Some(c), None) => text.split(*c).collect(),
        (None, _) => vec![text],
    };
    let mut words = Vec::new();
    for piece in pieces {
        let mut word = String::new();
        let mut inside = false;
        let mut rest = piece.chars().peekable();
        while let Some(c) = rest.next() {
            let begins =
                !c.is_ascii_lowercase() && rest.peek().is_some_and(char::is_ascii_lowercase);
            let ends = inside && !c.is_ascii_lowercase();
            if begins || ends {
                finish(&mut words, &mut word);
            }
            inside = begins || (inside && c.is_ascii_lowercase());
            word.push(c);
        }
        finish(&mut words, &mut word);
    }
    words
}

fn finish(words: &mut Vec<String>, word: &mut String) {
    let whole = std::mem::take(word);
    if !whole.is_empty() {
        words.push(whole.to_lowercase());
    }
}

/// The special characters of names that cut words.
const SPECIAL: [char; 7] = ['/', '-', '_', '+', '=', '.', '@'];

#[cfg(test)]
mod tests {
    use super::super::testing::secret;
    use super::*;

    #[test]
    fn texts_are_cut_into_words() {
        for (text, expected) in [
            ("test", vec!["test"]),
            ("MyTest", vec!["my", "test"]),
            ("one two", vec!["one", "two"]),
            ("prod/AppBeta/0a1b", vec!["prod", "app", "beta", "0a", "1b"]),
            ("prod-AppBeta/x", vec!["prod-appbeta/x"]),
            ("COMPANYthings", vec!["compan", "ythings"]),
            ("uat/COMPANY", vec!["uat", "company"]),
            ("SecretFTag", vec!["secret", "f", "tag"]),
            ("d t", vec!["d", "t"]),
            ("a  b", vec!["a", "b"]),
            ("shop BIG", vec!["shop", "big"]),
            ("a-b/c d-e", vec!["a-b/c", "d", "e"]),
            ("+", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    fn passes(key: Key, values: &[&str]) -> bool {
        let mut secret = secret();
        secret.name = "prod/Database".into();
        secret.description = Some("Of the big shop".into());
        secret.tag([("Team".into(), "Blue sky".into())]).unwrap();
        let values = values.iter().map(|text| (*text).to_owned()).collect();
        Filter { key, values }.passes(&secret)
    }

    #[test]
    fn what_is_found_where() {
        for (key, values, expected) in [
            (Key::Name, &["prod/"][..], true),
            (Key::Name, &["Prod/"], false),
            (Key::Name, &["Database"], false),
            (Key::Name, &["x", "prod"], true),
            (Key::Name, &["!prod"], false),
            (Key::Name, &["!x"], true),
            (Key::Description, &["shop big"], true),
            (Key::Description, &["BIG"], true),
            (Key::Description, &["hop"], false),
            (Key::TagKey, &["Te"], true),
            (Key::TagKey, &["te"], false),
            (Key::TagValue, &["Blue"], true),
            (Key::TagValue, &["sky"], false),
            (Key::OwningService, &["rds"], false),
            (Key::OwningService, &["!rds"], true),
            (Key::PrimaryRegion, &["us"], false),
            (Key::All, &["sky"], true),
            (Key::All, &["data"], true),
            (Key::All, &["team"], true),
            (Key::All, &["+"], false),
            (Key::All, &["base"], false),
        ] {
            assert_eq!(passes(key, values), expected, "{key:?} {values:?}");
        }
    }
}
