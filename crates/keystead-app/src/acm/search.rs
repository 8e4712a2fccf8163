//! SearchCertificates.

use keystead_core::acm::Certificate;
use keystead_core::acm::index::{Family, SortBy};
use keystead_core::acm::properties::{Property, flag};
use keystead_core::acm::search::{Filter, Range, Statement, Text};
use keystead_core::{Error, ErrorKind, Result, hex};
use keystead_crypto::digest;
use keystead_wire::acm as wire;

use super::describe;
use super::found::{self, Query};
use super::x509::attributes;
use crate::{Ctx, cursor};

/// `acm:SearchCertificates`. A page may have fewer certificates than it could, or none, and a token to
/// go on with (see [`found`]).
pub(crate) async fn search_certificates(
    ctx: &Ctx,
    input: wire::SearchCertificatesRequest,
) -> Result<wire::SearchCertificatesResponse> {
    ctx.allow_own("*")?;
    let statement = input.filter_statement.map(statement).transpose()?;
    if let Some(statement) = &statement {
        statement.check_size()?;
    }
    let query = Query {
        by: sort_by(input.sort_by),
        descending: input.sort_order == Some(wire::SearchCertificatesSortOrder::Descending),
        limit: cursor::size(input.max_results, DEFAULT_PAGE),
        statement,
    };
    let scope = query.scope("SearchCertificates");
    let after = input
        .next_token
        .map(|token| cursor::resume(ctx, &scope, &token));
    let (certificates, next) = found::page(ctx, &query, after.transpose()?).await?;
    Ok(wire::SearchCertificatesResponse {
        results: Some(
            certificates
                .iter()
                .map(|found| result(ctx, found))
                .collect(),
        ),
        next_token: next.map(|place| cursor::token(ctx, &scope, &place)),
    })
}

impl Query {
    /// What a token of these pages is bound to.
    pub(super) fn scope(&self, operation: &str) -> String {
        let asked = format!("{:?} {:?} {}", self.statement, self.by, self.descending);
        format!("{operation} {}", hex(&digest::sha256(asked.as_bytes())))
    }
}

fn result(ctx: &Ctx, certificate: &Certificate) -> wire::CertificateSearchResult {
    let shown_at = describe::Shown::of(certificate);
    let property = |property: Property| property.of(certificate, ctx.now);
    let metadata = wire::AcmCertificateMetadata {
        created_at: Some(certificate.created_at),
        exported: Some(certificate.exported_version.is_some()),
        imported_at: shown_at.imported,
        in_use: Some(certificate.uses > 0),
        issued_at: shown_at.issued,
        renewal_eligibility: Some(describe::renewal_eligibility(certificate, ctx.now)),
        revoked_at: certificate.revoked.map(|revoked| revoked.at),
        status: wire::CertificateStatus::parse(property(Property::Status)),
        renewal_status: wire::RenewalStatus::parse(property(Property::RenewalStatus)),
        type_: Some(describe::certificate_type(&certificate.origin)),
        export_option: Some(describe::export_option(certificate)),
        validation_method: wire::ValidationMethod::parse(property(Property::ValidationMethod)),
        certificate_key_pair_origin: describe::key_pair_origin(certificate),
        ..wire::AcmCertificateMetadata::default()
    };
    wire::CertificateSearchResult {
        certificate_arn: Some(certificate.arn.clone()),
        x509_attributes: Some(attributes(certificate)),
        certificate_metadata: Some(wire::CertificateMetadata {
            acm_certificate_metadata: Some(metadata),
        }),
    }
}

/// Without a field to sort by, the order is that of the ARNs; AWS promises none.
fn sort_by(asked: Option<wire::SearchCertificatesSortBy>) -> SortBy {
    use wire::SearchCertificatesSortBy as By;
    match asked {
        None | Some(By::CertificateArn) => SortBy::Id,
        // No certificate here has any of these, so that only ARNs are left to order.
        Some(By::ManagedBy | By::AcmeEndpointArn | By::AcmeAccountId) => SortBy::Id,
        Some(By::CreatedAt) => SortBy::Family(Family::CreatedAt),
        Some(By::IssuedAt) => SortBy::Family(Family::IssuedAt),
        Some(By::ImportedAt) => SortBy::Family(Family::ImportedAt),
        Some(By::RevokedAt) => SortBy::Family(Family::RevokedAt),
        Some(By::NotBefore) => SortBy::Family(Family::NotBefore),
        Some(By::NotAfter) => SortBy::Family(Family::NotAfter),
        Some(By::CommonName) => SortBy::Family(Family::CommonName),
        Some(By::Status) => SortBy::Property(Property::Status),
        Some(By::RenewalStatus) => SortBy::Property(Property::RenewalStatus),
        Some(By::Exported) => SortBy::Property(Property::Exported),
        Some(By::InUse) => SortBy::Property(Property::InUse),
        Some(By::KeyAlgorithm) => SortBy::Property(Property::KeyAlgorithm),
        Some(By::Type) => SortBy::Property(Property::Type),
        Some(By::RenewalEligibility) => SortBy::Property(Property::RenewalEligibility),
        Some(By::ExportOption) => SortBy::Property(Property::ExportOption),
        Some(By::ValidationMethod) => SortBy::Property(Property::ValidationMethod),
        Some(By::CertificateKeyPairOrigin) => SortBy::Property(Property::KeyPairOrigin),
    }
}

