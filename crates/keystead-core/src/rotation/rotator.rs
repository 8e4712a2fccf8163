//! The built-in rotators: what stands where AWS's users name a Lambda function.
//!
//! `RotationLambdaARN` names one by a reserved function name, `keystead-rotate-` and what it rotates, in the secret's own
//! account and region, so that no new field is needed and every client can ask for one (docs/rotation.md lists them).

/// A server whose passwords are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// MariaDB or MySQL; they tell themselves apart when connected to.
    MySql,
    /// PostgreSQL.
    PostgreSql,
    /// Redis or Valkey: its ACL users.
    Redis,
}

/// A built-in rotator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rotator {
    /// One user of a server, whose password changes.
    User(Engine),
    /// Two users of a server that take turns, so that the current one's password never changes.
    Alternating(Engine),
    /// A user in a file of user names and hashes, which the operator has named.
    PasswordFile(String),
    /// A command that the operator has named.
    Command(String),
    /// A certificate with its key, whose versions are the secret's.
    Certificate,
}

/// Who may change the password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The user himself.
    Own {
        /// Also the administrator that the secret names, where the user can't.
        administrator: bool,
    },
    /// The administrator that the secret names.
    Administrator,
    /// Whoever runs Keystead.
    Operator,
}

impl Authority {
    /// Whether there is an administrator.
    pub fn has_administrator(self) -> bool {
        match self {
            Self::Own { administrator } => administrator,
            Self::Administrator => true,
            Self::Operator => false,
        }
    }
}

impl Engine {
    /// The names that a secret's `engine` may have.
    pub fn names(self) -> &'static [&'static str] {
        match self {
            Self::MySql => &["mariadb", "mysql"],
            Self::PostgreSql => &["postgres", "postgresql"],
            Self::Redis => &["redis", "valkey"],
        }
    }

    /// The port where a secret names none.
    pub fn port(self) -> u16 {
        match self {
            Self::MySql => 3306,
            Self::PostgreSql => 5432,
            Self::Redis => 6379,
        }
    }

    /// The most characters of a user's name.
    pub fn longest_user(self) -> usize {
        match self {
            // MySQL reference manual, "Grant tables"; MariaDB takes 128.
            Self::MySql => 32,
            // PostgreSQL documentation, "Identifiers": NAMEDATALEN - 1 bytes.
            Self::PostgreSql => 63,
            Self::Redis => 128,
        }
    }
}

impl Rotator {
    /// The rotator of this name of a function; `None` where it is none of ours.
    pub fn named(function: &str) -> Option<Self> {
        let name = function.strip_prefix(PREFIX)?;
        let known = match name {
            "mariadb" | "mysql" => Self::User(Engine::MySql),
            "mariadb-alternating" | "mysql-alternating" => Self::Alternating(Engine::MySql),
            "postgresql" => Self::User(Engine::PostgreSql),
            "postgresql-alternating" => Self::Alternating(Engine::PostgreSql),
            "redis" => Self::User(Engine::Redis),
            "certificate" => Self::Certificate,
            _ => return Self::configured(name),
        };
        Some(known)
    }

    fn configured(name: &str) -> Option<Self> {
        if let Some(file) = name.strip_prefix("password-file-") {
            return (!file.is_empty()).then(|| Self::PasswordFile(file.into()));
        }
        let command = name.strip_prefix("command-")?;
        (!command.is_empty()).then(|| Self::Command(command.into()))
    }

    /// Who changes the password; `administrator` says whether the secret names one.
    pub fn authority(&self, administrator: bool) -> Authority {
        match self {
            Self::User(_) => Authority::Own { administrator },
            Self::Alternating(_) => Authority::Administrator,
            Self::PasswordFile(_) | Self::Command(_) | Self::Certificate => Authority::Operator,
        }
    }

    /// The server, where it rotates users of one.
    pub fn engine(&self) -> Option<Engine> {
        match self {
            Self::User(engine) | Self::Alternating(engine) => Some(*engine),
            Self::PasswordFile(_) | Self::Command(_) | Self::Certificate => None,
        }
    }
}

/// What the names of these functions begin with.
const PREFIX: &str = "keystead-rotate-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotators_are_found_by_their_functions_names() {
        for (name, rotator) in [
            (
                "keystead-rotate-mariadb",
                Some(Rotator::User(Engine::MySql)),
            ),
            (
                "keystead-rotate-mysql-alternating",
                Some(Rotator::Alternating(Engine::MySql)),
            ),
            (
                "keystead-rotate-postgresql",
                Some(Rotator::User(Engine::PostgreSql)),
            ),
            ("keystead-rotate-redis", Some(Rotator::User(Engine::Redis))),
            ("keystead-rotate-redis-alternating", None),
            ("keystead-rotate-certificate", Some(Rotator::Certificate)),
            (
                "keystead-rotate-password-file-web",
                Some(Rotator::PasswordFile("web".into())),
            ),
            (
                "keystead-rotate-command-ldap",
                Some(Rotator::Command("ldap".into())),
            ),
            ("keystead-rotate-command-", None),
            ("keystead-rotate-password-file-", None),
            ("keystead-rotate-", None),
            ("SecretsManagerRotation", None),
        ] {
            assert_eq!(Rotator::named(name), rotator, "{name}");
        }
    }

    #[test]
    fn only_users_of_servers_have_administrators() {
        let user = Rotator::User(Engine::MySql);
        assert!(user.authority(true).has_administrator());
        assert!(!user.authority(false).has_administrator());
        let two = Rotator::Alternating(Engine::PostgreSql);
        assert!(two.authority(false).has_administrator());
        let file = Rotator::PasswordFile("web".into());
        assert!(!file.authority(true).has_administrator());
        assert_eq!(file.engine(), None);
    }
}
