//! What is known about a request: condition keys and their values.

use std::borrow::Cow;

/// The condition keys of one request, each with one or several values.
///
/// Keys are compared without regard to case, as AWS does (IAM user guide, "Condition keys"). A request has
/// some twenty of them, so they are a list: cheap to build, and searched a few times for each decision.
#[derive(Clone, Debug, Default)]
pub struct Context {
    entries: Vec<(Cow<'static, str>, Values)>,
}

#[derive(Clone, Debug)]
enum Values {
    One(String),
    Several(Vec<String>),
}

impl Values {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Several(values) => values,
        }
    }
}

impl Context {
    /// No keys at all.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a key that has one value; a value set before is replaced.
    pub fn set(&mut self, key: impl Into<Cow<'static, str>>, value: impl Into<String>) {
        self.put(key.into(), Values::One(value.into()));
    }

    /// Sets a key that may have several values (`aws:TagKeys`). Without a value the key counts as absent.
    pub fn set_all(&mut self, key: impl Into<Cow<'static, str>>, values: Vec<String>) {
        let key = key.into();
        if values.is_empty() {
            self.entries
                .retain(|(known, _)| !known.eq_ignore_ascii_case(&key));
        } else {
            self.put(key, Values::Several(values));
        }
    }

    /// The values of a key, at least one, or nothing where the key is absent.
    pub fn values(&self, key: &str) -> Option<&[String]> {
        let entry = self
            .entries
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(key));
        entry.map(|(_, values)| values.as_slice())
    }

    /// Every key and its values, in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        let entries = self.entries.iter();
        entries.map(|(key, values)| (key.as_ref(), values.as_slice()))
    }

    /// The value of a key that has exactly one. Only such keys may stand for a policy variable (IAM user
    /// guide, "Single-valued vs. multivalued context keys").
    pub(crate) fn single(&self, key: &str) -> Option<&str> {
        match self.values(key)? {
            [value] => Some(value),
            _ => None,
        }
    }

    fn put(&mut self, key: Cow<'static, str>, values: Values) {
        let known = self
            .entries
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(&key));
        match known {
            Some((_, old)) => *old = values,
            None => self.entries.push((key, values)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_no_case_and_the_last_value_stands() {
        let mut context = Context::new();
        context.set("aws:UserName", "alice");
        context.set("AWS:username", "bob");
        assert_eq!(context.single("aws:username"), Some("bob"));
        assert_eq!(context.iter().count(), 1);
    }

    #[test]
    fn a_key_without_a_value_is_absent() {
        let mut context = Context::new();
        context.set_all("aws:TagKeys", vec!["a".into(), "b".into()]);
        assert_eq!(context.single("aws:TagKeys"), None);
        context.set_all("aws:tagkeys", Vec::new());
        assert_eq!(context.values("aws:TagKeys"), None);
    }
}
