//! What every use of a key begins and ends with: found, decided, in a state that allows it; a trial stops there.

use std::sync::Arc;

use keystead_core::kms::{Command, EncryptionContext, Fault};
use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::CryptoError;
use keystead_wire::kms as wire;

use super::find::{self, Ask, Found, Names};
use super::{elsewhere, last_usage};
use crate::Ctx;

/// The key that a call names, if the caller may use it so and its state allows that.
pub(super) async fn key(ctx: &Ctx, name: &str, ask: Ask<'_>) -> Result<Arc<Found>> {
    let found = find::key(ctx, name, Names::KeyOrAlias, ask)
        .await?
        .into_inner();
    check(ctx, &found).await?;
    Ok(found)
}

/// Whether the key's state, and that of the key store that it is in, allow its use.
pub(super) async fn check(ctx: &Ctx, found: &Found) -> Result<()> {
    found.record.key.check(Command::Use)?;
    found.record.key.check_unexpired(ctx.now)?;
    elsewhere::check_connected(ctx, &found.record.key).await
}

/// Ends a call that was to be tried only; everything but the work itself has gone well.
pub(super) fn unless_tried(dry_run: Option<bool>) -> Result<()> {
    match dry_run {
        Some(true) => {
            Err(Fault::DryRun
                .error("The request would have succeeded, but the DryRun option is set."))
        }
        _ => Ok(()),
    }
}

/// Notes the use for GetKeyLastUsage.
pub(super) fn note(ctx: &Ctx, found: &Found, operation: &'static str) {
    last_usage::note(ctx, &found.record.key, operation);
}

/// Refuses an attestation document: there are no AWS Nitro Enclaves here to which an answer could be encrypted.
pub(super) fn no_recipient(recipient: Option<&wire::RecipientInfo>) -> Result<()> {
    match recipient {
        Some(_) => Err(Fault::UnsupportedOperation.error(
            "Recipient is not supported: there are no AWS Nitro Enclaves here whose attestation could be verified.",
        )),
        None => Ok(()),
    }
}

/// A refusal of the key ring where the caller's bytes may be at fault.
pub(super) fn refused(error: CryptoError) -> Error {
    match error {
        CryptoError::Malformed(message) => Error::new(ErrorKind::Validation, message),
        CryptoError::Unsupported(message) => Fault::UnsupportedOperation.error(message),
        // "KMS cryptographic operations return KMSInvalidStateException for all networking and configuration errors with a
        // KMS key in a custom key store" (developer guide).
        CryptoError::Token(error) => Error::new(
            ErrorKind::InvalidState,
            format!(
                "The token behind this KMS key's custom key store cannot be used just now: {}.",
                error.for_callers()
            ),
        ),
        other => other.into(),
    }
}

/// An encryption context that says something; AWS treats an empty one as none.
pub(super) fn said(context: Option<&EncryptionContext>) -> Option<&EncryptionContext> {
    context.filter(|context| !context.is_empty())
}
