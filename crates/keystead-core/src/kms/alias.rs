//! Aliases: what they may be called, and which key may take over which alias.
//!
//! Sources: API reference, CreateAlias, UpdateAlias and DeleteAlias; developer guide, "Aliases".

use super::{Fault, Key, KeySpec};
use crate::{Error, ErrorKind, Result};

/// What every alias begins with.
pub const PREFIX: &str = "alias/";

/// What the aliases of services' own keys begin with.
pub const RESERVED: &str = "alias/aws/";

/// Aliases of one key (developer guide, "Resource quotas").
pub const MOST: usize = 50;

/// Whether an alias can be made with this name. The model has checked its characters.
///
/// # Errors
/// [`ErrorKind::Validation`], [`Fault::InvalidAliasName`] or [`Fault::ReservedAlias`], in AWS's words where they are known.
pub fn check_name(name: &str) -> Result<()> {
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return Err(Error::new(
            ErrorKind::Validation,
            "Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ));
    };
    if rest.is_empty() {
        return Err(Fault::InvalidAliasName.error("An alias has a name behind \"alias/\"."));
    }
    if rest.contains(':') {
        return Err(Error::new(
            ErrorKind::Validation,
            format!("{name} contains invalid characters for an alias"),
        ));
    }
    check_own(name)
}

/// Whether the alias is the account's own to change.
///
/// # Errors
/// [`Fault::ReservedAlias`], without a word, as AWS answers.
pub fn check_own(name: &str) -> Result<()> {
    match name.starts_with(RESERVED) {
        true => Err(Fault::ReservedAlias.error("")),
        false => Ok(()),
    }
}

/// Whether one more alias can stand for the key.
///
/// # Errors
/// [`ErrorKind::LimitExceeded`].
pub fn check_room(key: &Key) -> Result<()> {
    match key.aliases.len() < MOST {
        true => Ok(()),
        false => Err(Error::new(
            ErrorKind::LimitExceeded,
            format!(
                "{} has {MOST} aliases, the most that a key can have: delete one first.",
                key.arn()
            ),
        )),
    }
}

/// Whether an alias of `from` may stand for `to` from now on: "The current and new KMS key must be the same type (both
/// symmetric or both asymmetric or both HMAC), and they must have the same key usage" (API reference, UpdateAlias).
///
/// # Errors
/// [`ErrorKind::Validation`].
pub fn check_successor(from: &Key, to: &Key) -> Result<()> {
    if kind(from.spec) == kind(to.spec) && from.usage == to.usage {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "The alias stands for a key of type {} and usage {}, and {} has type {} and usage {}: both must be the same.",
            kind(from.spec),
            from.usage.name(),
            to.arn(),
            kind(to.spec),
            to.usage.name()
        ),
    ))
}

fn kind(spec: KeySpec) -> &'static str {
    match spec {
        _ if spec.is_asymmetric() => "asymmetric",
        _ if spec.mac_algorithm().is_some() => "HMAC",
        _ => "symmetric",
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::key;
    use super::super::{KeySpec as S, KeyUsage as U};
    use super::*;

    #[test]
    fn names_are_taken_or_refused_as_documented() {
        for good in [
            "alias/a",
            "alias/my_alias-/",
            "alias/aws",
            "alias/awsome/x",
            "alias/a/b",
        ] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        let kind = |name| check_name(name).map_err(|error| error.kind);
        for (bad, expected) in [
            ("a", ErrorKind::Validation),
            ("Alias/a", ErrorKind::Validation),
            ("alias/a:b", ErrorKind::Validation),
            ("alias/", ErrorKind::Kms(Fault::InvalidAliasName)),
            ("alias/aws/", ErrorKind::Kms(Fault::ReservedAlias)),
            ("alias/aws/s3", ErrorKind::Kms(Fault::ReservedAlias)),
        ] {
            assert_eq!(kind(bad), Err(expected), "{bad}");
        }
    }

    #[test]
    fn a_key_has_fifty_aliases_at_most() {
        let mut key = key(S::SymmetricDefault, U::EncryptDecrypt);
        key.aliases = (0..49).map(|n| format!("alias/{n}")).collect();
        assert_eq!(check_room(&key), Ok(()));
        key.aliases.push("alias/last".into());
        let refused = check_room(&key).map_err(|error| error.kind);
        assert_eq!(refused, Err(ErrorKind::LimitExceeded));
    }

    #[test]
    fn an_alias_goes_over_between_keys_of_one_type_and_usage() {
        let all = [
            (S::SymmetricDefault, U::EncryptDecrypt),
            (S::Rsa2048, U::EncryptDecrypt),
            (S::Rsa4096, U::EncryptDecrypt),
            (S::Rsa2048, U::SignVerify),
            (S::EccNistP256, U::SignVerify),
            (S::EccNistP256, U::KeyAgreement),
            (S::Hmac256, U::GenerateVerifyMac),
            (S::Hmac512, U::GenerateVerifyMac),
        ];
        let same = [(1, 2), (3, 4), (6, 7)];
        for (i, from) in all.iter().enumerate() {
            for (j, to) in all.iter().enumerate() {
                let fits = i == j || same.contains(&(i.min(j), i.max(j)));
                let checked = check_successor(&key(from.0, from.1), &key(to.0, to.1));
                assert_eq!(checked.is_ok(), fits, "{from:?} {to:?}");
            }
        }
    }
}
