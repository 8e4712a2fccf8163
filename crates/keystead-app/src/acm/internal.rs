//! What other parts of Keystead may do with certificates: deliver them, say who uses them, and carry
//! out what is due.

use std::sync::Arc;

use jiff::Timestamp;
use keystead_core::{AccountId, Arn, Error, ErrorKind, Region, Result};
use keystead_crypto::PrivateKeyPem;
use keystead_store::{Batch, Collection, Lease};

use super::issue::{self, Found};
use super::record::{self, CertificateRecord, Loaded, Material};
use super::{CONFLICT_TRIES, busy, find_as, not_found, uses};
use crate::access::Act;
use crate::tasks::Outcome;
use crate::{App, Ctx};

/// The collection of certificates, for whoever follows the change feed: a change of the record with
/// [`record_key`] may mean that [`material`] has a new version.
pub const CERTIFICATES: Collection = record::CERTIFICATES;

/// A certificate as it is delivered: one version, whole.
#[derive(Debug)]
pub struct Delivered {
    /// The version's number: 1, 2, 3... in the order in which they were served.
    pub version: u64,
    /// The certificate and its chain in PEM, the certificate first.
    pub cert_chain_pem: String,
    /// Its private key.
    pub key: PrivateKeyPem,
    /// Its serial number, as DescribeCertificate shows it.
    pub serial: String,
}

/// The record key of the certificate of this ARN; `None` if it names none in this account and region.
pub fn record_key(account: &AccountId, region: &Region, arn: &str) -> Option<String> {
    let prefix = Arn::new("acm", region, account, "certificate/").to_string();
    let id = arn.strip_prefix(&prefix)?;
    (!id.is_empty() && !id.contains('/')).then(|| format!("{account}/{region}/{id}"))
}

/// The version of a certificate that is served now, with its key.
///
/// # Errors
/// [`ErrorKind::NotFound`] when there is no such certificate, or it was never issued;
/// [`ErrorKind::RequestInProgress`] while it hasn't been yet.
pub async fn material(
    app: &App,
    account: &AccountId,
    region: &Region,
    arn: &str,
) -> Result<Delivered> {
    for _ in 0..CONFLICT_TRIES {
        let found = named(app, account, region, arn).await?;
        let served = found.certificate.served(app.env.now())?;
        let material = match record::material(&app.store, found.key(), served.version).await {
            // Replaced twice since the record was read.
            Err(error) if error.kind == ErrorKind::ConcurrentModification => continue,
            read => read?,
        };
        return Ok(Delivered {
            version: served.version,
            serial: served.facts.serial.clone(),
            cert_chain_pem: bundle(&material),
            key: app.keys.reveal(&material.key).await?,
        });
    }
    Err(busy(arn))
}

/// A version that leaves with its key, for another service of the installation to keep.
pub(crate) struct TakenOut {
    /// The version's number.
    pub(crate) version: u64,
    /// Its last second.
    pub(crate) not_after: Timestamp,
    /// The certificate in PEM.
    pub(crate) certificate: String,
    /// Its chain in PEM; empty if there is none.
    pub(crate) chain: String,
    /// Its private key.
    pub(crate) key: PrivateKeyPem,
}

/// Takes out the version that is served now; that it leaves, as by ExportCertificate, is stored with `batch`.
///
/// # Errors
/// As ExportCertificate, but for permissions: whoever asked for it had them ([`may_leave`]).
pub(crate) async fn take_out(
    app: &App,
    (account, region): (&AccountId, &Region),
    arn: &str,
    batch: &mut Batch,
) -> Result<TakenOut> {
    let mut found = named(app, account, region, arn).await?;
    let version = found.certificate.export(app.env.now())?;
    let not_after = found.certificate.served(app.env.now())?.facts.not_after;
    let material = record::material(&app.store, found.key(), version).await?;
    found.save(batch);
    Ok(TakenOut {
        version,
        not_after,
        key: app.keys.reveal(&material.key).await?,
        certificate: material.certificate.unwrap_or_default(),
        chain: material.chain.unwrap_or_default(),
    })
}

/// The number of the version that is served now, and its last second.
///
/// # Errors
/// As [`material`].
pub(crate) async fn served_until(
    app: &App,
    (account, region): (&AccountId, &Region),
    arn: &str,
) -> Result<(u64, Timestamp)> {
    let found = named(app, account, region, arn).await?;
    let served = found.certificate.served(app.env.now())?;
    Ok((served.version, served.facts.not_after))
}

