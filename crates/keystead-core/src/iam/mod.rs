//! Identities (IAM): what they are called, how many there may be, what may hang on them.
//!
//! IAM is global: its names have no region. "Names are not distinguished by case" (IAM API reference,
//! CreateUser), so whatever is looked up by name is looked up by [`fold`].

pub mod id;
pub mod oidc;
pub mod quota;
pub mod tags;

use crate::error::{Error, ErrorKind};
use crate::{AccountId, Arn};

/// The three kinds of identity that policies are attached to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A person or program with long-term credentials.
    User,
    /// Users that share policies.
    Group,
    /// What a principal becomes for a while.
    Role,
}

impl Kind {
    /// As ARNs and record keys write it: `user`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
        }
    }

    /// As sentences begin with it: `User`.
    pub fn capital(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
        }
    }

    /// How unique ids of this kind begin.
    pub fn prefix(self) -> id::Prefix {
        match self {
            Self::User => id::Prefix::User,
            Self::Group => id::Prefix::Group,
            Self::Role => id::Prefix::Role,
        }
    }

    /// [`ErrorKind::NotFound`] in IAM's words.
    pub fn missing(self, name: &str) -> Error {
        let kind = self.as_str();
        Error::new(
            ErrorKind::NotFound,
            format!("The {kind} with name {name} cannot be found."),
        )
    }

    /// [`ErrorKind::AlreadyExists`] in IAM's words.
    pub fn taken(self, name: &str) -> Error {
        let kind = self.capital();
        Error::new(
            ErrorKind::AlreadyExists,
            format!("{kind} with name {name} already exists."),
        )
    }
}

/// A name as it is looked up: in lower case. IAM's names are ASCII (`[\w+=,.@-]+` in its model).
pub fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// `arn:aws:iam::ACCOUNT:KIND/PATH/NAME`: no region (IAM user guide, "IAM identifiers"). `path` begins
/// and ends with a slash.
pub fn arn(account: &AccountId, kind: &str, path: &str, name: &str) -> Arn {
    Arn {
        partition: "aws".into(),
        service: "iam".into(),
        region: String::new(),
        account: account.as_str().into(),
        resource: format!("{kind}{path}{name}"),
    }
}

/// [`ErrorKind::ResourceInUse`] in IAM's words: `what` must go first, for instance `detach all
/// policies`.
pub fn in_use(what: &str) -> Error {
    Error::new(
        ErrorKind::ResourceInUse,
        format!("Cannot delete entity, must {what} first."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arns_have_no_region_and_keep_path_and_case() {
        let account = AccountId::parse("123456789012").unwrap();
        assert_eq!(
            arn(&account, "user", "/", "Bob").to_string(),
            "arn:aws:iam::123456789012:user/Bob"
        );
        assert_eq!(
            arn(&account, "role", "/a/b/", "R").to_string(),
            "arn:aws:iam::123456789012:role/a/b/R"
        );
    }
}
