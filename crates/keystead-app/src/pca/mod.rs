//! Private CA (ACM-PCA): the use cases, one function an operation.
//!
//! An authority is one record with its key; each certificate that it issues is one record; both are
//! read by key, so that no operation but a listing costs more as more is stored. What the operations
//! decide is in `keystead_core::pca`; what they sign is judged by `keystead_core::lint`.

mod authorities;
mod certificates;
mod complete;
mod convert;
mod expiry;
pub mod internal;
mod issue;
mod issuers;
mod own_certificate;
mod passthrough;
mod purge;
mod record;
mod reports;
mod retention;
pub mod revocation;
mod shared;
mod sharing;
pub(crate) mod succession;
mod text;

#[cfg(test)]
pub(crate) mod tests;

pub use authorities::{
    create_certificate_authority, delete_certificate_authority, describe_certificate_authority,
    get_certificate_authority_csr, list_certificate_authorities, restore_certificate_authority,
    update_certificate_authority,
};
pub use certificates::{get_certificate, issue_certificate};
pub use own_certificate::{
    get_certificate_authority_certificate, import_certificate_authority_certificate,
};
pub use reports::{
    create_certificate_authority_audit_report, describe_certificate_authority_audit_report,
};
pub use revocation::revoke::revoke_certificate;
pub use sharing::{
    create_permission, delete_permission, delete_policy, get_policy, list_permissions, list_tags,
    put_policy, tag_certificate_authority, untag_certificate_authority,
};

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use keystead_core::Result;
use keystead_store::Lease;

use crate::App;

pub(crate) use authorities::PURGE_QUEUE;
pub(crate) use complete::ISSUE_QUEUE;
pub(crate) use expiry::{EXPIRE_QUEUE, tell};
pub(crate) use issuers::Issuers;
pub(crate) use reports::{REPORT_QUEUE, write_part};
pub(crate) use retention::{
    RETENTION_QUEUE, schedule as schedule_retention, sweep as sweep_expired,
};
pub(crate) use revocation::{LIST_QUEUE, SIGNER_QUEUE};

/// Completes the certificate that this item of [`ISSUE_QUEUE`] intends. Answers whether the item was
/// settled together with the outcome.
pub(crate) async fn complete_intent(app: &App, lease: &Lease) -> Result<bool> {
    let key = lease
        .id()
        .rsplit_once('/')
        .map_or("", |(authority, _)| authority);
    let Some(authority) = app
        .store
        .get::<record::Authority>(record::AUTHORITIES, key)
        .await?
    else {
        // Purged meanwhile: there is no key to sign with.
        return Ok(false);
    };
    complete::complete_leased(app, &authority.value, lease).await?;
    Ok(true)
}

/// Removes a part of the deleted authority that this item of [`PURGE_QUEUE`] names. Answers when to
/// come back for the rest.
pub(crate) async fn purge_part(app: &Arc<App>, lease: &Lease) -> Result<Option<Timestamp>> {
    let now = app.env.now();
    Ok(match purge::purge(app, lease.id(), now).await? {
        purge::Left::Alive(until) => until,
        purge::Left::More => Some(now),
        purge::Left::Nothing => None,
    })
}

/// Makes the revocation list that this item of [`LIST_QUEUE`] names. Answers when it is due again.
pub(crate) async fn make_list(app: &App, lease: &Lease) -> Result<Option<Timestamp>> {
    revocation::build::build(app, lease.id()).await
}

/// Sees to it that somebody signs the OCSP answers of the authority that this item of [`SIGNER_QUEUE`] names. Answers when
/// to look again.
pub(crate) async fn renew_signer(app: &App, lease: &Lease) -> Result<Option<Timestamp>> {
    revocation::signer::renew(app, lease.id()).await
}

/// Models, `IdempotencyToken`: "time out after five minutes".
const TOKEN_LIFETIME: SignedDuration = SignedDuration::from_mins(5);
