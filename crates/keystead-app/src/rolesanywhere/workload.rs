//! Who calls with a certificate.

use std::sync::OnceLock;

use keystead_core::AccountId;
use keystead_core::tags::Tags;
use keystead_crypto::x509::Certificate;
use keystead_policy::Context;

use super::SERVICE;

/// Whoever has the key of a certificate.
#[derive(Debug, PartialEq, Eq)]
pub struct Workload {
    /// The certificate.
    pub(super) certificate: Certificate,
    /// What may lead from it to an authority that is trusted.
    pub(super) chain: Vec<Certificate>,
    admitted: OnceLock<Admitted>,
}

/// What is known once a trust anchor trusts the certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// The trust anchor's account.
    pub(crate) account: AccountId,
    /// The trust anchor.
    pub(crate) trust_anchor_arn: String,
    /// Who is to be named as the beginner of the session.
    pub(crate) source_identity: String,
    /// The name of the session that is asked for.
    pub(crate) session_name: String,
    /// The session's tags, out of the certificate.
    pub(crate) tags: Tags,
}

impl Workload {
    pub(crate) fn new(certificate: Certificate, chain: Vec<Certificate>) -> Self {
        Self {
            certificate,
            chain,
            admitted: OnceLock::new(),
        }
    }

    /// Notes who trusts it; the first word stands.
    pub(super) fn admit(&self, admitted: Admitted) -> &Admitted {
        self.admitted.get_or_init(|| admitted)
    }

    /// What is known of it, if anybody trusts it.
    pub(crate) fn admitted(&self) -> Option<&Admitted> {
        self.admitted.get()
    }
}

impl Admitted {
    /// Tells what a role's trust policy can ask (user guide, "Trust policy").
    pub(crate) fn describe(&self, context: &mut Context) {
        context.set("aws:PrincipalIsAWSService", "true");
        context.set("aws:PrincipalServiceName", SERVICE);
        context.set("aws:SourceArn", self.trust_anchor_arn.as_str());
        context.set("aws:SourceAccount", self.account.as_str());
        context.set("sts:SourceIdentity", self.source_identity.as_str());
        context.set("sts:RoleSessionName", self.session_name.as_str());
        for (tag, value) in &self.tags {
            context.set(format!("aws:PrincipalTag/{tag}"), value.as_str());
            context.set(format!("aws:RequestTag/{tag}"), value.as_str());
        }
        context.set_all("aws:TagKeys", self.tags.keys().cloned().collect());
    }
}
