//! Keys for use elsewhere, and random bytes. A data key is not stored: its ciphertext is, by the caller.

use std::sync::Arc;

use keystead_core::kms::{EncryptionContext, Fault, KeySpec};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::{DataPair, random};
use keystead_wire::kms as wire;
use keystead_wire::value::Blob;
use zeroize::Zeroizing;

use super::find::{Ask, Found};
use super::usable::{self, refused, said, unless_tried};
use super::{custody, elsewhere};
use crate::Ctx;

/// GenerateDataKey.
pub async fn generate_data_key(
    ctx: &Ctx,
    input: wire::GenerateDataKeyRequest,
) -> Result<wire::GenerateDataKeyResponse> {
    usable::no_recipient(input.recipient.as_ref())?;
    let wanted = Wanted {
        key: &input.key_id,
        operation: "GenerateDataKey",
        context: said(input.encryption_context.as_ref()),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        dry_run: input.dry_run,
    };
    let made = wanted
        .key(ctx, input.key_spec, input.number_of_bytes)
        .await?;
    Ok(wire::GenerateDataKeyResponse {
        ciphertext_blob: Some(Blob::new(made.ciphertext)),
        plaintext: Some(made.clear.to_vec().into()),
        key_id: Some(made.found.arn.clone()),
        ciphertext_for_recipient: None,
        key_material_id: material_id(&made.found),
    })
}

/// GenerateDataKeyWithoutPlaintext.
pub async fn generate_data_key_without_plaintext(
    ctx: &Ctx,
    input: wire::GenerateDataKeyWithoutPlaintextRequest,
) -> Result<wire::GenerateDataKeyWithoutPlaintextResponse> {
    let wanted = Wanted {
        key: &input.key_id,
        operation: "GenerateDataKeyWithoutPlaintext",
        context: said(input.encryption_context.as_ref()),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        dry_run: input.dry_run,
    };
    let made = wanted
        .key(ctx, input.key_spec, input.number_of_bytes)
        .await?;
    Ok(wire::GenerateDataKeyWithoutPlaintextResponse {
        ciphertext_blob: Some(Blob::new(made.ciphertext)),
        key_id: Some(made.found.arn.clone()),
        key_material_id: material_id(&made.found),
    })
}

/// GenerateDataKeyPair.
pub async fn generate_data_key_pair(
    ctx: &Ctx,
    input: wire::GenerateDataKeyPairRequest,
) -> Result<wire::GenerateDataKeyPairResponse> {
    usable::no_recipient(input.recipient.as_ref())?;
    let wanted = Wanted {
        key: &input.key_id,
        operation: "GenerateDataKeyPair",
        context: said(input.encryption_context.as_ref()),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        dry_run: input.dry_run,
    };
    let (found, pair, ciphertext) = wanted.pair(ctx, input.key_pair_spec).await?;
    Ok(wire::GenerateDataKeyPairResponse {
        private_key_ciphertext_blob: Some(Blob::new(ciphertext)),
        private_key_plaintext: Some(pair.private_key.to_vec().into()),
        public_key: Some(Blob::new(pair.public_key)),
        key_id: Some(found.arn.clone()),
        key_pair_spec: Some(input.key_pair_spec),
        ciphertext_for_recipient: None,
        key_material_id: material_id(&found),
    })
}

/// GenerateDataKeyPairWithoutPlaintext.
pub async fn generate_data_key_pair_without_plaintext(
    ctx: &Ctx,
    input: wire::GenerateDataKeyPairWithoutPlaintextRequest,
) -> Result<wire::GenerateDataKeyPairWithoutPlaintextResponse> {
    let wanted = Wanted {
        key: &input.key_id,
        operation: "GenerateDataKeyPairWithoutPlaintext",
        context: said(input.encryption_context.as_ref()),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        dry_run: input.dry_run,
    };
    let (found, pair, ciphertext) = wanted.pair(ctx, input.key_pair_spec).await?;
    Ok(wire::GenerateDataKeyPairWithoutPlaintextResponse {
        private_key_ciphertext_blob: Some(Blob::new(ciphertext)),
        public_key: Some(Blob::new(pair.public_key)),
        key_id: Some(found.arn.clone()),
        key_pair_spec: Some(input.key_pair_spec),
        key_material_id: material_id(&found),
    })
}

