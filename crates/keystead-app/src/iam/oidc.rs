//! OpenID Connect providers: issuers of web identities that the account trusts.

use keystead_core::iam::{self, quota, tags};
use keystead_core::tags::Tags;
use keystead_core::{Arn, ErrorKind, Result};
use keystead_wire::iam as wire;

use super::record::{OidcProvider, Resource, change, create, delete, load};
use super::shown;
use crate::Ctx;

/// `iam:CreateOpenIDConnectProvider`.
pub(crate) async fn create_open_id_connect_provider(
    ctx: &Ctx,
    input: wire::CreateOpenIdConnectProviderRequest,
) -> Result<wire::CreateOpenIdConnectProviderResponse> {
    let mut provider = OidcProvider {
        url: String::new(),
        client_ids: Vec::new(),
        thumbprints: iam::oidc::thumbprints(input.thumbprint_list.unwrap_or_default())?,
        created: ctx.now,
        tags: Tags::new(),
    };
    for client_id in input.client_id_list.unwrap_or_default() {
        add_client_id(&mut provider, &client_id)?;
    }
    provider.url = iam::oidc::issuer(&input.url)?;
    tags::add(&mut provider.tags, shown::pairs(input.tags))?;
    create(ctx, &provider.url, &provider, |_, _| {}).await?;
    Ok(wire::CreateOpenIdConnectProviderResponse {
        open_id_connect_provider_arn: Some(shown::arn(ctx, "oidc-provider", "/", &provider.url)),
        tags: shown::tags(provider.tags),
    })
}

/// `iam:GetOpenIDConnectProvider`.
pub(crate) async fn get_open_id_connect_provider(
    ctx: &Ctx,
    input: wire::GetOpenIdConnectProviderRequest,
) -> Result<wire::GetOpenIdConnectProviderResponse> {
    let url = url_of(ctx, &input.open_id_connect_provider_arn)?;
    let provider = load::<OidcProvider>(ctx, url).await?.value;
    Ok(wire::GetOpenIdConnectProviderResponse {
        url: Some(provider.url),
        client_id_list: Some(provider.client_ids),
        thumbprint_list: Some(provider.thumbprints),
        create_date: Some(provider.created),
        tags: Some(shown::tag_list(provider.tags)),
    })
}

/// `iam:ListOpenIDConnectProviders`: all of them, as their quota is small.
pub(crate) async fn list_open_id_connect_providers(
    ctx: &Ctx,
    _input: wire::ListOpenIdConnectProvidersRequest,
) -> Result<wire::ListOpenIdConnectProvidersResponse> {
    let store = &ctx.app.store;
    let prefix = format!("{}/", ctx.account());
    let most = quota::OIDC_PROVIDERS.most;
    let found = store
        .scan::<OidcProvider>(OidcProvider::COLLECTION, &prefix, None, most)
        .await?;
    let entry = |provider: OidcProvider| wire::OpenIdConnectProviderListEntry {
        arn: Some(shown::arn(ctx, "oidc-provider", "/", &provider.url)),
    };
    let entries = found.into_iter().map(|stored| entry(stored.value));
    Ok(wire::ListOpenIdConnectProvidersResponse {
        open_id_connect_provider_list: Some(entries.collect()),
    })
}

/// `iam:DeleteOpenIDConnectProvider`: "does not fail or return an error if you call the operation for a
/// provider that does not exist" (model).
pub(crate) async fn delete_open_id_connect_provider(
    ctx: &Ctx,
    input: wire::DeleteOpenIdConnectProviderRequest,
) -> Result<wire::DeleteOpenIdConnectProviderResponse> {
    let url = url_of(ctx, &input.open_id_connect_provider_arn)?;
    match delete(ctx, url, |_: &OidcProvider, _, _| Ok(())).await {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(wire::DeleteOpenIdConnectProviderResponse),
    }
}

/// `iam:AddClientIDToOpenIDConnectProvider`: done already is done.
pub(crate) async fn add_client_id_to_open_id_connect_provider(
    ctx: &Ctx,
    input: wire::AddClientIdToOpenIdConnectProviderRequest,
) -> Result<wire::AddClientIdToOpenIdConnectProviderResponse> {
    let url = url_of(ctx, &input.open_id_connect_provider_arn)?;
    change(ctx, url, |provider, _| {
        add_client_id(provider, &input.client_id)
    })
    .await?;
    Ok(wire::AddClientIdToOpenIdConnectProviderResponse)
}

/// `iam:RemoveClientIDFromOpenIDConnectProvider`: what is not there is passed over.
pub(crate) async fn remove_client_id_from_open_id_connect_provider(
    ctx: &Ctx,
    input: wire::RemoveClientIdFromOpenIdConnectProviderRequest,
) -> Result<wire::RemoveClientIdFromOpenIdConnectProviderResponse> {
    let url = url_of(ctx, &input.open_id_connect_provider_arn)?;
    change(ctx, url, |provider: &mut OidcProvider, _| {
        provider.client_ids.retain(|id| *id != input.client_id);
        Ok(())
    })
    .await?;
    Ok(wire::RemoveClientIdFromOpenIdConnectProviderResponse)
}

/// `iam:UpdateOpenIDConnectProviderThumbprint`: the new list takes the place of the old one.
pub(crate) async fn update_open_id_connect_provider_thumbprint(
    ctx: &Ctx,
    input: wire::UpdateOpenIdConnectProviderThumbprintRequest,
) -> Result<wire::UpdateOpenIdConnectProviderThumbprintResponse> {
    let url = url_of(ctx, &input.open_id_connect_provider_arn)?;
    let thumbprints = iam::oidc::thumbprints(input.thumbprint_list)?;
    change(ctx, url, |provider: &mut OidcProvider, _| {
        provider.thumbprints = thumbprints.clone();
        Ok(())
    })
    .await?;
    Ok(wire::UpdateOpenIdConnectProviderThumbprintResponse)
}

/// The issuer's URL without `https://` that the ARN names; refuses what names no provider, and none of the
/// caller's account.
pub(super) fn url_of<'a>(ctx: &Ctx, arn: &'a str) -> Result<&'a str> {
    let given = Arn::parse(arn);
    let of_account = given.is_ok_and(|given| given.account == ctx.account().as_str());
    let url = arn.split_once(":oidc-provider/").map(|(_, url)| url);
    url.filter(|url| of_account && !url.is_empty())
        .ok_or_else(|| iam::oidc::missing(arn))
}

fn add_client_id(provider: &mut OidcProvider, client_id: &str) -> Result<()> {
    if !provider.client_ids.iter().any(|there| there == client_id) {
        quota::CLIENT_IDS.admits_one_more(provider.client_ids.len())?;
        provider.client_ids.push(client_id.to_owned());
    }
    Ok(())
}
