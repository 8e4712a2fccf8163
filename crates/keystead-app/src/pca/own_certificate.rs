//! The certificate that an authority works under.

use keystead_core::lint::{self, Bounds};
use keystead_core::pca::{ChainCertificate, Command, Installed, Kind, check_import};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::CryptoError;
use keystead_crypto::x509::{self, pem};
use keystead_store::{Batch, Expect, StoreError, Stored};
use keystead_wire::acm_pca as wire;

use super::authorities::{ATTEMPTS, authority, contended};
use super::record::{
    AUTHORITIES, Authority, OWN_CERTIFICATES, OwnCertificate, own_certificate, own_certificate_key,
};
use super::{expiry, text};
use crate::Ctx;
use crate::weak_keys::{refuse_known, refuse_weak};

/// ImportCertificateAuthorityCertificate.
///
/// What is checked: the certificate is for the authority's key; it and everything above it are CA
/// certificates in their time; names, signatures and path lengths of the chain hold up to a
/// self-signed root; a root comes alone.
pub async fn import_certificate_authority_certificate(
    ctx: &Ctx,
    input: wire::ImportCertificateAuthorityCertificateRequest,
) -> Result<wire::ImportCertificateAuthorityCertificateResponse> {
    let arn = &input.certificate_authority_arn;
    // The state comes first: what can't take a certificate has no opinion of one.
    let found = authority(ctx, arn).await?;
    found.value.ca.check(Command::Install, ctx.now)?;
    let certificate = x509::Certificate::parse(&input.certificate).map_err(malformed)?;
    let chain = read_chain(input.certificate_chain.as_deref())?;
    check(ctx, &found.value, &certificate, &chain)?;
    install(ctx, arn, &certificate, &chain).await?;
    Ok(wire::ImportCertificateAuthorityCertificateResponse)
}

fn read_chain(blob: Option<&[u8]>) -> Result<Vec<x509::Certificate>> {
    let blank = |blob: &&[u8]| !blob.iter().all(u8::is_ascii_whitespace);
    let Some(blob) = blob.filter(blank) else {
        return Ok(Vec::new());
    };
    pem::certificates(blob)
        .and_then(|all| {
            all.iter()
                .map(|der| x509::Certificate::from_der(der))
                .collect()
        })
        .map_err(malformed)
}

fn check(
    ctx: &Ctx,
    authority: &Authority,
    certificate: &x509::Certificate,
    chain: &[x509::Certificate],
) -> Result<()> {
    certificate.certifies(&authority.spki).map_err(|_| {
        Error::new(
            ErrorKind::CertificateMismatch,
            "The certificate's public key is not the certificate authority's; sign the CSR that GetCertificateAuthorityCsr returns.",
        )
    })?;
    let criticals: Vec<Vec<String>> = std::iter::once(certificate)
        .chain(chain)
        .map(critical)
        .collect();
    let mut judged = std::iter::once(certificate)
        .chain(chain)
        .zip(&criticals)
        .map(|(certificate, critical)| said(certificate, critical));
    let Some(own) = judged.next() else {
        return Ok(());
    };
    let above: Vec<ChainCertificate<'_>> = judged.collect();
    check_import(authority.ca.kind, &own, &above, ctx.now)?;
    x509::verify_chain(certificate, chain, ctx.now.as_second()).map_err(|fault| match fault {
        CryptoError::Busy | CryptoError::Internal(_) => fault.into(),
        _ => Error::new(
            ErrorKind::CertificateMismatch,
            format!("The certificate chain does not hold: {fault}."),
        ),
    })?;
    lint(ctx, certificate, chain)
}

/// The certificate itself was made for this authority and has to be as good as what the authority
/// issues. What stands above may be old and odd, but its keys hold everything up.
fn lint(ctx: &Ctx, certificate: &x509::Certificate, chain: &[x509::Certificate]) -> Result<()> {
    lint::lint_foreign(certificate.der()).map_err(|findings| {
        let broken = lint::listed(&findings);
        malformed_because(&format!("The certificate is not valid: {broken}."))
    })?;
    for (place, above) in (1..).zip(chain) {
        refuse_weak(&ctx.app, &above.spki_der).map_err(|why| {
            malformed_because(&format!(
                "Certificate {place} of the chain has a key that is not accepted: {why}."
            ))
        })?;
    }
    refuse_known(&ctx.app.known_keys, &certificate.spki_der)
        .map_err(|why| malformed_because(&format!("The certificate's key is not accepted: {why}.")))
}

