//! Encrypt, Decrypt and ReEncrypt.

use std::sync::Arc;

use keystead_core::kms::{
    EncryptionAlgorithm, EncryptionContext, Fault, Header, MaterialId, check_plaintext,
};
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::kms as wire;
use keystead_wire::value::Blob;
use zeroize::Zeroizing;

use super::convert::{self, Shown as _};
use super::custody;
use super::find::{self, Ask, Found, Names};
use super::usable::{self, refused, said, unless_tried};
use crate::Ctx;
use crate::access::Act;

/// Encrypt.
pub async fn encrypt(ctx: &Ctx, input: wire::EncryptRequest) -> Result<wire::EncryptResponse> {
    let text = Text {
        key: &input.key_id,
        algorithm: convert::encryption(input.encryption_algorithm)?,
        context: said(input.encryption_context.as_ref()),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
    };
    let (found, algorithm) = text.encrypting(ctx, Act::Own, "Encrypt", &[]).await?;
    check_plaintext(
        found.record.key.spec,
        algorithm,
        input.plaintext.expose().len(),
    )?;
    unless_tried(input.dry_run)?;
    let (ciphertext, _) = seal(
        ctx,
        &found,
        algorithm,
        text.context,
        input.plaintext.expose(),
    )
    .await?;
    usable::note(ctx, &found, "Encrypt");
    Ok(wire::EncryptResponse {
        ciphertext_blob: Some(Blob::new(ciphertext)),
        key_id: Some(found.arn.clone()),
        encryption_algorithm: algorithm.shown(),
    })
}

/// Decrypt.
pub async fn decrypt(ctx: &Ctx, input: wire::DecryptRequest) -> Result<wire::DecryptResponse> {
    usable::no_recipient(input.recipient.as_ref())?;
    let source = Source {
        ciphertext: input.ciphertext_blob.as_ref(),
        key: input.key_id.as_deref(),
        algorithm: convert::encryption(input.encryption_algorithm)?,
        context: said(input.encryption_context.as_ref()),
        tokens: input.grant_tokens.as_deref().unwrap_or_default(),
        tried: tried(input.dry_run, input.dry_run_modifiers.as_deref()),
    };
    let opened = source.open(ctx, Act::Own, "Decrypt", &[]).await?;
    unless_tried(input.dry_run)?;
    usable::note(ctx, &opened.found, "Decrypt");
    Ok(wire::DecryptResponse {
        key_id: Some(opened.found.arn.clone()),
        plaintext: Some(opened.plaintext.to_vec().into()),
        encryption_algorithm: opened.algorithm.shown(),
        ciphertext_for_recipient: None,
        key_material_id: opened.material.map(|id| id.to_string()),
    })
}

/// ReEncrypt.
pub async fn re_encrypt(
    ctx: &Ctx,
    input: wire::ReEncryptRequest,
) -> Result<wire::ReEncryptResponse> {
    let tokens = input.grant_tokens.as_deref().unwrap_or_default();
    let source = Source {
        ciphertext: input.ciphertext_blob.as_ref(),
        key: input.source_key_id.as_deref(),
        algorithm: convert::encryption(input.source_encryption_algorithm)?,
        context: said(input.source_encryption_context.as_ref()),
        tokens,
        tried: tried(input.dry_run, input.dry_run_modifiers.as_deref()),
    };
    let destination = Text {
        key: &input.destination_key_id,
        algorithm: convert::encryption(input.destination_encryption_algorithm)?,
        context: said(input.destination_encryption_context.as_ref()),
        tokens,
    };
    let same = source
        .is_of(ctx, &input.destination_key_id)
        .await
        .to_string();
    let keys = [("kms:ReEncryptOnSameKey", same.as_str())];
    let opened = source.open(ctx, Act::Own, "ReEncryptFrom", &keys).await?;
    let (found, algorithm) = destination
        .encrypting(ctx, Act::Also("kms:ReEncryptTo"), "ReEncryptTo", &keys)
        .await?;
    check_plaintext(found.record.key.spec, algorithm, opened.plaintext.len())?;
    unless_tried(input.dry_run)?;
    let (ciphertext, material) = seal(
        ctx,
        &found,
        algorithm,
        destination.context,
        &opened.plaintext,
    )
    .await?;
    usable::note(ctx, &opened.found, "ReEncrypt");
    usable::note(ctx, &found, "ReEncrypt");
    Ok(wire::ReEncryptResponse {
        ciphertext_blob: Some(Blob::new(ciphertext)),
        source_key_id: Some(opened.found.arn.clone()),
        key_id: Some(found.arn.clone()),
        source_encryption_algorithm: opened.algorithm.shown(),
        destination_encryption_algorithm: algorithm.shown(),
        source_key_material_id: opened.material.map(|id| id.to_string()),
        destination_key_material_id: material.map(|id| id.to_string()),
    })
}

