//! The log of all that private CAs issue: a list that only grows, under a hash that commits to all of it
//! (RFC 9162 section 2.1), signed.
//!
//! A leaf is the DER of a certificate. The commit that stores some certificates also stores that they are pending
//! for the log, for the price of one small record; a follower ([`append`]) puts what is pending into the log,
//! some tiles' worth in one commit, and never loses one, since nothing stops being pending but by being
//! logged. What it writes does not grow with the log: the tiles at the right edge, a place for each
//! certificate, together with those of its neighbours, the head. Tiles hold hashes of perfect parts of the tree, which never change once they are
//! whole, so that any proof reads a handful of records.
//!
//! Who keeps a head that was signed earlier can have it proven that nothing was changed or taken out since
//! (`GetCertificateLogProof`), and `keystead audit verify` computes it all anew.

mod append;
mod record;
#[cfg(test)]
mod tests;
mod verify;

use jiff::Timestamp;
use keystead_core::{Error, ErrorKind, Result, hex};
use keystead_crypto::merkle::{self, Hash, Range};
use keystead_crypto::x509;
use keystead_store::Store;
use keystead_wire::keystead as wire;

pub(crate) use append::{append_all, begin, follow, issued};
pub(crate) use record::{PLACES, Places};
pub use verify::{Report, verify};

use crate::{Ctx, pca};
use record::{Head, signed_bytes};

/// `keystead:GetCertificateLogHead`: the head, with all that was issued before this call in it; and the proof
/// that it begins with an earlier one of the given size.
pub(crate) async fn get_certificate_log_head(
    ctx: &Ctx,
    input: wire::GetCertificateLogHeadRequest,
) -> Result<wire::GetCertificateLogHeadResponse> {
    ctx.allow_own("*")?;
    let head = newest(ctx).await?;
    let proof = match input.first_size {
        None => None,
        Some(first) => {
            let first = u64::try_from(first).unwrap_or(0);
            let ranges = merkle::consistency(first, head.size).ok_or_else(|| {
                Error::new(
                    ErrorKind::Validation,
                    format!(
                        "The log has {} certificates; FirstSize can be 1 to that.",
                        head.size
                    ),
                )
            })?;
            Some(hashes(ctx, ranges).await?)
        }
    };
    Ok(wire::GetCertificateLogHeadResponse {
        head: shown(&head)?,
        consistency_proof: proof,
    })
}

/// `keystead:GetCertificateLogProof`: that a certificate of a private CA is in the log.
pub(crate) async fn get_certificate_log_proof(
    ctx: &Ctx,
    input: wire::GetCertificateLogProofRequest,
) -> Result<wire::GetCertificateLogProofResponse> {
    ctx.allow_own("*")?;
    let (key, certificate) = pca::internal::certificate(ctx, &input.certificate_arn).await?;
    let head = newest(ctx).await?;
    let index = record::index(&ctx.app.store, &key).await?;
    let ranges = index.and_then(|index| merkle::inclusion(index, head.size));
    let (Some(index), Some(ranges)) = (index, ranges) else {
        return Err(Error::new(
            ErrorKind::NotFound,
            format!(
                "The certificate {} is not in the log: it was issued before there was one.",
                input.certificate_arn
            ),
        ));
    };
    Ok(wire::GetCertificateLogProofResponse {
        head: shown(&head)?,
        leaf_index: number(index),
        leaf_hash: hex(&merkle::leaf_hash(&certificate)),
        inclusion_proof: hashes(ctx, ranges).await?,
    })
}

/// Whether the log has done with this certificate, so that it need not be kept for its sake: it is in it, or is older than it.
pub(crate) async fn has_done_with(store: &Store, key: &str, issued_at: Timestamp) -> Result<bool> {
    if record::index(store, key).await?.is_some() {
        return Ok(true);
    }
    let head = record::head(store).await?;
    Ok(head.is_some_and(|(_, head)| issued_at < head.since))
}

/// The head after all that is pending was put into the log.
async fn newest(ctx: &Ctx) -> Result<Head> {
    append_all(&ctx.app).await?;
    let found = record::head(&ctx.app.store).await?;
    found.map(|(_, head)| head).ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "The log is empty: nothing was issued yet.",
        )
    })
}

/// The hashes of these ranges, in hexadecimal.
async fn hashes(ctx: &Ctx, ranges: Vec<Range>) -> Result<Vec<String>> {
    let mut hashes = Vec::with_capacity(ranges.len());
    for range in ranges {
        let mut parts: Vec<Hash> = Vec::new();
        for part in range.parts() {
            parts.push(record::part(&ctx.app.store, part).await?);
        }
        hashes.push(hex(&merkle::fold(&parts)));
    }
    Ok(hashes)
}

fn shown(head: &Head) -> Result<wire::CertificateLogHead> {
    let edge = head
        .edge()
        .ok_or_else(|| record::damaged("its head is not whole"))?;
    Ok(wire::CertificateLogHead {
        size: number(head.size),
        root_hash: hex(&edge.root()),
        signed_at: head.at,
        signed_bytes: signed_bytes(head.at, head.size, &edge.root()).into(),
        signature: head.signature.clone().into(),
        public_key: x509::pem::encode("PUBLIC KEY", &head.spki),
    })
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
