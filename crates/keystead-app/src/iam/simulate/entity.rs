//! Users, groups and roles by their ARNs.

use keystead_core::iam::Kind;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_policy::{Caller, CallerKind};

use super::input::invalid;
use crate::Ctx;
use crate::iam::effective::{Effective, of_group, of_role, of_user};

/// Who has the policies of a simulation, or makes its calls.
#[derive(Clone, Debug)]
pub(super) struct Named {
    arn: String,
    account: AccountId,
    kind: Option<Kind>,
    name: String,
}

impl Named {
    /// Somebody of this account with no name.
    pub(super) fn nobody(account: &AccountId) -> Self {
        Self {
            arn: String::new(),
            account: account.clone(),
            kind: None,
            name: String::new(),
        }
    }

    /// The user, group or role with this ARN, which `member` of the request gave.
    pub(super) fn parse(member: &str, arn: &str) -> Result<Self> {
        let unclear = || {
            invalid(format!(
                "Invalid Entity Arn: {arn} does not clearly define entity type and name ({member})."
            ))
        };
        let parsed = Arn::parse(arn).map_err(|_| unclear())?;
        let account = AccountId::parse(&parsed.account).map_err(|_| unclear())?;
        let (kind, path) = parsed.resource.split_once('/').ok_or_else(unclear)?;
        let kinds = [Kind::User, Kind::Group, Kind::Role];
        let kind = kinds.into_iter().find(|known| known.as_str() == kind);
        let name = path.rsplit('/').next().filter(|name| !name.is_empty());
        match (kind, name) {
            (Some(kind), Some(name)) if parsed.service == "iam" => Ok(Self {
                arn: arn.to_owned(),
                account,
                kind: Some(kind),
                name: name.to_owned(),
            }),
            _ => Err(unclear()),
        }
    }

    /// Its policies; refuses with [`ErrorKind::NotFound`] what is not the account's.
    pub(super) async fn effective(&self, ctx: &Ctx) -> Result<Effective> {
        let (app, account, name) = (&ctx.app, ctx.account(), self.name.as_str());
        match self.kind {
            Some(kind) if self.account != *account => Err(kind.missing(name)),
            Some(Kind::User) => of_user(app, account, name).await,
            Some(Kind::Group) => of_group(app, account, name).await,
            Some(Kind::Role) => of_role(app, account, name).await,
            None => Err(Error::new(
                ErrorKind::Internal,
                "nobody was asked for their policies",
            )),
        }
    }

    /// The same, as who calls.
    pub(super) fn caller(&self) -> Caller<'_> {
        Caller {
            account: self.account.as_str(),
            arn: &self.arn,
            kind: match self.kind {
                Some(Kind::Role) => CallerKind::Session {
                    role_arn: &self.arn,
                },
                _ => CallerKind::User,
            },
        }
    }

    /// The account.
    pub(super) fn account(&self) -> &str {
        self.account.as_str()
    }

    /// The ARN; empty for nobody.
    pub(super) fn arn(&self) -> &str {
        &self.arn
    }

    /// The name of a user.
    pub(super) fn user_name(&self) -> Option<&str> {
        (self.kind == Some(Kind::User)).then_some(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_users_groups_and_roles_are_named() {
        let named = Named::parse("CallerArn", "arn:aws:iam::123456789012:user/a/b/Bob").unwrap();
        assert_eq!(named.user_name(), Some("Bob"));
        for arn in [
            "arn:aws:iam::123456789012:root",
            "arn:aws:sts::123456789012:assumed-role/R/session",
            "arn:aws:iam::123456789012:user/",
            "arn:aws:iam::aws:policy/AdministratorAccess",
            "arn:aws:s3:::bucket",
            "bob",
        ] {
            let refused = Named::parse("CallerArn", arn).map_err(|error| error.kind);
            assert_eq!(refused.err(), Some(ErrorKind::InvalidParameter), "{arn}");
        }
    }
}
