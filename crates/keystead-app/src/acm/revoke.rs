//! RevokeCertificate: a private certificate's CA revokes it, then it is marked so.
//!
//! The CA comes first: what a crash leaves in between is a certificate that nobody trusts and that
//! still can be asked to be revoked, which then ends well. Both versions whose keys are kept are
//! revoked, each by the CA that issued it, since either key may have left.

use keystead_core::acm::Certificate;
use keystead_core::pca::RevocationReason;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::acm as wire;

use super::{busy, change, find};
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
    let mut certificate = find(ctx, arn).await?.into_inner().certificate;
    revoke(&mut certificate)?;
    let issued_ones = certificate.authority_certificates();
    for issued in &issued_ones {
        let (authority, serial) = issued.split_once("/certificate/").ok_or_else(|| {
            Error::new(
                ErrorKind::Internal,
                format!("{issued} names no certificate of a private CA"),
            )
        })?;
        match pca::internal::revoke(ctx, REVOKE, authority, serial, reason).await {
            // By an earlier call that came no further, or by the CA's owner.
            Err(error) if error.kind == ErrorKind::RequestAlreadyProcessed => {}
            revoked => revoked?,
        }
    }
    change(ctx, arn, |certificate| {
        match certificate.authority_certificates() == issued_ones {
            true => revoke(certificate),
            // A version came meanwhile, which is not revoked.
            false => Err(busy(arn)),
        }
    })
    .await?;
    Ok(wire::RevokeCertificateResponse {
        certificate_arn: Some(arn.clone()),
    })
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
