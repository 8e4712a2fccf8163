//! Unique ids: a prefix that tells the kind, then letters of base 32 (IAM user guide, "Unique
//! identifiers").

use crate::AccountId;

/// How unique ids begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prefix {
    /// A long-term access key.
    AccessKey,
    /// A group.
    Group,
    /// An instance profile.
    InstanceProfile,
    /// A managed policy.
    Policy,
    /// A role.
    Role,
    /// A user.
    User,
}

impl Prefix {
    /// Its four letters.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AccessKey => "AKIA",
            Self::Group => "AGPA",
            Self::InstanceProfile => "AIPA",
            Self::Policy => "ANPA",
            Self::Role => "AROA",
            Self::User => "AIDA",
        }
    }
}

/// An id of this kind from random octets: a letter of base 32 for each (80 or 85 bits in all). Seventeen
/// letters, of an access key sixteen, as in AWS's examples (`AIDACKCEVSQ6C2EXAMPLE`,
/// `AKIAIOSFODNN7EXAMPLE`).
pub fn unique(prefix: Prefix, random: [u8; 17]) -> String {
    let letters = match prefix {
        Prefix::AccessKey => 16,
        _ => random.len(),
    };
    // 256 is a multiple of 32, so the remainder is uniform.
    let letter = |octet: &u8| BASE32.get(usize::from(*octet) % BASE32.len()).copied();
    let chosen = random.iter().take(letters).filter_map(letter);
    prefix
        .as_str()
        .chars()
        .chain(chosen.map(char::from))
        .collect()
}

/// The id of a session's access key, from ten random octets. It names its account, so that who finds one can
/// be told whose it is and nothing has to be stored for that.
///
/// AWS does not document its layout, but tools read it, and it is kept: sixteen letters are eighty bits, of which
/// the first is set, the next forty are the account's number, and the rest are random.
pub fn session_key(account: &AccountId, random: [u8; 10]) -> String {
    let number: u128 = account.as_str().parse().unwrap_or_default();
    let random = random
        .iter()
        .fold(0, |bits: u128, octet| (bits << 8) | u128::from(*octet));
    let bits = (1 << 79) | (number << RANDOM_BITS) | (random & ((1 << RANDOM_BITS) - 1));
    let letters = (0..SESSION_LETTERS).rev().filter_map(|at| {
        let five = usize::try_from((bits >> (5 * at)) & 31).ok()?;
        BASE32.get(five).copied().map(char::from)
    });
    SESSION.chars().chain(letters).collect()
}

/// The account that the id of a session's access key names; `None` for any other text.
pub fn account_of_session_key(id: &str) -> Option<AccountId> {
    let letters = id.strip_prefix(SESSION)?;
    if letters.len() != SESSION_LETTERS as usize {
        return None;
    }
    let bits = letters.bytes().try_fold(0, |bits: u128, letter| {
        let five = BASE32.iter().position(|known| *known == letter)?;
        Some((bits << 5) | u128::try_from(five).ok()?)
    })?;
    let number = (bits >> RANDOM_BITS) & ((1 << 40) - 1);
    AccountId::parse(&format!("{number:012}")).ok()
}

/// How the ids of sessions' access keys begin.
const SESSION: &str = "ASIA";

/// The letters behind it.
const SESSION_LETTERS: u32 = 16;

/// The bits of such an id that are random.
const RANDOM_BITS: u32 = 39;

/// RFC 4648 section 6.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sessions_key_names_its_account() {
        for number in ["000000000000", "123456789012", "999999999999"] {
            let account = AccountId::parse(number).unwrap();
            for random in [
                [0; 10],
                [0xff; 10],
                std::array::from_fn(|at| (at * 91) as u8),
            ] {
                let id = session_key(&account, random);
                assert_eq!(id.len(), "ASIAIOSFODNN7EXAMPLE".len());
                assert_eq!(account_of_session_key(&id), Some(account.clone()), "{id}");
            }
        }
        for other in [
            "",
            "ASIA",
            "AKIAIOSFODNN7EXAMPLE",
            "ASIA0000000000000000",
            "ASIAQQ",
        ] {
            assert_eq!(account_of_session_key(other), None, "{other}");
        }
    }

    #[test]
    fn ids_have_the_lengths_of_awss_examples() {
        let random = std::array::from_fn(|at| (at * 37) as u8);
        let user = unique(Prefix::User, random);
        assert_eq!(user.len(), "AIDACKCEVSQ6C2EXAMPLE".len());
        assert!(user.starts_with("AIDA"));
        let key = unique(Prefix::AccessKey, random);
        assert_eq!(key.len(), "AKIAIOSFODNN7EXAMPLE".len());
        assert!(key.bytes().all(|letter| BASE32.contains(&letter)));
        assert_ne!(user, unique(Prefix::User, [7; 17]));
    }
}
