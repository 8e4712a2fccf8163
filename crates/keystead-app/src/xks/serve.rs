//! What AWS calls: GetHealthStatus, GetKeyMetadata, Encrypt, Decrypt.
//!
//! Source: AWS KMS External Key Store Proxy API Specification, version 1.0.2.

use std::sync::Arc;

use keystead_core::kms::xks::{
    BOUND_BYTES, Caller, Exposure, PLAINTEXT_BYTES, Sealed, authenticated, integrity_parts, marks,
};
use keystead_core::kms::{EncryptionAlgorithm, Fault, KeySpec};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::StoredMaterial;
use keystead_crypto::digest::{self, Sha256};
use keystead_wire::kms_xks_proxy as wire;
use keystead_wire::value::Blob;
use tokio::sync::OnceCell;

use super::record::Proxy;
use crate::kms::lent;
use crate::{Ctx, PrincipalKind};

/// Key material of no key, with which the ring is tried: a health check leaves no trace on a key of the account's
/// ("KMS considerations" of GetHealthStatus).
#[derive(Default)]
pub(crate) struct HealthKey(OnceCell<StoredMaterial>);

/// GetHealthStatus: the store answers (the credential was found in it), and the ring encrypts and decrypts.
pub(crate) async fn get_health_status(
    ctx: &Ctx,
    input: wire::GetHealthStatusRequest,
) -> Result<wire::GetHealthStatusResponse> {
    let proxy = proxy(ctx, &input.uri_path_prefix)?;
    let works = try_ring(ctx).await?;
    let model = format!("Keystead {}", env!("CARGO_PKG_VERSION"));
    Ok(wire::GetHealthStatusResponse {
        xks_proxy_fleet_size: 1,
        xks_proxy_vendor: VENDOR.to_owned(),
        xks_proxy_model: model.clone(),
        ekm_vendor: VENDOR.to_owned(),
        ekm_fleet_details: vec![wire::EkmFleetDetails {
            id: proxy.id.clone(),
            model,
            health_status: match works {
                true => wire::HealthStatus::Active,
                false => wire::HealthStatus::Unavailable,
            },
        }],
    })
}

async fn try_ring(ctx: &Ctx) -> Result<bool> {
    const TEXT: &[u8] = b"health";
    let (ring, algorithm) = (&ctx.app.keys, EncryptionAlgorithm::SymmetricDefault);
    let make = || async {
        let made = ring
            .generate_material(KeySpec::SymmetricDefault, TEXT)
            .await;
        made.map(|made| made.material)
    };
    let material = ctx.app.xks_health.0.get_or_try_init(make).await?;
    let sealed = ring.encrypt(material, algorithm, &[], TEXT).await?;
    let opened = ring.decrypt(material, algorithm, &[], &sealed).await?;
    Ok(opened.is_some_and(|opened| *opened == TEXT))
}

/// GetKeyMetadata.
pub(crate) async fn get_key_metadata(
    ctx: &Ctx,
    input: wire::GetKeyMetadataRequest,
) -> Result<wire::GetKeyMetadataResponse> {
    let proxy = proxy(ctx, &input.uri_path_prefix)?;
    let caller = Caller {
        principal: &input.request_metadata.aws_principal_arn,
        kms_key: input.request_metadata.kms_key_arn.as_deref(),
    };
    let exposed = exposed(proxy, &input.external_key_id, caller)?;
    let found = lent::find(ctx, &proxy.account, &proxy.region, &exposed.key_id).await?;
    let enabled = lent::check(ctx, &found).await.is_ok();
    Ok(wire::GetKeyMetadataResponse {
        key_spec: "AES_256".to_owned(),
        key_usage: vec!["ENCRYPT".to_owned(), "DECRYPT".to_owned()],
        key_status: match enabled {
            true => wire::KeyStatus::Enabled,
            false => wire::KeyStatus::Disabled,
        },
    })
}

/// Encrypt.
pub(crate) async fn encrypt(
    ctx: &Ctx,
    input: wire::EncryptRequest,
) -> Result<wire::EncryptResponse> {
    let proxy = proxy(ctx, &input.uri_path_prefix)?;
    let exposed = exposed(
        proxy,
        &input.external_key_id,
        caller(&input.request_metadata),
    )?;
    let data = input.additional_authenticated_data.unwrap_or_default();
    let plaintext = input.plaintext.expose();
    check_sizes(plaintext.len(), data.len())?;
    let found = lent::find(ctx, &proxy.account, &proxy.region, &exposed.key_id).await?;
    lent::check(ctx, &found).await?;
    let (material, payload) =
        lent::encrypt_raw(ctx, &found, |id| bound(&data, &marks(id)), plaintext).await?;
    let sealed = Sealed::of(marks(&material), &payload, plaintext.len()).ok_or_else(unsealed)?;
    let integrity = match input.ciphertext_data_integrity_value_algorithm {
        None => None,
        Some(wire::DataIntegrityAlgorithm::Sha256) => {
            // The order is the specification's (appendix C): what is altered after the hash shows in one of the two.
            let integrity = integrity_of(&data, &sealed);
            let opened = open(ctx, &found, &data, &sealed).await?;
            if !opened.is_some_and(|opened| digest::constant_time_eq(&opened, plaintext)) {
                return Err(unsealed());
            }
            Some(Blob::new(integrity))
        }
    };
    lent::note(ctx, &found, "Encrypt");
    Ok(wire::EncryptResponse {
        authentication_tag: Blob::new(sealed.tag),
        ciphertext: Blob::new(sealed.ciphertext),
        ciphertext_data_integrity_value: integrity,
        ciphertext_metadata: Some(Blob::new(sealed.metadata)),
        initialization_vector: Blob::new(sealed.iv),
    })
}

