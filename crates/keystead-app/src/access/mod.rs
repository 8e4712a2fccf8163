//! Who may do what: the one place where calls are decided, and the one maker of [`Allowed`].
//!
//! [`Access`] is what a call brings along: its operation, what it says of itself in condition keys, and the
//! policies of whoever calls. A use case names the resource that it is about ([`Resource`]), with its tags and its
//! policy, and asks [`Ctx::allow`] or, where it reads a record, [`Ctx::admit`]; what comes back is an [`Allowed`],
//! which the record's loader hands on. So what is stored of a resource is reached by a decision on it, and
//! [`crate::dispatch`] withholds the answer of a call that ends well without any.
//!
//! The root user of the resource's own account needs no policy, and only a resource's policy can limit it. What a
//! call asks of other services in the caller's name (Certificate Manager of a private CA) is decided as that
//! service's action, with `aws:CalledVia` ([`Act::Via`]).

mod context;
mod effective;

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use keystead_core::tags::Tags;
use keystead_core::{Error, ErrorKind, Result};
use keystead_policy::{
    Caller, CallerKind, Cause, Context, Decision, Explanation, Grant, Kind, Policies, Policy,
    Request, Rule, Source, decide, explain,
};
use keystead_wire::schema::OperationDef;
use keystead_wire::value::Value;
use parking_lot::Mutex;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::iam::effective::Effective;
use crate::{App, Ctx, Principal, PrincipalKind, rolesanywhere};

pub(crate) use context::At;
pub(crate) use effective::Known;

/// Something that a decision has let through. Only this module makes one.
#[derive(Clone, Debug)]
pub(crate) struct Allowed<T>(T);

impl<T> Allowed<T> {
    /// The same decision on a part of what was let through.
    pub(crate) fn map<U>(self, part: impl FnOnce(T) -> U) -> Allowed<U> {
        Allowed(part(self.0))
    }

    /// What was let through, for who goes on to change it.
    pub(crate) fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Allowed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// As what a use case touches a resource.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act<'a> {
    /// As the operation that was called.
    Own,
    /// As another action that the call takes beside its own.
    Also(&'a str),
    /// As an action that a service takes in the caller's name.
    Via {
        /// The action.
        action: &'a str,
        /// The service's principal, for instance `acm.amazonaws.com`.
        service: &'a str,
    },
}

/// A resource's own policy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OwnPolicy<'a> {
    /// The document's text, and of which kind it is.
    Text(&'a str, Kind),
    /// Compiled before, for resources that are used often.
    Compiled(&'a Source),
}

/// What a resource and the call on it have in condition keys of their service.
pub(crate) trait Describe: Sync {
    /// Adds them.
    fn describe(&self, context: &mut Context);
}

/// What a call is about, as policies see it.
#[derive(Clone)]
pub(crate) struct Resource<'a> {
    /// Its ARN, or `*` where the operation has none.
    pub(crate) arn: &'a str,
    /// The account that owns it.
    pub(crate) account: &'a str,
    /// Its tags; none for what does not exist yet.
    pub(crate) tags: Vec<(&'a str, &'a str)>,
    /// Its own policy.
    pub(crate) policy: Option<OwnPolicy<'a>>,
    /// How much that policy is asked.
    pub(crate) rule: Rule,
    /// A grant that lets the caller do this.
    pub(crate) grant: Option<Grant<'a>>,
    /// Its service's condition keys, called only where a policy looks at any.
    pub(crate) describe: Option<&'a dyn Describe>,
}

impl<'a> Resource<'a> {
    /// A resource of this name and account, without tags or policy.
    pub(crate) fn new(arn: &'a str, account: &'a str) -> Self {
        Self {
            arn,
            account,
            tags: Vec::new(),
            policy: None,
            rule: Rule::Usual,
            grant: None,
            describe: None,
        }
    }

    /// With these tags.
    pub(crate) fn tagged(self, tags: &'a Tags) -> Self {
        let tags = tags
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()));
        Self {
            tags: tags.collect(),
            ..self
        }
    }

    /// With this policy of its own, if it has one.
    pub(crate) fn under(self, policy: Option<&'a str>) -> Self {
        Self {
            policy: policy.map(|text| OwnPolicy::Text(text, Kind::Resource)),
            ..self
        }
    }
}

/// What a call brings along for decisions, and what was decided. Clones are the same.
#[derive(Clone, Default)]
pub struct Access(Arc<Inner>);

#[derive(Default)]
struct Inner {
    operation: Option<&'static OperationDef>,
    said: context::Said,
    effective: Option<Arc<Effective>>,
    decided: AtomicBool,
    denial: Mutex<Option<Denial>>,
    event: OnceLock<String>,
    unrecorded: AtomicBool,
}

/// A refusal with what led to it, for the audit event.
#[derive(Clone, Debug)]
pub(crate) struct Denial {
    /// The action that was refused.
    pub(crate) action: String,
    /// The resource it was refused on.
    pub(crate) resource: String,
    /// What decided, and what would have allowed it.
    pub(crate) explanation: Explanation,
}

