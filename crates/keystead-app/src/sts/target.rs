//! The role that is to be assumed.

use keystead_core::iam::{self, Kind as Identity};
use keystead_core::{AccountId, Arn, Error, ErrorKind, Result};
use keystead_policy::{Kind, Rule};
use keystead_wire::sts as wire;

use super::caller::in_partition;
use super::given::Given;
use super::session::{Named, WebIdentity, Who, role_session_arn};
use super::tokens::Order;
use crate::Ctx;
use crate::access::Resource;
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
            policy: Some((trust, Kind::Trust)),
            rule: Rule::ResourceFirst,
            ..resource
        }
    }

    /// The role, and how long its session lasts: an hour, or what is asked, up to the role's limit, and up to an
    /// hour for who is in a session of a role already (API reference, AssumeRole, `DurationSeconds`).
    pub(super) fn into_role(self, asked: Option<i32>, chained: bool) -> Result<(Role, i32)> {
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

/// A session of a role that is to begin.
pub(super) struct Assumption {
    pub(super) account: AccountId,
    pub(super) role: Role,
    pub(super) session: String,
    pub(super) seconds: i32,
    pub(super) given: Given,
    pub(super) web_identity: Option<WebIdentity>,
    pub(super) at_least: Option<i32>,
}

impl Assumption {
    /// The names of the session, as answers show them, and the order for its credentials.
    pub(super) fn order(self, ctx: &Ctx) -> (wire::AssumedRoleUser, Order) {
        let Self {
            account,
            role,
            session,
            ..
        } = self;
        let role = Named {
            name: role.entity.name,
            id: role.entity.id,
        };
        let arn = role_session_arn(&account, &role.name, &session);
        let names = wire::AssumedRoleUser {
            assumed_role_id: format!("{}:{session}", role.id),
            arn: in_partition(&arn, ctx.region.partition()),
        };
        let who = Who::Role {
            role,
            session,
            web_identity: self.web_identity,
        };
        let order = Order {
            account,
            who,
            given: self.given,
            seconds: self.seconds,
            at_least: self.at_least,
        };
        (names, order)
    }
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