/// Decrypt.
pub(crate) async fn decrypt(
    ctx: &Ctx,
    input: wire::DecryptRequest,
) -> Result<wire::DecryptResponse> {
    let proxy = proxy(ctx, &input.uri_path_prefix)?;
    let exposed = exposed(
        proxy,
        &input.external_key_id,
        caller(&input.request_metadata),
    )?;
    let data = input.additional_authenticated_data.unwrap_or_default();
    check_sizes(input.ciphertext.len(), data.len())?;
    let found = lent::find(ctx, &proxy.account, &proxy.region, &exposed.key_id).await?;
    lent::check(ctx, &found).await?;
    let sealed = Sealed {
        metadata: input.ciphertext_metadata.unwrap_or_default().into_inner(),
        iv: input.initialization_vector.into_inner(),
        ciphertext: input.ciphertext.into_inner(),
        tag: input.authentication_tag.into_inner(),
    };
    let plaintext = open(ctx, &found, &data, &sealed).await?.ok_or_else(|| {
        Fault::InvalidCiphertext.error(
            "The request was rejected because the specified ciphertext, initialization vector, additional authenticated data or authentication tag is corrupted, missing, or otherwise invalid.",
        )
    })?;
    lent::note(ctx, &found, "Decrypt");
    Ok(wire::DecryptResponse {
        plaintext: std::mem::take(&mut *plaintext.clone()).into(),
    })
}

async fn open(
    ctx: &Ctx,
    found: &lent::Found,
    data: &[u8],
    sealed: &Sealed,
) -> Result<Option<lent::Plaintext>> {
    let Some((mark, payload)) = sealed.payload() else {
        return Ok(None);
    };
    let bound = bound(data, mark)?;
    for material in sealed.candidates(&found.record.key.materials) {
        let opened = lent::decrypt_raw(ctx, found, &material.id, &bound, &payload).await?;
        if opened.is_some() {
            return Ok(opened);
        }
    }
    Ok(None)
}

/// The proxy whose credential signed, if the request is to its own path.
fn proxy<'c>(ctx: &'c Ctx, prefix: &str) -> Result<&'c Arc<Proxy>> {
    let PrincipalKind::XksProxy(proxy) = &ctx.principal.kind else {
        return Err(Error::new(
            ErrorKind::AccessDenied,
            "Only who has the credential of a proxy may call it.",
        ));
    };
    if proxy.prefix.strip_prefix('/').unwrap_or_default() == prefix {
        return Ok(proxy);
    }
    Err(Fault::XksProxyInvalidConfiguration.error(
        "The request was rejected because the specified URI path is not valid: it is not the path of the credential's proxy.",
    ))
}

/// What the proxy exposes under this id, if it may be used so.
fn exposed<'p>(proxy: &'p Proxy, id: &str, caller: Caller<'_>) -> Result<&'p Exposure> {
    let at = proxy
        .keys
        .binary_search_by(|key| key.external_key_id.as_str().cmp(id));
    let found = at.ok().and_then(|at| proxy.keys.get(at));
    let found = found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            "The request was rejected because the specified external key is not found.",
        )
    })?;
    match found.admits(caller) {
        true => Ok(found),
        false => Err(Error::new(
            ErrorKind::AccessDenied,
            "The request was rejected because the operation is not authorized based on request metadata.",
        )),
    }
}

fn caller(metadata: &wire::UseRequestMetadata) -> Caller<'_> {
    Caller {
        principal: &metadata.aws_principal_arn,
        kms_key: Some(&metadata.kms_key_arn),
    }
}

/// More than the specification asks for is refused as it says ("Error codes", UnsupportedOperationException).
fn check_sizes(text: usize, data: usize) -> Result<()> {
    for (what, given, most) in [
        ("text", text, PLAINTEXT_BYTES),
        ("additionalAuthenticatedData", data, BOUND_BYTES),
    ] {
        if given > most {
            return Err(Fault::UnsupportedOperation.error(format!(
                "The {what} has {given} bytes; at most {most} are supported."
            )));
        }
    }
    Ok(())
}

fn bound(data: &[u8], mark: &[u8]) -> Result<Vec<u8>> {
    authenticated(data, mark).ok_or_else(unsealed)
}

fn integrity_of(data: &[u8], sealed: &Sealed) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in integrity_parts(data, sealed) {
        hash.update(part);
    }
    hash.finish()
}

/// What the ring made does not have the form that it is to have, or does not open again.
fn unsealed() -> Error {
    Error::new(
        ErrorKind::Internal,
        "what was encrypted for an external key store does not open again",
    )
}

/// Of proxy and key manager.
const VENDOR: &str = "Keystead";
