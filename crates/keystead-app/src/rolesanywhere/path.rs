//! From a certificate to an authority that is trusted (RFC 5280 section 6.1), and whether anything on the way is revoked.

use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_crypto::x509::{Certificate, verify_chain};
use keystead_store::Stored;

use super::crls;
use super::record::{Crl, Record as _, Source, TrustAnchor};
use super::workload::Workload;
use crate::{Ctx, pca};

/// The certificates above the workload's, each certifying the one before, the anchor's last.
///
/// Refuses with [`ErrorKind::AccessDenied`] where none of the anchor's authorities stands at the end of any.
pub(super) fn to_anchor<'c>(
    workload: &'c Workload,
    anchors: &'c [Certificate],
    now: i64,
) -> Result<Vec<&'c Certificate>> {
    let mut above: Vec<&Certificate> = Vec::new();
    loop {
        let last = above.last().copied().unwrap_or(&workload.certificate);
        for anchor in anchors {
            let path: Vec<_> = above.iter().copied().chain([anchor]).collect();
            let owned: Vec<_> = path
                .iter()
                .map(|&certificate| certificate.clone())
                .collect();
            if verify_chain(&workload.certificate, &owned, now).is_ok() {
                understood(&workload.certificate, &path)?;
                return Ok(path);
            }
        }
        let next = workload.chain.iter().find(|next| {
            next.subject_der == last.issuer_der
                && !above.contains(next)
                && last.verify_issued_by(&next.spki_der).is_ok()
        });
        above.push(next.ok_or_else(|| untrusted("Untrusted signing certificate"))?);
    }
}

/// Refuses what a path says that is not understood: who does not know a critical extension must refuse the certificate,
/// and constraints on names and policies are not weighed here (RFC 5280 section 4.2).
fn understood(leaf: &Certificate, path: &[&Certificate]) -> Result<()> {
    for certificate in [leaf].into_iter().chain(path.iter().copied()) {
        for extension in &certificate.extensions {
            let oid = extension.oid.0.as_str();
            if oid == NAME_CONSTRAINTS || (extension.critical && !KNOWN.contains(&oid)) {
                return Err(untrusted(&format!(
                    "Untrusted certificate. The extension {oid} is not served"
                )));
            }
        }
    }
    Ok(())
}

/// Refuses where an enabled revocation list of the anchor, or the private CA that is the anchor, has revoked any
/// certificate of the path.
pub(super) async fn check_revocation(
    ctx: &Ctx,
    account: &AccountId,
    anchor: &TrustAnchor,
    leaf: &Certificate,
    path: &[&Certificate],
) -> Result<()> {
    let revoked = || untrusted("Untrusted certificate. Certificate revoked");
    let below = [leaf].into_iter().chain(path.iter().copied());
    for id in &anchor.crls {
        let key = format!("{account}/{}/{id}", ctx.region);
        let found: Option<Stored<Crl>> = ctx.app.store.get(Crl::COLLECTION, &key).await?;
        let Some(crl) = found
            .map(|found| found.value)
            .filter(|crl| crl.head.enabled)
        else {
            continue;
        };
        let list = crls::parse(&crl.data)?;
        let mut pairs = below.clone().zip(path);
        if pairs.any(|(certificate, issuer)| {
            list.issuer_der == issuer.subject_der
                && list.revokes(&certificate.serial)
                && list.verify_issued_by(&issuer.spki_der).is_ok()
        }) {
            return Err(revoked());
        }
    }
    if let Source::PrivateCa(arn) = &anchor.source {
        // The one that the anchor itself issued: the last but the anchor's own.
        let issued = path.iter().rev().nth(1).copied().unwrap_or(leaf);
        let serial = &issued.serial;
        if pca::internal::has_revoked(&ctx.app, account, &ctx.region, arn, serial).await? {
            return Err(revoked());
        }
    }
    Ok(())
}

fn untrusted(message: &str) -> Error {
    Error::new(ErrorKind::AccessDenied, format!("{message}."))
}

const NAME_CONSTRAINTS: &str = "2.5.29.30";

/// Extensions that are weighed: keyUsage, subjectAltName, basicConstraints; and extKeyUsage, of which Roles Anywhere asks
/// nothing (user guide, "Signature validation").
const KNOWN: [&str; 4] = ["2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.37"];
