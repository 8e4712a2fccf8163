//! Names of secrets, and what a caller may write in their place.

use crate::arn::{AccountId, Arn};
use crate::error::{Error, ErrorKind, Result};

/// Characters that AWS puts behind a secret's name in its ARN, after a hyphen.
const SUFFIX: usize = 6;

/// Checks the name of a new secret (CreateSecret, `Name`).
///
/// # Errors
/// [`ErrorKind::Validation`], in AWS's words, which name an exclamation mark that the API reference leaves out.
pub fn check_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-/_+=.@!".contains(&byte);
    if name.bytes().all(fits) {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!",
    ))
}

/// Whether this can stand behind a secret's name.
pub fn is_suffix(text: &str) -> bool {
    text.len() == SUFFIX && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// What `SecretId` says: a name, an ARN, or an ARN without its last characters ("Finding a secret from a partial ARN").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// The account and region of an ARN; `None` for those of the call.
    pub place: Option<(AccountId, &'a str)>,
    /// What stands for the name: the whole of it, or, in an ARN, perhaps with the hyphen and six characters behind it.
    text: &'a str,
}

impl<'a> Named<'a> {
    /// Reads it; `None` for what can name no secret.
    pub fn parse(id: &'a str) -> Option<Self> {
        if !id.starts_with("arn:") {
            return check_name(id).is_ok().then_some(Self {
                place: None,
                text: id,
            });
        }
        let arn = Arn::parse(id).ok()?;
        let account = AccountId::parse(&arn.account).ok()?;
        let mut parts = id.splitn(6, ':').skip(3);
        let (region, resource) = (parts.next()?, parts.nth(1)?);
        let text = resource.strip_prefix("secret:")?;
        let fits = arn.service == "secretsmanager" && !text.is_empty();
        (fits && check_name(text).is_ok()).then_some(Self {
            place: Some((account, region)),
            text,
        })
    }

    /// Each name that this may mean, the likelier first, with the end that its ARN must have.
    pub fn candidates(&self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let split = self.text.rsplit_once('-');
        let whole =
            split.filter(|(name, end)| self.place.is_some() && !name.is_empty() && is_suffix(end));
        let whole = whole.map(|(name, end)| (name, Some(end)));
        whole.into_iter().chain([(self.text, None)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidates(id: &str) -> Vec<(&str, Option<&str>)> {
        Named::parse(id).map_or_else(Vec::new, |named| named.candidates().collect())
    }

    #[test]
    fn a_secret_goes_by_its_name_its_arn_and_a_part_of_it() {
        let arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:";
        for (id, expected) in [
            ("prod/db", vec![("prod/db", None)]),
            // A name is a name, also where it ends as an ARN does.
            ("prod-AbCd12", vec![("prod-AbCd12", None)]),
            (
                &format!("{arn}prod/db-AbCd12"),
                vec![("prod/db", Some("AbCd12")), ("prod/db-AbCd12", None)],
            ),
            (&format!("{arn}prod/db"), vec![("prod/db", None)]),
            (&format!("{arn}-AbCd12"), vec![("-AbCd12", None)]),
            (&format!("{arn}a-AbCd1"), vec![("a-AbCd1", None)]),
            ("two words", vec![]),
            ("a:b", vec![]),
            (arn, vec![]),
            ("arn:aws:kms:us-east-1:123456789012:secret:a", vec![]),
            ("arn:aws:secretsmanager:us-east-1:12:secret:a", vec![]),
            (
                "arn:aws:secretsmanager:us-east-1:123456789012:key:a",
                vec![],
            ),
            ("arn:nonsense", vec![]),
        ] {
            assert_eq!(candidates(id), expected, "{id}");
        }
    }

    #[test]
    fn an_arn_says_where() {
        let named = Named::parse("arn:aws:secretsmanager:eu-west-1:123456789012:secret:a");
        let place = named.unwrap().place.unwrap();
        assert_eq!((place.0.as_str(), place.1), ("123456789012", "eu-west-1"));
        assert_eq!(Named::parse("a").unwrap().place, None);
    }

    #[test]
    fn names_have_their_characters() {
        for good in ["a", "A/b_c+d=e.f@g-h", "rds!db-1", "0"] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["a b", "a:b", "ä", "a\0", "a*", "a,b"] {
            let refused = check_name(bad).map_err(|error| error.kind);
            assert_eq!(refused, Err(ErrorKind::Validation), "{bad}");
        }
    }
}
