//! DescribeCertificate, and how a certificate is shown.

use jiff::Timestamp;
use keystead_core::acm::{Certificate, Facts, Origin, Renewal, State, facts, properties};
use keystead_core::{AccountId, Result};
use keystead_wire::acm as wire;

use super::revoke::revocation_reason;
use super::validations::domain_validations;
use super::{find, uses};
use crate::Ctx;

/// `acm:DescribeCertificate`.
pub(crate) async fn describe_certificate(
    ctx: &Ctx,
    input: wire::DescribeCertificateRequest,
) -> Result<wire::DescribeCertificateResponse> {
    let found = find(ctx, &input.certificate_arn).await?;
    let users = uses::users(&ctx.app.store, found.key()).await?;
    let detail = detail(ctx.account(), &found.certificate, users, ctx.now);
    Ok(wire::DescribeCertificateResponse {
        certificate: Some(detail),
    })
}

/// All that ACM shows of a certificate.
fn detail(
    account: &AccountId,
    certificate: &Certificate,
    users: Vec<String>,
    now: Timestamp,
) -> wire::CertificateDetail {
    let current = certificate.current.as_ref();
    let facts = current.map(|current| &current.facts);
    let shown_at = Shown::of(certificate);
    let requested = !matches!(certificate.origin, Origin::Imported { .. });
    wire::CertificateDetail {
        certificate_arn: Some(certificate.arn.clone()),
        domain_name: domain_name(certificate),
        subject_alternative_names: Some(certificate.names.clone()),
        domain_validation_options: domain_validations(account, certificate, now),
        serial: facts.map(|facts| facts.serial.clone()),
        subject: Some(match facts {
            Some(facts) => facts.subject.clone(),
            None => format!("CN={}", certificate.domain_name),
        }),
        issuer: issuer(certificate),
        created_at: Some(certificate.created_at),
        issued_at: shown_at.issued,
        imported_at: shown_at.imported,
        status: wire::CertificateStatus::parse(certificate.status(now).as_str()),
        revoked_at: certificate.revoked.map(|revoked| revoked.at),
        revocation_reason: certificate
            .revoked
            .map(|revoked| revocation_reason(revoked.reason)),
        not_before: facts.map(|facts| facts.not_before),
        not_after: facts.map(|facts| facts.not_after),
        key_algorithm: Some(certificate.key_algorithm.described().into()),
        signature_algorithm: signature_algorithm(certificate),
        in_use_by: Some(users),
        failure_reason: match certificate.state {
            State::Failed(reason) => wire::FailureReason::parse(reason.as_str()),
            _ => None,
        },
        type_: Some(certificate_type(&certificate.origin)),
        renewal_summary: certificate.renewal_summary().and_then(renewal_summary),
        key_usages: Some(key_usages(facts)),
        extended_key_usages: Some(extended_key_usages(facts)),
        certificate_authority_arn: match &certificate.origin {
            Origin::Private { authority } => Some(authority.clone()),
            Origin::Imported { .. } | Origin::Public { .. } => None,
        },
        renewal_eligibility: Some(renewal_eligibility(certificate, now)),
        options: Some(options(certificate, requested)),
        certificate_key_pair_origin: key_pair_origin(certificate),
        ..wire::CertificateDetail::default()
    }
}

/// What a listing shows of a certificate.
pub(super) fn summary(certificate: &Certificate, now: Timestamp) -> wire::CertificateSummary {
    let facts = certificate.current.as_ref().map(|current| &current.facts);
    let shown_at = Shown::of(certificate);
    let names = certificate.names.iter().take(SUMMARY_NAMES);
    wire::CertificateSummary {
        certificate_arn: Some(certificate.arn.clone()),
        domain_name: domain_name(certificate),
        subject_alternative_name_summaries: Some(names.cloned().collect()),
        has_additional_subject_alternative_names: Some(certificate.names.len() > SUMMARY_NAMES),
        status: wire::CertificateStatus::parse(certificate.status(now).as_str()),
        type_: Some(certificate_type(&certificate.origin)),
        key_algorithm: Some(certificate.key_algorithm.described().into()),
        key_usages: Some(
            key_usages(facts)
                .into_iter()
                .filter_map(|usage| usage.name)
                .collect(),
        ),
        extended_key_usages: Some(
            extended_key_usages(facts)
                .into_iter()
                .filter_map(|usage| usage.name)
                .collect(),
        ),
        export_option: Some(export_option(certificate)),
        in_use: Some(certificate.uses > 0),
        exported: Some(certificate.exported_version.is_some()),
        renewal_eligibility: Some(renewal_eligibility(certificate, now)),
        not_before: facts.map(|facts| facts.not_before),
        not_after: facts.map(|facts| facts.not_after),
        created_at: Some(certificate.created_at),
        issued_at: shown_at.issued,
        imported_at: shown_at.imported,
        revoked_at: certificate.revoked.map(|revoked| revoked.at),
        certificate_key_pair_origin: key_pair_origin(certificate),
        ..wire::CertificateSummary::default()
    }
}