/// What is to be encrypted under.
struct Text<'a> {
    key: &'a str,
    algorithm: Option<EncryptionAlgorithm>,
    context: Option<&'a EncryptionContext>,
    tokens: &'a [String],
}

impl Text<'_> {
    /// The key that encrypts, and how.
    async fn encrypting(
        &self,
        ctx: &Ctx,
        act: Act<'_>,
        operation: &'static str,
        keys: &[(&'static str, &str)],
    ) -> Result<(Arc<Found>, EncryptionAlgorithm)> {
        let keys = with_algorithm(self.algorithm, keys);
        let ask = Ask {
            act,
            operation: Some(operation),
            context: self.context,
            keys: &keys,
            tokens: self.tokens,
            ..Ask::OWN
        };
        let found = usable::key(ctx, self.key, ask).await?;
        let algorithm = found.record.key.encryption(self.algorithm, self.context)?;
        Ok((found, algorithm))
    }
}

/// Encrypts; also answers the id of the key material of a symmetric key.
async fn seal(
    ctx: &Ctx,
    found: &Found,
    algorithm: EncryptionAlgorithm,
    context: Option<&EncryptionContext>,
    plaintext: &[u8],
) -> Result<(Vec<u8>, Option<MaterialId>)> {
    if algorithm == EncryptionAlgorithm::SymmetricDefault {
        let ciphertext = custody::encrypt(ctx, found, context, plaintext).await?;
        let material = found.record.key.current().map(|material| material.id);
        return Ok((ciphertext, material));
    }
    let held = custody::current(found)?;
    let ciphertext = ctx.app.keys.encrypt(held, algorithm, &[], plaintext);
    Ok((ciphertext.await.map_err(refused)?, None))
}

/// What is to be decrypted.
struct Source<'a> {
    ciphertext: Option<&'a Blob>,
    key: Option<&'a str>,
    algorithm: Option<EncryptionAlgorithm>,
    context: Option<&'a EncryptionContext>,
    tokens: &'a [String],
    tried: Tried,
}

/// How far a call is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tried {
    /// It is not.
    No,
    /// With its ciphertext.
    Whole,
    /// Without one (`DryRunModifiers` IGNORE_CIPHERTEXT).
    WithoutCiphertext,
}

fn tried(dry_run: Option<bool>, modifiers: Option<&[wire::DryRunModifierType]>) -> Tried {
    let ignore = modifiers
        .unwrap_or_default()
        .contains(&wire::DryRunModifierType::IgnoreCiphertext);
    match (dry_run, ignore) {
        (Some(true), true) => Tried::WithoutCiphertext,
        (Some(true), false) => Tried::Whole,
        _ => Tried::No,
    }
}

/// What was in a ciphertext.
struct Opened {
    found: Arc<Found>,
    algorithm: EncryptionAlgorithm,
    material: Option<MaterialId>,
    plaintext: Zeroizing<Vec<u8>>,
}

