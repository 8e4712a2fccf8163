//! ListCertificates.

use keystead_core::acm::KeyAlgorithm;
use keystead_core::acm::index::{Family, SortBy};
use keystead_core::acm::properties::Property;
use keystead_core::acm::search::{Filter, Statement};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::acm as wire;

use super::describe::summary;
use super::found::{self, Query};
use crate::{Ctx, cursor};

/// `acm:ListCertificates`. A page may have fewer certificates than it could, or none, and a token to go
/// on with (see [`found`]).
pub(crate) async fn list_certificates(
    ctx: &Ctx,
    input: wire::ListCertificatesRequest,
) -> Result<wire::ListCertificatesResponse> {
    ctx.allow_own("*")?;
    let (by, descending) = order(&input)?;
    let query = Query {
        statement: Some(statement(&input)),
        by,
        descending,
        limit: cursor::size(input.max_items, DEFAULT_PAGE),
    };
    let scope = query.scope("ListCertificates");
    let after = input
        .next_token
        .map(|token| cursor::resume(ctx, &scope, &token));
    let (certificates, next) = found::page(ctx, &query, after.transpose()?).await?;
    let shown = certificates.iter().map(|found| summary(found, ctx.now));
    Ok(wire::ListCertificatesResponse {
        next_token: next.map(|place| cursor::token(ctx, &scope, &place)),
        certificate_summary_list: Some(shown.collect()),
    })
}

/// By which order, and whether the other way round. Without one it is that of the ARNs; AWS promises
/// none.
fn order(input: &wire::ListCertificatesRequest) -> Result<(SortBy, bool)> {
    match (input.sort_by, input.sort_order) {
        (None, None) => Ok((SortBy::Id, false)),
        (Some(wire::SortBy::CreatedAt), Some(order)) => Ok((
            SortBy::Family(Family::CreatedAt),
            order == wire::SortOrder::Descending,
        )),
        (Some(_), None) | (None, Some(_)) => Err(Error::new(
            ErrorKind::Validation,
            "SortBy and SortOrder go together: give both or neither.",
        )),
    }
}

/// What must be true of a certificate that is listed (API reference, ListCertificates and `Filters`):
/// of each kind of filter that is given, one value.
fn statement(input: &wire::ListCertificatesRequest) -> Statement {
    let includes = input.includes.clone().unwrap_or_default();
    let mut all = Vec::new();
    let mut filter = |property, values: Option<Vec<&'static str>>| {
        if let Some(values) = values.filter(|values| !values.is_empty()) {
            all.push(Statement::one_of(property, values));
        }
    };
    let statuses = input.certificate_statuses.as_ref();
    let origins = input.certificate_key_pair_origins.as_ref();
    let kinds = includes
        .key_types
        .as_ref()
        .filter(|kinds| !kinds.is_empty());
    filter(
        Property::Status,
        statuses.map(|values| values.iter().map(|value| value.as_str()).collect()),
    );
    filter(
        Property::KeyPairOrigin,
        origins.map(|values| values.iter().map(|value| value.as_str()).collect()),
    );
    filter(
        Property::KeyAlgorithm,
        Some(match kinds {
            Some(values) => values.iter().map(|value| value.as_str()).collect(),
            None => default_kinds().collect(),
        }),
    );
    filter(
        Property::ExportOption,
        includes.export_option.map(|option| vec![option.as_str()]),
    );
    if kinds.is_none() {
        all.push(Statement::Is(Filter::Named));
    }
    let usages = includes.key_usage.into_iter().flatten();
    let usages = usages.map(|usage| Filter::KeyUsage(usage.as_str().into()));
    let purposes = includes.extended_key_usage.into_iter().flatten();
    let purposes = purposes.map(|purpose| Filter::ExtendedKeyUsage(purpose.as_str().into()));
    for any in [usages.collect::<Vec<_>>(), purposes.collect()] {
        if !any.is_empty() {
            all.push(Statement::Any(any.into_iter().map(Statement::Is).collect()));
        }
    }
    if includes.managed_by.is_some() {
        all.push(Statement::Is(Filter::Never));
    }
    Statement::All(all)
}

/// Model, `Filters`: "Default filtering returns only RSA_1024 and RSA_2048 certificates that have at
/// least one domain."
fn default_kinds() -> impl Iterator<Item = &'static str> {
    let kinds = KeyAlgorithm::ALL.into_iter();
    kinds
        .filter(|kind| kind.listed_by_default())
        .map(KeyAlgorithm::model_name)
}

/// API reference, ListCertificateDomainValidations: 1000 where the caller names no size; ListCertificates
/// has the same bound and names no other.
const DEFAULT_PAGE: usize = 1000;
