//! `Principal`: who a statement of a resource-based policy speaks of.

use crate::decide::{Caller, CallerKind};

/// Who is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Principal {
    Everyone,
    /// A whole account, by number or by the ARN of its root.
    Account(Box<str>),
    /// A user, a role, a session of a role or a federated user.
    Arn(Box<str>),
    /// A unique id (`AIDA...`): what AWS leaves in the place of an identity that was deleted. Names nobody.
    Gone,
    Service(Box<str>),
    Federated(Box<str>),
    /// An S3 account. Nobody calls as one here.
    Canonical,
}

/// How directly a caller is meant; decides which other policies still limit what is granted (IAM user guide, "How
/// AWS enforcement code logic evaluates requests", resource-based policies).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Grade {
    /// The account, which still has to let its users and roles do it.
    Account,
    /// The role of the session or the user who federated: boundaries and session policies limit it.
    Behind,
    /// The caller itself, or everyone: limited by explicit denies alone.
    Direct,
}

/// `Principal` or `NotPrincipal`.
#[derive(Clone, Debug)]
pub(crate) enum Principals {
    These(Box<[Principal]>),
    AllBut(Box<[Principal]>),
}

impl Principal {
    /// Reads one value under `AWS`, `Service`, `Federated` or `CanonicalUser` (IAM user guide, "Principal"). A wildcard
    /// is everyone or nothing: "You cannot use a wildcard to match part of a principal name or ARN."
    pub(crate) fn parse(kind: &str, text: &str) -> Option<Self> {
        match kind {
            "AWS" if text == "*" => Some(Self::Everyone),
            _ if text.is_empty() || text.contains(['*', '?']) => None,
            "AWS" => Self::parse_aws(text),
            "Service" => Some(Self::Service(text.into())),
            "Federated" => Some(Self::Federated(text.into())),
            "CanonicalUser" => Some(Self::Canonical),
            _ => None,
        }
    }

    fn parse_aws(text: &str) -> Option<Self> {
        let alphanumeric = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit();
        if is_account(text) {
            return Some(Self::Account(text.into()));
        }
        if text.len() >= 16 && text.starts_with('A') && text.bytes().all(alphanumeric) {
            return Some(Self::Gone);
        }
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next();
        let (Some("arn"), Some(_), Some(service), Some(""), Some(account), Some(name)) =
            (next(), next(), next(), next(), next(), next())
        else {
            return None;
        };
        let named = |prefix: &str| {
            let name = name.strip_prefix(prefix);
            name.is_some_and(|name| !name.is_empty() && !name.ends_with('/'))
        };
        match service {
            _ if !is_account(account) => None,
            "iam" if name == "root" => Some(Self::Account(account.into())),
            "iam" if named("user/") || named("role/") => Some(Self::Arn(text.into())),
            "sts" if named("assumed-role/") || named("federated-user/") => {
                Some(Self::Arn(text.into()))
            }
            _ => None,
        }
    }

    fn grade(&self, caller: &Caller<'_>) -> Option<Grade> {
        use CallerKind as Kind;
        let direct = |yes: bool| yes.then_some(Grade::Direct);
        match (self, caller.kind) {
            (Self::Everyone, _) => Some(Grade::Direct),
            (Self::Account(account), Kind::Root) => direct(**account == *caller.account),
            (
                Self::Account(account),
                Kind::User | Kind::Session { .. } | Kind::FederatedUser { .. },
            ) => (**account == *caller.account).then_some(Grade::Account),
            (Self::Arn(arn), Kind::User) => direct(**arn == *caller.arn),
            (
                Self::Arn(arn),
                Kind::Session { role_arn: behind } | Kind::FederatedUser { user_arn: behind },
            ) => {
                let is_behind = (**arn == *behind).then_some(Grade::Behind);
                direct(**arn == *caller.arn).or(is_behind)
            }
            (Self::Service(service), Kind::Service(name)) => direct(**service == *name),
            (Self::Federated(known), Kind::Federated { provider }) => direct(**known == *provider),
            _ => None,
        }
    }
}

impl Principals {
    /// How directly the statement means the caller, if at all.
    pub(crate) fn grade(&self, caller: &Caller<'_>) -> Option<Grade> {
        match self {
            Self::These(named) => named.iter().filter_map(|p| p.grade(caller)).max(),
            Self::AllBut(spared) => (!spares(spared, caller)).then_some(Grade::Direct),
        }
    }

    /// The accounts and ARNs that are named.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        let (Self::These(named) | Self::AllBut(named)) = self;
        named.iter().filter_map(|principal| match principal {
            Principal::Account(text) | Principal::Arn(text) => Some(&**text),
            _ => None,
        })
    }

    /// Whether this is `NotPrincipal`.
    pub(crate) fn is_negated(&self) -> bool {
        matches!(self, Self::AllBut(_))
    }

    /// Whether everyone is named, signed or not.
    pub(crate) fn is_everyone(&self) -> bool {
        match self {
            Self::These(named) => named.contains(&Principal::Everyone),
            Self::AllBut(_) => true,
        }
    }
}

/// Whether `NotPrincipal` leaves the caller alone. The account, the role and the session are looked at one after the
/// other, so all of them have to be named (IAM user guide, "NotPrincipal").
fn spares(spared: &[Principal], caller: &Caller<'_>) -> bool {
    use CallerKind as Kind;
    if spared.contains(&Principal::Everyone) {
        return true;
    }
    let account = || spared.contains(&Principal::Account(caller.account.into()));
    let named = |arn: &str| spared.contains(&Principal::Arn(arn.into()));
    match caller.kind {
        Kind::Root => account(),
        Kind::User => account() && named(caller.arn),
        Kind::Session { role_arn: behind } | Kind::FederatedUser { user_arn: behind } => {
            account() && named(behind) && named(caller.arn)
        }
        Kind::Service(_) | Kind::Federated { .. } => spared
            .iter()
            .any(|principal| principal.grade(caller).is_some()),
        Kind::Anonymous => false,
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_principal_is_whole_or_refused() {
        let good = [
            "*",
            "111122223333",
            "arn:aws:iam::111122223333:root",
            "arn:aws-cn:iam::111122223333:user/path/bob",
            "arn:aws:iam::111122223333:role/service-role/r",
            "arn:aws:sts::111122223333:assumed-role/r/session",
            "arn:aws:sts::111122223333:federated-user/bob",
            "AROAIOSFODNN7EXAMPLE",
        ];
        for text in good {
            assert!(Principal::parse("AWS", text).is_some(), "{text}");
        }
        let bad = [
            "",
            "1111",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:iam::111122223333:group/g",
            "arn:aws:iam::*:root",
            "arn:aws:iam:us-east-1:111122223333:root",
            "arn:aws:sts::111122223333:assumed-role/r/*",
            "arn:aws:iam::111122223333:user/",
            "bob",
        ];
        for text in bad {
            assert!(Principal::parse("AWS", text).is_none(), "{text}");
        }
        assert!(Principal::parse("Group", "x").is_none());
        // Everyone stands under AWS alone: under Service it would let users in who are no service.
        for text in ["*", "ecs.*"] {
            assert!(Principal::parse("Service", text).is_none(), "{text}");
        }
    }
}