impl Source<'_> {
    async fn open(
        &self,
        ctx: &Ctx,
        act: Act<'_>,
        operation: &'static str,
        keys: &[(&'static str, &str)],
    ) -> Result<Opened> {
        let keys = with_algorithm(self.algorithm, keys);
        let ask = Ask {
            act,
            operation: Some(operation),
            context: self.context,
            keys: &keys,
            tokens: self.tokens,
            ..Ask::OWN
        };
        let parsed = self.ciphertext.and_then(|bytes| Header::parse(bytes));
        let found = match (self.key, &parsed) {
            (Some(name), _) => usable::key(ctx, name, ask).await?,
            (None, Some((header, ..))) => self.named_inside(ctx, header, ask).await?,
            (None, None) => return Err(self.without_key()),
        };
        let key = &found.record.key;
        let algorithm = key.encryption(self.algorithm, self.context)?;
        let nothing = |found| Opened {
            found,
            algorithm,
            material: None,
            plaintext: Zeroizing::default(),
        };
        let Some(ciphertext) = self.ciphertext else {
            return match self.tried {
                Tried::WithoutCiphertext => Ok(nothing(found)),
                _ => Err(invalid("CiphertextBlob is required.")),
            };
        };
        if algorithm != EncryptionAlgorithm::SymmetricDefault {
            let held = custody::current(&found)?;
            let opened = ctx.app.keys.decrypt(held, algorithm, &[], ciphertext);
            let plaintext = opened.await.map_err(refused)?.ok_or_else(unreadable)?;
            return Ok(Opened {
                plaintext,
                ..nothing(Arc::clone(&found))
            });
        }
        let (header, head, payload) = parsed.ok_or_else(unreadable)?;
        if header.key_id != key.id || header.account != key.account {
            return Err(Fault::IncorrectKey.error(
                "The key ID in the request does not identify a CMK that can perform this operation.",
            ));
        }
        let opened = custody::decrypt(ctx, &found, (&header, head, payload), self.context);
        let plaintext = opened.await?.ok_or_else(unreadable)?;
        Ok(Opened {
            plaintext,
            material: Some(header.material),
            ..nothing(Arc::clone(&found))
        })
    }

    /// The key that the ciphertext itself names.
    async fn named_inside(&self, ctx: &Ctx, header: &Header, ask: Ask<'_>) -> Result<Arc<Found>> {
        let Header {
            account, key_id, ..
        } = header;
        let found = find::admit(ctx, account, &ctx.region, key_id, ask).await?;
        let found = found.ok_or_else(|| {
            Error::new(
                ErrorKind::AccessDenied,
                "The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.",
            )
        })?;
        let found = found.into_inner();
        usable::check(ctx, &found).await?;
        Ok(found)
    }

    /// The refusal of a ciphertext that names no key, without a key beside it.
    fn without_key(&self) -> Error {
        let asymmetric = !matches!(
            self.algorithm,
            None | Some(EncryptionAlgorithm::SymmetricDefault)
        );
        match (self.ciphertext, asymmetric) {
            (_, true) => invalid("KeyId is required to decrypt under an asymmetric KMS key."),
            (Some(_), false) => unreadable(),
            (None, false) => invalid("KeyId is required where there is no CiphertextBlob."),
        }
    }

    /// Whether source and destination are the same key (`kms:ReEncryptOnSameKey`).
    async fn is_of(&self, ctx: &Ctx, destination: &str) -> bool {
        let Ok(destination) = find::resolve(ctx, destination, Names::KeyOrAlias).await else {
            return false;
        };
        let inside = self.ciphertext.and_then(|bytes| Header::parse(bytes));
        let source = match (self.key, inside) {
            (Some(name), _) => find::resolve(ctx, name, Names::KeyOrAlias)
                .await
                .ok()
                .map(|named| (named.account, named.id)),
            (None, Some((header, ..))) => Some((header.account, header.key_id)),
            (None, None) => None,
        };
        source.is_some_and(|(account, id)| account == destination.account && id == destination.id)
    }
}

/// The condition keys of a call with an encryption algorithm, which has a default.
fn with_algorithm<'a>(
    algorithm: Option<EncryptionAlgorithm>,
    keys: &[(&'static str, &'a str)],
) -> Vec<(&'static str, &'a str)> {
    let algorithm = algorithm.unwrap_or(EncryptionAlgorithm::SymmetricDefault);
    let mut all = vec![("kms:EncryptionAlgorithm", algorithm.name())];
    all.extend_from_slice(keys);
    all
}

/// A ciphertext that does not open. Which of the reasons it is, is not told: that would help who guesses.
fn unreadable() -> Error {
    Fault::InvalidCiphertext.error(
        "The ciphertext is not one of this key's, was altered, or was made with another encryption context.",
    )
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::Validation, message)
}
