//! GetCertificate and ExportCertificate: certificates read out, without and with their keys.

use keystead_core::{Error, ErrorKind, Result};
use keystead_store::Batch;
use keystead_wire::{Sensitive, acm as wire};

use super::record::{Loaded, Material, material};
use super::{CONFLICT_TRIES, busy, find};
use crate::Ctx;

/// `acm:GetCertificate`.
pub(crate) async fn get_certificate(
    ctx: &Ctx,
    input: wire::GetCertificateRequest,
) -> Result<wire::GetCertificateResponse> {
    for _ in 0..CONFLICT_TRIES {
        let found = find(ctx, &input.certificate_arn).await?;
        let version = found.certificate.served(ctx.now)?.version;
        match material(&ctx.app.store, found.key(), version).await {
            // Replaced twice since the record was read.
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            read => {
                let Material {
                    certificate, chain, ..
                } = read?;
                return Ok(wire::GetCertificateResponse {
                    certificate,
                    certificate_chain: chain,
                });
            }
        }
    }
    Err(busy(&input.certificate_arn))
}

/// `acm:ExportCertificate`. That the version leaves is stored before it does; certificate, chain and
/// key are always of one version.
pub(crate) async fn export_certificate(
    ctx: &Ctx,
    input: wire::ExportCertificateRequest,
) -> Result<wire::ExportCertificateResponse> {
    for _ in 0..CONFLICT_TRIES {
        let found = find(ctx, &input.certificate_arn).await?;
        match mark_exported(ctx, found.into_inner()).await {
            Err(error) if error.kind == ErrorKind::ConcurrentModification => {}
            marked => return export(ctx, marked?, input.passphrase.expose()).await,
        }
    }
    Err(busy(&input.certificate_arn))
}

async fn mark_exported(ctx: &Ctx, mut found: Loaded) -> Result<Material> {
    let before = found.certificate.exported_version;
    let version = found.certificate.export(ctx.now)?;
    let material = material(&ctx.app.store, found.key(), version).await?;
    if before != Some(version) {
        let mut batch = Batch::new();
        found.save(&mut batch);
        ctx.app.store.commit(batch).await.map_err(Error::from)?;
    }
    Ok(material)
}

async fn export(
    ctx: &Ctx,
    material: Material,
    passphrase: &[u8],
) -> Result<wire::ExportCertificateResponse> {
    let key = ctx
        .app
        .keys
        .export_encrypted(&material.key, passphrase)
        .await?;
    Ok(wire::ExportCertificateResponse {
        certificate: material.certificate,
        certificate_chain: material.chain,
        private_key: Some(Sensitive::new(key)),
    })
}
