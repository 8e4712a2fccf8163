//! The decision: which policies a request needs, and which of them had the last word.
//!
//! The rules are those of the IAM user guide, "Policy evaluation logic" and its pages on requests within one account and
//! across accounts:
//!
//! 1. A deny in any policy denies.
//! 2. In the account of the resource, an allow in an identity-based policy suffices, if the permissions boundary and the
//!    session policies allow it too. An allow in the resource's policy suffices as well: unlimited where it names the
//!    user, the session or everyone, limited by boundary and session policies where it names the role behind a session.
//!    Where it names the account, it leaves the matter to the identity-based policies.
//! 3. From another account both sides must allow.
//! 4. KMS keys and roles ([`Rule::ResourceFirst`]): nothing is allowed unless the resource's policy says so, and the root user
//!    is no exception ("KMS key policies", "How permissions for assuming a role are decided").
//! 5. A grant of KMS is an allow that names the grantee: no other allow is needed, even across accounts. For a session
//!    it counts as naming the role, so that a session policy still limits it; AWS does not say, and this is the
//!    narrower reading. Where the grantee is an account, the account's own policies have to hand it on, as they do what
//!    a key policy allows to an account.

use std::sync::Arc;

use crate::arn::Target;
use crate::context::Context;
use crate::policy::{Effect, Kind, Policy, Statement};
use crate::principal::Grade;
use crate::reason::{Cause, Decision, Ground, Match, PolicyType, Reason};

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The account's twelve digits; empty for callers that have none.
    pub account: &'a str,
    /// The ARN, for a session the one with the session's name; empty for callers that have none.
    pub arn: &'a str,
    /// What kind of principal it is.
    pub kind: CallerKind<'a>,
}

/// The kinds of principals (IAM user guide, "Principal").
#[derive(Clone, Copy, Debug)]
pub enum CallerKind<'a> {
    /// The root user of the account.
    Root,
    /// A user, with its own credentials or with those of GetSessionToken.
    User,
    /// A session of a role.
    Session {
        /// The role, path included.
        role_arn: &'a str,
    },
    /// A session of GetFederationToken: it may what the user and the session policies allow, and nothing without
    /// session policies.
    FederatedUser {
        /// The user who federated.
        user_arn: &'a str,
    },
    /// Somebody whom an identity provider vouches for, before any role is assumed.
    Federated {
        /// The provider's ARN, or a well-known name such as `accounts.google.com`.
        provider: &'a str,
    },
    /// A service, such as `ecs.amazonaws.com`.
    Service(&'a str),
    /// Nobody: the request is not signed.
    Anonymous,
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The action, `kms:Encrypt`.
    pub action: &'a str,
    /// The resource's ARN, or `*` where the operation has none.
    pub resource: &'a str,
    /// Who asks.
    pub caller: Caller<'a>,
    /// The condition keys.
    pub context: &'a Context,
}

/// A policy and what to call it.
#[derive(Clone, Debug)]
pub struct Source {
    /// A policy's ARN, or words such as `inline NAME of user/NAME`.
    pub label: String,
    /// The policy.
    pub policy: Arc<Policy>,
}

/// Every policy that a request is subject to.
#[derive(Clone, Copy, Debug)]
pub struct Policies<'a> {
    /// Of the user and its groups, or of the role.
    pub identity: &'a [Source],
    /// The permissions boundary of the user or role.
    pub boundary: Option<&'a Source>,
    /// The policies given when the session was made: together they limit it.
    pub session: Option<&'a [Source]>,
    /// The resource's own: key policy, trust policy, ...
    pub resource: Option<&'a Source>,
    /// The account that owns the resource.
    pub resource_account: &'a str,
    /// How much the resource's policy is asked.
    pub rule: Rule,
    /// A KMS grant that allows this operation to this caller.
    pub grant: Option<Grant<'a>>,
}

/// A grant of KMS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant<'a> {
    /// Its id.
    pub id: &'a str,
    /// Whether its grantee is the caller's account as a whole.
    pub to_account: bool,
}

/// How much the resource's policy is asked within its own account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// It or an identity-based policy must allow.
    Usual,
    /// It must allow, or name the account and thereby let identity-based policies allow: KMS keys and roles.
    ResourceFirst,
}

/// Decides a request.
pub fn decide(request: &Request<'_>, policies: &Policies<'_>) -> Decision {
    let action = request.action.to_ascii_lowercase();
    let asked = Asked::new(request, &action, policies.boundary.is_some());
    let found = Found::new(&asked, policies);
    match found.decide(&asked, policies) {
        Ok(ground) => Decision::Allow(ground),
        Err(cause) => Decision::Deny(Reason {
            action: request.action.to_owned(),
            cause,
        }),
    }
}

