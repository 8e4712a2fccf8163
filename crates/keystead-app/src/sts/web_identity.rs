//! Becoming a role by the word of an identity provider.

use keystead_core::iam::{oidc, tags};
use keystead_core::tags::Tags;
use keystead_core::{Error, ErrorKind, Result};
use keystead_wire::sts as wire;

use super::given::Given;
use super::jwt::{Token, invalid};
use super::provider_keys::no_key;
use super::session::WebIdentity;
use super::target::{Target, Terms};
use crate::access::Act;
use crate::iam::record::{self, OidcProvider};
use crate::{Ctx, PrincipalKind};

/// `sts:AssumeRoleWithWebIdentity`: nobody signs this call; the token proves who asks, if the role's account has
/// registered its issuer. The role's trust policy decides, with the token's claims as condition keys.
pub(crate) async fn assume_role_with_web_identity(
    ctx: &Ctx,
    input: wire::AssumeRoleWithWebIdentityRequest,
) -> Result<wire::AssumeRoleWithWebIdentityResponse> {
    if let Some(provider) = &input.provider_id {
        return Err(no_access_tokens(provider));
    }
    let token = Token::parse(input.web_identity_token.expose())?;
    let target = Target::find(ctx, input.role_arn).await?;
    let identity = verify(ctx, &token, &target).await?;
    let claims = &token.claims;
    let (tags, transitive) = claims.tags()?;
    let given = Given::default()
        .tagged(None, tags, transitive)?
        .called(None, claims.source_identity.clone())?;
    let PrincipalKind::WebIdentity(proven) = &ctx.principal.kind else {
        return Err(Error::new(
            ErrorKind::Internal,
            "an unsigned call came with a principal",
        ));
    };
    let identity = proven.get_or_init(|| identity).clone();
    let mut actions = vec!["sts:AssumeRoleWithWebIdentity"];
    actions.extend((!given.tags.is_empty()).then_some("sts:TagSession"));
    actions.extend(
        given
            .source_identity
            .as_ref()
            .map(|_| "sts:SetSourceIdentity"),
    );
    for action in actions {
        let decided = ctx.allow_as(Act::Also(action), &target.resource());
        decided.map_err(|error| not_authorized(error, action))?;
    }
    let terms = Terms {
        session: input.role_session_name,
        seconds: input.duration_seconds,
        chained: false,
        given,
        limits: (input.policy, input.policy_arns),
        // The session has its tags already.
        web_identity: Some(WebIdentity {
            tags: Tags::new(),
            ..identity.clone()
        }),
        at_least: input.minimum_session_token_size,
    };
    let begun = target.begin(ctx, terms).await?;
    let issued = begun.issued;
    Ok(wire::AssumeRoleWithWebIdentityResponse {
        credentials: Some(issued.credentials),
        subject_from_web_identity_token: Some(identity.subject.clone()),
        assumed_role_user: Some(begun.user),
        packed_policy_size: issued.packed,
        provider: Some(identity.provider_arn),
        audience: Some(identity.audience),
        source_identity: begun.source_identity,
        session_token_utilization: issued.utilization,
        session_token_size: issued.size,
    })
}

fn no_access_tokens(provider: &str) -> Error {
    Error::new(
        ErrorKind::Validation,
        format!(
            "The provider {provider} is not served: expected an OpenID Connect ID token, and no ProviderId."
        ),
    )
}

/// Who the token speaks of: issued by a provider that the role's account has registered, for one of its audiences,
/// now, and signed with one of its keys.
async fn verify(ctx: &Ctx, token: &Token<'_>, target: &Target) -> Result<WebIdentity> {
    let claims = &token.claims;
    let (url, issuer) = claims.issuer()?;
    let found = record::find::<OidcProvider>(&ctx.app.store, &target.account, &issuer).await?;
    let provider = found.map(|found| found.value).ok_or_else(|| {
        invalid(&format!(
            "No OpenIDConnect provider found in your account for {url}"
        ))
    })?;
    let subject = claims.subject()?.to_owned();
    let audience = claims.audience(&provider.client_ids)?.to_owned();
    claims.check_times(ctx.now)?;
    let keys = ctx.app.provider_keys.of(&provider, token, ctx.now).await?;
    if !token.names_one_of(&keys) {
        return Err(no_key());
    }
    token.verify(&keys)?;
    let mut given = Tags::new();
    tags::add(&mut given, claims.tags()?.0)?;
    Ok(WebIdentity {
        account: target.account.clone(),
        provider_arn: oidc::arn(&target.account, &issuer),
        audience,
        subject,
        amr: claims.amr(),
        tags: given,
    })
}

/// AWS's refusal names neither the role nor who asks.
fn not_authorized(error: Error, action: &str) -> Error {
    match error.kind {
        ErrorKind::AccessDenied => Error::new(
            ErrorKind::AccessDenied,
            format!("Not authorized to perform {action}"),
        ),
        _ => error,
    }
}
