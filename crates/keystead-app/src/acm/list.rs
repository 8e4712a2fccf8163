//! ListCertificates.

use keystead_core::acm::listing::Filter;
use keystead_core::acm::{Certificate, KeyAlgorithm};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Collection, Stored};
use keystead_wire::acm as wire;

use super::describe::summary;
use super::record::{
    CERTIFICATES, CertificateRecord, Loaded, NEWEST_FIRST, OLDEST_FIRST, of_order_key,
};
use crate::{Ctx, cursor};

/// `acm:ListCertificates`.
///
/// A page is full, or the last one, or as far as [`MAX_EXAMINED`] certificates reach: then it has
/// fewer certificates than it may, or none, and a token to go on with.
pub(crate) async fn list_certificates(
    ctx: &Ctx,
    input: wire::ListCertificatesRequest,
) -> Result<wire::ListCertificatesResponse> {
    ctx.allow_own("*")?;
    let order = Order::of(&input)?;
    let limit = input
        .max_items
        .and_then(|most| usize::try_from(most).ok())
        .unwrap_or(DEFAULT_PAGE);
    let filter = filter(&input);
    let mut after = match &input.next_token {
        Some(token) => Some(cursor::resume(ctx, order.scope(), token)?),
        None => None,
    };
    let mut shown = Vec::new();
    // Where the last certificate of the page stands.
    let mut last_shown = None;
    let mut examined = 0;
    let next = 'page: loop {
        if examined >= MAX_EXAMINED {
            break after;
        }
        let chunk = order.read(ctx, after.as_deref()).await?;
        let ended = chunk.len() < CHUNK;
        examined += chunk.len();
        for (position, certificate) in chunk {
            if certificate.is_some_and(|certificate| {
                let shows = filter.shows(&certificate, ctx.now);
                if shows && shown.len() < limit {
                    shown.push(summary(&certificate, ctx.now));
                    last_shown = Some(position.clone());
                    return false;
                }
                shows
            }) {
                // One more than the page holds: there is a next page.
                break 'page last_shown;
            }
            after = Some(position);
        }
        if ended {
            break None;
        }
    };
    Ok(wire::ListCertificatesResponse {
        next_token: next.map(|position| cursor::token(ctx, order.scope(), &position)),
        certificate_summary_list: Some(shown),
    })
}

/// In which order certificates are listed.
#[derive(Clone, Copy)]
enum Order {
    /// By their ids; AWS promises none either.
    Any,
    /// By creation.
    Created(Collection),
}

impl Order {
    fn of(input: &wire::ListCertificatesRequest) -> Result<Self> {
        match (input.sort_by, input.sort_order) {
            (None, None) => Ok(Self::Any),
            (Some(wire::SortBy::CreatedAt), Some(wire::SortOrder::Ascending)) => {
                Ok(Self::Created(OLDEST_FIRST))
            }
            (Some(wire::SortBy::CreatedAt), Some(wire::SortOrder::Descending)) => {
                Ok(Self::Created(NEWEST_FIRST))
            }
            (Some(_), None) | (None, Some(_)) => Err(Error::new(
                ErrorKind::Validation,
                "SortBy and SortOrder go together: give both or neither.",
            )),
        }
    }

    /// What a token of such a listing is bound to.
    fn scope(self) -> &'static str {
        match self {
            Self::Any => "ListCertificates",
            Self::Created(OLDEST_FIRST) => "ListCertificates oldest first",
            Self::Created(_) => "ListCertificates newest first",
        }
    }

    /// The next certificates with their positions in this order; without the certificate where it was
    /// deleted while they were read.
    async fn read(
        self,
        ctx: &Ctx,
        after: Option<&str>,
    ) -> Result<Vec<(String, Option<Certificate>)>> {
        let store = &ctx.app.store;
        let prefix = ctx.prefix();
        match self {
            Self::Any => {
                let found: Vec<Stored<CertificateRecord>> =
                    store.scan(CERTIFICATES, &prefix, after, CHUNK).await?;
                Ok(found
                    .into_iter()
                    .map(|stored| (stored.key, Some(stored.value.0)))
                    .collect())
            }
            Self::Created(collection) => {
                let found: Vec<Stored<()>> = store.scan(collection, &prefix, after, CHUNK).await?;
                let mut certificates = Vec::with_capacity(found.len());
                for position in found {
                    let certificate = match of_order_key(&position.key) {
                        Some(key) => Loaded::read(store, &key)
                            .await?
                            .map(|found| found.certificate),
                        None => None,
                    };
                    certificates.push((position.key, certificate));
                }
                Ok(certificates)
            }
        }
    }
}

fn filter(input: &wire::ListCertificatesRequest) -> Filter {
    let includes = input.includes.clone().unwrap_or_default();
    let statuses = input.certificate_statuses.iter().flatten();
    let origins = input.certificate_key_pair_origins.iter().flatten();
    let key_types = includes.key_types.iter().flatten();
    Filter {
        statuses: statuses.map(|status| status.as_str().into()).collect(),
        key_types: key_types
            .filter_map(|kind| KeyAlgorithm::from_model_name(kind.as_str()))
            .collect(),
        key_usages: includes
            .key_usage
            .iter()
            .flatten()
            .map(|usage| usage.as_str().into())
            .collect(),
        extended_key_usages: includes
            .extended_key_usage
            .iter()
            .flatten()
            .map(|usage| usage.as_str().into())
            .collect(),
        export: includes
            .export_option
            .map(|export| export == wire::CertificateExport::Enabled),
        managed_by: includes.managed_by.map(|service| service.as_str().into()),
        key_pair_origins: origins.map(|origin| origin.as_str().into()).collect(),
    }
}

/// API reference, ListCertificateDomainValidations: 1000 where the caller names no size; ListCertificates
/// has the same bound and names no other.
const DEFAULT_PAGE: usize = 1000;

/// Certificates that are read at a time.
const CHUNK: usize = 250;

/// Certificates that one call examines at most: twice what AWS lets an account have in a region (ACM
/// user guide, "Quotas": 2,500), so that within that quota every page but the last is full.
const MAX_EXAMINED: usize = 5000;
