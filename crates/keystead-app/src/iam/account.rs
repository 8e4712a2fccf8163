//! The account as a whole: its root user, its alias, how many there are of what.

use keystead_core::Result;
use keystead_core::iam::quota::{self, Quota};
use keystead_store::{Batch, Collection, Expect};
use keystead_wire::iam as wire;

use super::record::Account;
use crate::Ctx;

/// Accounts, by their number.
const ACCOUNTS: Collection = Collection("iam.account");

/// The root user, as GetUser shows it to itself. It has no record; AWS names it by the account's alias.
pub(super) async fn root_user(ctx: &Ctx) -> Result<wire::User> {
    let account = Ledger::load(ctx).await?.account;
    Ok(wire::User {
        path: "/".into(),
        user_name: account.alias.unwrap_or_else(|| "root".into()),
        user_id: ctx.account().to_string(),
        arn: ctx.principal.arn.clone(),
        create_date: crate::credentials::installed(ctx).await?,
        password_last_used: None,
        permissions_boundary: None,
        tags: None,
    })
}

/// What is counted of an account.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// Users.
    Users,
    /// Groups.
    Groups,
    /// Roles.
    Roles,
    /// Instance profiles.
    InstanceProfiles,
    /// OpenID Connect providers.
    OidcProviders,
    /// Customer managed policies.
    Policies,
}

impl Counted {
    fn quota(self) -> Quota {
        match self {
            Self::Users => quota::USERS,
            Self::Groups => quota::GROUPS,
            Self::Roles => quota::ROLES,
            Self::InstanceProfiles => quota::INSTANCE_PROFILES,
            Self::OidcProviders => quota::OIDC_PROVIDERS,
            Self::Policies => quota::POLICIES,
        }
    }

    fn of(self, account: &mut Account) -> &mut usize {
        match self {
            Self::Users => &mut account.users,
            Self::Groups => &mut account.groups,
            Self::Roles => &mut account.roles,
            Self::InstanceProfiles => &mut account.instance_profiles,
            Self::OidcProviders => &mut account.oidc_providers,
            Self::Policies => &mut account.policies,
        }
    }
}

/// The caller's account as it was read, to be stored with what changes it.
pub(crate) struct Ledger {
    key: String,
    expect: Expect,
    /// The record.
    pub(crate) account: Account,
}

impl Ledger {
    /// Reads it.
    pub(crate) async fn load(ctx: &Ctx) -> Result<Self> {
        let key = ctx.account().to_string();
        let found = ctx.app.store.get::<Account>(ACCOUNTS, &key).await?;
        let (expect, account) = match found {
            Some(found) => (Expect::Version(found.version), found.value),
            None => (Expect::Absent, Account::default()),
        };
        Ok(Self {
            key,
            expect,
            account,
        })
    }

    /// Counts one more; refuses beyond the quota.
    pub(crate) fn add(&mut self, what: Counted) -> Result<()> {
        let count = what.of(&mut self.account);
        what.quota().admits_one_more(*count)?;
        *count += 1;
        Ok(())
    }

    /// Counts one less.
    pub(crate) fn remove(&mut self, what: Counted) {
        let count = what.of(&mut self.account);
        *count = count.saturating_sub(1);
    }

    /// Adds it to the commit.
    pub(crate) fn save(&self, batch: &mut Batch) {
        batch.put(ACCOUNTS, self.key.as_str(), &self.account, self.expect);
    }
}
