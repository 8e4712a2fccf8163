//! Tags on certificates. Unlike elsewhere in AWS, a tag here may have no value at all, which is not
//! the same as an empty one; and ACM has its own words for what it refuses.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};
use crate::tags::MAX_TAGS;

/// The tags of a certificate, by key.
pub type CertificateTags = BTreeMap<String, Option<String>>;

/// A tag as requests carry it: a key, perhaps a value.
pub type Tag = (String, Option<String>);

/// A certificate with a tag of this key, whatever its value, keeps its private key when it is renewed: for peers that have
/// pinned the key. AWS has no such option.
pub const KEEP_KEY: &str = "keystead:keep-key";

/// Adds `added` to `tags`, replacing the values of keys that are there.
///
/// Refuses reserved keys, a key twice in one request and more than [`MAX_TAGS`] together; `tags` is
/// then unchanged.
pub fn add(tags: &mut CertificateTags, added: Vec<Tag>) -> Result<()> {
    let mut seen = BTreeSet::new();
    for (key, _) in &added {
        refuse_reserved(key)?;
        if !seen.insert(key) {
            return Err(Error::new(
                ErrorKind::InvalidTag,
                format!(
                    "The tag key '{key}' appears more than once in the request; give each key once."
                ),
            ));
        }
    }
    let mut together = tags.clone();
    together.extend(added);
    if together.len() > MAX_TAGS {
        return Err(Error::new(
            ErrorKind::TooManyTags,
            format!("the TagSet: '{}' contains too many Tags", listed(&together)),
        ));
    }
    *tags = together;
    Ok(())
}

/// Removes each tag: with a value, only where the value is the same; without, always. What is not
/// there is passed over (API reference, RemoveTagsFromCertificate).
pub fn remove(tags: &mut CertificateTags, removed: &[Tag]) -> Result<()> {
    for (key, _) in removed {
        refuse_reserved(key)?;
    }
    for (key, value) in removed {
        if value.is_none() || tags.get(key) == Some(value) {
            tags.remove(key);
        }
    }
    Ok(())
}

fn refuse_reserved(key: &str) -> Result<()> {
    if key.to_ascii_lowercase().starts_with("aws:") {
        return Err(Error::new(
            ErrorKind::Validation,
            format!(
                "Invalid Tag Key: \"{key}\". AWS internal tags cannot be changed with this API"
            ),
        ));
    }
    Ok(())
}

fn listed(tags: &CertificateTags) -> String {
    let pairs: Vec<_> = tags
        .iter()
        .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or_default()))
        .collect();
    format!("{{{}}}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str, value: Option<&str>) -> Tag {
        (key.into(), value.map(Into::into))
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        let before = CertificateTags::from([tag("a", None)]);
        let many = (0..MAX_TAGS)
            .map(|i| tag(&format!("k{i}"), Some("v")))
            .collect();
        for (added, kind) in [
            (
                vec![tag("b", None), tag("AWS:b", None)],
                ErrorKind::Validation,
            ),
            (
                vec![tag("b", None), tag("b", Some("1"))],
                ErrorKind::InvalidTag,
            ),
            (many, ErrorKind::TooManyTags),
        ] {
            let mut tags = before.clone();
            assert_eq!(add(&mut tags, added).map_err(|error| error.kind), Err(kind));
            assert_eq!(tags, before);
        }
    }

    #[test]
    fn fifty_fit_and_can_all_be_replaced() {
        let fifty: Vec<_> = (0..MAX_TAGS).map(|i| tag(&format!("k{i}"), None)).collect();
        let mut tags = CertificateTags::new();
        assert_eq!(add(&mut tags, fifty.clone()), Ok(()));
        assert_eq!(add(&mut tags, fifty), Ok(()));
        assert_eq!(tags.len(), MAX_TAGS);
    }

    #[test]
    fn a_value_must_agree_for_removal_and_an_empty_one_is_a_value() {
        let mut tags = CertificateTags::from([
            tag("kept", Some("1")),
            tag("empty", Some("")),
            tag("bare", None),
            tag("gone", Some("2")),
        ]);
        let removed = [
            tag("kept", Some("9")),
            tag("bare", Some("")),
            tag("gone", None),
            tag("none", None),
        ];
        assert_eq!(remove(&mut tags, &removed), Ok(()));
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["bare", "empty", "kept"]);
        assert_eq!(remove(&mut tags, &[tag("empty", Some(""))]), Ok(()));
        assert!(remove(&mut tags, &[tag("aws:x", None)]).is_err());
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["bare", "kept"]);
    }

    #[test]
    fn the_refusal_lists_all_tags() {
        let mut tags =
            CertificateTags::from_iter((0..49).map(|i| tag(&format!("p-{i}"), Some("pqrs"))));
        let two = vec![tag("x-1", Some("xyz")), tag("x-2", Some("xyz"))];
        let message = add(&mut tags, two).map_err(|error| error.message);
        let message = message.expect_err("51 tags are too many");
        assert_eq!(message.matches("pqrs").count(), 49);
        assert_eq!(message.matches("xyz").count(), 2);
    }
}