fn malformed_because(message: &str) -> Error {
    Error::new(ErrorKind::MalformedCertificate, message)
}

fn said<'a>(certificate: &'a x509::Certificate, critical: &'a [String]) -> ChainCertificate<'a> {
    use keystead_core::x509::KeyUsageBit;
    ChainCertificate {
        subject_der: &certificate.subject_der,
        issuer_der: &certificate.issuer_der,
        self_signed: certificate.is_self_issued()
            && certificate.verify_issued_by(&certificate.spki_der).is_ok(),
        not_after: certificate.not_after,
        is_ca: certificate.is_ca(),
        basic_constraints_critical: certificate
            .extension("2.5.29.19")
            .is_some_and(|extension| extension.critical),
        path_len: certificate
            .basic_constraints()
            .and_then(|(_, path_len)| path_len)
            .map(u64::from),
        may_sign_certificates: certificate
            .key_usage()
            .map(|bits| bits.contains(&KeyUsageBit::KeyCertSign)),
        critical,
    }
}

fn critical(certificate: &x509::Certificate) -> Vec<String> {
    let extensions = certificate.extensions.iter();
    extensions
        .filter(|extension| extension.critical)
        .map(|extension| extension.oid.0.clone())
        .collect()
}

/// Stores the certificate beside its predecessors, whose certificates still show their chains.
async fn install(
    ctx: &Ctx,
    arn: &str,
    certificate: &x509::Certificate,
    chain: &[x509::Certificate],
) -> Result<()> {
    let fingerprint = certificate.fingerprint().to_vec();
    let key_id = match certificate.subject_key_id() {
        Some(id) => id,
        None => x509::key_identifier(&certificate.spki_der)?.to_vec(),
    };
    let path = std::iter::once(certificate).chain(chain);
    let bounds = Bounds::of(path.map(x509::Certificate::der))
        .map_err(|why| malformed_because(&format!("The certificate chain is not valid: {why}.")))?;
    let installed = Installed {
        fingerprint,
        serial: certificate.serial.clone(),
        subject_der: certificate.subject_der.clone(),
        key_id,
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        path_len: bounds.path_len(),
        bounds: Some(bounds),
    };
    let own = OwnCertificate {
        certificate: certificate.der().to_vec(),
        chain: chain
            .iter()
            .map(|above| above.der().to_vec().into())
            .collect(),
    };
    for _ in 0..ATTEMPTS {
        let Stored {
            key,
            version,
            mut value,
        } = authority(ctx, arn).await?.into_inner();
        value.ca.install(installed.clone(), ctx.now)?;
        let mut batch = Batch::new();
        batch.put(
            OWN_CERTIFICATES,
            own_certificate_key(&key, &installed.fingerprint),
            &own,
            Expect::Any,
        );
        expiry::schedule(&value.ca, ctx.now, &mut batch);
        batch.put(AUTHORITIES, key, &value, Expect::Version(version));
        match ctx.app.store.commit(batch).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(contended(arn))
}

/// GetCertificateAuthorityCertificate.
pub async fn get_certificate_authority_certificate(
    ctx: &Ctx,
    input: wire::GetCertificateAuthorityCertificateRequest,
) -> Result<wire::GetCertificateAuthorityCertificateResponse> {
    let found = authority(ctx, &input.certificate_authority_arn).await?;
    let ca = &found.value.ca;
    ca.check(Command::GetOwnCertificate, ctx.now)?;
    let own = own_certificate(&ctx.app.store, &found.key, &ca.working_under()?.fingerprint).await?;
    // "If this is a root CA, the value will be null" (model); a root's chain is empty anyway.
    let chain = own.chain.iter().filter(|_| ca.kind == Kind::Subordinate);
    Ok(wire::GetCertificateAuthorityCertificateResponse {
        certificate: Some(text::certificate(&own.certificate)),
        certificate_chain: text::chain(chain.map(|above| above.as_slice())),
    })
}

fn malformed(fault: CryptoError) -> Error {
    match fault {
        CryptoError::Busy | CryptoError::Internal(_) => fault.into(),
        _ => Error::new(
            ErrorKind::MalformedCertificate,
            format!("The certificate is not valid: {fault}."),
        ),
    }
}