/// A request, taken apart once.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// Before the action's colon, in lower case.
    pub(crate) service: &'a str,
    /// After the colon, in lower case.
    pub(crate) name: &'a str,
    pub(crate) resource: Target<'a>,
    pub(crate) caller: &'a Caller<'a>,
    /// Whether the caller has a permissions boundary.
    pub(crate) bounded: bool,
    pub(crate) context: &'a Context,
}

impl<'a> Asked<'a> {
    pub(crate) fn new(request: &'a Request<'a>, lower_action: &'a str, bounded: bool) -> Self {
        let (service, name) = lower_action.split_once(':').unwrap_or((lower_action, ""));
        Self {
            service,
            name,
            resource: Target::new(request.resource),
            caller: &request.caller,
            bounded,
            context: request.context,
        }
    }
}

/// A statement that speaks of the request.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub(crate) policy_type: PolicyType,
    pub(crate) source: &'a Source,
    pub(crate) index: usize,
    pub(crate) statement: &'a Statement,
}

impl Spot<'_> {
    pub(crate) fn name(&self) -> Match {
        Match {
            policy_type: self.policy_type,
            label: self.source.label.clone(),
            sid: self.statement.sid.as_deref().map(Into::into),
            index: self.index,
        }
    }
}

/// What the policies of one type say.
#[derive(Default)]
struct Verdict<'a> {
    deny: Option<Spot<'a>>,
    allow: Option<(Grade, Spot<'a>)>,
}

impl<'a> Verdict<'a> {
    fn new(asked: &Asked<'_>, policy_type: PolicyType, sources: &'a [Source]) -> Self {
        let mut verdict = Self::default();
        for spot in spots(asked, policy_type, sources) {
            let best = verdict.allow.map(|(grade, _)| grade);
            let settled = match spot.statement.effect {
                Effect::Allow => best == Some(Grade::Direct),
                Effect::Deny => verdict.deny.is_some(),
            };
            if settled {
                continue;
            }
            match (spot.statement.applies(asked), spot.statement.effect) {
                (Some(_), Effect::Deny) => verdict.deny = Some(spot),
                (Some(grade), Effect::Allow) if best < Some(grade) => {
                    verdict.allow = Some((grade, spot));
                }
                _ => {}
            }
        }
        verdict
    }
}

/// The statements that may speak of the request.
pub(crate) fn spots<'a>(
    asked: &Asked<'_>,
    policy_type: PolicyType,
    sources: &'a [Source],
) -> impl Iterator<Item = Spot<'a>> {
    sources.iter().flat_map(move |source| {
        let candidates = source.policy.candidates(asked.service);
        candidates.map(move |(index, statement)| Spot {
            policy_type,
            source,
            index,
            statement,
        })
    })
}

/// Every policy with its type, in the order in which their denies are reported.
pub(crate) fn layers<'a>(policies: &Policies<'a>) -> [(PolicyType, Option<&'a [Source]>); 4] {
    let resource_type = match policies.resource.map(|source| source.policy.kind()) {
        Some(Kind::Trust) => PolicyType::Trust,
        _ => PolicyType::Resource,
    };
    [
        (PolicyType::Identity, Some(policies.identity)),
        (
            PolicyType::Boundary,
            policies.boundary.map(std::slice::from_ref),
        ),
        (PolicyType::Session, policies.session),
        (resource_type, policies.resource.map(std::slice::from_ref)),
    ]
}

/// What the policies of every type say.
struct Found<'a> {
    identity: Verdict<'a>,
    boundary: Option<Verdict<'a>>,
    session: Option<Verdict<'a>>,
    resource: Verdict<'a>,
    resource_type: PolicyType,
}

/// The caller may go on with the identity-based side, or is allowed already.
enum Standing {
    Allowed(Ground),
    /// The role is named: only limits remain.
    Limited(Ground),
    /// The account is, or nobody has to be.
    Delegated,
    Refused,
}

impl Grant<'_> {
    fn ground(self) -> Ground {
        Ground::Grant(self.id.to_owned())
    }

    /// What it says by itself.
    fn stands(self, caller: &Caller<'_>) -> Standing {
        match caller.kind {
            CallerKind::Root => Standing::Allowed(self.ground()),
            _ if self.to_account => Standing::Delegated,
            CallerKind::Session { .. } | CallerKind::FederatedUser { .. } => {
                Standing::Limited(self.ground())
            }
            _ => Standing::Allowed(self.ground()),
        }
    }
}

impl<'a> Found<'a> {
    fn new(asked: &Asked<'_>, policies: &Policies<'a>) -> Self {
        let [identity, boundary, session, resource] = layers(policies)
            .map(|(kind, sources)| sources.map(|sources| Verdict::new(asked, kind, sources)));
        let [.., (resource_type, _)] = layers(policies);
        Self {
            identity: identity.unwrap_or_default(),
            boundary,
            session,
            resource: resource.unwrap_or_default(),
            resource_type,
        }
    }

