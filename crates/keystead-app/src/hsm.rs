//! The PKCS #11 tokens of the installation: which there are, what lives in them, how they are.
//!
//! The configuration names them. They are connected in the background, and a start does not wait for any but the one
//! that seals the root key. What is in a token says so in its own record, by the token's name.

use std::collections::BTreeMap;
use std::sync::Arc;

use keystead_core::{Error, ErrorKind, Result};
use keystead_crypto::KeyRing;
use keystead_crypto::token::{Token, TokenError, TokenOptions, TokenState, TokenStatus};
use keystead_wire::keystead as wire;

use crate::Ctx;
use crate::accounts::first_account_only;

/// The tokens as the configuration has them.
#[derive(Clone, Debug, Default)]
pub struct HsmOptions {
    /// Each by its name.
    pub tokens: BTreeMap<String, TokenOptions>,
    /// The one that seals the root key.
    pub root_key: Option<String>,
    /// The one in which the keys of new certificate authorities are made.
    pub authorities: Option<String>,
}

/// The tokens at work.
pub(crate) struct Hsm {
    root_key: Option<String>,
    /// The name of the token in which the keys of new certificate authorities are made.
    pub(crate) authorities: Option<String>,
}

/// The tokens, being connected; [`Connecting::attach`] hands them on.
pub(crate) struct Connecting {
    hsm: Hsm,
    tokens: BTreeMap<String, Arc<Token>>,
}

impl HsmOptions {
    /// Begins to connect all tokens.
    pub(crate) fn connect(self) -> std::result::Result<Connecting, TokenError> {
        let tokens = self.tokens.into_iter();
        let tokens =
            tokens.map(|(name, options)| Ok((name.clone(), Token::connect(name, options)?)));
        Ok(Connecting {
            tokens: tokens.collect::<std::result::Result<_, TokenError>>()?,
            hsm: Hsm {
                root_key: self.root_key,
                authorities: self.authorities,
            },
        })
    }
}

impl Connecting {
    /// The token that seals the root key, if one does.
    ///
    /// # Errors
    /// When the configuration has none of that name.
    pub(crate) fn root_key(&self) -> Result<Option<Arc<Token>>> {
        let Some(name) = &self.hsm.root_key else {
            return Ok(None);
        };
        let found = self.tokens.get(name).map(|token| Some(Arc::clone(token)));
        found.ok_or_else(|| unknown(name))
    }

    /// Lets keys live in the tokens.
    ///
    /// # Errors
    /// When the configuration has no token of a name that it uses.
    pub(crate) fn attach(self, keys: &KeyRing) -> Result<Hsm> {
        if let Some(name) = &self.hsm.authorities
            && !self.tokens.contains_key(name)
        {
            return Err(unknown(name));
        }
        self.tokens
            .into_values()
            .for_each(|token| keys.attach_token(token));
        Ok(self.hsm)
    }
}

fn unknown(name: &str) -> Error {
    Error::new(
        ErrorKind::InvalidArgs,
        format!("the configuration uses the token {name}, but has no [tokens.{name}]"),
    )
}

/// `keystead:ListTokens`: all of them, by their names; there are as many as the operator configured.
pub(crate) async fn list_tokens(
    ctx: &Ctx,
    _: wire::ListTokensRequest,
) -> Result<wire::ListTokensResponse> {
    first_account_only(ctx)?;
    let states = ctx.app.keys.token_states().into_iter();
    Ok(wire::ListTokensResponse {
        tokens: states.map(|status| shown(&ctx.app.hsm, status)).collect(),
    })
}

fn shown(hsm: &Hsm, status: TokenStatus) -> wire::Token {
    let is = |name: &Option<String>| name.as_deref() == Some(status.name.as_str());
    let uses = [
        (is(&hsm.root_key), wire::TokenUse::RootKey),
        (is(&hsm.authorities), wire::TokenUse::CertificateAuthorities),
    ];
    let (state, reason) = match status.state {
        TokenState::Connecting => (wire::TokenState::Connecting, None),
        TokenState::Connected => (wire::TokenState::Connected, None),
        TokenState::Failed(error) => (wire::TokenState::Failed, Some(error.message)),
        TokenState::Disconnected => (wire::TokenState::Disconnected, None),
    };
    let number = |count: u64| i64::try_from(count).ok();
    let identity = status.identity;
    let of = |part: fn(keystead_crypto::token::TokenIdentity) -> String| identity.clone().map(part);
    wire::Token {
        state,
        reason,
        cloud_hsm_cluster_id: status.cluster_id,
        label: of(|identity| identity.label),
        serial_number: of(|identity| identity.serial),
        manufacturer: of(|identity| identity.manufacturer),
        model: of(|identity| identity.model),
        module: status.module.display().to_string(),
        uses: uses
            .into_iter()
            .filter(|(is, _)| *is)
            .map(|(_, it)| it)
            .collect(),
        calls: number(status.calls),
        failed_calls: number(status.failures),
        stuck_calls: number(status.stuck as u64),
        name: status.name,
    }
}
