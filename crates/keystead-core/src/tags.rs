//! Tags on resources: AWS's rules, the same for every service
//! (AWS General Reference, "Tagging AWS resources").

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// The tags of a resource, by key.
pub type Tags = BTreeMap<String, String>;

/// Adds `added` to `tags`, replacing the values of keys that are there.
///
/// Refuses with [`ErrorKind::InvalidTag`] (reserved prefix, or a key twice in one request) and
/// [`ErrorKind::TooManyTags`]; `tags` is then unchanged.
pub fn add(tags: &mut Tags, added: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    let mut wanted = Tags::new();
    for (key, value) in added {
        if key.to_ascii_lowercase().starts_with(RESERVED_PREFIX) {
            return Err(Error::new(
                ErrorKind::InvalidTag,
                format!(
                    "Tag key '{key}' is not valid: keys that begin with 'aws:' are reserved for system use."
                ),
            ));
        }
        if wanted.contains_key(&key) {
            return Err(Error::new(
                ErrorKind::InvalidTag,
                format!(
                    "Tag key '{key}' appears more than once in the request; each key may be given once."
                ),
            ));
        }
        wanted.insert(key, value);
    }
    let new_keys = wanted.keys().filter(|key| !tags.contains_key(*key)).count();
    if tags.len() + new_keys > MAX_TAGS {
        return Err(Error::new(
            ErrorKind::TooManyTags,
            format!(
                "A resource may have at most {MAX_TAGS} tags; this one has {} and the request adds {new_keys}.",
                tags.len()
            ),
        ));
    }
    tags.extend(wanted);
    Ok(())
}

/// Removes each (key, value): with a value, only where the value is the same; without, always.
/// What is not there is passed over, as AWS does (ACM API reference, "RemoveTagsFromCertificate").
pub fn remove(tags: &mut Tags, removed: impl IntoIterator<Item = (String, Option<String>)>) {
    for (key, value) in removed {
        let matches = match (tags.get(&key), &value) {
            (Some(current), Some(value)) => current == value,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if matches {
            tags.remove(&key);
        }
    }
}

/// AWS General Reference: at most 50 user-created tags a resource.
pub const MAX_TAGS: usize = 50;

/// AWS General Reference: the prefix is reserved, whatever its case.
const RESERVED_PREFIX: &str = "aws:";

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        let mut tags = Tags::from([pair("a", "1")]);
        for (added, kind) in [
            (
                vec![pair("b", "2"), pair("AWS:x", "3")],
                ErrorKind::InvalidTag,
            ),
            (vec![pair("b", "2"), pair("b", "3")], ErrorKind::InvalidTag),
            (
                (0..MAX_TAGS).map(|i| pair(&format!("k{i}"), "")).collect(),
                ErrorKind::TooManyTags,
            ),
        ] {
            let refused = add(&mut tags, added).map_err(|error| error.kind);
            assert_eq!(refused, Err(kind));
            assert_eq!(tags, Tags::from([pair("a", "1")]));
        }
    }

    #[test]
    fn the_fiftieth_tag_fits_and_replacing_needs_no_room() {
        let mut tags = Tags::new();
        let fifty: Vec<_> = (0..MAX_TAGS).map(|i| pair(&format!("k{i}"), "")).collect();
        assert_eq!(add(&mut tags, fifty.clone()), Ok(()));
        assert_eq!(add(&mut tags, fifty), Ok(()));
        assert_eq!(tags.len(), MAX_TAGS);
    }

    #[test]
    fn removing_with_another_value_leaves_the_tag() {
        let mut tags = Tags::from([pair("a", "1"), pair("b", "2")]);
        remove(
            &mut tags,
            [
                ("a".into(), Some("9".into())),
                ("b".into(), None),
                ("c".into(), None),
            ],
        );
        assert_eq!(tags, Tags::from([pair("a", "1")]));
    }
}
