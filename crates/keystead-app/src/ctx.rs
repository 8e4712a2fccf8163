//! Who asks, from where, when: the first argument of everything that touches data.

use std::sync::{Arc, OnceLock};

use jiff::Timestamp;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result};
use keystead_crypto::x509::Certificate;

use crate::App;
use crate::access::{Access, Resource};
use crate::rolesanywhere::Workload;
use crate::sts::{Session, WebIdentity};
use crate::xks::Proxy;

/// The context of one call.
#[derive(Clone)]
pub struct Ctx {
    /// The program's parts.
    pub app: Arc<App>,
    /// Who asks; verified by signature.
    pub principal: Principal,
    /// The region of the signature's scope.
    pub region: Region,
    /// Names this call in the answer, the log and the audit event.
    pub request_id: String,
    /// The caller's address; `None` on a Unix socket.
    pub source_ip: Option<std::net::IpAddr>,
    /// What the caller calls itself (the User-Agent header, cut to a bounded length).
    pub user_agent: String,
    /// When the call was received; the same instant for everything the call does.
    pub now: Timestamp,
    /// Whether the call came encrypted, or over a way that nobody else can listen on.
    pub secure: bool,
    /// What it brings along for decisions, and what was decided.
    pub access: Access,
}

/// A verified identity.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The account it belongs to.
    pub account: AccountId,
    /// Its ARN, for instance `arn:aws:iam::000000000000:root`.
    pub arn: String,
    /// Its unique id (for the root user: the account number).
    pub user_id: String,
    /// The access key that signed.
    pub access_key_id: String,
    /// What kind of identity it is.
    pub kind: PrincipalKind,
    /// The session that its credentials are of; `None` for long-term ones.
    pub session: Option<Arc<Session>>,
}

/// The kinds of identity that can call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PrincipalKind {
    /// The root user of the account.
    Root,
    /// An IAM user.
    User {
        /// Its name.
        name: String,
    },
    /// A session of a role.
    Role {
        /// The role's name.
        name: String,
        /// The role's ARN, path included.
        arn: String,
    },
    /// Somebody for whom a user, or the root user, asked for credentials.
    FederatedUser {
        /// The user's name; `None` for the root user.
        user: Option<String>,
        /// The user's ARN.
        user_arn: String,
        /// The user's unique id.
        user_id: String,
    },
    /// Whoever calls without a signature: nobody, until the use case has verified who is vouched for.
    WebIdentity(Arc<OnceLock<WebIdentity>>),
    /// Whoever has the key of a certificate: nobody, until the use case has found who trusts it.
    Workload(Arc<Workload>),
    /// Whoever has the credential of an external key store proxy: AWS's KMS, or another.
    XksProxy(Arc<Proxy>),
    /// A service of this installation that does by itself what it was asked to do, by its principal's name.
    Service(&'static str),
}

impl Principal {
    /// Who calls without a signature; `account` is the one to name as long as nothing else is known.
    pub fn unsigned(account: AccountId) -> Self {
        Self {
            account,
            arn: String::new(),
            user_id: String::new(),
            access_key_id: String::new(),
            kind: PrincipalKind::WebIdentity(Arc::default()),
            session: None,
        }
    }

    /// Who has the key of this certificate; the other certificates may lead to its issuer.
    pub fn holding(self, certificate: Certificate, chain: Vec<Certificate>) -> Self {
        Self {
            kind: PrincipalKind::Workload(Arc::new(Workload::new(certificate, chain))),
            ..self
        }
    }

    /// Whether it is proven who calls.
    pub(crate) fn is_proven(&self) -> bool {
        match &self.kind {
            PrincipalKind::WebIdentity(proven) => proven.get().is_some(),
            PrincipalKind::Workload(workload) => workload.admitted().is_some(),
            _ => true,
        }
    }

    /// What is used by its calls: its long-term access key, or its role, by its unique id.
    pub(crate) fn used(&self) -> Option<&str> {
        match (&self.kind, &self.session) {
            (PrincipalKind::Role { .. }, _) => self.user_id.split(':').next(),
            (PrincipalKind::Root | PrincipalKind::User { .. }, None) => Some(&self.access_key_id),
            _ => None,
        }
    }

    /// Tells apart those whose policies differ, session policies aside.
    pub(crate) fn identity_key(&self) -> String {
        if let PrincipalKind::FederatedUser { user_arn, .. } = &self.kind {
            return format!("{user_arn} federated");
        }
        let id = self.user_id.split(':').next().unwrap_or_default();
        format!("{}/{id}", self.account)
    }

    /// The policies given when its session was made, where it is one.
    pub(crate) fn session_policies(&self) -> Option<&[keystead_policy::Source]> {
        self.session.as_ref()?.policies.as_deref()
    }
}

impl Ctx {
    /// The context of what a service does by itself in an account and region.
    pub(crate) fn of_service(
        app: &Arc<App>,
        service: &'static str,
        account: &AccountId,
        region: &Region,
    ) -> Result<Self> {
        Ok(Self {
            app: Arc::clone(app),
            principal: Principal {
                account: account.clone(),
                arn: service.to_owned(),
                user_id: String::new(),
                access_key_id: String::new(),
                kind: PrincipalKind::Service(service),
                session: None,
            },
            region: region.clone(),
            request_id: crate::ids::uuid()?,
            source_ip: None,
            user_agent: service.to_owned(),
            now: app.env.now(),
            secure: true,
            access: Access::default(),
        })
    }

    /// The account of the caller.
    pub fn account(&self) -> &AccountId {
        &self.principal.account
    }

    /// The prefix of every record of the caller's account and region: `account/region/`.
    pub fn prefix(&self) -> String {
        format!("{}/{}/", self.principal.account, self.region)
    }

    /// The record key of `id` in the caller's account and region.
    pub fn key(&self, id: &str) -> String {
        format!("{}/{}/{id}", self.principal.account, self.region)
    }

    /// A name of a resource in the caller's account and region.
    pub fn arn(&self, service: &str, resource: impl Into<String>) -> Arn {
        Arn::new(service, &self.region, &self.principal.account, resource)
    }

    /// Parses an ARN of `service` and checks that it lies in the caller's region; answers the
    /// resource part behind `kind/` (for instance the id behind `certificate/`).
    ///
    /// A name of another service or kind is [`ErrorKind::InvalidArn`]. A name of another region is
    /// [`ErrorKind::NotFound`], as for a resource that was never there. One of another account is decided
    /// without knowing more of the resource: that is [`ErrorKind::AccessDenied`].
    pub fn own<'a>(&self, text: &'a str, service: &str, kind: &str) -> Result<&'a str> {
        let arn = Arn::parse(text)?;
        let id = text
            .splitn(6, ':')
            .nth(5)
            .and_then(|resource| resource.strip_prefix(kind))
            .and_then(|rest| rest.strip_prefix('/'))
            .filter(|id| !id.is_empty() && arn.service == service)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidArn,
                    format!("The ARN '{text}' is not valid: expected arn:aws:{service}:region:account:{kind}/id."),
                )
            })?;
        if arn.account != self.principal.account.as_str() {
            self.allow(&Resource::new(text, &arn.account))?;
        }
        if arn.account != self.principal.account.as_str() || arn.region != self.region.as_str() {
            return Err(not_found(text, &self.principal.account));
        }
        Ok(id)
    }
}

/// The refusal for a resource that is not there, or not the caller's.
pub(crate) fn not_found(arn: &str, account: &AccountId) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("Could not find {arn} in account {account} and the region of the request."),
    )
}
