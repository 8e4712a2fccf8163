//! What the agents of an account and region have in common where their operator names nothing else: a private CA that
//! issues their certificates, a trust anchor of it, and a profile that lists their roles.
//!
//! It is made of what anybody could make by the services' own operations, and is seen and changed by them. Each step is noted
//! before the next, and looks at what is there, so that a call that was cut off is finished by the next one.

use keystead_core::pca::Status;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Collection, Expect, Stored, Versioned};
use keystead_wire::{acm_pca as pca_wire, rolesanywhere as ra_wire};
use serde::{Deserialize, Serialize};

use crate::{Ctx, pca, rolesanywhere, sts};

/// What was made, by `account/region/agents`.
const HOMES: Collection = Collection("keystead.agent-home");

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Home {
    authority: Option<String>,
    trust_anchor: Option<String>,
    profile: Option<String>,
}

impl Versioned for Home {
    const MARKER: &'static str = "keystead.agent-home/1";
}

/// The trust anchor and the profile that the agents of the caller's account and region share, this role listed; made as far
/// as they are not there.
pub(super) async fn shared(ctx: &Ctx, role_arn: &str) -> Result<(String, String)> {
    let mut home = Made::load(ctx).await?;
    let authority = match home.home.authority.clone() {
        Some(arn) if lives(ctx, &arn).await? => arn,
        _ => create_authority(ctx, home.attempt()).await?,
    };
    home.keep(|home| &mut home.authority, &authority).await?;
    activate(ctx, &authority).await?;
    let anchor = match home.home.trust_anchor.clone() {
        Some(arn) if rolesanywhere::anchor_exists(ctx, &arn, &authority).await? => arn,
        _ => create_anchor(ctx, &authority).await?,
    };
    home.keep(|home| &mut home.trust_anchor, &anchor).await?;
    let profile = match home.home.profile.clone() {
        Some(arn) if rolesanywhere::profile_exists(ctx, &arn).await? => arn,
        _ => create_profile(ctx, role_arn).await?,
    };
    home.keep(|home| &mut home.profile, &profile).await?;
    rolesanywhere::list_role(ctx, &profile, role_arn).await?;
    Ok((anchor, profile))
}

/// What the role still lacks for an agent to become it, in sentences.
pub(super) async fn missing(ctx: &Ctx, role_arn: &str) -> Result<Vec<String>> {
    let lacking = sts::by_certificate::untrusted(ctx, role_arn).await?;
    Ok(match lacking.is_empty() {
        true => Vec::new(),
        false => vec![format!(
            "The trust policy of {role_arn} does not allow {} {}, unless under a condition: add that with UpdateAssumeRolePolicy.",
            rolesanywhere::SERVICE,
            lacking.join(", ")
        )],
    })
}

/// The record of what was made, and what of it is known by now.
struct Made<'c> {
    ctx: &'c Ctx,
    key: String,
    expect: Expect,
    home: Home,
}

impl<'c> Made<'c> {
    async fn load(ctx: &'c Ctx) -> Result<Self> {
        let key = ctx.key("agents");
        let found: Option<Stored<Home>> = ctx.app.store.get(HOMES, &key).await?;
        Ok(match found {
            Some(found) => Self {
                ctx,
                key,
                expect: Expect::Version(found.version),
                home: found.value,
            },
            None => Self {
                ctx,
                key,
                expect: Expect::Absent,
                home: Home::default(),
            },
        })
    }

    /// The same for two calls that find the same things there.
    fn attempt(&self) -> String {
        let version = match self.expect {
            Expect::Version(version) => version.0,
            Expect::Absent | Expect::Any => 0,
        };
        format!("keystead-agents-{version}")
    }

    /// Notes a part. Of two calls that make the same at the same time one is refused, and finds it made when it tries again.
    async fn keep(
        &mut self,
        part: impl FnOnce(&mut Home) -> &mut Option<String>,
        arn: &str,
    ) -> Result<()> {
        let part = part(&mut self.home);
        if part.as_deref() == Some(arn) {
            return Ok(());
        }
        *part = Some(arn.to_owned());
        let mut batch = Batch::new();
        batch.put(HOMES, self.key.as_str(), &self.home, self.expect);
        self.expect = Expect::Version(self.ctx.app.store.commit(batch).await?);
        Ok(())
    }
}

async fn lives(ctx: &Ctx, authority: &str) -> Result<bool> {
    let status = pca::internal::status(ctx, authority).await?;
    Ok(!matches!(
        status,
        None | Some(Status::Deleted | Status::Expired | Status::Failed)
    ))
}

