//! Messages that tell an administrator more than the caller may see.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use keystead_core::{AccountId, Error, ErrorKind, Result};
use keystead_crypto::seal::TokenSealer;
use keystead_store::Store;
use keystead_wire::sts as wire;

use super::refuse_personal_session;
use super::tokens::{pack, unpack};
use crate::{App, Ctx};

/// Why something was refused, for the caller to carry to who may read it ([`decode_authorization_message`]): an
/// administrator of `account`. Answers no message where it would be too long to be brought back.
pub(crate) fn encode_authorization_message(
    app: &App,
    account: &AccountId,
    explanation: &serde_json::Value,
) -> Result<Option<String>> {
    let packed = pack(&explanation.to_string())?;
    let sealed = sealer(&app.store)?.seal(account.as_str(), &packed)?;
    let message = URL_SAFE_NO_PAD.encode(sealed);
    Ok((message.len() <= MESSAGE_MOST).then_some(message))
}

/// Why policies refused the call, for an administrator of the caller's account.
pub(crate) fn sealed_explanation(ctx: &Ctx, error: &Error) -> Option<String> {
    let denied = error.kind == ErrorKind::AccessDenied && ctx.principal.is_proven();
    let denial = ctx.access.denial().filter(|_| denied)?;
    let explanation = serde_json::to_value(&denial).ok()?;
    // A refusal without it is as good a refusal.
    encode_authorization_message(&ctx.app, ctx.account(), &explanation).ok()?
}

/// `sts:DecodeAuthorizationMessage`.
pub(crate) async fn decode_authorization_message(
    ctx: &Ctx,
    input: wire::DecodeAuthorizationMessageRequest,
) -> Result<wire::DecodeAuthorizationMessageResponse> {
    refuse_personal_session(ctx, "DecodeAuthorizationMessage")?;
    ctx.allow_own("*")?;
    let sealer = sealer(&ctx.app.store)?;
    let sealed = URL_SAFE_NO_PAD.decode(&input.encoded_message).ok();
    let packed = sealed.and_then(|sealed| sealer.open(ctx.account().as_str(), &sealed).ok());
    let message = packed.and_then(|packed| unpack::<String>(&packed).ok());
    let message = message.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidMessage,
            "The message is invalid: expected the encoded message of a refusal in this account, unchanged.",
        )
    })?;
    Ok(wire::DecodeAuthorizationMessageResponse {
        decoded_message: Some(message),
    })
}

fn sealer(store: &Store) -> Result<TokenSealer> {
    Ok(TokenSealer::new(
        store.root_key(),
        "keystead authorization messages 1",
    )?)
}

/// API reference, DecodeAuthorizationMessage, `EncodedMessage`.
const MESSAGE_MOST: usize = 10_240;
