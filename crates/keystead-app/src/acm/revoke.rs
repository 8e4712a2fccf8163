//! RevokeCertificate: a private certificate's CA revokes it, then it is marked so.
//!
//! The CA comes first: what a crash leaves in between is a certificate that nobody trusts and that
//! still can be asked to be revoked, which then ends well. Both versions whose keys are kept are
//! revoked, since either key may have left.

use keystead_core::acm::{Certificate, Origin};
use keystead_core::pca::RevocationReason;
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::x509;
use keystead_wire::acm as wire;

use super::record::{Loaded, material};
use super::{CONFLICT_TRIES, busy, change, find};
use crate::Ctx;
use crate::access::Act;
use crate::pca;

/// `acm:RevokeCertificate`.
pub(crate) async fn revoke_certificate(
    ctx: &Ctx,
    input: wire::RevokeCertificateRequest,
) -> Result<wire::RevokeCertificateResponse> {
    let arn = &input.certificate_arn;
    let reason = reason(input.revocation_reason)?;
    let revoke =
        |certificate: &mut Certificate| certificate.revoke(reason, ctx.account().as_str(), ctx.now);
    let (authority, serials) = look(ctx, arn, &revoke).await?;
    for serial in &serials {
        match pca::internal::revoke(ctx, REVOKE, &authority, serial, reason).await {
            // By an earlier call that came no further, or by the CA's owner.
            Err(error) if error.kind == ErrorKind::RequestAlreadyProcessed => {}
            revoked => revoked?,
        }
    }
    change(ctx, arn, revoke).await?;
    Ok(wire::RevokeCertificateResponse {
        certificate_arn: Some(arn.clone()),
    })
}

/// The CA and the serial numbers to revoke, of a certificate that may be revoked.
async fn look(
    ctx: &Ctx,
    arn: &str,
    revoke: &(impl Fn(&mut Certificate) -> Result<()> + Send + Sync),
) -> Result<(String, Vec<String>)> {
    for _ in 0..CONFLICT_TRIES {
        let found = find(ctx, arn).await?.into_inner();
        revoke(&mut found.certificate.clone())?;
        let Origin::Private { authority } = &found.certificate.origin else {
            return Err(Error::new(
                ErrorKind::Validation,
                format!("Certificate {arn} has no private CA that could revoke it."),
            ));
        };
        match serials(ctx, &found).await {
            // Replaced twice since the record was read.
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            serials => return Ok((authority.clone(), serials?)),
        }
    }
    Err(busy(arn))
}

/// The serial numbers of all versions that are kept and were issued.
async fn serials(ctx: &Ctx, found: &Loaded) -> Result<Vec<String>> {
    let certificate = &found.certificate;
    let current = certificate.current.as_ref().map(|current| current.version);
    let mut serials = Vec::new();
    for version in [certificate.previous, current].into_iter().flatten() {
        let material = material(&ctx.app.store, found.key(), version).await?;
        let Some(pem) = material.certificate else {
            continue;
        };
        let issued = x509::Certificate::parse(pem.as_bytes()).map_err(|_| {
            Error::new(
                ErrorKind::Internal,
                format!(
                    "version {version} of certificate {} can't be read",
                    certificate.arn
                ),
            )
        })?;
        serials.push(keystead_core::hex(&issued.serial));
    }
    Ok(serials)
}

/// The reason in the CA's words. A revocation is for ever, so that the two that are about holds say
/// nothing here.
fn reason(asked: wire::RevocationReason) -> Result<RevocationReason> {
    use RevocationReason as R;
    use wire::RevocationReason as Asked;
    Ok(match asked {
        Asked::Unspecified => R::Unspecified,
        Asked::KeyCompromise => R::KeyCompromise,
        Asked::CaCompromise => R::CertificateAuthorityCompromise,
        Asked::AffiliationChanged => R::AffiliationChanged,
        Asked::Superceded | Asked::Superseded => R::Superseded,
        Asked::CessationOfOperation => R::CessationOfOperation,
        Asked::PrivilegeWithdrawn => R::PrivilegeWithdrawn,
        Asked::AACompromise => R::AACompromise,
        Asked::CertificateHold | Asked::RemoveFromCrl => {
            return Err(Error::new(
                ErrorKind::Validation,
                format!(
                    "{} is no reason to revoke a certificate of a private CA: revocation is permanent.",
                    asked.as_str()
                ),
            ));
        }
    })
}

/// The reason in the words of this service.
pub(super) fn revocation_reason(reason: RevocationReason) -> wire::RevocationReason {
    use RevocationReason as R;
    match reason {
        R::Unspecified => wire::RevocationReason::Unspecified,
        R::KeyCompromise => wire::RevocationReason::KeyCompromise,
        R::CertificateAuthorityCompromise => wire::RevocationReason::CaCompromise,
        R::AffiliationChanged => wire::RevocationReason::AffiliationChanged,
        R::Superseded => wire::RevocationReason::Superseded,
        R::CessationOfOperation => wire::RevocationReason::CessationOfOperation,
        R::PrivilegeWithdrawn => wire::RevocationReason::PrivilegeWithdrawn,
        R::AACompromise => wire::RevocationReason::AACompromise,
    }
}

/// The CA revokes in the caller's name.
const REVOKE: Act<'_> = Act::Via {
    action: "acm-pca:RevokeCertificate",
    service: "acm.amazonaws.com",
};
