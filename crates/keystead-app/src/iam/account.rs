//! The account as a whole: its root user, its alias, how many there are of what.

use keystead_core::iam::quota::{self, Quota};
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect};
use keystead_wire::iam as wire;

use super::list::Listing;
use super::record::{Account, retrying};
use crate::Ctx;
use crate::credentials::installation;

/// Accounts, by their number.
pub(crate) const ACCOUNTS: Collection = Collection("iam.account");

/// IAM API reference, GetAccountSummary: `PolicyVersionsInUseQuota` of its example.
const POLICY_VERSIONS_IN_USE: usize = 10_000;

/// `iam:CreateAccountAlias`: an account has one; a new one takes the place of the old (IAM user guide,
/// "Your AWS account ID and its alias").
pub(crate) async fn create_account_alias(
    ctx: &Ctx,
    input: wire::CreateAccountAliasRequest,
) -> Result<wire::CreateAccountAliasResponse> {
    let alias = &input.account_alias;
    if AccountId::parse(alias).is_ok() {
        return Err(Error::new(
            ErrorKind::InvalidParameter,
            "An account alias can't be a number of twelve digits: it would look like an account.",
        ));
    }
    change(ctx, |account| {
        if account.alias.as_ref() == Some(alias) {
            return Err(Error::new(
                ErrorKind::AlreadyExists,
                format!("The account alias {alias} already exists."),
            ));
        }
        account.alias = Some(alias.clone());
        Ok(())
    })
    .await?;
    Ok(wire::CreateAccountAliasResponse)
}

/// `iam:DeleteAccountAlias`.
pub(crate) async fn delete_account_alias(
    ctx: &Ctx,
    input: wire::DeleteAccountAliasRequest,
) -> Result<wire::DeleteAccountAliasResponse> {
    let alias = &input.account_alias;
    change(ctx, |account| {
        if account.alias.as_ref() != Some(alias) {
            return Err(Error::new(
                ErrorKind::NotFound,
                format!("The account alias {alias} cannot be found."),
            ));
        }
        account.alias = None;
        Ok(())
    })
    .await?;
    Ok(wire::DeleteAccountAliasResponse)
}

/// `iam:ListAccountAliases`: none or one.
pub(crate) async fn list_account_aliases(
    ctx: &Ctx,
    input: wire::ListAccountAliasesRequest,
) -> Result<wire::ListAccountAliasesResponse> {
    let account = Ledger::load(ctx).await?.account;
    let aliases = account.alias.into_iter().collect();
    let listing = Listing::new("ListAccountAliases", input.marker, input.max_items);
    let page = listing.cut(ctx, aliases)?;
    Ok(wire::ListAccountAliasesResponse {
        is_truncated: page.is_truncated(),
        account_aliases: page.items,
        marker: page.marker,
    })
}

/// `iam:GetAccountSummary`: how many there are of what, and how many there may be.
pub(crate) async fn get_account_summary(
    ctx: &Ctx,
    _input: wire::GetAccountSummaryRequest,
) -> Result<wire::GetAccountSummaryResponse> {
    let account = Ledger::load(ctx).await?.account;
    let root_keys = usize::from(!account.root_keys.is_empty());
    let counts = [
        ("AccessKeysPerUserQuota", quota::ACCESS_KEYS.most),
        ("AccountAccessKeysPresent", root_keys),
        ("AssumeRolePolicySizeQuota", quota::TRUST_POLICY.most),
        (
            "AttachedPoliciesPerGroupQuota",
            quota::POLICIES_OF_GROUP.most,
        ),
        ("AttachedPoliciesPerRoleQuota", quota::POLICIES_OF_ROLE.most),
        ("AttachedPoliciesPerUserQuota", quota::POLICIES_OF_USER.most),
        ("GlobalEndpointTokenVersion", 1),
        ("GroupPolicySizeQuota", quota::INLINE_OF_GROUP.most),
        ("Groups", account.groups),
        ("GroupsPerUserQuota", quota::GROUPS_OF_USER.most),
        ("GroupsQuota", quota::GROUPS.most),
        ("InstanceProfiles", account.instance_profiles),
        ("InstanceProfilesQuota", quota::INSTANCE_PROFILES.most),
        ("Policies", account.policies),
        ("PoliciesQuota", quota::POLICIES.most),
        ("PolicySizeQuota", quota::POLICY_SIZE.most),
        ("PolicyVersionsInUse", account.policy_versions),
        ("PolicyVersionsInUseQuota", POLICY_VERSIONS_IN_USE),
        ("Providers", account.oidc_providers),
        ("RolePolicySizeQuota", quota::INLINE_OF_ROLE.most),
        ("Roles", account.roles),
        ("RolesQuota", quota::ROLES.most),
        ("ServerCertificatesQuota", 20),
        ("SigningCertificatesPerUserQuota", 2),
        ("UserPolicySizeQuota", quota::INLINE_OF_USER.most),
        ("Users", account.users),
        ("UsersQuota", quota::USERS.most),
        ("VersionsPerPolicyQuota", quota::POLICY_VERSIONS.most),
    ];
    // What there is none of in Keystead: passwords, MFA devices, certificates of the early days.
    let none = [
        "AccountMFAEnabled",
        "AccountPasswordPresent",
        "AccountSigningCertificatesPresent",
        "MFADevices",
        "MFADevicesInUse",
        "ServerCertificates",
    ];
    let counts = counts.into_iter().chain(none.map(|name| (name, 0)));
    let shown = |(name, count): (&str, usize)| {
        let count = i32::try_from(count).unwrap_or(i32::MAX);
        (name.to_owned(), count)
    };
    Ok(wire::GetAccountSummaryResponse {
        summary_map: Some(counts.map(shown).collect()),
    })
}

/// Changes the caller's account; once more where somebody else was quicker.
async fn change(ctx: &Ctx, decide: impl Fn(&mut Account) -> Result<()>) -> Result<()> {
    let decide = &decide;
    retrying(|| async move {
        let mut ledger = Ledger::load(ctx).await?;
        decide(&mut ledger.account)?;
        let mut batch = Batch::new();
        ledger.save(&mut batch);
        ctx.app.store.commit(batch).await?;
        Ok(())
    })
    .await
}

/// What answers call the root user, which has no name: the account's alias, as AWS does, or `root`.
pub(super) fn root_name(account: &Account) -> String {
    account.alias.clone().unwrap_or_else(|| "root".into())
}

/// An account in which nothing was made yet but the first access key.
async fn new_account(ctx: &Ctx) -> Result<Account> {
    let installation = installation(ctx).await?;
    let first = (installation.account == *ctx.account()).then_some(installation.root_access_key_id);
    Ok(Account {
        root_keys: first.into_iter().collect(),
        ..Account::default()
    })
}

/// Adds to the batch which access key the root user of a new account has.
pub(crate) fn root_user_of(batch: &mut Batch, account: &AccountId, access_key_id: &str) {
    let record = Account {
        root_keys: vec![access_key_id.to_owned()],
        ..Account::default()
    };
    batch.put(ACCOUNTS, account.as_str(), &record, Expect::Absent);
}

/// The root user, as GetUser shows it to itself. It has no record; AWS names it by the account's alias.
pub(super) async fn root_user(ctx: &Ctx) -> Result<wire::User> {
    let account = Ledger::load(ctx).await?.account;
    Ok(wire::User {
        path: "/".into(),
        user_name: root_name(&account),
        user_id: ctx.account().to_string(),
        arn: ctx.principal.arn.clone(),
        create_date: installation(ctx).await?.created(),
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
            None => (Expect::Absent, new_account(ctx).await?),
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
