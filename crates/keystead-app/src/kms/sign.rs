//! Signatures and codes.

use std::sync::Arc;

use keystead_core::kms::{Fault, KeyUsage, MessageType, SigningAlgorithm};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::kms as wire;
use keystead_wire::value::{Blob, Sensitive};

use super::convert::{self, Shown as _};
use super::custody;
use super::find::{Ask, Found};
use super::usable::{self, refused, unless_tried};
use crate::Ctx;

/// Sign.
pub async fn sign(ctx: &Ctx, input: wire::SignRequest) -> Result<wire::SignResponse> {
    let message = Message {
        key: &input.key_id,
        algorithm: convert::signing(input.signing_algorithm)?,
        kind: convert::message_type(input.message_type)?,
        bytes: input.message.expose(),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
    };
    let found = message.key(ctx, "Sign").await?;
    unless_tried(input.dry_run)?;
    let held = custody::current(&found)?;
    let Message {
        algorithm,
        kind,
        bytes,
        ..
    } = message;
    let signature = ctx.app.keys.sign_message(held, algorithm, kind, bytes);
    let signature = signature.await.map_err(refused)?;
    usable::note(ctx, &found, "Sign");
    Ok(wire::SignResponse {
        key_id: Some(found.arn.clone()),
        signature: Some(Blob::new(signature)),
        signing_algorithm: algorithm.shown(),
    })
}

/// Verify.
pub async fn verify(ctx: &Ctx, input: wire::VerifyRequest) -> Result<wire::VerifyResponse> {
    let message = Message {
        key: &input.key_id,
        algorithm: convert::signing(input.signing_algorithm)?,
        kind: convert::message_type(input.message_type)?,
        bytes: input.message.expose(),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
    };
    let found = message.key(ctx, "Verify").await?;
    unless_tried(input.dry_run)?;
    let Message {
        algorithm,
        kind,
        bytes,
        ..
    } = message;
    let (spec, public) = (found.record.key.spec, public_key(&found)?);
    let good = ctx
        .app
        .keys
        .verify_message(spec, public, algorithm, kind, bytes, &input.signature)
        .await
        .map_err(refused)?;
    usable::note(ctx, &found, "Verify");
    if !good {
        return Err(Fault::InvalidSignature.error("The signature does not verify."));
    }
    Ok(wire::VerifyResponse {
        key_id: Some(found.arn.clone()),
        signature_valid: Some(true),
        signing_algorithm: algorithm.shown(),
    })
}

/// GetPublicKey.
pub async fn get_public_key(
    ctx: &Ctx,
    input: wire::GetPublicKeyRequest,
) -> Result<wire::GetPublicKeyResponse> {
    let ask = Ask {
        operation: Some("GetPublicKey"),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        ..Ask::OWN
    };
    let found = usable::key(ctx, &input.key_id, ask).await?;
    let key = &found.record.key;
    if !key.spec.is_asymmetric() {
        return Err(Fault::UnsupportedOperation.error(format!(
            "You cannot get the public key of {}: its key spec is {}, which has none.",
            found.arn,
            key.spec.name()
        )));
    }
    let metadata = convert::algorithms(key);
    Ok(wire::GetPublicKeyResponse {
        key_id: Some(found.arn.clone()),
        public_key: Some(Blob::new(public_key(&found)?)),
        customer_master_key_spec: wire::CustomerMasterKeySpec::parse(key.spec.name()),
        key_spec: key.spec.shown(),
        key_usage: wire::KeyUsageType::parse(key.usage.name()),
        encryption_algorithms: metadata.encryption,
        signing_algorithms: metadata.signing,
        key_agreement_algorithms: metadata.agreement,
        encapsulation_algorithms: metadata.encapsulation,
    })
}

/// GenerateMac.
pub async fn generate_mac(
    ctx: &Ctx,
    input: wire::GenerateMacRequest,
) -> Result<wire::GenerateMacResponse> {
    let algorithm = convert::mac(input.mac_algorithm)?;
    let found = coder(
        ctx,
        &input.key_id,
        "GenerateMac",
        input.grant_tokens.as_deref(),
    )
    .await?;
    found.record.key.mac(algorithm)?;
    unless_tried(input.dry_run)?;
    let held = custody::current(&found)?;
    let mac = ctx.app.keys.mac(held, algorithm, input.message.expose());
    let mac = mac.await.map_err(refused)?;
    usable::note(ctx, &found, "GenerateMac");
    Ok(wire::GenerateMacResponse {
        mac: Some(Blob::new(mac)),
        mac_algorithm: algorithm.shown(),
        key_id: Some(found.arn.clone()),
    })
}

/// VerifyMac.
pub async fn verify_mac(
    ctx: &Ctx,
    input: wire::VerifyMacRequest,
) -> Result<wire::VerifyMacResponse> {
    let algorithm = convert::mac(input.mac_algorithm)?;
    let found = coder(
        ctx,
        &input.key_id,
        "VerifyMac",
        input.grant_tokens.as_deref(),
    )
    .await?;
    found.record.key.mac(algorithm)?;
    unless_tried(input.dry_run)?;
    let held = custody::current(&found)?;
    let message: &Sensitive<_> = &input.message;
    let good = ctx
        .app
        .keys
        .verify_mac(held, algorithm, message.expose(), &input.mac);
    let good = good.await.map_err(refused)?;
    usable::note(ctx, &found, "VerifyMac");
    if !good {
        return Err(Fault::InvalidMac.error("The HMAC does not verify."));
    }
    Ok(wire::VerifyMacResponse {
        key_id: Some(found.arn.clone()),
        mac_valid: Some(true),
        mac_algorithm: algorithm.shown(),
    })
}

/// What is signed or was.
struct Message<'a> {
    key: &'a str,
    algorithm: SigningAlgorithm,
    kind: MessageType,
    bytes: &'a [u8],
    tokens: &'a [String],
}

impl Message<'_> {
    /// The key that signs it so.
    async fn key(&self, ctx: &Ctx, operation: &'static str) -> Result<Arc<Found>> {
        // `kms:MessageType` has a default, which the request does not say.
        let keys = [("kms:MessageType", self.kind.name())];
        let ask = Ask {
            operation: Some(operation),
            keys: &keys,
            tokens: self.tokens,
            ..Ask::OWN
        };
        let found = usable::key(ctx, self.key, ask).await?;
        let key = &found.record.key;
        key.signing(self.algorithm, self.kind, self.bytes)?;
        Ok(found)
    }
}

/// The key that makes codes.
async fn coder(
    ctx: &Ctx,
    name: &str,
    operation: &'static str,
    tokens: Option<&[String]>,
) -> Result<Arc<Found>> {
    let ask = Ask {
        operation: Some(operation),
        tokens: tokens.unwrap_or_default(),
        ..Ask::OWN
    };
    let found = usable::key(ctx, name, ask).await?;
    found.record.key.check_usage(KeyUsage::GenerateVerifyMac)?;
    Ok(found)
}

/// DER of the public key.
fn public_key(found: &Found) -> Result<&[u8]> {
    found.record.public_key.as_ref().map_or_else(
        || {
            let message = format!("{} has lost its public key", found.arn);
            Err(Error::new(ErrorKind::Internal, message))
        },
        |key| Ok(key.as_slice()),
    )
}
