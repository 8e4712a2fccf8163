//! Certificate Manager (ACM): certificates with their keys, requested from a private CA or imported,
//! renewed as they near their end, read out, delivered, and kept from deletion while they are used.
//!
//! The rules are `keystead_core::acm`; [`internal`] is what other parts of Keystead may do with
//! certificates.

mod account;
mod describe;
mod expiry;
mod found;
mod import;
pub mod internal;
mod issue;
mod lifecycle;
mod list;
mod read;
mod reading;
mod record;
mod reindex;
mod reissue;
mod request;
mod revoke;
mod search;
mod tags;
#[cfg(test)]
mod tests;
mod uses;
mod validations;
mod x509;

pub(crate) use account::{get_account_configuration, put_account_configuration};
pub(crate) use describe::describe_certificate;
pub(crate) use expiry::{EXPIRY_QUEUE, announce};
pub(crate) use import::import_certificate;
pub(crate) use lifecycle::{
    delete_certificate, renew_certificate, resend_validation_email, update_certificate_options,
};
pub(crate) use list::list_certificates;
pub(crate) use read::{export_certificate, get_certificate};
pub(crate) use reindex::{INDEX_QUEUE, index_part, see_to_index};
pub(crate) use reissue::{
    REISSUE_QUEUE, describe_reissue, list_reissues, reissue_part, start_reissue, stop_reissue,
};
pub(crate) use request::request_certificate;
pub(crate) use revoke::revoke_certificate;
pub(crate) use search::search_certificates;
pub(crate) use tags::{
    add_tags_to_certificate, list_tags_for_certificate, list_tags_for_resource,
    remove_tags_from_certificate, tag_resource, untag_resource,
};
pub(crate) use validations::list_certificate_domain_validations;

use keystead_core::acm::Certificate;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use record::Loaded;

use crate::Ctx;
use crate::access::{Act, Allowed, Resource};

/// The caller's certificate of this ARN, if the call may touch it.
async fn find(ctx: &Ctx, arn: &str) -> Result<Allowed<Loaded>> {
    find_as(ctx, Act::Own, arn).await
}

/// As [`find`], for what the call does on the way.
async fn find_as(ctx: &Ctx, act: Act<'_>, arn: &str) -> Result<Allowed<Loaded>> {
    let id = ctx
        .own(arn, "acm", "certificate")
        .map_err(|error| match error.kind {
            ErrorKind::NotFound => not_found(ctx, arn),
            _ => error,
        })?;
    let found = Loaded::read(&ctx.app.store, &ctx.key(id)).await?;
    let found = ctx.admit(act, arn, found, |found, resource| Resource {
        tags: tags::described(&found.certificate.tags),
        ..resource
    })?;
    found.ok_or_else(|| not_found(ctx, arn))
}

/// Applies `how` to the caller's certificate of this ARN and stores it, again if somebody else changed
/// it meanwhile.
async fn change(
    ctx: &Ctx,
    arn: &str,
    how: impl Fn(&mut Certificate) -> Result<()> + Send + Sync,
) -> Result<()> {
    for _ in 0..CONFLICT_TRIES {
        let mut found = find(ctx, arn).await?.into_inner();
        how(&mut found.certificate)?;
        let mut batch = Batch::new();
        found.save(&mut batch);
        match ctx.app.store.commit(batch).await.map_err(Error::from) {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            committed => return committed.map(|_| ()),
        }
    }
    Err(busy(arn))
}

fn not_found(ctx: &Ctx, arn: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!(
            "Could not find certificate {arn} in account {}.",
            ctx.account()
        ),
    )
}

/// The refusal when somebody else was quicker every time.
fn busy(arn: &str) -> Error {
    Error::new(
        ErrorKind::ConcurrentModification,
        format!("Certificate {arn} is being changed by others at the same time; try again."),
    )
}

/// How often a change is tried again because somebody else changed the certificate meanwhile. The
/// others are a caller's few calls and one reconciler, so that this many in a row are never lost to
/// bad luck alone.
const CONFLICT_TRIES: u32 = 8;
