//! ImportCertificate: a certificate that its owner brings, key and all.

use keystead_core::acm::import::{Evidence, check, check_replacement, refuse_tags_on_replacement};
use keystead_core::acm::{Certificate, Facts, tags};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::x509::{self, pem};
use keystead_crypto::{CryptoError, NewKey};
use keystead_store::{Batch, Expect};
use keystead_wire::acm as wire;

use super::reading::facts_of;
use super::record::{Loaded, MATERIAL, Material, material_key};
use super::{CONFLICT_TRIES, busy, expiry, find};
use crate::weak_keys::refuse_weak;
use crate::{Ctx, ids};

/// `acm:ImportCertificate`: a new certificate, or in place of an imported one. What is brought comes
/// back byte for byte.
pub(crate) async fn import_certificate(
    ctx: &Ctx,
    input: wire::ImportCertificateRequest,
) -> Result<wire::ImportCertificateResponse> {
    let arn = match &input.certificate_arn {
        Some(arn) => {
            refuse_tags_on_replacement(input.tags.is_some())?;
            find(ctx, arn).await?;
            let brought = Brought::read(ctx, &input).await?;
            replace(ctx, arn, brought).await?;
            arn.clone()
        }
        None => {
            ctx.allow_own(&ctx.arn("acm", "certificate/*").to_string())?;
            let mut own_tags = tags::CertificateTags::new();
            tags::add(&mut own_tags, super::tags::pairs(input.tags.clone()))?;
            let brought = Brought::read(ctx, &input).await?;
            store(ctx, own_tags, brought).await?
        }
    };
    Ok(wire::ImportCertificateResponse {
        certificate_arn: Some(arn),
    })
}

/// What was brought, checked.
struct Brought {
    facts: Facts,
    material: Material,
}

impl Brought {
    async fn read(ctx: &Ctx, input: &wire::ImportCertificateRequest) -> Result<Self> {
        let certificate_pem = text(&input.certificate, "certificate")?;
        let chain_pem = input
            .certificate_chain
            .as_deref()
            .map(|chain| text(chain, "certificate chain"));
        let chain_pem = chain_pem.transpose()?;
        let leaf = the_certificate(&certificate_pem)?;
        let chain = chain_pem.as_deref().map(certificates).transpose()?;
        let key = private_key(ctx, input.private_key.expose()).await?;
        let facts = facts_of(&leaf).ok_or_else(|| {
            invalid("The certificate's key is not supported: expected RSA of 2048, 3072 or 4096 bits, or an elliptic curve P-256, P-384 or P-521.")
        })?;
        let evidence = Evidence {
            key_matches: leaf.certifies(&key.spki_der).is_ok(),
            signatures_known: subjects(&leaf, chain.as_deref().unwrap_or_default())
                .all(x509::Certificate::has_known_signature),
            self_signed: leaf.verify_issued_by(&leaf.spki_der).is_ok(),
            chain: chain.as_deref().map(|chain| links(&leaf, chain)),
        };
        check(&facts, &evidence, ctx.now)?;
        refuse_weak(&ctx.app, &leaf.spki_der)
            .map_err(|why| invalid(format!("The certificate's key is not accepted: {why}.")))?;
        for issuer in path(chain.as_deref().unwrap_or_default()) {
            refuse_weak(&ctx.app, &issuer.spki_der).map_err(|why| {
                invalid(format!(
                    "A key of the certificate chain is not accepted: {why}."
                ))
            })?;
        }
        Ok(Self {
            facts,
            material: Material {
                key: key.key,
                spki: key.spki_der,
                certificate: Some(certificate_pem),
                chain: chain_pem,
            },
        })
    }
}

async fn store(ctx: &Ctx, own_tags: tags::CertificateTags, brought: Brought) -> Result<String> {
    let id = ids::uuid()?;
    let (key, arn) = (
        ctx.key(&id),
        ctx.arn("acm", format!("certificate/{id}")).to_string(),
    );
    let certificate = Certificate::imported(arn.clone(), brought.facts, own_tags, ctx.now);
    let mut batch = Batch::new();
    expiry::watch(ctx, &mut batch).await?;
    let material = material_key(&key, certificate.last_version);
    batch.put(MATERIAL, material, &brought.material, Expect::Absent);
    Loaded::new(key, certificate).save(&mut batch);
    ctx.app.store.commit(batch).await?;
    Ok(arn)
}

