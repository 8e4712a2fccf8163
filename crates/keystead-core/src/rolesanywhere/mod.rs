//! Roles Anywhere: which certificates may become which roles.
//!
//! A trust anchor says whose certificates are trusted, a profile which roles they may become and what limits them
//! then, a certificate revocation list which of them are trusted no more, and a subject is whom a certificate has
//! named when it was used. [`mapping`] is what of a certificate becomes session tags, and [`entrant`] which
//! certificates may be used at all.

pub mod entrant;
pub mod mapping;

use crate::error::{Error, ErrorKind, Result};

/// The alias that is asked for: none where the text is empty.
///
/// Refuses with [`ErrorKind::Validation`] what begins with the reserved `aws/`, in whatever case (API reference,
/// `aliasName`); the form is the model's to check.
pub fn alias(text: String) -> Result<Option<String>> {
    let reserved = text
        .get(..RESERVED.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(RESERVED));
    if reserved {
        return Err(Error::new(
            ErrorKind::Validation,
            format!(
                "The alias name '{text}' is reserved: expected one that does not begin with '{RESERVED}'."
            ),
        ));
    }
    Ok(Some(text).filter(|text| !text.is_empty()))
}

/// Refuses a role's ARN that is not of `account`: a profile names roles of its own account (Roles Anywhere user guide,
/// "Configure roles").
pub fn role(arn: &str, account: &str) -> Result<()> {
    let parsed = crate::Arn::parse(arn);
    let is_role = parsed.is_ok_and(|arn| {
        arn.service == "iam" && arn.account == account && arn.resource.starts_with("role/")
    });
    if is_role {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!("'{arn}' is not the ARN of a role in account {account}."),
    ))
}

/// What alias names may not begin with.
const RESERVED: &str = "aws/";

/// Certificates in a bundle (AWS General Reference, "IAM Roles Anywhere endpoints and quotas").
pub const MOST_CERTIFICATES: usize = 2;

/// Revocation lists of one trust anchor (ibid.).
pub const MOST_CRLS: usize = 2;

/// Trust anchors, and profiles, of an account in a region (ibid.: 50 and 250; here one limit for both).
pub const MOST_OF_A_KIND: usize = 250;

/// How long sessions last where a profile says nothing, in seconds (API reference, CreateProfile).
pub const DEFAULT_DURATION: i32 = 3600;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases() {
        assert_eq!(alias(String::new()), Ok(None));
        assert_eq!(alias("a/b".into()), Ok(Some("a/b".into())));
        assert_eq!(alias("awsome".into()), Ok(Some("awsome".into())));
        for reserved in ["aws/x", "AWS/x"] {
            assert!(alias(reserved.into()).is_err());
        }
    }

    #[test]
    fn roles_are_the_accounts_own() {
        assert!(role("arn:aws:iam::123456789012:role/path/name", "123456789012").is_ok());
        for other in [
            "arn:aws:iam::210987654321:role/name",
            "arn:aws:iam::123456789012:user/name",
            "nonsense",
        ] {
            assert!(role(other, "123456789012").is_err(), "{other}");
        }
    }
}