/// Refuses callers who may not export the certificate.
pub(crate) async fn may_leave(ctx: &Ctx, arn: &str) -> Result<()> {
    find_as(ctx, Act::Also("acm:ExportCertificate"), arn).await?;
    Ok(())
}

async fn named(app: &App, account: &AccountId, region: &Region, arn: &str) -> Result<Loaded> {
    let not_found = || {
        Error::new(
            ErrorKind::NotFound,
            format!("Could not find certificate {arn} in account {account}."),
        )
    };
    let key = record_key(account, region, arn).ok_or_else(not_found)?;
    Loaded::read(&app.store, &key).await?.ok_or_else(not_found)
}

/// The number of the version of the caller's certificate that is served now, if the call may do this to it.
///
/// Refuses as [`material`] does.
pub(crate) async fn version(ctx: &Ctx, act: Act<'_>, arn: &str) -> Result<u64> {
    let found = find_as(ctx, act, arn).await?;
    let served = found.certificate.served(ctx.app.env.now())?;
    Ok(served.version)
}

/// Adds to `batch` that `user` (an ARN) uses the caller's certificate, unless it does already. As long
/// as anybody does, the certificate is renewed and can't be deleted.
///
/// # Errors
/// [`ErrorKind::NotFound`], [`ErrorKind::InvalidArn`]. The commit of the batch fails with
/// [`ErrorKind::ConcurrentModification`] if the certificate was changed meanwhile.
pub(crate) async fn associate(
    ctx: &Ctx,
    act: Act<'_>,
    batch: &mut Batch,
    arn: &str,
    user: &str,
) -> Result<()> {
    let found = find_as(ctx, act, arn).await?.into_inner();
    uses::associate(&ctx.app.store, batch, found, user).await
}

/// Adds to `batch` that `user` no longer uses the caller's certificate, if it did. Whoever may change the
/// user may do that: nothing of the certificate is shown.
///
/// # Errors
/// As [`associate`].
pub async fn release(ctx: &Ctx, batch: &mut Batch, arn: &str, user: &str) -> Result<()> {
    let key = ctx.key(ctx.own(arn, "acm", "certificate")?);
    let found = Loaded::read(&ctx.app.store, &key).await?;
    let found = found.ok_or_else(|| not_found(ctx, arn))?;
    uses::release(&ctx.app.store, batch, found, user).await
}

/// The next certificates whose record keys begin with `prefix`, to be changed; and where the next page begins.
pub(crate) async fn certificates(
    app: &App,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Loaded>, Option<String>)> {
    let page = app
        .store
        .scan::<CertificateRecord>(CERTIFICATES, prefix, after, limit)
        .await?;
    let next = page.last().filter(|_| page.len() == limit);
    let next = next.map(|last| last.key.clone());
    Ok((page.into_iter().map(Loaded::of).collect(), next))
}

/// The private CA that issues the certificate of this ARN, and the number of the version that is served;
/// `None` where nothing is, or nothing is issued again.
pub(crate) async fn served(
    app: &App,
    account: &AccountId,
    region: &Region,
    arn: &str,
    now: Timestamp,
) -> Result<Option<(String, u64)>> {
    let Some(key) = record_key(account, region, arn) else {
        return Ok(None);
    };
    let Some(found) = Loaded::read(&app.store, &key).await? else {
        return Ok(None);
    };
    let issuer = found.certificate.issuer(now);
    let current = found.certificate.current.as_ref();
    Ok(issuer
        .zip(current)
        .map(|((authority, _), current)| (authority.to_owned(), current.version)))
}

/// The queue of what is due for certificates.
pub(crate) const QUEUE: &str = record::QUEUE;

/// Does what is due for the certificate of this lease.
pub(crate) async fn reconcile(app: &Arc<App>, lease: &Lease) -> Result<Outcome> {
    match issue::reconcile(app, lease.id()).await? {
        Found::Nothing => Ok(Outcome::Finished),
        Found::Due => Ok(Outcome::Settled),
        Found::Early(found) => {
            let mut batch = Batch::new();
            found.requeue(&mut batch);
            app.store.commit(batch).await?;
            Ok(Outcome::Settled)
        }
    }
}

fn bundle(material: &Material) -> String {
    let mut bundle = String::new();
    for part in [&material.certificate, &material.chain]
        .into_iter()
        .flatten()
    {
        bundle.push_str(part);
        if !part.ends_with('\n') {
            bundle.push('\n');
        }
    }
    bundle
}
