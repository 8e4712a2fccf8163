//! Certificates: issued and fetched.

use std::sync::Arc;

use keystead_core::pca::{Command, Serial, Template};
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{StoreError, Stored};
use keystead_wire::acm_pca as wire;

use super::TOKEN_LIFETIME;
use super::authorities::{ATTEMPTS, ByTemplate, authority, contended};
use super::complete::issued;
use super::issue::{Order, intend, malformed_csr, prepare};
use super::record::{Authority, Issued, own_certificate};
use super::revocation::places::place;
use super::{convert, passthrough, text};
use crate::Ctx;
use crate::token::{self, Known};
use crate::weak_keys::refuse_known;

/// IssueCertificate.
///
/// Once the certificate is intended it will be issued, so the answer leaves then: it names the
/// certificate, which is signed and stored meanwhile (AWS too answers before the certificate can be
/// fetched, and says so). Whoever fetches it at once waits for that.
pub async fn issue_certificate(
    ctx: &Ctx,
    input: wire::IssueCertificateRequest,
) -> Result<wire::IssueCertificateResponse> {
    let arn = &input.certificate_authority_arn;
    let default = Template::DEFAULT.arn();
    let template = ByTemplate(input.template_arn.as_deref().unwrap_or(&default));
    let mut authority = ctx.app.issuers.remembered(ctx, arn, template)?;
    for _ in 0..ATTEMPTS {
        let (found, fresh) = match authority.take() {
            Some(known) => (known, false),
            None => (ctx.app.issuers.read(ctx, arn, template).await?, true),
        };
        match attempt(ctx, &input, &found).await {
            Ok(Some(arn)) => {
                return Ok(wire::IssueCertificateResponse {
                    certificate_arn: Some(arn),
                });
            }
            Ok(None) => {}
            Err(error) if fresh || is_ours(error.kind) => return Err(error),
            Err(_) => {}
        }
    }
    Err(contended(arn))
}

/// Whether a failure says nothing of the request: then trying again could issue twice.
fn is_ours(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Unavailable | ErrorKind::Internal)
}

/// Intends one certificate and has it completed, or finds the one of its token; `None` if somebody
/// else changed the authority or used the token meanwhile.
async fn attempt(
    ctx: &Ctx,
    input: &wire::IssueCertificateRequest,
    found: &Arc<Stored<Authority>>,
) -> Result<Option<String>> {
    let token = match look_up(ctx, input).await? {
        None => None,
        Some(Known::Done(arn, _)) => return Ok(Some(arn)),
        Some(Known::New(token)) => Some(token),
    };
    let template = input
        .template_arn
        .as_deref()
        .map_or(Ok(Template::DEFAULT), Template::parse)?;
    check_shared(ctx, &found.value, template)?;
    // Before the request is read: what can't issue has no opinion of it.
    found.value.ca.check(template.command(), ctx.now)?;
    let csr = ctx.app.keys.verified_csr(&input.csr).await;
    let csr = csr.map_err(malformed_csr)?;
    // Whether it is weak in itself is among the lints of what would be signed.
    refuse_known(&ctx.app.known_keys, &csr.spki_der).map_err(|why| {
        Error::new(
            ErrorKind::MalformedCsr,
            format!("The certificate signing request's key is not accepted: {why}."),
        )
    })?;
    let api = input.api_passthrough.clone();
    let order = Order {
        template,
        subject_der: &csr.subject_der,
        extensions: &csr.extensions,
        spki_der: &csr.spki_der,
        api: api.map(passthrough::read).transpose()?,
        signature: convert::signature(input.signing_algorithm)?,
        validity: convert::validity(&input.validity),
        not_before: input.validity_not_before.as_ref().map(convert::validity),
        published: place(&ctx.app, found).await?,
        requested_by: None,
    };
    let prepared = prepare(&found.value, order, ctx.now)?;
    let room = ctx.app.issuers.room().await?;
    let intended = intend(&ctx.app.store, found, prepared, token.as_ref(), ctx.now).await;
    let intent = match intended {
        Ok(intent) => intent,
        Err(StoreError::Conflict { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let arn = format!(
        "{}/certificate/{}",
        found.value.ca.arn(),
        intent.serial.hex()
    );
    let waiting = (intent, room);
    ctx.app
        .issuers
        .completing
        .hand_over(&ctx.app, found, waiting);
    Ok(Some(arn))
}

/// Other accounts issue by few templates, whatever the authority's policy says.
fn check_shared(ctx: &Ctx, authority: &Authority, template: Template) -> Result<()> {
    if authority.ca.account == *ctx.account() || template.is_for_other_accounts() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::AccessDenied,
        format!(
            "User: {} is not authorized to issue by the template {} from the certificate authority of another account.",
            ctx.principal.arn,
            template.arn()
        ),
    ))
}

async fn look_up(ctx: &Ctx, input: &wire::IssueCertificateRequest) -> Result<Option<Known>> {
    let Some(token) = &input.idempotency_token else {
        return Ok(None);
    };
    // The bytes of the request do not show in its text.
    let asked = format!("{input:?}");
    let parts = [
        b"IssueCertificate".as_slice(),
        token.as_bytes(),
        asked.as_bytes(),
        &input.csr,
    ];
    token::look_up(
        &ctx.app.store,
        &ctx.prefix(),
        &parts,
        TOKEN_LIFETIME,
        ctx.now,
    )
    .await
    .map(Some)
}

/// GetCertificate. Revoked and expired certificates are shown like others (model).
pub async fn get_certificate(
    ctx: &Ctx,
    input: wire::GetCertificateRequest,
) -> Result<wire::GetCertificateResponse> {
    let authority_arn = &input.certificate_authority_arn;
    let serial = input
        .certificate_arn
        .strip_prefix(authority_arn.as_str())
        .and_then(|rest| rest.strip_prefix("/certificate/"))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArn,
                format!(
                    "The ARN '{}' is not that of a certificate of {authority_arn}.",
                    input.certificate_arn
                ),
            )
        })?;
    let found = authority(ctx, authority_arn).await?;
    found.value.ca.check(Command::GetCertificate, ctx.now)?;
    let missing = || {
        Error::new(
            ErrorKind::NotFound,
            format!("Could not find certificate {}.", input.certificate_arn),
        )
    };
    let serial = Serial::parse(serial)
        .filter(|parsed| parsed.hex() == serial)
        .ok_or_else(missing)?;
    let key = format!("{}/{}", found.key, serial.hex());
    let issued = stored(ctx, &found, &key, &input.certificate_arn).await?;
    let issued = issued.ok_or_else(missing)?.value;
    let chain = match &issued.issuer {
        None => None,
        Some(fingerprint) => {
            let own = own_certificate(&ctx.app.store, &found.key, fingerprint).await?;
            Some(text::path(&own))
        }
    };
    Ok(wire::GetCertificateResponse {
        certificate: Some(text::certificate(&issued.certificate)),
        certificate_chain: chain,
    })
}

/// The certificate with this record key; `name` is what the caller calls it. One that can't be signed
/// just now is still being issued.
pub(super) async fn stored(
    ctx: &Ctx,
    authority: &Stored<Authority>,
    key: &str,
    name: &str,
) -> Result<Option<Stored<Issued>>> {
    let found = issued(&ctx.app, &authority.value, key).await;
    found.map_err(|error| match error.kind {
        ErrorKind::Unavailable => Error::new(
            ErrorKind::RequestInProgress,
            format!("The certificate {name} is being issued; try again in a moment."),
        ),
        _ => error,
    })
}