async fn replace(ctx: &Ctx, arn: &str, brought: Brought) -> Result<()> {
    for _ in 0..CONFLICT_TRIES {
        let mut found = find(ctx, arn).await?.into_inner();
        if let Some(current) = &found.certificate.current {
            check_replacement(&current.facts, &brought.facts)?;
        }
        let version = found
            .certificate
            .reimported(brought.facts.clone(), ctx.now)?;
        let mut batch = Batch::new();
        batch.put(
            MATERIAL,
            material_key(found.key(), version),
            &brought.material,
            Expect::Absent,
        );
        found.save(&mut batch);
        match ctx.app.store.commit(batch).await.map_err(Error::from) {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            committed => return committed.map(|_| ()),
        }
    }
    Err(busy(arn))
}

fn text(bytes: &[u8], what: &str) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| not_pem(what))
}

/// The one certificate of the body.
fn the_certificate(text: &str) -> Result<x509::Certificate> {
    let mut found = parse(text, "certificate")?;
    match (found.pop(), found.is_empty()) {
        (Some(certificate), true) => Ok(certificate),
        (Some(_), false) => Err(invalid(
            "The certificate field contains more than one certificate. You can specify only one certificate in this field.",
        )),
        (None, _) => Err(not_pem("certificate")),
    }
}

fn certificates(text: &str) -> Result<Vec<x509::Certificate>> {
    let chain = parse(text, "certificate chain")?;
    if chain.is_empty() {
        return Err(not_pem("certificate chain"));
    }
    Ok(chain)
}

fn parse(text: &str, what: &str) -> Result<Vec<x509::Certificate>> {
    let blocks = pem::blocks(text).map_err(|_| not_pem(what))?;
    blocks
        .iter()
        .map(|block| match block.label.as_str() {
            "CERTIFICATE" => x509::Certificate::from_der(&block.der).map_err(|_| not_pem(what)),
            _ => Err(not_pem(what)),
        })
        .collect()
}

async fn private_key(ctx: &Ctx, input: &[u8]) -> Result<NewKey> {
    if input.len() > MAX_KEY_BYTES {
        return Err(invalid(format!(
            "The private key is larger than {MAX_KEY_BYTES} bytes."
        )));
    }
    ctx.app
        .keys
        .import(input)
        .await
        .map_err(|error| match error {
            CryptoError::Malformed(_) => {
                invalid("The private key is not PEM-encoded or is not valid.")
            }
            CryptoError::Unsupported(why) => {
                invalid(format!("The private key is not supported: {why}."))
            }
            other => other.into(),
        })
}

/// A path ends at its trust anchor (RFC 5280 section 6.1), so what stands behind a self-signed
/// certificate is kept but not judged.
fn path(chain: &[x509::Certificate]) -> impl Iterator<Item = &x509::Certificate> {
    let root = chain.iter().position(x509::Certificate::is_self_issued);
    chain.iter().take(root.map_or(chain.len(), |root| root + 1))
}

/// The certificates whose signatures count: all of the path but its root. One without a chain signs
/// itself.
fn subjects<'a>(
    leaf: &'a x509::Certificate,
    chain: &'a [x509::Certificate],
) -> impl Iterator<Item = &'a x509::Certificate> {
    let issuers = path(chain).count();
    std::iter::once(leaf).chain(chain).take(issuers.max(1))
}

/// Whether each certificate of the chain's path signed the one before.
fn links(leaf: &x509::Certificate, chain: &[x509::Certificate]) -> Vec<bool> {
    subjects(leaf, chain)
        .zip(path(chain))
        .map(|(subject, issuer)| {
            subject.issuer_der == issuer.subject_der
                && subject.verify_issued_by(&issuer.spki_der).is_ok()
        })
        .collect()
}

fn not_pem(what: &str) -> Error {
    invalid(format!(
        "The {what} provided is not in a valid PEM format. Unable to parse certificate. Please ensure the certificate is in PEM format."
    ))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Validation, message)
}

/// API reference, ImportCertificate: "no larger than 5 KB (5,120 bytes)".
const MAX_KEY_BYTES: usize = 5120;
