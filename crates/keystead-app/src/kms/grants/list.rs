//! ListGrants and ListRetirableGrants.

use keystead_core::kms::grant::{ContextConstraint, Grant, Party};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::kms as wire;

use super::record::{self, GRANTS, GrantRecord, RETIRABLE, grantee_digits, retirable_prefix};
use crate::access::{Resource, account_of};
use crate::kms::conditions::Call;
use crate::kms::find::{self, Ask, Found, Names};
use crate::kms::{page_size, principals};
use crate::{Ctx, cursor};

/// ListGrants.
pub async fn list_grants(
    ctx: &Ctx,
    input: wire::ListGrantsRequest,
) -> Result<wire::ListGrantsResponse> {
    let found = find::key(ctx, &input.key_id, Names::Key, Ask::OWN).await?;
    if input.grantee_service_principal.is_some() {
        return Err(for_services("GranteeServicePrincipal"));
    }
    let grantee = match &input.grantee_principal {
        Some(text) => Some(principals::named(&ctx.app, text).await?.key()),
        None => None,
    };
    if let Some(id) = &input.grant_id {
        let grant = record::find(&ctx.app.store, &found.at, id).await?;
        let grant = grant.map(|stored| stored.value.grant);
        let grant = grant.filter(|grant| is_of(grant, grantee.as_deref()));
        return Ok(answer(grant.map(|grant| shown(&found.arn, grant)), None));
    }
    page_of_key(ctx, &found, grantee, input.limit, input.marker).await
}

async fn page_of_key(
    ctx: &Ctx,
    found: &Found,
    grantee: Option<String>,
    limit: Option<i32>,
    marker: Option<String>,
) -> Result<wire::ListGrantsResponse> {
    let digits = grantee.as_deref().map(grantee_digits).unwrap_or_default();
    let scope = format!("ListGrants {} {digits}", found.arn);
    let after = marker.map(|marker| cursor::resume(ctx, &scope, &marker));
    let (after, size) = (after.transpose()?, page_size(limit));
    let prefix = format!("{}/{digits}", found.at);
    let store = &ctx.app.store;
    let mut page = store
        .scan::<GrantRecord>(GRANTS, &prefix, after.as_deref(), size.saturating_add(1))
        .await?;
    let more = page.len() > size;
    page.truncate(size);
    let last = page.last().filter(|_| more);
    let next = last.map(|last| cursor::token(ctx, &scope, &last.key));
    let grants = page.into_iter().map(|stored| stored.value.grant);
    let grants = grants.filter(|grant| is_of(grant, grantee.as_deref()));
    let shown = grants.map(|grant| shown(&found.arn, grant));
    Ok(answer(shown, next))
}

/// ListRetirableGrants, on keys of any account. What is decided on is the principal, who must be of the caller's account:
/// others have no say on theirs.
pub async fn list_retirable_grants(
    ctx: &Ctx,
    input: wire::ListRetirableGrantsRequest,
) -> Result<wire::ListGrantsResponse> {
    let principal = match (input.retiring_principal, input.retiring_service_principal) {
        (Some(principal), None) => principal,
        (None, Some(_)) => return Err(for_services("RetiringServicePrincipal")),
        _ => {
            return Err(Error::new(
                ErrorKind::Validation,
                "You must specify either RetiringPrincipal or RetiringServicePrincipal, but not both.",
            ));
        }
    };
    let call = Call(ctx);
    ctx.allow(&Resource {
        describe: Some(&call),
        ..Resource::new(&principal, account_of(&principal))
    })?;
    let party: Party = principals::named(&ctx.app, &principal).await?;
    let prefix = retirable_prefix(ctx.region.as_str(), &party.key());
    let scope = format!("ListRetirableGrants {principal}");
    let after = input.marker;
    let after = after.map(|marker| cursor::resume(ctx, &scope, &marker));
    let (after, size) = (after.transpose()?, page_size(input.limit));
    let store = &ctx.app.store;
    let mut page = store
        .scan::<()>(RETIRABLE, &prefix, after.as_deref(), size.saturating_add(1))
        .await?;
    let more = page.len() > size;
    page.truncate(size);
    let last = page.last().filter(|_| more);
    let next = last.map(|last| cursor::token(ctx, &scope, &last.key));
    let mut grants = Vec::new();
    for index in page {
        let key = index.key.strip_prefix(&prefix).unwrap_or_default();
        // It may have ended since.
        if let Some(found) = store.get::<GrantRecord>(GRANTS, key).await? {
            grants.push(shown(&arn_at(ctx, key), found.value.grant));
        }
    }
    Ok(answer(grants, next))
}

/// The ARN of the key whose grant has this record key: `account/region/key/grant`.
fn arn_at(ctx: &Ctx, key: &str) -> String {
    let mut parts = key.split('/');
    let account = parts.next().unwrap_or_default();
    let id = parts.nth(1).unwrap_or_default();
    let partition = ctx.region.partition();
    format!("arn:{partition}:kms:{}:{account}:key/{id}", ctx.region)
}

fn is_of(grant: &Grant, grantee: Option<&str>) -> bool {
    grantee.is_none_or(|grantee| grant.grantee.key() == grantee)
}

fn answer(
    grants: impl IntoIterator<Item = wire::GrantListEntry>,
    next: Option<String>,
) -> wire::ListGrantsResponse {
    wire::ListGrantsResponse {
        grants: Some(grants.into_iter().collect()),
        truncated: Some(next.is_some()),
        next_marker: next,
    }
}

fn shown(arn: &str, grant: Grant) -> wire::GrantListEntry {
    let service = |party: &Party| matches!(party, Party::Service(_));
    let (as_service, as_principal) = match service(&grant.grantee) {
        true => (Some(grant.grantee.shown()), None),
        false => (None, Some(grant.grantee.shown())),
    };
    let retiring = grant.retiring.as_ref();
    let operations = grant.terms.operations.iter();
    let operations = operations.filter_map(|one| wire::GrantOperation::parse(one.name()));
    let (equals, subset) = match grant.terms.context.clone() {
        Some(ContextConstraint::Equals(pairs)) => (Some(pairs), None),
        Some(ContextConstraint::Subset(pairs)) => (None, Some(pairs)),
        None => (None, None),
    };
    let constraints = wire::GrantConstraints {
        encryption_context_subset: subset,
        encryption_context_equals: equals,
        source_arn: grant.terms.source_arn.clone(),
    };
    let constrained = constraints != wire::GrantConstraints::default();
    wire::GrantListEntry {
        key_id: Some(arn.to_owned()),
        creation_date: Some(grant.created_at),
        grantee_principal: as_principal,
        grantee_service_principal: as_service,
        retiring_principal: retiring.filter(|party| !service(party)).map(Party::shown),
        retiring_service_principal: retiring.filter(|party| service(party)).map(Party::shown),
        issuing_account: Some(Party::Account(grant.issuing_account).shown()),
        operations: Some(operations.collect()),
        constraints: constrained.then_some(constraints),
        grant_id: Some(grant.id),
        name: grant.name,
    }
}

/// "This filter is only usable by callers in a service principal" (API reference, ListGrants).
fn for_services(filter: &str) -> Error {
    Error::new(
        ErrorKind::AccessDenied,
        format!(
            "{filter} is a filter that only an AWS service can use: name a principal by its ARN."
        ),
    )
}
