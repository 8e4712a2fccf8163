//! Unique ids: a prefix that tells the kind, then letters of base 32 (IAM user guide, "Unique
//! identifiers").

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

/// RFC 4648 section 6.
const BASE32: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[cfg(test)]
mod tests {
    use super::*;

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
