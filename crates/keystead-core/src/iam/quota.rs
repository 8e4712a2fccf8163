//! How many there may be of what (IAM user guide, "IAM and AWS STS quotas"): the defaults, where AWS
//! raises them on request.

use crate::error::{Error, ErrorKind, Result};

/// A quota, with the name that a refusal gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// As AWS's refusals name it, for instance `UsersPerAccount`.
    pub name: &'static str,
    /// The most there may be.
    pub most: usize,
}

impl Quota {
    /// Whether there is room for one more beside `count`.
    pub fn admits_one_more(self, count: usize) -> Result<()> {
        self.admits(count.saturating_add(1))
    }

    /// Whether there may be `count`; refuses with [`ErrorKind::LimitExceeded`].
    pub fn admits(self, count: usize) -> Result<()> {
        if count <= self.most {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::LimitExceeded,
            format!("Cannot exceed quota for {}: {}", self.name, self.most),
        ))
    }
}

macro_rules! quotas {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $most:literal;)*) => {
        $($(#[$doc])* pub const $constant: Quota = Quota { name: $name, most: $most };)*
    };
}

quotas! {
    /// Users in an account; not raised.
    USERS = "UsersPerAccount", 5000;
    /// Groups in an account.
    GROUPS = "GroupsPerAccount", 300;
    /// Roles in an account.
    ROLES = "RolesPerAccount", 1000;
    /// Instance profiles in an account.
    INSTANCE_PROFILES = "InstanceProfilesPerAccount", 1000;
    /// Customer managed policies in an account.
    POLICIES = "PoliciesPerAccount", 1500;
    /// OpenID Connect providers in an account.
    OIDC_PROVIDERS = "OpenIdConnectProvidersPerAccount", 100;
    /// Client ids of an OpenID Connect provider.
    CLIENT_IDS = "ClientIdsPerOpenIdConnectProvider", 100;
    /// Access keys of a user; not raised.
    ACCESS_KEYS = "AccessKeysPerUser", 2;
    /// Groups that a user is in; not raised.
    GROUPS_OF_USER = "GroupsPerUser", 10;
    /// Managed policies attached to a user.
    POLICIES_OF_USER = "PoliciesPerUser", 10;
    /// Managed policies attached to a group.
    POLICIES_OF_GROUP = "PoliciesPerGroup", 10;
    /// Managed policies attached to a role.
    POLICIES_OF_ROLE = "PoliciesPerRole", 10;
    /// Roles in an instance profile; not raised.
    ROLES_OF_PROFILE = "InstanceSessionsPerInstanceProfile", 1;
    /// Characters of a role's trust policy, white space aside.
    TRUST_POLICY = "ACLSizePerRole", 2048;
    /// Characters of all inline policies of a user, white space aside; not raised.
    INLINE_OF_USER = "MaxPolicySizePerUser", 2048;
    /// Characters of all inline policies of a group, white space aside; not raised.
    INLINE_OF_GROUP = "MaxPolicySizePerGroup", 5120;
    /// Characters of all inline policies of a role, white space aside; not raised.
    INLINE_OF_ROLE = "MaxPolicySizePerRole", 10240;
    /// Characters of a managed policy, white space aside; not raised.
    POLICY_SIZE = "PolicySize", 6144;
    /// Versions of a managed policy; not raised.
    POLICY_VERSIONS = "PolicyVersionsPerPolicy", 5;
    /// Tags of anything that has tags; not raised.
    TAGS = "TagsPerResource", 50;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_one_fits_and_the_next_is_refused_by_name() {
        assert_eq!(ACCESS_KEYS.admits_one_more(1), Ok(()));
        let refused = ACCESS_KEYS.admits_one_more(2).unwrap_err();
        assert_eq!(refused.kind, ErrorKind::LimitExceeded);
        assert_eq!(
            refused.message,
            "Cannot exceed quota for AccessKeysPerUser: 2"
        );
    }
}
