//! What Keystead, as the proxy, lets an AWS account do with which key.

use serde::{Deserialize, Serialize};

use super::{BASE, PATH_CHARS};
use crate::error::{Error, ErrorKind, Result};

/// A key under the name by which AWS asks for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    /// `externalKeyId`.
    pub external_key_id: String,
    /// The id of the key here.
    pub key_id: String,
    /// Who may use it, as patterns of `awsPrincipalArn`; anybody where there are none.
    pub principals: Vec<String>,
    /// The KMS keys at AWS that it may be behind, as patterns of `kmsKeyArn`; any where there are none.
    pub kms_keys: Vec<String>,
}

/// What a request says of who is behind it.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// `awsPrincipalArn`.
    pub principal: &'a str,
    /// `kmsKeyArn`; none while the KMS key is being made.
    pub kms_key: Option<&'a str>,
}

impl Exposure {
    /// Whether the key may be used so ("Authorization"). A KMS key that is being made has no name to compare yet, and
    /// can do nothing.
    pub fn admits(&self, caller: Caller<'_>) -> bool {
        let named = |patterns: &[String], text: Option<&str>| {
            patterns.is_empty()
                || text.is_none_or(|text| patterns.iter().any(|pattern| matches(pattern, text)))
        };
        named(&self.principals, Some(caller.principal)) && named(&self.kms_keys, caller.kms_key)
    }
}

/// Checks what stands before [`BASE`] in a proxy's path: nothing, or parts of letters, digits, `-` and `_`, each behind
/// a slash.
///
/// # Errors
/// [`ErrorKind::Validation`].
pub fn check_prefix(prefix: &str) -> Result<()> {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let part = |part: &str| !part.is_empty() && part.bytes().all(letter);
    let parts = prefix
        .strip_prefix('/')
        .map(|rest| rest.split('/').all(part));
    let most = PATH_CHARS - BASE.len();
    if (prefix.is_empty() || parts == Some(true)) && prefix.len() <= most {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "UriPathPrefix is not a path: expected parts of letters, digits, - and _, each behind a slash, and at most {most} characters."
        ),
    ))
}

/// Whether the text is as the pattern says: `*` stands for any run of characters, `?` for one. A failed match goes back
/// to the last `*` only, so the work is bounded by pattern times text.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    let mut star = None;
    while let Some(byte) = text.get(seen) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                seen += 1;
            }
            _ => match &mut star {
                Some((place, from)) => {
                    *from += 1;
                    (at, seen) = (*place + 1, *from);
                }
                None => return false,
            },
        }
    }
    let rest = pattern.get(at..).unwrap_or_default();
    rest.iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "arn:aws:iam::123456789012:user/Alice";
    const KEY: &str = "arn:aws:kms:us-east-2:123456789012:key/1234";

    fn exposure(principals: &[&str], kms_keys: &[&str]) -> Exposure {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Exposure {
            external_key_id: "x".into(),
            key_id: "k".into(),
            principals: owned(principals),
            kms_keys: owned(kms_keys),
        }
    }

    fn caller(principal: &'static str, kms_key: Option<&'static str>) -> Caller<'static> {
        Caller { principal, kms_key }
    }

    #[test]
    fn without_patterns_the_credential_is_enough() {
        let open = exposure(&[], &[]);
        assert!(open.admits(caller(ALICE, Some(KEY))));
        assert!(open.admits(caller("ec2.amazonaws.com", None)));
    }

    #[test]
    fn patterns_limit_who_and_for_which_key() {
        let of = exposure(
            &["arn:aws:iam::123456789012:*", "ec2.amazonaws.com"],
            &[KEY],
        );
        assert!(of.admits(caller(ALICE, Some(KEY))));
        assert!(of.admits(caller("ec2.amazonaws.com", Some(KEY))));
        assert!(of.admits(caller(ALICE, None)), "a key that is being made");
        assert!(!of.admits(caller("arn:aws:iam::999999999999:user/Alice", Some(KEY))));
        assert!(!of.admits(caller(
            ALICE,
            Some("arn:aws:kms:us-east-2:999999999999:key/1234")
        )));
    }

    #[test]
    fn patterns_match_as_their_wildcards_say() {
        for (pattern, text, expected) in [
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("abcd", "abc", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abcdef", false),
            ("*aab", "aaaab", true),
            ("a**", "a", true),
            ("A", "a", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_prefix_is_a_path_of_plain_parts() {
        let long = format!("/{}", "a".repeat(116));
        for good in [
            "",
            "/a",
            "/example/uri/path/prefix",
            "/a_b-C9",
            long.as_str(),
        ] {
            assert!(check_prefix(good).is_ok(), "{good}");
        }
        let longer = format!("/{}", "a".repeat(117));
        for bad in [
            "/",
            "a",
            "/a/",
            "//a",
            "/a//b",
            "/ä",
            "/a.b",
            "/a b",
            longer.as_str(),
        ] {
            let refusal = check_prefix(bad).unwrap_err();
            assert_eq!(refusal.kind, ErrorKind::Validation, "{bad}");
        }
    }
}
