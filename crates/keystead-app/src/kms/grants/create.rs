//! CreateGrant.

use keystead_core::kms::grant::{self, Grant, Party, Terms};
use keystead_core::kms::{Command, GrantOperation};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect};
use keystead_wire::kms as wire;

use super::{record, token};
use crate::Ctx;
use crate::kms::find::{self, Ask, Names};
use crate::kms::principals;
use crate::kms::record::KEYS;
use crate::kms::usable::unless_tried;
use crate::retry::retrying;

/// CreateGrant.
pub async fn create_grant(
    ctx: &Ctx,
    input: wire::CreateGrantRequest,
) -> Result<wire::CreateGrantResponse> {
    check_parties(&input)?;
    let terms = terms(&input)?;
    let (input, terms) = (&input, &terms);
    retrying(record::ATTEMPTS, || attempt(ctx, input, terms)).await
}

async fn attempt(
    ctx: &Ctx,
    input: &wire::CreateGrantRequest,
    terms: &Terms,
) -> Result<wire::CreateGrantResponse> {
    let constraint = terms.context.as_ref();
    let kind = constraint.map(|constraint| constraint.name());
    let kind = kind.or(terms.source_arn.as_ref().map(|_| "SourceArn"));
    let keys = kind.map(|kind| ("kms:GrantConstraintType", kind));
    let ask = Ask {
        operation: Some("CreateGrant"),
        context: constraint.map(|constraint| constraint.pairs()),
        keys: keys.as_slice(),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        granting: Some(terms),
        ..Ask::OWN
    };
    let found = find::key(ctx, &input.key_id, Names::Key, ask).await?;
    let key = &found.record.key;
    key.check(Command::Grant)?;
    terms.check(key)?;
    let mut grant = granted(ctx, input, terms).await?;
    let before = record::made_before(&ctx.app.store, &found.at, &grant).await?;
    if before.is_none() {
        grant::check_room(key)?;
    }
    unless_tried(input.dry_run)?;
    match before {
        Some(id) => grant.id = id,
        None => {
            let mut batch = Batch::new();
            let mut record = found.record.clone();
            record.key.grants = record.key.grants.saturating_add(1);
            let before = Expect::Version(found.version);
            batch.put(KEYS, found.at.as_str(), &record, before);
            record::add(&mut batch, &found.at, key.region.as_str(), &grant);
            ctx.app.store.commit(batch).await?;
        }
    }
    Ok(wire::CreateGrantResponse {
        grant_token: Some(token::make(ctx, &found.at, &grant.id)?),
        grant_id: Some(grant.id),
    })
}

/// The grant that is asked for, with a fresh id; refuses whom nobody knows.
async fn granted(ctx: &Ctx, input: &wire::CreateGrantRequest, terms: &Terms) -> Result<Grant> {
    let grantee = party(
        ctx,
        input.grantee_principal.as_deref(),
        input.grantee_service_principal.as_deref(),
    );
    let retiring = party(
        ctx,
        input.retiring_principal.as_deref(),
        input.retiring_service_principal.as_deref(),
    );
    let (Some(grantee), retiring) = (grantee.await?, retiring.await?) else {
        return Err(invalid(ONE_GRANTEE));
    };
    Ok(Grant {
        id: record::fresh_id(&grantee.key(), terms)?,
        name: input.name.clone(),
        grantee,
        retiring,
        terms: terms.clone(),
        issuing_account: ctx.account().clone(),
        created_at: ctx.now,
    })
}

fn terms(input: &wire::CreateGrantRequest) -> Result<Terms> {
    let operations = input.operations.iter();
    let operations = operations.filter_map(|one| GrantOperation::from_name(one.as_str()));
    let constraints = input.constraints.clone().unwrap_or_default();
    Terms::new(
        operations,
        constraints.encryption_context_equals,
        constraints.encryption_context_subset,
        constraints.source_arn,
    )
}

/// Which parameters go together (API reference, CreateGrant).
fn check_parties(input: &wire::CreateGrantRequest) -> Result<()> {
    let wire::CreateGrantRequest {
        grantee_principal: grantee,
        grantee_service_principal: service,
        retiring_principal: retiring,
        retiring_service_principal: retiring_service,
        ..
    } = input;
    if grantee.is_some() == service.is_some() {
        return Err(invalid(ONE_GRANTEE));
    }
    if retiring.is_some() && retiring_service.is_some() {
        return Err(invalid(
            "You can specify either RetiringPrincipal or RetiringServicePrincipal, but not both.",
        ));
    }
    let constraints = input.constraints.as_ref();
    let bound = constraints.is_some_and(|constraints| constraints.source_arn.is_some());
    let ends = retiring.is_some() || retiring_service.is_some();
    if service.is_some() && !(bound && ends) {
        return Err(invalid(
            "When you specify a GranteeServicePrincipal, you must also specify a SourceArn grant constraint, and \
             either a RetiringPrincipal or a RetiringServicePrincipal.",
        ));
    }
    Ok(())
}

async fn party(ctx: &Ctx, principal: Option<&str>, service: Option<&str>) -> Result<Option<Party>> {
    match (principal, service) {
        (Some(text), _) => principals::named(&ctx.app, text).await.map(Some),
        (None, Some(name)) => Ok(Some(Party::Service(name.to_owned()))),
        (None, None) => Ok(None),
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Validation, message)
}

const ONE_GRANTEE: &str =
    "You must specify either GranteePrincipal or GranteeServicePrincipal, but not both.";
