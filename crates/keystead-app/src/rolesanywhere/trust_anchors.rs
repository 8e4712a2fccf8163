//! Trust anchors: whose certificates are trusted.

use keystead_core::rolesanywhere::MOST_CERTIFICATES;
use keystead_core::x509::KeyUsageBit;
use keystead_core::{AccountId, ErrorKind, Result};
use keystead_crypto::x509::{Certificate, pem};
use keystead_wire::rolesanywhere as wire;

use super::record::{self, Headed as _, Record as _, Source, TrustAnchor};
use super::{Given, Shown, invalid, shown};
use crate::weak_keys::refuse_weak;
use crate::{Ctx, pca};

/// `rolesanywhere:CreateTrustAnchor`.
pub(crate) async fn create_trust_anchor(
    ctx: &Ctx,
    input: wire::CreateTrustAnchorRequest,
) -> Result<wire::TrustAnchorDetailResponse> {
    ctx.allow_own("*")?;
    if input
        .notification_settings
        .is_some_and(|settings| !settings.is_empty())
    {
        return Err(invalid(
            "Keystead sends no notifications: expected no notificationSettings.",
        ));
    }
    refuse_distribution_points(input.crl_dp_revocation_enabled)?;
    let given = Given {
        name: input.name,
        enabled: input.enabled,
        alias: input.alias_name,
        tags: input.tags,
    };
    let anchor = TrustAnchor {
        head: given.head(ctx)?,
        source: source(ctx, input.source).await?,
        crls: Vec::new(),
    };
    record::create(ctx, &anchor, |_| {}).await?;
    Ok(anchor.answer(ctx, None))
}

/// `rolesanywhere:ListTrustAnchors`.
pub(crate) async fn list_trust_anchors(
    ctx: &Ctx,
    input: wire::ListRequest,
) -> Result<wire::ListTrustAnchorsResponse> {
    let (found, next_token) =
        record::list(ctx, input.next_token.as_deref(), input.page_size).await?;
    let found = found.into_iter().map(|anchor| detail(ctx, anchor, None));
    Ok(wire::ListTrustAnchorsResponse {
        next_token,
        trust_anchors: Some(found.collect()),
    })
}

/// `rolesanywhere:UpdateTrustAnchor`.
pub(crate) async fn update_trust_anchor(
    ctx: &Ctx,
    input: wire::UpdateTrustAnchorRequest,
) -> Result<wire::TrustAnchorDetailResponse> {
    record::find::<TrustAnchor>(ctx, &input.trust_anchor_id).await?;
    refuse_distribution_points(input.crl_dp_revocation_enabled)?;
    let source = match input.source {
        Some(given) => Some(source(ctx, given).await?),
        None => None,
    };
    let changed = record::update::<TrustAnchor>(ctx, &input.trust_anchor_id, |anchor| {
        if let Some(source) = &source {
            anchor.source = source.clone();
        }
        anchor
            .head_mut()
            .change(input.name.as_ref(), input.alias_name.as_ref())
    });
    Ok(shown(ctx, changed.await?))
}

impl Shown for TrustAnchor {
    type Scalar = wire::ScalarTrustAnchorRequest;
    type Answer = wire::TrustAnchorDetailResponse;

    fn named(request: Self::Scalar) -> String {
        request.trust_anchor_id
    }

    fn answer(self, ctx: &Ctx, previous_alias: Option<String>) -> Self::Answer {
        wire::TrustAnchorDetailResponse {
            trust_anchor: detail(ctx, self, previous_alias),
        }
    }
}

impl TrustAnchor {
    /// The certificates that it trusts, each an authority's.
    ///
    /// Refuses where its private CA is gone, or has none yet.
    pub(super) async fn certificates(
        &self,
        ctx: &Ctx,
        account: &AccountId,
    ) -> Result<Vec<Certificate>> {
        match &self.source {
            Source::Bundle(text) => authorities(text),
            Source::PrivateCa(arn) => {
                let trust = pca::internal::trust(&ctx.app, account, &ctx.region, arn).await?;
                // The first is the CA's own.
                Ok(authorities(&trust.pem)?.into_iter().take(1).collect())
            }
        }
    }
}