    fn decide(&self, asked: &Asked<'_>, policies: &Policies<'_>) -> Result<Ground, Cause> {
        let layers = [
            Some(&self.identity),
            self.boundary.as_ref(),
            self.session.as_ref(),
            Some(&self.resource),
        ];
        let denies = layers
            .into_iter()
            .flatten()
            .filter_map(|verdict| verdict.deny);
        if let Some(deny) = denies.into_iter().next() {
            return Err(Cause::Denied(deny.name()));
        }
        match asked.caller.kind {
            CallerKind::Anonymous | CallerKind::Service(_) | CallerKind::Federated { .. } => {
                self.outsider(policies)
            }
            _ if asked.caller.account == policies.resource_account => {
                self.same_account(asked.caller, policies)
            }
            _ => self.cross_account(asked.caller, policies),
        }
    }

    /// Callers without identity-based policies: the resource's policy decides alone.
    fn outsider(&self, policies: &Policies<'_>) -> Result<Ground, Cause> {
        let granted = policies.grant.map(Grant::ground);
        let allowed = self.resource.allow.map(|(_, spot)| statements([spot]));
        granted
            .or(allowed)
            .ok_or(Cause::NotAllowed(self.resource_type))
    }

    fn same_account(&self, caller: &Caller<'_>, policies: &Policies<'_>) -> Result<Ground, Cause> {
        match self.standing(caller, policies) {
            Standing::Allowed(ground) => Ok(ground),
            Standing::Limited(ground) => self.limits(caller, ground),
            Standing::Delegated => self.by_identity(caller, []),
            Standing::Refused => Err(Cause::NotAllowed(self.resource_type)),
        }
    }

    fn cross_account(&self, caller: &Caller<'_>, policies: &Policies<'_>) -> Result<Ground, Cause> {
        if let Some(grant) = policies.grant {
            return match grant.stands(caller) {
                Standing::Allowed(ground) => Ok(ground),
                Standing::Limited(ground) => self.limits(caller, ground),
                Standing::Delegated | Standing::Refused => self.by_identity(caller, []),
            };
        }
        let allowed = self.resource.allow.map(|(_, spot)| spot);
        let ground = self.by_identity(caller, allowed)?;
        match allowed {
            Some(_) => Ok(ground),
            None => Err(Cause::NotAllowed(self.resource_type)),
        }
    }

    /// What the resource's side says by itself.
    fn standing(&self, caller: &Caller<'_>, policies: &Policies<'_>) -> Standing {
        let granted = policies.grant.map(|grant| grant.stands(caller));
        match (self.resource.allow, granted) {
            (Some((Grade::Direct, spot)), _) => Standing::Allowed(statements([spot])),
            (_, Some(standing @ (Standing::Allowed(_) | Standing::Limited(_)))) => standing,
            (Some((Grade::Behind, spot)), _) => Standing::Limited(statements([spot])),
            (Some((Grade::Account, _)), _) | (_, Some(_)) => Standing::Delegated,
            (None, _) if policies.rule == Rule::Usual => Standing::Delegated,
            (None, _) => Standing::Refused,
        }
    }

    /// The identity-based policies must allow; the root user needs none.
    fn by_identity(
        &self,
        caller: &Caller<'_>,
        more: impl IntoIterator<Item = Spot<'a>>,
    ) -> Result<Ground, Cause> {
        let own = self.identity.allow.map(|(_, spot)| spot);
        let root = matches!(caller.kind, CallerKind::Root);
        let spots: Vec<Spot<'_>> = own.filter(|_| !root).into_iter().chain(more).collect();
        if own.is_none() && !root {
            return Err(Cause::NotAllowed(PolicyType::Identity));
        }
        let ground = match spots.is_empty() {
            true => Ground::Root,
            false => statements(spots),
        };
        self.limits(caller, ground)
    }

    /// The permissions boundary and the session policies, where there are any, must allow as well.
    fn limits(&self, caller: &Caller<'_>, ground: Ground) -> Result<Ground, Cause> {
        let silent = |verdict: &Verdict<'_>| verdict.allow.is_none();
        if self.boundary.as_ref().is_some_and(silent) {
            return Err(Cause::NotAllowed(PolicyType::Boundary));
        }
        let federated = matches!(caller.kind, CallerKind::FederatedUser { .. });
        if self.session.as_ref().map_or(federated, silent) {
            return Err(Cause::NotAllowed(PolicyType::Session));
        }
        Ok(ground)
    }
}

fn statements<'a>(spots: impl IntoIterator<Item = Spot<'a>>) -> Ground {
    Ground::Statements(spots.into_iter().map(|spot| spot.name()).collect())
}
