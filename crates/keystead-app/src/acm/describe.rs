//! DescribeCertificate, and how a certificate is shown.

use jiff::Timestamp;
use keystead_core::acm::{
    Certificate, Facts, Origin, Renewal, State, Status, ValidationMethod, facts, listing,
    validation,
};
use keystead_core::{AccountId, Result};
use keystead_crypto::digest;
use keystead_wire::acm as wire;

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
        certificate_key_pair_origin: key_pair_origin(certificate),
        ..wire::CertificateSummary::default()
    }
}

/// When it came to what it is, under the name that its type gives that.
struct Shown {
    issued: Option<Timestamp>,
    imported: Option<Timestamp>,
}

impl Shown {
    fn of(certificate: &Certificate) -> Self {
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

/// How each name is validated. An imported certificate shows its names alone, as recorded answers do;
/// a private one has nothing to validate.
fn domain_validations(
    account: &AccountId,
    certificate: &Certificate,
    now: Timestamp,
) -> Option<Vec<wire::DomainValidation>> {
    match &certificate.origin {
        Origin::Private { .. } => None,
        Origin::Imported { .. } => Some(certificate.names.iter().map(|name| bare(name)).collect()),
        Origin::Public {
            method,
            validation_domains,
        } => Some(
            certificate
                .names
                .iter()
                .map(|name| {
                    let at = validation_domains.get(name).unwrap_or(name);
                    domain_validation(account, name, at, *method, certificate.status(now))
                })
                .collect(),
        ),
    }
}

fn domain_validation(
    account: &AccountId,
    name: &str,
    at: &str,
    method: ValidationMethod,
    status: Status,
) -> wire::DomainValidation {
    let status = match status {
        Status::PendingValidation => wire::DomainStatus::PendingValidation,
        _ => wire::DomainStatus::Failed,
    };
    let shown = wire::DomainValidation {
        validation_domain: Some(at.to_owned()),
        validation_status: Some(status),
        ..bare(name)
    };
    match method {
        // No mail is sent, so that none is listed.
        ValidationMethod::Email => wire::DomainValidation {
            validation_emails: Some(Vec::new()),
            validation_method: Some(wire::ValidationMethod::Email),
            ..shown
        },
        ValidationMethod::Dns => {
            let unique = format!("acm dns validation\n{account}\n{}", validation::base(name));
            let record = validation::dns_record(name, &digest::sha256(unique.as_bytes()));
            wire::DomainValidation {
                validation_method: Some(wire::ValidationMethod::Dns),
                resource_record: Some(wire::ResourceRecord {
                    name: record.name,
                    type_: wire::RecordType::Cname,
                    value: record.value,
                }),
                ..shown
            }
        }
    }
}

/// The name alone.
fn bare(name: &str) -> wire::DomainValidation {
    wire::DomainValidation {
        domain_name: name.to_owned(),
        validation_emails: None,
        validation_domain: None,
        validation_status: None,
        resource_record: None,
        http_redirect: None,
        validation_method: None,
    }
}

fn certificate_type(origin: &Origin) -> wire::CertificateType {
    match origin {
        Origin::Imported { .. } => wire::CertificateType::Imported,
        Origin::Private { .. } => wire::CertificateType::Private,
        Origin::Public { .. } => wire::CertificateType::AmazonIssued,
    }
}

fn key_usages(facts: Option<&Facts>) -> Vec<wire::KeyUsage> {
    let bits = facts.map_or(&[][..], |facts| &facts.key_usages);
    bits.iter()
        .map(|bit| wire::KeyUsage {
            name: wire::KeyUsageName::parse(facts::key_usage_name(*bit)),
        })
        .collect()
}

fn extended_key_usages(facts: Option<&Facts>) -> Vec<wire::ExtendedKeyUsage> {
    let oids = facts.map_or(&[][..], |facts| &facts.extended_key_usages);
    oids.iter()
        .map(|oid| wire::ExtendedKeyUsage {
            name: wire::ExtendedKeyUsageName::parse(facts::extended_key_usage_name(oid)),
            oid: Some(oid.0.clone()),
        })
        .collect()
}

fn renewal_eligibility(certificate: &Certificate, now: Timestamp) -> wire::RenewalEligibility {
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

fn export_option(certificate: &Certificate) -> wire::CertificateExport {
    match certificate.options.export {
        true => wire::CertificateExport::Enabled,
        false => wire::CertificateExport::Disabled,
    }
}

fn key_pair_origin(certificate: &Certificate) -> Option<wire::CertificateKeyPairOrigin> {
    wire::CertificateKeyPairOrigin::parse(listing::key_pair_origin(certificate))
}

/// API reference, `SubjectAlternativeNameSummaries`: the first 100 names.
const SUMMARY_NAMES: usize = 100;
