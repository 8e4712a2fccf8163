//! The role that is to be assumed.

use keystead_core::iam::{self, Kind as Identity};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_policy::{Kind, Rule};
use keystead_wire::sts as wire;

use super::caller::in_partition;
use super::given::Given;
use super::session::{Named, WebIdentity, Who, role_session_arn};
use super::tokens::{self, Issued, Order};
use crate::Ctx;
use crate::access::{OwnPolicy, Resource};
use crate::iam::record::{self, Role};

/// A role by its ARN, whether or not there is one.
pub(super) struct Target {
    /// As it was asked for.
    arn: String,
    /// Its account.
    pub(super) account: AccountId,
    role: Option<Role>,
}

impl Target {
    /// Looks the role up; refuses what is no ARN of a role.
    pub(super) async fn find(ctx: &Ctx, arn: String) -> Result<Self> {
        let invalid = || Error::new(ErrorKind::Validation, format!("{arn} is invalid"));
        let parsed = Arn::parse(&arn).map_err(|_| invalid())?;
        let account = AccountId::parse(&parsed.account).map_err(|_| invalid())?;
        let path = parsed.resource.strip_prefix("role/").ok_or_else(invalid)?;
        if parsed.service != "iam" || !parsed.region.is_empty() {
            return Err(invalid());
        }
        let name = path.rsplit('/').next().unwrap_or_default();
        let found = record::find::<Role>(&ctx.app.store, &account, name).await?;
        // The ARN is exact, while names of roles have no case.
        let is_asked = |role: &Role| {
            let entity = &role.entity;
            iam::arn(
                &account,
                Identity::Role.as_str(),
                &entity.path,
                &entity.name,
            )
            .resource
                == parsed.resource
        };
        let role = found.map(|found| found.value).filter(is_asked);
        Ok(Self { arn, account, role })
    }

    /// What the decision is about. One that is not there trusts nobody, and is refused in the same words as one
    /// that does not trust the caller.
    pub(super) fn resource(&self) -> Resource<'_> {
        let resource = Resource::new(&self.arn, self.account.as_str());
        let (trust, resource) = match &self.role {
            Some(role) => (role.trust.as_str(), resource.tagged(&role.entity.tags)),
            None => (TRUSTS_NOBODY, resource),
        };
        Resource {
            policy: Some(OwnPolicy::Text(trust, Kind::Trust)),
            rule: Rule::ResourceFirst,
            ..resource
        }
    }

    /// Begins a session of the role, which the caller was let through to.
    pub(super) async fn begin(self, ctx: &Ctx, terms: Terms) -> Result<Begun> {
        let account = self.account.clone();
        let (role, seconds) = self.into_role(terms.seconds, terms.chained)?;
        let (policy, arns) = terms.limits;
        let given = terms
            .given
            .limited(&ctx.app.store, &account, policy, arns)
            .await?;
        let source_identity = given.source_identity.clone();
        let role = Named {
            name: role.entity.name,
            id: role.entity.id,
        };
        let session = terms.session;
        let arn = role_session_arn(&account, &role.name, &session);
        let user = wire::AssumedRoleUser {
            assumed_role_id: format!("{}:{session}", role.id),
            arn: in_partition(&arn, ctx.region.partition()),
        };
        let order = Order {
            account,
            who: Who::Role {
                role,
                session,
                web_identity: terms.web_identity,
            },
            given,
            seconds,
            at_least: terms.at_least,
        };
        Ok(Begun {
            user,
            issued: tokens::issue(ctx, order)?,
            source_identity,
        })
    }

    /// The role, and how long its session lasts: an hour, or what is asked, up to the role's limit, and up to an
    /// hour for who is in a session of a role already (API reference, AssumeRole, `DurationSeconds`).
    fn into_role(self, asked: Option<i32>, chained: bool) -> Result<(Role, i32)> {
        let role = self.role.ok_or_else(|| {
            // Nobody is let through to a role that trusts nobody.
            Error::new(ErrorKind::Internal, "a decision let through to no role")
        })?;
        let seconds = asked.unwrap_or(HOUR);
        let refused = |limit: &str| {
            let message = format!("The requested DurationSeconds exceeds the {limit}.");
            Error::new(ErrorKind::Validation, message)
        };
        if chained && seconds > HOUR {
            return Err(refused(
                "1 hour session limit for roles assumed by role chaining",
            ));
        }
        if seconds > role.max_session {
            return Err(refused("MaxSessionDuration set for this role"));
        }
        Ok((role, seconds))
    }
}

/// On what terms a session of a role begins.
#[derive(Default)]
pub(super) struct Terms {
    /// Its name.
    pub(super) session: String,
    /// How long it is to last, in seconds.
    pub(super) seconds: Option<i32>,
    /// Whether who asks is in a session of a role already.
    pub(super) chained: bool,
    /// Its tags and its source.
    pub(super) given: Given,
    /// The policy and the managed policies that are to limit it.
    pub(super) limits: (Option<String>, Option<Vec<wire::PolicyDescriptorType>>),
    /// Who was vouched for, where an identity provider did.
    pub(super) web_identity: Option<WebIdentity>,
    /// The least length of the token.
    pub(super) at_least: Option<i32>,
}

/// A session of a role, as answers show it.
pub(super) struct Begun {
    pub(super) user: wire::AssumedRoleUser,
    pub(super) issued: Issued,
    pub(super) source_identity: Option<String>,
}

/// A trust policy that names an id which was never given.
const TRUSTS_NOBODY: &str = r#"{
    "Version": "2012-10-17",
    "Statement": [{
        "Effect": "Allow",
        "Principal": {"AWS": "AROAAAAAAAAAAAAAAAAAA"},
        "Action": "sts:AssumeRole"
    }]
}"#;

/// Seconds of the sessions of roles where nothing else is asked.
const HOUR: i32 = 3600;

#[cfg(test)]
mod tests {
    use keystead_policy::Policy;

    use super::*;

    #[test]
    fn who_trusts_nobody_says_so_in_a_sound_policy() {
        assert!(Policy::parse(TRUSTS_NOBODY, Kind::Trust).is_ok());
    }
}
