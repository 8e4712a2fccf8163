//! Proxies: made, told about, listed, deleted.

use keystead_core::kms::xks::check_prefix;
use keystead_core::{Error, ErrorKind, Result};
use keystead_store::{Batch, Expect, StoreError};
use keystead_wire::keystead as wire;

use super::record::{self, At, CREDENTIALS, PREFIXES, PROXIES, Proxy, ProxyCredential};
use crate::{Ctx, cursor, ids, kms};

/// `keystead:CreateXksProxy`: the proxy with its first credential, which is shown this once.
pub(crate) async fn create_xks_proxy(
    ctx: &Ctx,
    input: wire::CreateXksProxyRequest,
) -> Result<wire::CreateXksProxyResponse> {
    ctx.allow_own("*")?;
    let id = ids::uuid()?;
    // Without a wish, a path that nobody guesses, as in the specification's example.
    let prefix = match input.uri_path_prefix {
        Some(prefix) => prefix,
        None => format!("/keystores/{id}"),
    };
    check_prefix(&prefix)?;
    let credential = ProxyCredential::generate(ctx.now)?;
    let told = credential.told();
    let proxy = Proxy {
        id,
        account: ctx.account().clone(),
        region: ctx.region.clone(),
        name: input.name,
        prefix,
        created_at: ctx.now,
        credentials: vec![credential],
        keys: Vec::new(),
    };
    let at = ctx.key(&proxy.id);
    let mut batch = Batch::new();
    batch.put(PROXIES, at.as_str(), &proxy, Expect::Absent);
    let here = At(at);
    batch.put(PREFIXES, prefix_key(&proxy), &here, Expect::Absent);
    batch.put(
        CREDENTIALS,
        told.access_key_id.as_str(),
        &here,
        Expect::Absent,
    );
    match ctx.app.store.commit(batch).await {
        Ok(_) => Ok(wire::CreateXksProxyResponse {
            xks_proxy_arn: proxy.arn(),
            uri_path: proxy.uri_path(),
            credential: told,
        }),
        Err(StoreError::Conflict { .. }) => Err(Error::new(
            ErrorKind::Conflict,
            format!(
                "Another proxy of this server has the path {}: choose another UriPathPrefix.",
                proxy.uri_path()
            ),
        )),
        Err(error) => Err(error.into()),
    }
}

/// `keystead:DescribeXksProxy`.
pub(crate) async fn describe_xks_proxy(
    ctx: &Ctx,
    input: wire::DescribeXksProxyRequest,
) -> Result<wire::DescribeXksProxyResponse> {
    let proxy = record::find(ctx, &input.xks_proxy_arn)
        .await?
        .into_inner()
        .value;
    let credentials = proxy.credentials.iter();
    let keys = proxy.keys.iter();
    Ok(wire::DescribeXksProxyResponse {
        xks_proxy: wire::XksProxy {
            xks_proxy_arn: proxy.arn(),
            name: proxy.name.clone(),
            uri_path: proxy.uri_path(),
            created_at: proxy.created_at,
            credentials: credentials
                .map(|credential| wire::XksCredentialSummary {
                    access_key_id: credential.access_key_id.clone(),
                    created_at: credential.created_at,
                })
                .collect(),
            keys: keys
                .map(|key| wire::XksKey {
                    external_key_id: key.external_key_id.clone(),
                    key_arn: kms::arn_of(&proxy.account, &proxy.region, &key.key_id),
                    aws_principals: key.principals.clone(),
                    aws_kms_keys: key.kms_keys.clone(),
                })
                .collect(),
        },
    })
}

/// `keystead:ListXksProxies`: the proxies of the account and region.
pub(crate) async fn list_xks_proxies(
    ctx: &Ctx,
    input: wire::ListXksProxiesRequest,
) -> Result<wire::ListXksProxiesResponse> {
    ctx.allow_own("*")?;
    let limit = cursor::size(input.max_results, DEFAULT_PAGE);
    let after = input.next_token.as_deref();
    let (page, next_token) = cursor::page::<Proxy>(ctx, SCOPE, PROXIES, after, limit).await?;
    let shown = |proxy: &Proxy| wire::XksProxySummary {
        xks_proxy_arn: proxy.arn(),
        name: proxy.name.clone(),
        uri_path: proxy.uri_path(),
        created_at: proxy.created_at,
    };
    Ok(wire::ListXksProxiesResponse {
        xks_proxies: page.iter().map(|found| shown(&found.value)).collect(),
        next_token,
    })
}

/// `keystead:DeleteXksProxy`: nobody calls it any more. The keys that it exposed stay what they are.
pub(crate) async fn delete_xks_proxy(
    ctx: &Ctx,
    input: wire::DeleteXksProxyRequest,
) -> Result<wire::DeleteXksProxyResponse> {
    let found = record::find(ctx, &input.xks_proxy_arn).await?.into_inner();
    let mut batch = Batch::new();
    batch.delete(PROXIES, found.key.as_str(), Expect::Version(found.version));
    batch.delete(PREFIXES, prefix_key(&found.value), Expect::Any);
    for credential in &found.value.credentials {
        batch.delete(CREDENTIALS, credential.access_key_id.as_str(), Expect::Any);
    }
    ctx.app.store.commit(batch).await?;
    Ok(wire::DeleteXksProxyResponse {})
}

/// The key of a proxy's path among all of the server; records have no empty keys.
fn prefix_key(proxy: &Proxy) -> String {
    format!("{}/", proxy.prefix)
}

/// What a listing's tokens are bound to.
const SCOPE: &str = "ListXksProxies";

/// A page where the caller names no size.
const DEFAULT_PAGE: usize = 100;
