//! RevokeCertificate.

use keystead_core::pca::{Command, Revocation, RevocationReason, Serial};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, StoreError, Stored};
use keystead_wire::acm_pca as wire;

use super::LIST_QUEUE;
use super::record::{REVOKED, Revoked, entry_key, list_key};
use crate::Ctx;
use crate::access::Act;
use crate::pca::authorities::{ATTEMPTS, authority_as, contended};
use crate::pca::certificates::stored;
use crate::pca::convert;
use crate::pca::internal::owned;
use crate::pca::record::{Authority, CERTIFICATES, Issued};

/// RevokeCertificate. OCSP tells of it from the answer on, lists a few seconds later.
pub async fn revoke_certificate(
    ctx: &Ctx,
    input: wire::RevokeCertificateRequest,
) -> Result<wire::RevokeCertificateResponse> {
    let arn = &input.certificate_authority_arn;
    let reason = convert::reason(input.revocation_reason);
    revoke(ctx, Act::Own, arn, &input.certificate_serial, reason).await?;
    Ok(wire::RevokeCertificateResponse)
}

/// Revokes the certificate with this serial number, in any of its spellings, that the private CA `arn` of the caller
/// issued; `act` is what the call does to the authority.
///
/// Refuses with [`ErrorKind::InvalidArn`], [`ErrorKind::NotFound`] (no such authority, or it issued no such certificate),
/// [`ErrorKind::InvalidState`], [`ErrorKind::InvalidRequest`] (no serial number, or the root's own),
/// [`ErrorKind::RequestAlreadyProcessed`], [`ErrorKind::RequestInProgress`] and [`ErrorKind::ConcurrentModification`].
pub(crate) async fn revoke(
    ctx: &Ctx,
    act: Act<'_>,
    arn: &str,
    serial: &str,
    reason: RevocationReason,
) -> Result<()> {
    let found = authority_as(ctx, act, arn, None).await?.into_inner();
    revoke_of(ctx, found, arn, serial, reason).await
}

/// As [`revoke`], for what a service issued and takes back by itself.
pub(crate) async fn take_back(
    ctx: &Ctx,
    arn: &str,
    serial: &str,
    reason: RevocationReason,
) -> Result<()> {
    let found = owned(&ctx.app, ctx.account(), &ctx.region, arn).await?;
    revoke_of(ctx, found, arn, serial, reason).await
}

async fn revoke_of(
    ctx: &Ctx,
    found: Stored<Authority>,
    arn: &str,
    serial: &str,
    reason: RevocationReason,
) -> Result<()> {
    found.value.ca.check(Command::Revoke, ctx.now)?;
    let serial = parse(serial, arn)?;
    let key = format!("{}/{}", found.key, serial.hex());
    for _ in 0..ATTEMPTS {
        let issued = stored(ctx, &found, &key, &serial.colons())
            .await?
            .ok_or_else(|| never_issued(&serial.colons(), arn))?;
        check_revocable(&issued.value, &serial)?;
        let revocation = Revocation {
            at: ctx.now,
            reason,
        };
        let batch = recorded(&found, issued, &serial, revocation);
        match ctx.app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(arn))
}

/// The one commit of a revocation.
fn recorded(
    authority: &Stored<Authority>,
    issued: Stored<Issued>,
    serial: &Serial,
    revocation: Revocation,
) -> Batch {
    let mut record = issued.value;
    record.revocation = Some(revocation);
    let entry = Revoked {
        at: revocation.at.as_second(),
        reason: revocation.reason,
        not_after: record.not_after,
    };
    let partition = record.partition.as_deref();
    let mut batch = Batch::new();
    batch.put(
        REVOKED,
        entry_key(&authority.key, partition, serial),
        &entry,
        Expect::Any,
    );
    // The complete list holds what belongs to partitions too. Where a list is not kept, its item ends without effect.
    let lists = partition.map(Some).into_iter().chain([None]);
    for list in lists {
        let key = list_key(&authority.key, list);
        batch.enqueue(LIST_QUEUE, key, revocation.at, &());
    }
    let expect = Expect::Version(issued.version);
    batch.put(CERTIFICATES, issued.key, &record, expect);
    batch
}

/// Reads a serial number. One that is longer than any can be is one that we never issued.
fn parse(text: &str, arn: &str) -> Result<Serial> {
    if let Some(serial) = Serial::parse(text) {
        return Ok(serial);
    }
    let is_number = text.chars().any(|digit| digit.is_ascii_hexdigit())
        && text
            .chars()
            .all(|character| character == ':' || character.is_ascii_hexdigit());
    if is_number {
        return Err(never_issued(text, arn));
    }
    Err(Error::new(
        ErrorKind::InvalidRequest,
        format!(
            "The certificate serial '{}' is not a hexadecimal number.",
            text.escape_debug()
        ),
    ))
}

fn never_issued(serial: &str, arn: &str) -> Error {
    Error::new(
        ErrorKind::NotFound,
        format!("Could not find a certificate with serial {serial} of {arn}."),
    )
}

fn check_revocable(record: &Issued, serial: &Serial) -> Result<()> {
    if record.revocation.is_some() {
        return Err(Error::new(
            ErrorKind::RequestAlreadyProcessed,
            format!(
                "The certificate with serial {} is already revoked.",
                serial.colons()
            ),
        ));
    }
    if record.issuer.is_none() {
        return Err(Error::new(
            ErrorKind::InvalidRequest,
            "You cannot revoke a root CA self-signed certificate; delete the certificate authority instead.",
        ));
    }
    Ok(())
}
