//! ListSecrets: in four orders, by filters, page by page.
//!
//! A page reads an index in its order and each secret that it names. A filter may let few pass: a page looks at so many as
//! [`MOST_READ`] and then ends, with a token for the rest, as AWS's may ("This can occur even when the response includes no
//! values at all").

use keystead_core::secrets::Secret;
use keystead_core::secrets::filter::{Filter, Key};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Stored;
use keystead_wire::secretsmanager as wire;

use super::record::{INDEX, Order, SECRETS, SecretRecord, name_in};
use super::shown;
use crate::{Ctx, cursor};

/// ListSecrets.
pub async fn list_secrets(
    ctx: &Ctx,
    input: wire::ListSecretsRequest,
) -> Result<wire::ListSecretsResponse> {
    ctx.allow_own("*")?;
    let listing = Listing {
        deleted: input.include_planned_deletion == Some(true),
        sort: input.sort_by.unwrap_or(wire::SortByType::CreatedDate),
        backwards: input.sort_order == Some(wire::SortOrderType::Desc),
        ..Listing::filtered(input.filters.as_deref().unwrap_or_default())?
    };
    let size = cursor::size(input.max_results, PAGE);
    let (found, next_token) = page(ctx, &listing, input.next_token.as_deref(), size).await?;
    Ok(wire::ListSecretsResponse {
        secret_list: Some(found.iter().map(shown::entry).collect()),
        next_token,
    })
}

/// Which secrets, in which order.
#[derive(Debug)]
pub(super) struct Listing {
    filters: Vec<Filter>,
    /// Those that wait for their end, too.
    deleted: bool,
    sort: wire::SortByType,
    backwards: bool,
}

impl Listing {
    /// Those that pass these filters, in the usual order.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidParameter`], in AWS's words.
    pub(super) fn filtered(filters: &[wire::Filter]) -> Result<Self> {
        let invalid = |message: String| Error::new(ErrorKind::InvalidParameter, message);
        let filter = |filter: &wire::Filter| {
            let key = filter
                .key
                .ok_or_else(|| invalid("Invalid filter key".into()))?;
            let values = filter.values.clone().filter(|values| !values.is_empty());
            let values =
                values.ok_or_else(|| invalid(format!("Invalid filter values for key: {key}")))?;
            let key = key_of(key);
            Ok(Filter { key, values })
        };
        Ok(Self {
            filters: filters.iter().map(filter).collect::<Result<_>>()?,
            deleted: false,
            sort: wire::SortByType::CreatedDate,
            backwards: false,
        })
    }

    fn passes(&self, secret: &Secret) -> bool {
        (self.deleted || secret.deletion.is_none())
            && self.filters.iter().all(|filter| filter.passes(secret))
    }

    /// What its tokens are bound to.
    fn scope(&self) -> String {
        format!("ListSecrets {self:?}")
    }
}

/// A page of a listing, with the token for the next one.
pub(super) async fn page(
    ctx: &Ctx,
    listing: &Listing,
    after: Option<&str>,
    size: usize,
) -> Result<(Vec<Secret>, Option<String>)> {
    let scope = listing.scope();
    let after = after.map(|token| cursor::resume(ctx, &scope, token));
    let mut after = after.transpose()?;
    let mut passed = Vec::new();
    let mut read = 0;
    loop {
        // One more tells whether there is a next page; where few pass, more are looked at together.
        let wanted = (size + 1 - passed.len()).max(if read == 0 { 0 } else { AT_ONCE });
        let found = next(ctx, listing, after.as_deref(), wanted).await?;
        let Some(last) = found.last() else {
            return Ok((passed, None));
        };
        let end = last.0.clone();
        read += found.len();
        for (place, secret) in found {
            let Some(secret) = secret.filter(|secret| listing.passes(secret)) else {
                after = Some(place);
                continue;
            };
            if passed.len() == size {
                // There is one more: the next page begins with it.
                let after = after.unwrap_or_default();
                return Ok((passed, Some(cursor::token(ctx, &scope, &after))));
            }
            passed.push(secret);
            after = Some(place);
        }
        if read >= MOST_READ {
            return Ok((passed, Some(cursor::token(ctx, &scope, &end))));
        }
    }
}

/// The next secrets of a listing, passing or not, each with its place; a place may stand for a secret that went meanwhile.
async fn next(
    ctx: &Ctx,
    listing: &Listing,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<(String, Option<Secret>)>> {
    let (store, home) = (&ctx.app.store, ctx.prefix());
    let order = match listing.sort {
        wire::SortByType::CreatedDate => Order::Created,
        wire::SortByType::LastChangedDate => Order::Changed,
        wire::SortByType::LastAccessedDate => Order::Accessed,
        wire::SortByType::Name => {
            let found: Vec<Stored<SecretRecord>> = match listing.backwards {
                false => store.scan(SECRETS, &home, after, limit).await?,
                true => store.scan_back(SECRETS, &home, after, limit).await?,
            };
            let found = found.into_iter();
            return Ok(found.map(|one| (one.key, Some(one.value.0))).collect());
        }
    };
    let prefix = order.prefix(&home);
    let places: Vec<Stored<()>> = match listing.backwards {
        false => store.scan(INDEX, &prefix, after, limit).await?,
        true => store.scan_back(INDEX, &prefix, after, limit).await?,
    };
    let mut found = Vec::with_capacity(places.len());
    for Stored { key: place, .. } in places {
        let name = name_in(&place, &prefix).unwrap_or_default();
        let at = ctx.key(name);
        let secret = store.get::<SecretRecord>(SECRETS, &at).await?;
        found.push((place, secret.map(|one| one.value.0)));
    }
    Ok(found)
}

fn key_of(key: wire::FilterNameStringType) -> Key {
    use wire::FilterNameStringType as Named;
    match key {
        Named::Description => Key::Description,
        Named::Name => Key::Name,
        Named::TagKey => Key::TagKey,
        Named::TagValue => Key::TagValue,
        Named::PrimaryRegion => Key::PrimaryRegion,
        Named::OwningService => Key::OwningService,
        Named::All => Key::All,
    }
}

/// Secrets of one answer (API reference, `MaxResults`: at most 100).
const PAGE: usize = 100;

/// Secrets that are looked at together where few pass.
const AT_ONCE: usize = 50;

/// Secrets that one page looks at: some ten milliseconds.
const MOST_READ: usize = 500;