/// Where the certificates are, if they are there.
async fn source(ctx: &Ctx, given: wire::Source) -> Result<Source> {
    let data = given.source_data.unwrap_or_default();
    match (
        given.source_type,
        data.acm_pca_arn,
        data.x509_certificate_data,
    ) {
        (Some(wire::TrustAnchorType::AwsAcmPca), Some(arn), None) => {
            let trust = pca::internal::trust(&ctx.app, ctx.account(), &ctx.region, &arn).await;
            match trust {
                Ok(_) => Ok(Source::PrivateCa(arn)),
                Err(error) if error.kind == ErrorKind::Internal => Err(error),
                Err(error) => Err(invalid(error.message)),
            }
        }
        (Some(wire::TrustAnchorType::CertificateBundle), None, Some(text)) => {
            let authorities = authorities(&text)?;
            let count = authorities.len();
            if count > MOST_CERTIFICATES {
                return Err(invalid(format!(
                    "The bundle has {count} certificates: expected at most {MOST_CERTIFICATES}."
                )));
            }
            for authority in authorities {
                refuse_weak(&ctx.app, &authority.spki_der).map_err(|why| {
                    invalid(format!(
                        "The key of a CA certificate is not accepted: {why}."
                    ))
                })?;
            }
            Ok(Source::Bundle(text))
        }
        (Some(wire::TrustAnchorType::SelfSignedRepository), ..) => Err(invalid(
            "The source type SELF_SIGNED_REPOSITORY is not served: expected AWS_ACM_PCA or CERTIFICATE_BUNDLE.",
        )),
        _ => Err(invalid(
            "The source is not valid: expected AWS_ACM_PCA with acmPcaArn, or CERTIFICATE_BUNDLE with x509CertificateData.",
        )),
    }
}

fn authorities(text: &str) -> Result<Vec<Certificate>> {
    let unreadable = |error| invalid(format!("The certificate data is not valid: {error}."));
    let bundle = pem::certificates(text.as_bytes()).map_err(unreadable)?;
    let mut certificates = Vec::with_capacity(bundle.len());
    for der in bundle {
        let certificate = Certificate::from_der(&der).map_err(unreadable)?;
        if !certificate.is_ca() {
            return Err(invalid("Incorrect basic constraints for CA certificate"));
        }
        // User guide, "Signature validation": the key usage must include it.
        let signs = |bits: &[KeyUsageBit]| bits.contains(&KeyUsageBit::KeyCertSign);
        if !certificate.key_usage().is_some_and(signs) {
            return Err(invalid("Incorrect key usage for CA certificate"));
        }
        certificates.push(certificate);
    }
    Ok(certificates)
}

fn refuse_distribution_points(enabled: Option<bool>) -> Result<()> {
    if enabled == Some(true) {
        return Err(invalid(
            "Keystead fetches no revocation lists: expected no crlDpRevocationEnabled. Import them with ImportCrl.",
        ));
    }
    Ok(())
}

fn detail(
    ctx: &Ctx,
    anchor: TrustAnchor,
    previous_alias: Option<String>,
) -> wire::TrustAnchorDetail {
    let (kind, data) = match anchor.source {
        Source::PrivateCa(arn) => (
            wire::TrustAnchorType::AwsAcmPca,
            wire::SourceData {
                acm_pca_arn: Some(arn),
                ..wire::SourceData::default()
            },
        ),
        Source::Bundle(text) => (
            wire::TrustAnchorType::CertificateBundle,
            wire::SourceData {
                x509_certificate_data: Some(text),
                ..wire::SourceData::default()
            },
        ),
    };
    wire::TrustAnchorDetail {
        trust_anchor_arn: Some(record::arn::<TrustAnchor>(ctx, &anchor.head.id)),
        alias_arn: anchor.head.alias_arn(ctx, TrustAnchor::NAME),
        trust_anchor_id: Some(anchor.head.id),
        name: Some(anchor.head.name),
        source: Some(wire::Source {
            source_type: Some(kind),
            source_data: Some(data),
        }),
        enabled: Some(anchor.head.enabled),
        crl_dp_revocation_enabled: Some(false),
        created_at: Some(anchor.head.created),
        updated_at: Some(anchor.head.updated),
        notification_settings: None,
        alias_name: anchor.head.alias,
        previous_alias_name: previous_alias,
    }
}