/// GenerateRandom.
pub async fn generate_random(
    ctx: &Ctx,
    input: wire::GenerateRandomRequest,
) -> Result<wire::GenerateRandomResponse> {
    usable::no_recipient(input.recipient.as_ref())?;
    ctx.allow_own("*")?;
    let length = input.number_of_bytes.ok_or_else(|| {
        invalid("NumberOfBytes is required: the length of the random byte string.")
    })?;
    let bytes = match &input.custom_key_store_id {
        Some(store) => elsewhere::random(ctx, store, length_of(length)).await?,
        None => random_bytes(length)?,
    };
    Ok(wire::GenerateRandomResponse {
        plaintext: Some(bytes.to_vec().into()),
        ciphertext_for_recipient: None,
    })
}

/// A data key that is asked for.
struct Wanted<'a> {
    key: &'a str,
    operation: &'static str,
    context: Option<&'a EncryptionContext>,
    tokens: &'a [String],
    dry_run: Option<bool>,
}

/// A data key that was made.
struct Made {
    found: Arc<Found>,
    clear: Zeroizing<Vec<u8>>,
    ciphertext: Vec<u8>,
}

impl Wanted<'_> {
    async fn key(
        &self,
        ctx: &Ctx,
        spec: Option<wire::DataKeySpec>,
        number: Option<i32>,
    ) -> Result<Made> {
        let found = self.under(ctx).await?;
        let length = match (spec, number) {
            (Some(wire::DataKeySpec::Aes256), None) => 32,
            (Some(wire::DataKeySpec::Aes128), None) => 16,
            (None, Some(number)) => number,
            _ => {
                return Err(invalid(
                    "Please specify either number of bytes or key spec.",
                ));
            }
        };
        unless_tried(self.dry_run)?;
        let clear = random_bytes(length)?;
        let ciphertext = custody::encrypt(ctx, &found, self.context, &clear).await?;
        usable::note(ctx, &found, self.operation);
        Ok(Made {
            found,
            clear,
            ciphertext,
        })
    }

    async fn pair(
        &self,
        ctx: &Ctx,
        spec: wire::DataKeyPairSpec,
    ) -> Result<(Arc<Found>, DataPair, Vec<u8>)> {
        let found = self.under(ctx).await?;
        // GenerateDataKeyPair, `KeyId`: no key in a custom key store.
        if found.record.key.store.is_some() {
            return Err(Fault::UnsupportedOperation.error(format!(
                "{} is in a custom key store, and makes no data key pairs.",
                found.arn
            )));
        }
        let spec = KeySpec::parse(spec.as_str())?;
        unless_tried(self.dry_run)?;
        let pair = ctx.app.keys.generate_pair(spec).await.map_err(refused)?;
        let ciphertext = custody::encrypt(ctx, &found, self.context, &pair.private_key).await?;
        usable::note(ctx, &found, self.operation);
        Ok((found, pair, ciphertext))
    }

    /// The key that encrypts the data key.
    async fn under(&self, ctx: &Ctx) -> Result<Arc<Found>> {
        let ask = Ask {
            operation: Some(self.operation),
            context: self.context,
            tokens: self.tokens,
            ..Ask::OWN
        };
        let found = usable::key(ctx, self.key, ask).await?;
        found.record.key.data_keys(self.context)?;
        Ok(found)
    }
}

fn material_id(found: &Found) -> Option<String> {
    let current = found.record.key.current();
    current.map(|material| material.id.to_string())
}

fn random_bytes(length: i32) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; length_of(length)]);
    random::fill(&mut bytes)?;
    Ok(bytes)
}

/// The model allows 1 to 1024.
fn length_of(length: i32) -> usize {
    usize::try_from(length).unwrap_or_default()
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Validation, message)
}