fn statement(given: wire::CertificateFilterStatement) -> Result<Statement> {
    let all = |parts: Vec<_>| parts.into_iter().map(statement).collect::<Result<Vec<_>>>();
    let mut found = Vec::new();
    found.extend(given.and.map(|parts| all(parts).map(Statement::All)));
    found.extend(given.or.map(|parts| all(parts).map(Statement::Any)));
    found.extend(
        given
            .not
            .map(|part| statement(*part).map(|part| Statement::Not(Box::new(part)))),
    );
    found.extend(given.filter.map(|given| filter(given).map(Statement::Is)));
    the_one("CertificateFilterStatement", found)?
}

fn filter(given: wire::CertificateFilter) -> Result<Filter> {
    let mut found = Vec::new();
    found.extend(given.certificate_arn.map(|arn| Ok(Filter::Arn(arn))));
    found.extend(given.x509_attribute_filter.map(attribute));
    found.extend(given.acm_certificate_metadata_filter.map(metadata));
    the_one("CertificateFilter", found)?
}

fn attribute(given: wire::X509AttributeFilter) -> Result<Filter> {
    let mut found = Vec::new();
    found.extend(given.subject.map(|subject| {
        let names = subject.common_name.into_iter();
        let name = the_one("SubjectFilter", names.collect())?;
        Ok(Filter::CommonName(text(
            &name.value,
            name.comparison_operator,
        )))
    }));
    found.extend(given.subject_alternative_name.map(|given| {
        let names = given.dns_name.into_iter();
        let name = the_one("SubjectAlternativeNameFilter", names.collect())?;
        Ok(Filter::DnsName(text(&name.value, name.comparison_operator)))
    }));
    found.extend(
        given
            .extended_key_usage
            .map(|usage| Ok(Filter::ExtendedKeyUsage(usage.as_str().into()))),
    );
    found.extend(
        given
            .key_usage
            .map(|usage| Ok(Filter::KeyUsage(usage.as_str().into()))),
    );
    found.extend(
        given
            .key_algorithm
            .map(|kind| Ok(equals(Property::KeyAlgorithm, kind.as_str()))),
    );
    found.extend(given.serial_number.map(|serial| Ok(Filter::Serial(serial))));
    found.extend(
        given
            .not_after
            .map(|span| range(span).map(Filter::NotAfter)),
    );
    found.extend(
        given
            .not_before
            .map(|span| range(span).map(Filter::NotBefore)),
    );
    the_one("X509AttributeFilter", found)?
}

fn metadata(given: wire::AcmCertificateMetadataFilter) -> Result<Filter> {
    use Property as P;
    let mut found = Vec::new();
    found.extend(given.status.map(|value| equals(P::Status, value.as_str())));
    found.extend(
        given
            .renewal_status
            .map(|value| equals(P::RenewalStatus, value.as_str())),
    );
    found.extend(given.type_.map(|value| equals(P::Type, value.as_str())));
    found.extend(given.in_use.map(|value| equals(P::InUse, flag(value))));
    found.extend(given.exported.map(|value| equals(P::Exported, flag(value))));
    found.extend(
        given
            .export_option
            .map(|value| equals(P::ExportOption, value.as_str())),
    );
    found.extend(
        given
            .validation_method
            .map(|value| equals(P::ValidationMethod, value.as_str())),
    );
    found.extend(
        given
            .certificate_key_pair_origin
            .map(|value| equals(P::KeyPairOrigin, value.as_str())),
    );
    found.extend(given.managed_by.map(|_| Filter::Never));
    found.extend(given.acme_endpoint_arn.map(|_| Filter::Never));
    found.extend(given.acme_account_id.map(|_| Filter::Never));
    the_one("AcmCertificateMetadataFilter", found)
}

fn equals(property: Property, value: &str) -> Filter {
    Filter::Property(property, value.into())
}

fn text(value: &str, operator: wire::ComparisonOperator) -> Text {
    Text::new(value, operator == wire::ComparisonOperator::Contains)
}

fn range(given: wire::TimestampRange) -> Result<Range> {
    let range = Range {
        start: given.start,
        end: given.end,
    };
    match (range.start, range.end) {
        (None, None) => Err(invalid(
            "A TimestampRange must have a Start, an End or both.".into(),
        )),
        (Some(start), Some(end)) if start > end => Err(invalid(
            "The Start of a TimestampRange must not be after its End.".into(),
        )),
        _ => Ok(range),
    }
}

/// The one member of a union.
fn the_one<T>(union: &str, mut given: Vec<T>) -> Result<T> {
    match (given.pop(), given.is_empty()) {
        (Some(one), true) => Ok(one),
        _ => Err(invalid(format!("{union} must have exactly one member."))),
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Validation, message)
}

/// API reference, SearchCertificates: 100 where the caller names no size.
const DEFAULT_PAGE: usize = 100;