impl Serialize for Denial {
    /// As `keystead audit explain` reads it.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let Decision::Deny(reason) = &self.explanation.decision else {
            return serializer.serialize_none();
        };
        let statement = match &reason.cause {
            Cause::Denied(statement) => Some(statement.to_string()),
            Cause::NotAllowed(_) => None,
        };
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("action", &self.action)?;
        map.serialize_entry("resource", &self.resource)?;
        map.serialize_entry("reason", &reason.to_string())?;
        map.serialize_entry("decidedBy", &statement)?;
        map.serialize_entry("wouldAllow", &self.explanation.remedies())?;
        map.end()
    }
}

impl Access {
    /// What `operation` with this input brings along, called by `principal`.
    pub(crate) async fn of(
        app: &App,
        principal: &Principal,
        operation: &'static OperationDef,
        input: &Value,
    ) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            operation: Some(operation),
            said: context::Said::new(operation, input),
            effective: effective_of(app, principal).await?,
            decided: AtomicBool::new(operation.access.action.is_none()),
            denial: Mutex::new(None),
            event: OnceLock::new(),
            unrecorded: AtomicBool::new(false),
        })))
    }

    /// What a call brings along that is no operation of a model: its caller's policies, and nothing of itself.
    pub(crate) async fn beside_operations(app: &App, principal: &Principal) -> Result<Self> {
        Ok(Self(Arc::new(Inner {
            effective: effective_of(app, principal).await?,
            ..Inner::default()
        })))
    }

    /// The action of the operation that was called, if it is one that has to be decided.
    pub(crate) fn action(&self) -> Option<&'static str> {
        self.0.operation?.access.action
    }

    /// The operation that was called.
    pub(crate) fn operation(&self) -> Option<&'static OperationDef> {
        self.0.operation
    }

    /// Whether anything was decided, or nothing had to be.
    pub(crate) fn was_decided(&self) -> bool {
        self.0.decided.load(Ordering::Relaxed)
    }

    /// The id of the audit event that the call will have.
    pub(crate) fn event_id(&self) -> Result<&str> {
        let event = &self.0.event;
        if let Some(id) = event.get() {
            return Ok(id);
        }
        let id = crate::ids::uuid()?;
        Ok(event.get_or_init(|| id))
    }

    /// The call told nothing and changed nothing, and many such calls are made: it leaves no audit event.
    pub(crate) fn leave_unrecorded(&self) {
        self.0.unrecorded.store(true, Ordering::Relaxed);
    }

    /// Whether it leaves one.
    pub(crate) fn is_recorded(&self) -> bool {
        !self.0.unrecorded.load(Ordering::Relaxed)
    }

    /// The last refusal.
    pub(crate) fn denial(&self) -> Option<Denial> {
        self.0.denial.lock().clone()
    }
}

impl Ctx {
    /// Decides the call's own action on this resource.
    ///
    /// Refuses with [`ErrorKind::AccessDenied`], in AWS's words.
    pub(crate) fn allow(&self, resource: &Resource<'_>) -> Result<Allowed<()>> {
        match self
            .access
            .0
            .operation
            .map(|operation| operation.access.action)
        {
            Some(Some(action)) => self.decide(action, resource, None),
            Some(None) => Ok(Allowed(())),
            // A use case that is called by no client (tests): only the root user may.
            None => self.decide("", resource, None),
        }
    }

    /// As [`Ctx::allow`], for what the call does on the way.
    pub(crate) fn allow_as(&self, act: Act<'_>, resource: &Resource<'_>) -> Result<Allowed<()>> {
        match act {
            Act::Own => self.allow(resource),
            Act::Also(action) => self.decide(action, resource, None),
            Act::Via { action, service } => self.decide(action, resource, Some(service)),
        }
    }

    /// Decides the call's own action on a resource that has no name of its own yet, or on all of a kind (`*`): they
    /// belong to the caller's account.
    pub(crate) fn allow_own(&self, arn: &str) -> Result<Allowed<()>> {
        self.allow(&Resource::new(arn, self.account().as_str()))
    }

    /// Lets a record through if the caller may touch it; `describe` adds what the record says of itself. Whoever may
    /// not is refused alike whether or not it is there; `None` is for who may.
    pub(crate) fn admit<T>(
        &self,
        act: Act<'_>,
        arn: &str,
        found: Option<T>,
        describe: impl for<'t> FnOnce(&'t T, Resource<'t>) -> Resource<'t>,
    ) -> Result<Option<Allowed<T>>> {
        let resource = Resource::new(arn, account_of(arn));
        match found {
            Some(found) => {
                self.allow_as(act, &describe(&found, resource))?;
                Ok(Some(Allowed(found)))
            }
            None => self.allow_as(act, &resource).map(|_| None),
        }
    }

