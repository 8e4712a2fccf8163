//! Join tokens: made by who may give away the role, used once, forgotten a while after their end.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use keystead_core::placements::join::{JoinToken, Network};
use keystead_core::{AccountId, Error, ErrorKind, Region, Result};
use keystead_crypto::{digest, random};
use keystead_store::{Batch, Expect, Lease, Stored};
use keystead_wire::keystead as wire;

use super::SERVICE;
use super::home::{self, shared};
use super::join::CONFLICT_TRIES;
use super::record::{Login, TOKENS, TokenRecord};
use crate::access::Act;
use crate::retry::retrying;
use crate::tasks::Outcome;
use crate::{App, Ctx, cursor, ids, pca, rolesanywhere};

/// Where tokens wait to be forgotten.
pub(crate) const TOKEN_QUEUE: &str = "join-token";

/// `keystead:CreateJoinToken`, which takes the permission to pass the role, and to issue from the private CA, as well. Where
/// the caller names no trust anchor and profile, those that agents share are used, and made as far as they are missing.
pub(crate) async fn create_join_token(
    ctx: &Ctx,
    input: wire::CreateJoinTokenRequest,
) -> Result<wire::CreateJoinTokenResponse> {
    ctx.allow_own("*")?;
    let named = (input.trust_anchor_arn, input.profile_arn);
    for (arn, kind) in [(&named.0, "trust-anchor"), (&named.1, "profile")] {
        if let Some(arn) = arn {
            ctx.own(arn, "rolesanywhere", kind)?;
        }
    }
    rolesanywhere::pass(ctx, std::slice::from_ref(&input.role_arn))?;
    let from = input.address.as_deref().map(Network::parse).transpose()?;
    let (trust_anchor_arn, profile_arn) = login(ctx, named, &input.role_arn).await?;
    let authority_arn = rolesanywhere::authority_of(ctx, &trust_anchor_arn).await?;
    pca::internal::must_exist(ctx, ISSUE, &authority_arn).await?;
    rolesanywhere::must_list(ctx, &profile_arn, &input.role_arn).await?;
    let missing = home::missing(ctx, &input.role_arn).await?;
    let secret: [u8; SECRET_BYTES] = random::bytes()?;
    let id = ids::uuid()?;
    let valid = SignedDuration::from_secs(input.valid_seconds.map_or(USUAL_SECONDS, i64::from));
    let expires_at = ctx.now.checked_add(valid).unwrap_or(Timestamp::MAX);
    let record = TokenRecord {
        id: id.clone(),
        digest: digest::sha256(&secret).to_vec(),
        token: JoinToken {
            name: input.name,
            from,
            expires_at,
            used: None,
        },
        login: Login {
            role_arn: input.role_arn,
            profile_arn: profile_arn.clone(),
            trust_anchor_arn: trust_anchor_arn.clone(),
            authority_arn,
            hours: input.certificate_valid_hours.unwrap_or(USUAL_HOURS),
        },
        created_by: ctx.principal.arn.clone(),
        created_at: ctx.now,
    };
    let key = ctx.key(&id);
    let mut batch = Batch::new();
    batch.put(TOKENS, key.as_str(), &record, Expect::Absent);
    let forgotten = expires_at.checked_add(KEPT).unwrap_or(Timestamp::MAX);
    batch.enqueue(TOKEN_QUEUE, key, forgotten, &());
    ctx.app.store.commit(batch).await?;
    let token = format!(
        "{PREFIX}.{}.{}.{id}.{}",
        ctx.account(),
        ctx.region,
        URL_SAFE_NO_PAD.encode(secret)
    );
    Ok(wire::CreateJoinTokenResponse {
        join_token_id: id,
        token: token.into(),
        expires_at,
        trust_anchor_arn,
        profile_arn,
        missing,
    })
}

/// The trust anchor and the profile that are named, or those that agents share.
async fn login(
    ctx: &Ctx,
    named: (Option<String>, Option<String>),
    role_arn: &str,
) -> Result<(String, String)> {
    match named {
        (Some(anchor), Some(profile)) => Ok((anchor, profile)),
        (None, None) => retrying(CONFLICT_TRIES, || shared(ctx, role_arn)).await,
        _ => Err(Error::new(
            ErrorKind::Validation,
            "Expected both TrustAnchorArn and ProfileArn, or none: then those that agents share are used, and made if they are missing.",
        )),
    }
}