/// When it came to what it is, under the name that its type gives that.
pub(super) struct Shown {
    pub(super) issued: Option<Timestamp>,
    pub(super) imported: Option<Timestamp>,
}

impl Shown {
    pub(super) fn of(certificate: &Certificate) -> Self {
        match certificate.origin {
            Origin::Imported { at } => Self {
                issued: None,
                imported: Some(at),
            },
            Origin::Private { .. } | Origin::Public { .. } => Self {
                issued: certificate.current.as_ref().map(|current| current.at),
                imported: None,
            },
        }
    }
}

/// An imported certificate may have no name at all.
fn domain_name(certificate: &Certificate) -> Option<String> {
    Some(certificate.domain_name.clone()).filter(|name| !name.is_empty())
}

/// The issuer; before there is one, what it will be: AWS's own CA for a public certificate.
fn issuer(certificate: &Certificate) -> Option<String> {
    match (&certificate.current, &certificate.origin) {
        (Some(current), _) => Some(current.facts.issuer.clone()),
        (None, Origin::Public { .. }) => Some("Amazon".into()),
        (None, Origin::Private { .. } | Origin::Imported { .. }) => None,
    }
}

/// How it is signed; before it is, what a public one will be.
fn signature_algorithm(certificate: &Certificate) -> Option<String> {
    match (&certificate.current, &certificate.origin) {
        (Some(current), _) => Some(current.facts.signature_algorithm.clone()),
        (None, Origin::Public { .. }) => Some("SHA256WITHRSA".into()),
        (None, Origin::Private { .. } | Origin::Imported { .. }) => None,
    }
}

pub(super) fn certificate_type(origin: &Origin) -> wire::CertificateType {
    match origin {
        Origin::Imported { .. } => wire::CertificateType::Imported,
        Origin::Private { .. } => wire::CertificateType::Private,
        Origin::Public { .. } => wire::CertificateType::AmazonIssued,
    }
}

pub(super) fn key_usages(facts: Option<&Facts>) -> Vec<wire::KeyUsage> {
    let bits = facts.map_or(&[][..], |facts| &facts.key_usages);
    bits.iter()
        .map(|bit| wire::KeyUsage {
            name: wire::KeyUsageName::parse(facts::key_usage_name(*bit)),
        })
        .collect()
}

pub(super) fn extended_key_usages(facts: Option<&Facts>) -> Vec<wire::ExtendedKeyUsage> {
    let oids = facts.map_or(&[][..], |facts| &facts.extended_key_usages);
    oids.iter()
        .map(|oid| wire::ExtendedKeyUsage {
            name: wire::ExtendedKeyUsageName::parse(facts::extended_key_usage_name(oid)),
            oid: Some(oid.0.clone()),
        })
        .collect()
}

pub(super) fn renewal_eligibility(
    certificate: &Certificate,
    now: Timestamp,
) -> wire::RenewalEligibility {
    match certificate.eligibility(now) {
        Ok(()) => wire::RenewalEligibility::Eligible,
        Err(_) => wire::RenewalEligibility::Ineligible,
    }
}

fn renewal_summary(renewal: Renewal) -> Option<wire::RenewalSummary> {
    Some(wire::RenewalSummary {
        renewal_status: wire::RenewalStatus::parse(renewal.status.as_str())?,
        domain_validation_options: Vec::new(),
        renewal_status_reason: renewal
            .reason
            .and_then(|reason| wire::FailureReason::parse(reason.as_str())),
        updated_at: renewal.updated_at,
    })
}

/// Recorded answers of imported certificates have the first member alone.
fn options(certificate: &Certificate, requested: bool) -> wire::CertificateOptions {
    use wire::CertificateTransparencyLoggingPreference as Logging;
    wire::CertificateOptions {
        certificate_transparency_logging_preference: Some(
            match certificate.options.transparency_logging {
                true => Logging::Enabled,
                false => Logging::Disabled,
            },
        ),
        export: requested.then(|| export_option(certificate)),
        ..wire::CertificateOptions::default()
    }
}

pub(super) fn export_option(certificate: &Certificate) -> wire::CertificateExport {
    match certificate.options.export {
        true => wire::CertificateExport::Enabled,
        false => wire::CertificateExport::Disabled,
    }
}

pub(super) fn key_pair_origin(certificate: &Certificate) -> Option<wire::CertificateKeyPairOrigin> {
    wire::CertificateKeyPairOrigin::parse(properties::key_pair_origin(certificate))
}

/// API reference, `SubjectAlternativeNameSummaries`: the first 100 names.
const SUMMARY_NAMES: usize = 100;
