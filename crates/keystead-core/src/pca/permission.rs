//! Permissions that an authority grants to Certificate Manager (ACM-PCA `Permission`).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::authority::CertificateAuthority;
use super::state::Command;
use crate::arn::AccountId;
use crate::error::{Error, ErrorKind, Result};

/// A service that may use an authority, and for what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permission {
    /// The service; [`ACM_PRINCIPAL`].
    pub principal: String,
    /// On whose behalf the service may act.
    pub source_account: AccountId,
    /// What it may do, each once, in the model's order.
    pub actions: Vec<Action>,
    /// When it was granted.
    pub created_at: Timestamp,
}

/// ACM-PCA `ActionType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are AWS's")]
pub enum Action {
    IssueCertificate,
    GetCertificate,
    ListPermissions,
}

impl CertificateAuthority {
    /// Grants `actions` to `principal`, acting for `source_account` (the owner, unless given).
    pub fn grant(
        &mut self,
        principal: &str,
        source_account: Option<AccountId>,
        mut actions: Vec<Action>,
        now: Timestamp,
    ) -> Result<()> {
        self.check(Command::Administer, now)?;
        check_principal(principal)?;
        let source_account = source_account.unwrap_or_else(|| self.account.clone());
        if self.permission(&source_account).is_some() {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!(
                    "{principal} already has a permission on {}; delete it before you grant another.",
                    self.arn()
                ),
            ));
        }
        if self.permissions.len() >= MAX_PERMISSIONS {
            return Err(Error::new(
                ErrorKind::LimitExceeded,
                format!("A certificate authority may have at most {MAX_PERMISSIONS} permissions."),
            ));
        }
        actions.sort_unstable();
        actions.dedup();
        self.permissions.push(Permission {
            principal: principal.into(),
            source_account,
            actions,
            created_at: now,
        });
        Ok(())
    }

    /// Takes back what was granted to `principal` acting for `source_account`.
    pub fn withdraw(
        &mut self,
        principal: &str,
        source_account: Option<&AccountId>,
        now: Timestamp,
    ) -> Result<()> {
        self.check(Command::Administer, now)?;
        check_principal(principal)?;
        let account = source_account.unwrap_or(&self.account).clone();
        if self.permission(&account).is_none() {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("{principal} has no permission on {}.", self.arn()),
            ));
        }
        self.permissions
            .retain(|permission| permission.source_account != account);
        Ok(())
    }

    /// Whether Certificate Manager, acting for `account`, may do this.
    pub fn acm_may(&self, action: Action, account: &AccountId) -> bool {
        self.permission(account)
            .is_some_and(|permission| permission.actions.contains(&action))
    }

    fn permission(&self, account: &AccountId) -> Option<&Permission> {
        let mut all = self.permissions.iter();
        all.find(|permission| permission.source_account == *account)
    }
}

/// Model: "At this time, the only valid principal is acm.amazonaws.com".
fn check_principal(principal: &str) -> Result<()> {
    if principal == ACM_PRINCIPAL {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Validation,
        format!(
            "The principal '{principal}' is not valid: the only valid principal is {ACM_PRINCIPAL}."
        ),
    ))
}

/// One for the owner is the rule; the bound keeps the record small whatever source accounts are named.
const MAX_PERMISSIONS: usize = 20;

/// Certificate Manager as a service principal.
pub const ACM_PRINCIPAL: &str = "acm.amazonaws.com";

#[cfg(test)]
mod tests {
    use super::super::authority::tests::{at, in_status};
    use super::super::state::Status;
    use super::*;

    #[test]
    fn a_grant_is_for_one_principal_and_once() {
        let mut authority = in_status(Status::Active);
        let own = authority.account.clone();
        let other = AccountId::parse("111111111111").unwrap();
        let actions = vec![
            Action::ListPermissions,
            Action::IssueCertificate,
            Action::IssueCertificate,
        ];
        authority
            .grant(ACM_PRINCIPAL, None, actions.clone(), at(100))
            .unwrap();
        assert!(authority.acm_may(Action::IssueCertificate, &own));
        assert!(!authority.acm_may(Action::GetCertificate, &own));
        assert!(!authority.acm_may(Action::IssueCertificate, &other));
        let granted = &authority.permissions[0];
        assert_eq!(
            granted.actions,
            [Action::IssueCertificate, Action::ListPermissions]
        );
        assert_eq!(granted.source_account, own);

        let kind = |result: Result<()>| result.map_err(|error| error.kind);
        let again = authority.grant(ACM_PRINCIPAL, Some(own), actions.clone(), at(100));
        assert_eq!(kind(again), Err(ErrorKind::AlreadyExists));
        let stranger = authority.grant("ec2.amazonaws.com", None, actions, at(100));
        assert_eq!(kind(stranger), Err(ErrorKind::Validation));
    }

    #[test]
    fn what_was_not_granted_cannot_be_withdrawn() {
        let mut authority = in_status(Status::Active);
        let actions = vec![Action::IssueCertificate];
        authority
            .grant(ACM_PRINCIPAL, None, actions, at(100))
            .unwrap();
        authority.withdraw(ACM_PRINCIPAL, None, at(101)).unwrap();
        assert!(!authority.acm_may(Action::IssueCertificate, &authority.account.clone()));
        let again = authority.withdraw(ACM_PRINCIPAL, None, at(101));
        assert_eq!(again.map_err(|error| error.kind), Err(ErrorKind::NotFound));
    }

    #[test]
    fn a_deleted_authority_grants_nothing() {
        let mut authority = in_status(Status::Deleted);
        let refused = authority.grant(ACM_PRINCIPAL, None, vec![Action::GetCertificate], at(100));
        assert_eq!(
            refused.map_err(|error| error.kind),
            Err(ErrorKind::InvalidState)
        );
    }
}