/// `keystead:ListJoinTokens`.
pub(crate) async fn list_join_tokens(
    ctx: &Ctx,
    input: wire::ListJoinTokensRequest,
) -> Result<wire::ListJoinTokensResponse> {
    ctx.allow_own("*")?;
    let size = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let (page, next_token) =
        cursor::page::<TokenRecord>(ctx, "ListJoinTokens", TOKENS, after, size).await?;
    let summary = |found: Stored<TokenRecord>| {
        let TokenRecord {
            id,
            token,
            login,
            created_by,
            created_at,
            ..
        } = found.value;
        let used_by = token.used.as_ref().map(|used| agent_arn(ctx, &used.name));
        wire::JoinTokenSummary {
            join_token_id: id,
            role_arn: login.role_arn,
            name: token.name,
            address: token.from.map(String::from),
            created_by,
            created_at,
            expires_at: token.expires_at,
            used_at: token.used.map(|used| used.at),
            used_by,
        }
    };
    Ok(wire::ListJoinTokensResponse {
        join_tokens: page.into_iter().map(summary).collect(),
        next_token,
    })
}

/// `keystead:DeleteJoinToken`: it can't be used any more. An agent that joined with it stays.
pub(crate) async fn delete_join_token(
    ctx: &Ctx,
    input: wire::DeleteJoinTokenRequest,
) -> Result<wire::DeleteJoinTokenResponse> {
    let arn = ctx.arn(SERVICE, format!("join-token/{}", input.join_token_id));
    ctx.allow_own(&arn.to_string())?;
    let key = ctx.key(&input.join_token_id);
    let found: Option<Stored<TokenRecord>> = ctx.app.store.get(TOKENS, &key).await?;
    let found = found.ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            format!("There is no join token {}.", input.join_token_id),
        )
    })?;
    let mut batch = Batch::new();
    batch.delete(TOKENS, key.as_str(), Expect::Version(found.version));
    batch.cancel(TOKEN_QUEUE, key);
    ctx.app.store.commit(batch).await?;
    Ok(wire::DeleteJoinTokenResponse {})
}

/// A token that somebody shows, with its account and region.
pub(super) struct Presented {
    pub(super) account: AccountId,
    pub(super) region: Region,
    pub(super) found: Stored<TokenRecord>,
}

/// The record of the token that somebody shows.
///
/// Refuses with [`ErrorKind::AccessDenied`] what is no token, in the same words whatever is wrong with it.
pub(super) async fn presented(app: &App, text: &str) -> Result<Presented> {
    let refused = || {
        Error::new(
            ErrorKind::AccessDenied,
            "The join token is not valid: expected one of 'keystead agent token', whole, that was not deleted meanwhile.",
        )
    };
    let parts: Vec<&str> = text.trim().split('.').collect();
    let &[PREFIX, account, region, id, secret] = parts.as_slice() else {
        return Err(refused());
    };
    let (Ok(account), Ok(region)) = (AccountId::parse(account), Region::parse(region)) else {
        return Err(refused());
    };
    let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| refused())?;
    // An id has none of a key's separators: nothing but tokens is looked at.
    if !id
        .bytes()
        .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    {
        return Err(refused());
    }
    let key = format!("{account}/{region}/{id}");
    let found: Option<Stored<TokenRecord>> = app.store.get(TOKENS, &key).await?;
    let found = found.ok_or_else(refused)?;
    if !digest::constant_time_eq(&found.value.digest, &digest::sha256(&secret)) {
        return Err(refused());
    }
    Ok(Presented {
        account,
        region,
        found,
    })
}

/// Forgets the token of this lease.
pub(crate) async fn forget_token(app: &App, lease: &Lease) -> Result<Outcome> {
    let mut batch = Batch::new();
    batch.delete(TOKENS, lease.id(), Expect::Any);
    batch.finish(lease);
    app.store.commit(batch).await?;
    Ok(Outcome::Settled)
}

fn agent_arn(ctx: &Ctx, name: &str) -> String {
    ctx.arn(SERVICE, format!("agent/{name}")).to_string()
}

/// An agent is issued its certificate in the name of who made its token.
const ISSUE: Act<'_> = Act::Via {
    action: "acm-pca:IssueCertificate",
    service: SERVICE,
};

/// What tokens begin with, so that searches for secrets that leaked find them.
const PREFIX: &str = "keystead-join-1";

/// 256 bits, which nobody guesses.
const SECRET_BYTES: usize = 32;

/// An hour: time to bring it to the machine.
const USUAL_SECONDS: i64 = 3600;

/// A month of 30 days: a machine may be off for a week or two and comes back by itself.
const USUAL_HOURS: i32 = 30 * 24;

/// A week, in which who tries it is told why it is refused, and listings show what became of it.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

const DEFAULT_PAGE: usize = 100;
