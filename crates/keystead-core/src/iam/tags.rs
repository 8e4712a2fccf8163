//! Tags on identities: IAM tells keys apart without regard to case, and keeps the case they were given
//! (IAM user guide, "Tags for IAM resources").

use std::collections::BTreeSet;

use super::quota;
use crate::error::{Error, ErrorKind, Result};
use crate::tags::Tags;

/// Adds `added` to `tags`. A key that is there in another case gives way to the new one.
///
/// Refuses with [`ErrorKind::InvalidTag`] (reserved prefix, a key twice) and
/// [`ErrorKind::LimitExceeded`]; `tags` is then unchanged.
pub fn add(tags: &mut Tags, added: impl IntoIterator<Item = (String, String)>) -> Result<()> {
    let mut merged = tags.clone();
    let mut given = BTreeSet::new();
    for (key, value) in added {
        let folded = key.to_lowercase();
        if folded.starts_with("aws:") {
            return Err(Error::new(
                ErrorKind::InvalidTag,
                "Tag keys can't start with the reserved prefix 'aws:'.",
            ));
        }
        if !given.insert(folded.clone()) {
            return Err(Error::new(
                ErrorKind::InvalidTag,
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
        merged.retain(|there, _| there.to_lowercase() != folded);
        merged.insert(key, value);
    }
    if merged.len() > quota::TAGS.most {
        return Err(Error::new(
            ErrorKind::LimitExceeded,
            "The number of tags has reached the maximum limit.",
        ));
    }
    *tags = merged;
    Ok(())
}

/// Removes these keys, whatever their case. What is not there is passed over.
pub fn remove(tags: &mut Tags, removed: &[String]) {
    let removed: BTreeSet<String> = removed.iter().map(|key| key.to_lowercase()).collect();
    tags.retain(|key, _| !removed.contains(&key.to_lowercase()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.into(), value.into())
    }

    #[test]
    fn a_key_in_another_case_is_the_same_key() {
        let mut tags = Tags::from([pair("Team", "a")]);
        assert_eq!(add(&mut tags, [pair("team", "b")]), Ok(()));
        assert_eq!(tags, Tags::from([pair("team", "b")]));
        remove(&mut tags, &["TEAM".into(), "absent".into()]);
        assert!(tags.is_empty());
    }

    #[test]
    fn a_refused_request_changes_nothing() {
        let mut tags = Tags::from([pair("a", "1")]);
        for (added, kind) in [
            (vec![pair("b", "2"), pair("B", "3")], ErrorKind::InvalidTag),
            (
                vec![pair("b", "2"), pair("AWS:x", "3")],
                ErrorKind::InvalidTag,
            ),
            (
                (0..quota::TAGS.most)
                    .map(|at| pair(&format!("k{at}"), ""))
                    .collect(),
                ErrorKind::LimitExceeded,
            ),
        ] {
            let refused = add(&mut tags, added).map_err(|error| error.kind);
            assert_eq!(refused, Err(kind));
            assert_eq!(tags, Tags::from([pair("a", "1")]));
        }
    }
}