    /// Whether the caller could do something else as well: nothing is decided by it, and nothing noted.
    pub(crate) fn could(&self, action: &str, resource: &Resource<'_>) -> Result<bool> {
        self.put(action, resource, None, |request, policies| {
            decide(request, policies).is_allowed()
        })
    }

    fn decide(
        &self,
        action: &str,
        resource: &Resource<'_>,
        via: Option<&str>,
    ) -> Result<Allowed<()>> {
        let access = &self.access.0;
        access.decided.store(true, Ordering::Relaxed);
        let principal = &self.principal;
        let at_home = resource.account == principal.account.as_str();
        if principal.kind == PrincipalKind::Root && at_home && resource.policy.is_none() {
            return Ok(Allowed(()));
        }
        let denied = self.put(action, resource, via, |request, policies| {
            match decide(request, policies) {
                Decision::Allow(_) => None,
                Decision::Deny(reason) => Some((reason, explain(request, policies))),
            }
        })?;
        let Some((reason, explanation)) = denied else {
            return Ok(Allowed(()));
        };
        *access.denial.lock() = Some(Denial {
            action: action.to_owned(),
            resource: resource.arn.to_owned(),
            explanation,
        });
        let on = match (resource.arn, &reason.cause) {
            ("*", Cause::NotAllowed(_)) => String::new(),
            (arn, _) => format!(" on resource: {arn}"),
        };
        Err(Error::new(
            ErrorKind::AccessDenied,
            format!(
                "User: {} is not authorized to perform: {action}{on} {reason}",
                principal.arn
            ),
        ))
    }

    /// Puts a request of the caller to the policies that it is subject to.
    fn put<R>(
        &self,
        action: &str,
        resource: &Resource<'_>,
        via: Option<&str>,
        to: impl FnOnce(&Request<'_>, &Policies<'_>) -> R,
    ) -> Result<R> {
        let (access, principal) = (&self.access.0, &self.principal);
        let parsed = match resource.policy {
            Some(OwnPolicy::Text(text, kind)) => Some(own_policy(text, kind, resource.arn)?),
            _ => None,
        };
        let policy = match resource.policy {
            Some(OwnPolicy::Compiled(source)) => Some(source),
            _ => parsed.as_ref(),
        };
        let none = Effective::default();
        let effective = access.effective.as_deref().unwrap_or(&none);
        let policies = Policies {
            identity: &effective.identity,
            boundary: effective.boundary.as_ref(),
            session: principal.session_policies(),
            resource: policy,
            resource_account: resource.account,
            rule: resource.rule,
            grant: resource.grant,
        };
        let context = match context::is_asked_for(&policies) {
            true => context::of(self, &access.said, resource, via),
            false => Context::new(),
        };
        let request = Request {
            action,
            resource: resource.arn,
            caller: caller(principal),
            context: &context,
        };
        Ok(to(&request, &policies))
    }
}

/// The policies of whoever calls, where that is somebody with policies.
async fn effective_of(app: &App, principal: &Principal) -> Result<Option<Arc<Effective>>> {
    match principal.kind {
        PrincipalKind::Root
        | PrincipalKind::WebIdentity(_)
        | PrincipalKind::Workload(_)
        | PrincipalKind::XksProxy(_)
        | PrincipalKind::Service(_) => Ok(None),
        _ => effective::of(app, principal).await.map(Some),
    }
}

/// The account in an ARN; empty where there is none.
pub(crate) fn account_of(arn: &str) -> &str {
    arn.split(':').nth(4).unwrap_or_default()
}

/// Who calls, as policies see it.
pub(crate) fn caller(principal: &Principal) -> Caller<'_> {
    Caller {
        account: principal.account.as_str(),
        arn: &principal.arn,
        kind: match &principal.kind {
            PrincipalKind::Root => CallerKind::Root,
            PrincipalKind::User { .. } => CallerKind::User,
            PrincipalKind::Role { arn, .. } => CallerKind::Session { role_arn: arn },
            PrincipalKind::FederatedUser { user_arn, .. } => CallerKind::FederatedUser { user_arn },
            PrincipalKind::Workload(workload) => match workload.admitted() {
                Some(_) => CallerKind::Service(rolesanywhere::SERVICE),
                None => CallerKind::Anonymous,
            },
            PrincipalKind::XksProxy(_) => CallerKind::Anonymous,
            PrincipalKind::Service(name) => CallerKind::Service(name),
            PrincipalKind::WebIdentity(proven) => match proven.get() {
                Some(identity) => CallerKind::Federated {
                    provider: &identity.provider_arn,
                },
                None => CallerKind::Anonymous,
            },
        },
    }
}

/// A policy that does not parse lets nobody in: what it was meant to deny is not known.
fn own_policy(text: &str, kind: Kind, arn: &str) -> Result<Source> {
    let policy = Policy::parse(text, kind).map_err(|fault| {
        Error::new(
            ErrorKind::Internal,
            format!("the policy of {arn} cannot be read: {fault}"),
        )
    })?;
    Ok(Source {
        label: arn.to_owned(),
        policy: Arc::new(policy),
    })
}
