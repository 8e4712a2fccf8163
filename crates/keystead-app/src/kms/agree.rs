//! Secrets shared with the holder of another key: agreed upon, or encapsulated.

use std::sync::Arc;

use keystead_core::Result;
use keystead_core::kms::{KeyUsage, check_shared};
use keystead_wire::kms as wire;
use keystead_wire::value::Blob;

use super::custody;
use super::find::{Ask, Found};
use super::usable::{self, refused, unless_tried};
use crate::Ctx;

/// DeriveSharedSecret.
pub async fn derive_shared_secret(
    ctx: &Ctx,
    input: wire::DeriveSharedSecretRequest,
) -> Result<wire::DeriveSharedSecretResponse> {
    usable::no_recipient(input.recipient.as_ref())?;
    let algorithm = input.key_agreement_algorithm;
    let shared = Shared {
        key: &input.key_id,
        operation: "DeriveSharedSecret",
        usage: KeyUsage::KeyAgreement,
        algorithm: algorithm.as_str(),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
    };
    let found = shared.key(ctx).await?;
    unless_tried(input.dry_run)?;
    let held = custody::current(&found)?;
    let secret = ctx.app.keys.agree(held, &input.public_key);
    let secret = secret.await.map_err(refused)?;
    usable::note(ctx, &found, shared.operation);
    Ok(wire::DeriveSharedSecretResponse {
        key_id: Some(found.arn.clone()),
        shared_secret: Some(secret.to_vec().into()),
        ciphertext_for_recipient: None,
        key_agreement_algorithm: Some(algorithm),
        key_origin: wire::OriginType::parse(found.record.key.origin.name()),
    })
}

/// Encapsulate.
pub async fn encapsulate(
    ctx: &Ctx,
    input: wire::EncapsulateRequest,
) -> Result<wire::EncapsulateResponse> {
    let algorithm = input.encapsulation_algorithm;
    let shared = Shared {
        key: &input.key_id,
        operation: "Encapsulate",
        usage: KeyUsage::EncapsulateDecapsulate,
        algorithm: algorithm.as_str(),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
    };
    let found = shared.key(ctx).await?;
    unless_tried(input.dry_run)?;
    let held = custody::current(&found)?;
    let (ciphertext, secret) = ctx.app.keys.encapsulate(held).await.map_err(refused)?;
    usable::note(ctx, &found, shared.operation);
    Ok(wire::EncapsulateResponse {
        key_id: Some(found.arn.clone()),
        shared_secret: Some(secret.to_vec().into()),
        shared_secret_ciphertext_blob: Some(Blob::new(ciphertext)),
        encapsulation_algorithm: Some(algorithm),
    })
}

/// Decapsulate.
pub async fn decapsulate(
    ctx: &Ctx,
    input: wire::DecapsulateRequest,
) -> Result<wire::DecapsulateResponse> {
    let algorithm = input.encapsulation_algorithm;
    let shared = Shared {
        key: &input.key_id,
        operation: "Decapsulate",
        usage: KeyUsage::EncapsulateDecapsulate,
        algorithm: algorithm.as_str(),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
    };
    let found = shared.key(ctx).await?;
    unless_tried(input.dry_run)?;
    let held = custody::current(&found)?;
    let secret = ctx
        .app
        .keys
        .decapsulate(held, &input.shared_secret_ciphertext_blob);
    let secret = secret.await.map_err(|error| match error {
        // An altered ciphertext yields another secret (FIPS 203); one of another length is none at all.
        keystead_crypto::CryptoError::Malformed(message) => {
            keystead_core::kms::Fault::InvalidCiphertext.error(message)
        }
        other => refused(other),
    })?;
    usable::note(ctx, &found, shared.operation);
    Ok(wire::DecapsulateResponse {
        key_id: Some(found.arn.clone()),
        shared_secret: Some(secret.to_vec().into()),
        encapsulation_algorithm: Some(algorithm),
    })
}

/// A secret that is asked for.
struct Shared<'a> {
    key: &'a str,
    operation: &'static str,
    usage: KeyUsage,
    algorithm: &'a str,
    tokens: &'a [String],
}

impl Shared<'_> {
    /// The key that shares it.
    async fn key(&self, ctx: &Ctx) -> Result<Arc<Found>> {
        let ask = Ask {
            operation: Some(self.operation),
            tokens: self.tokens,
            ..Ask::OWN
        };
        let found = usable::key(ctx, self.key, ask).await?;
        check_shared(&found.record.key, self.usage, self.algorithm)?;
        Ok(found)
    }
}
