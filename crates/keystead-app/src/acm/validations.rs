//! How the names of a certificate are validated, as it is shown; ListCertificateDomainValidations.

use jiff::Timestamp;
use keystead_core::acm::{Certificate, Origin, Status, ValidationMethod, validation};
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_crypto::digest;
use keystead_wire::acm as wire;

use super::find;
use crate::{Ctx, cursor};

/// `acm:ListCertificateDomainValidations`. A certificate of a private CA, or an imported one, has no
/// name that ACM validates.
pub(crate) async fn list_certificate_domain_validations(
    ctx: &Ctx,
    input: wire::ListCertificateDomainValidationsRequest,
) -> Result<wire::ListCertificateDomainValidationsResponse> {
    let arn = &input.certificate_arn;
    let found = find(ctx, arn).await.map_err(as_argument)?;
    // The page of one certificate's names is no other's.
    let scope = format!("ListCertificateDomainValidations {arn}");
    let skip: usize = match &input.next_token {
        Some(token) => {
            let place = cursor::resume(ctx, &scope, token).map_err(as_argument)?;
            place.parse().unwrap_or(usize::MAX)
        }
        None => 0,
    };
    let size = cursor::size(input.max_items, DEFAULT_PAGE);
    let validations = match found.certificate.origin {
        Origin::Public { .. } => {
            domain_validations(ctx.account(), &found.certificate, ctx.now).unwrap_or_default()
        }
        Origin::Private { .. } | Origin::Imported { .. } => Vec::new(),
    };
    let end = skip.saturating_add(size);
    let next = (validations.len() > end).then(|| cursor::token(ctx, &scope, &end.to_string()));
    let page = validations.into_iter().skip(skip).take(size).map(summary);
    Ok(wire::ListCertificateDomainValidationsResponse {
        domain_validation_summary_list: Some(page.collect()),
        next_token: next,
    })
}

/// The operation documents one refusal for everything that is wrong with its arguments.
fn as_argument(error: Error) -> Error {
    match error.kind {
        ErrorKind::InvalidArn | ErrorKind::InvalidNextToken => {
            Error::new(ErrorKind::InvalidArgs, error.message)
        }
        _ => error,
    }
}

fn summary(validation: wire::DomainValidation) -> wire::DomainValidationSummary {
    let email = validation
        .validation_emails
        .map(|emails| wire::EmailValidationChallenge {
            validation_emails: Some(emails),
            validation_domain: validation.validation_domain,
        });
    let dns = validation
        .resource_record
        .map(|record| wire::DnsValidationChallenge {
            resource_record: Some(record),
        });
    wire::DomainValidationSummary {
        domain_name: validation.domain_name,
        active_validation_configuration: Some(wire::ValidationConfiguration {
            validation_method: validation.validation_method,
            validation_challenge: Some(wire::ValidationChallenge {
                email_validation_challenge: email,
                dns_validation_challenge: dns,
            }),
            validation_status: validation.validation_status,
        }),
        requested_validation_configuration: None,
    }
}

/// How each name is validated. An imported certificate shows its names alone, as recorded answers do;
/// a private one has nothing to validate.
pub(super) fn domain_validations(
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

/// API reference, ListCertificateDomainValidations: 1000 where the caller names no size.
const DEFAULT_PAGE: usize = 1000;