async fn create_authority(ctx: &Ctx, attempt: String) -> Result<String> {
    let subject = pca_wire::Asn1Subject {
        common_name: Some(NAME.to_owned()),
        ..pca_wire::Asn1Subject::default()
    };
    let input = pca_wire::CreateCertificateAuthorityRequest {
        certificate_authority_configuration: pca_wire::CertificateAuthorityConfiguration {
            key_algorithm: pca_wire::KeyAlgorithm::EcPrime256v1,
            signing_algorithm: pca_wire::SigningAlgorithm::Sha256withecdsa,
            subject,
            csr_extensions: None,
        },
        revocation_configuration: None,
        certificate_authority_type: pca_wire::CertificateAuthorityType::Root,
        idempotency_token: Some(attempt),
        key_storage_security_standard: None,
        tags: None,
        usage_mode: None,
    };
    let created = pca::create_certificate_authority(ctx, input).await?;
    created.certificate_authority_arn.ok_or_else(unnamed)
}

/// Sees to it that the authority has its certificate, which signs itself.
async fn activate(ctx: &Ctx, authority: &str) -> Result<()> {
    if pca::internal::status(ctx, authority).await? != Some(Status::PendingCertificate) {
        return Ok(());
    }
    let asked = pca_wire::GetCertificateAuthorityCsrRequest {
        certificate_authority_arn: authority.to_owned(),
    };
    let csr = pca::get_certificate_authority_csr(ctx, asked).await?.csr;
    let order = pca_wire::IssueCertificateRequest {
        api_passthrough: None,
        certificate_authority_arn: authority.to_owned(),
        csr: csr.unwrap_or_default().into_bytes().into(),
        signing_algorithm: pca_wire::SigningAlgorithm::Sha256withecdsa,
        template_arn: Some("arn:aws:acm-pca:::template/RootCACertificate/V1".to_owned()),
        validity: pca_wire::Validity {
            value: YEARS,
            type_: pca_wire::ValidityPeriodType::Years,
        },
        validity_not_before: None,
        idempotency_token: Some("keystead-agents".to_owned()),
    };
    let issued = pca::issue_certificate(ctx, order).await?.certificate_arn;
    let asked = pca_wire::GetCertificateRequest {
        certificate_authority_arn: authority.to_owned(),
        certificate_arn: issued.ok_or_else(unnamed)?,
    };
    let certificate = pca::get_certificate(ctx, asked).await?.certificate;
    let import = pca_wire::ImportCertificateAuthorityCertificateRequest {
        certificate_authority_arn: authority.to_owned(),
        certificate: certificate.unwrap_or_default().into_bytes().into(),
        certificate_chain: None,
    };
    pca::import_certificate_authority_certificate(ctx, import).await?;
    Ok(())
}

async fn create_anchor(ctx: &Ctx, authority: &str) -> Result<String> {
    let input = ra_wire::CreateTrustAnchorRequest {
        name: NAME.to_owned(),
        source: ra_wire::Source {
            source_type: Some(ra_wire::TrustAnchorType::AwsAcmPca),
            source_data: Some(ra_wire::SourceData {
                acm_pca_arn: Some(authority.to_owned()),
                ..ra_wire::SourceData::default()
            }),
        },
        enabled: Some(true),
        tags: None,
        notification_settings: None,
        alias_name: None,
        crl_dp_revocation_enabled: None,
    };
    let created = rolesanywhere::create_trust_anchor(ctx, input).await?;
    created.trust_anchor.trust_anchor_arn.ok_or_else(unnamed)
}

async fn create_profile(ctx: &Ctx, role_arn: &str) -> Result<String> {
    let input = ra_wire::CreateProfileRequest {
        name: NAME.to_owned(),
        role_arns: vec![role_arn.to_owned()],
        enabled: Some(true),
        require_instance_properties: None,
        session_policy: None,
        managed_policy_arns: None,
        duration_seconds: None,
        tags: None,
        accept_role_session_name: None,
        alias_name: None,
    };
    let created = rolesanywhere::create_profile(ctx, input).await?.profile;
    created
        .and_then(|profile| profile.profile_arn)
        .ok_or_else(unnamed)
}

fn unnamed() -> Error {
    Error::new(ErrorKind::Internal, "what was made for agents has no name")
}

/// What all of it is called.
const NAME: &str = "Keystead agents";

/// As the authority of Keystead's own certificates has: it outlives the machines.
const YEARS: i64 = 20;
