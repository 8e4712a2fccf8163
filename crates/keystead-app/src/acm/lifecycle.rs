//! Renewal at the owner's wish, options, validation mails, deletion.

use keystead_core::acm::{Certificate, Origin, Status, ValidationMethod};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use keystead_wire::acm as wire;

use super::{CONFLICT_TRIES, busy, change, find, issue};
use crate::Ctx;

/// `acm:RenewCertificate`. The renewal is stored as begun, then tried at once; what it can't finish
/// now, the due-queue does.
pub(crate) async fn renew_certificate(
    ctx: &Ctx,
    input: wire::RenewCertificateRequest,
) -> Result<wire::RenewCertificateResponse> {
    change(ctx, &input.certificate_arn, |certificate| {
        certificate.renew(ctx.now)
    })
    .await?;
    let found = find(ctx, &input.certificate_arn).await?;
    issue::at_once(&ctx.app, found.key()).await;
    Ok(wire::RenewCertificateResponse {})
}

/// `acm:DeleteCertificate`.
pub(crate) async fn delete_certificate(
    ctx: &Ctx,
    input: wire::DeleteCertificateRequest,
) -> Result<wire::DeleteCertificateResponse> {
    for _ in 0..CONFLICT_TRIES {
        let found = find(ctx, &input.certificate_arn).await?;
        found.certificate.may_be_deleted(ctx.account().as_str())?;
        let mut batch = Batch::new();
        found.into_inner().delete(&mut batch);
        match ctx.app.store.commit(batch).await.map_err(Error::from) {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            committed => {
                committed?;
                return Ok(wire::DeleteCertificateResponse {});
            }
        }
    }
    Err(busy(&input.certificate_arn))
}

/// `acm:UpdateCertificateOptions`.
pub(crate) async fn update_certificate_options(
    ctx: &Ctx,
    input: wire::UpdateCertificateOptionsRequest,
) -> Result<wire::UpdateCertificateOptionsResponse> {
    use wire::CertificateTransparencyLoggingPreference as Logging;
    change(ctx, &input.certificate_arn, |certificate| {
        check_options(certificate, &input.options)?;
        if let Some(logging) = input.options.certificate_transparency_logging_preference {
            certificate.options.transparency_logging = logging == Logging::Enabled;
        }
        Ok(())
    })
    .await?;
    Ok(wire::UpdateCertificateOptionsResponse {})
}

/// Refuses what can't be changed once a certificate was requested.
fn check_options(certificate: &Certificate, options: &wire::CertificateOptions) -> Result<()> {
    let refuse = |kind, why: &str| {
        Err(Error::new(
            kind,
            format!(
                "The options of certificate {} can't be updated: {why}.",
                certificate.arn
            ),
        ))
    };
    let Origin::Public { method, .. } = &certificate.origin else {
        return refuse(
            ErrorKind::InvalidState,
            "only those of certificates issued by Amazon can",
        );
    };
    let export = options
        .export
        .map(|export| export == wire::CertificateExport::Enabled);
    if export.is_some_and(|export| export != certificate.options.export) {
        return refuse(
            ErrorKind::Validation,
            "whether it can be exported is settled when it is requested",
        );
    }
    let current = match method {
        ValidationMethod::Dns => wire::ValidationMethod::Dns,
        ValidationMethod::Email => wire::ValidationMethod::Email,
    };
    if options
        .validation_method
        .is_some_and(|wanted| wanted != current)
    {
        return refuse(
            ErrorKind::InvalidState,
            "the validation method of an issued certificate can be changed, and it has not been issued",
        );
    }
    Ok(())
}

/// `acm:ResendValidationEmail`: its checks; no mail is sent (see `docs/divergences.md`).
pub(crate) async fn resend_validation_email(
    ctx: &Ctx,
    input: wire::ResendValidationEmailRequest,
) -> Result<wire::ResendValidationEmailResponse> {
    let found = find(ctx, &input.certificate_arn).await?;
    let certificate = &found.certificate;
    let wrong_state = |why: &str| {
        Error::new(
            ErrorKind::InvalidState,
            format!(
                "No validation mail can be sent for certificate {}: {why}.",
                certificate.arn
            ),
        )
    };
    match &certificate.origin {
        Origin::Public {
            method: ValidationMethod::Email,
            ..
        } => {}
        Origin::Public { .. } => return Err(wrong_state("it is validated by DNS")),
        Origin::Private { .. } | Origin::Imported { .. } => {
            return Err(wrong_state("it is not validated"));
        }
    }
    let domain = input.domain.to_ascii_lowercase();
    if !certificate.names.contains(&domain) {
        return Err(Error::new(
            ErrorKind::InvalidDomainValidationOptions,
            format!(
                "{} is not a name of certificate {}.",
                input.domain, certificate.arn
            ),
        ));
    }
    if !keystead_core::acm::names::covers(&input.validation_domain, &domain) {
        return Err(Error::new(
            ErrorKind::InvalidDomainValidationOptions,
            format!(
                "The validation domain {} is neither {domain} nor a superdomain of it.",
                input.validation_domain
            ),
        ));
    }
    if certificate.status(ctx.now) != Status::PendingValidation {
        return Err(wrong_state("its validation is over"));
    }
    Err(wrong_state(
        "this server sends no mail; request the certificate with DNS validation",
    ))
}
